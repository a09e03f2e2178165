"""Redaction: secrets stay out of the log, by the name of a field and by what a text looks like."""

from __future__ import annotations

import time
from typing import Any

import pytest

from asgi_guard.audit.entry import cut
from asgi_guard.audit.of_events import entry_of
from asgi_guard.audit.redact import Redactor
from asgi_guard.events import RequestRefused
from asgi_guard.settings import HIDDEN


def hidden(text: str) -> str:
    """Return what is left of a text."""
    return Redactor().text(text)


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1NyJ9.c2lnbmF0dXJl",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1NyJ9.",
        "Bearer abcdefgh12345678",
        "basic dXNlcjpwYXNzd29yZA==",
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a1" * 18,
        "xoxb-123456789012-abcdef",
        "sk_live_" + "a1" * 8,
        "glpat-" + "a1" * 10,
        "AIza" + "a1_-b" * 7,
        "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "378282246310005",
    ],
)
def test_what_looks_like_a_secret_is_hidden(secret: str) -> None:
    """Wherever it stands, and nothing around it."""
    assert hidden(f"with {secret} it failed") == f"with {HIDDEN} it failed"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("db_password=hunter2&user=7", "db_<hidden>&user=7"),
        ("PWD='x y' it failed", "<hidden> y' it failed"),
        ('{"api_key": "k7", "n": 1}', '{"<hidden>", "n": 1}'),
        ("a=1;client_secret=s3;b=2", "a=1;client_<hidden>;b=2"),
        ("refresh_token=abc", "<hidden>"),
    ],
)
def test_what_is_named_in_a_text_is_hidden(text: str, left: str) -> None:
    """In a query, a form or JSON that somebody has put into a reason."""
    assert hidden(text) == left


def test_a_key_that_is_cut_off_is_hidden_to_the_end() -> None:
    """Where it would end, nobody can tell."""
    assert hidden("with -----BEGIN PRIVATE KEY-----\nMIIB it failed") == f"with {HIDDEN}"


def test_the_password_in_a_url_is_hidden() -> None:
    """The host is kept, which is what one looks for."""
    assert hidden("postgresql://shop:pass7word@db.example/shop") == f"postgresql://{HIDDEN}@db.example/shop"


@pytest.mark.parametrize(
    "text",
    [
        "req_f47b13eaff3cf7702a63e4330d2a467f",
        "4111 1111 1111 1112",
        "order 20261123142504204",
        "Too many requests.",
        "https://shop.example/a@b",
        "a bearer of news",
        "the wrong password: try again",
        "password is = to the name",
        "surpassed=",
        "1234567890123456789012",
    ],
)
def test_what_is_none_is_kept(text: str) -> None:
    """Numbers of orders are no cards."""
    assert hidden(text) == text


def test_facts_are_hidden_by_their_names_at_any_depth() -> None:
    """Also in lists, and in any case; the rest is as it was."""
    told = {
        "event": "authn_login_fail",
        "facts": {"Password": "x", "user": {"api_key": 7, "n": 1}, "l": [{"token": 1}]},
    }

    assert Redactor().fields(told) == {
        "event": "authn_login_fail",
        "facts": {"Password": HIDDEN, "user": {"api_key": HIDDEN, "n": 1}, "l": [{"token": HIDDEN}]},
    }


def test_names_and_patterns_can_be_added() -> None:
    """They stand beside ours."""
    redactor = Redactor(["iban"], [r"DE[0-9]{20}"])

    assert redactor.fields({"facts": {"IBAN_of": "x", "note": "to DE12345678901234567890", "password": "y"}}) == {
        "facts": {"IBAN_of": HIDDEN, "note": f"to {HIDDEN}", "password": HIDDEN}
    }


@pytest.mark.parametrize(
    "piece",
    [
        "4",
        "1 ",
        "eyJ",
        "eyJaaaaaaaa.",
        "://",
        "://a:",
        "bearer ",
        "-----BEGIN ",
        "AKIA",
        "-",
        "a@",
        "4-",
        "pass=",
        'pass"',
        "secret='",
    ],
)
def test_the_time_is_that_of_the_length(piece: str) -> None:
    """Whatever an attacker repeats: a text of a megabyte takes no more than some seconds on the slowest machine."""

    def took(size: int) -> float:
        text: Any = (piece * size)[:size]
        started = time.process_time()
        hidden(text)
        return time.process_time() - started

    took(1_000)
    assert took(200_000) < 5  # milliseconds where it is linear, minutes where it is not


@pytest.mark.parametrize("length", [*range(15, 50)])
def test_a_secret_that_was_cut_in_half_is_hidden(length: int) -> None:
    """Where something else has cut it, at the end of the text."""
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1NyJ9.c2lnbmF0dXJl"
    for secret in (jwt, "ghp_" + "a1" * 22, "AIza" + "a1_-b" * 9, "postgresql://shop:pass7word" + "x" * 40):
        left = hidden(f"with {secret[:length]}")
        assert HIDDEN in left or len(secret[:length]) < len("postgresql://shop:p") + 4
        assert "pass7" not in left
        assert "a1a1a1" not in left
        assert secret[8:20] not in left or secret.startswith("post")


def test_secrets_are_looked_for_before_texts_are_cut() -> None:
    """A token that stands over the bound of its field leaves no half behind."""
    from asgi_guard.audit import Audit, AuditLog
    from asgi_guard.audit.entry import BOUNDS
    from asgi_guard.audit.log import Served, served_var

    told: list[Any] = []
    log = AuditLog(Audit(sinks=[told.append]))
    for name in ("subject", "reason", "path"):
        for before in range(BOUNDS[name] - 60, BOUNDS[name], 5):
            text = "w" * (before - 1) + " AKIAIOSFODNN7EXAMPLE 4111 1111 1111 1111 xoxb-123456789012-abcdef"
            if name == "path":
                token = served_var.set(Served(log, None, "GET", text))
                log.record("authz_fail")
                served_var.reset(token)
            else:
                log.record("authz_fail", **{name: text})
    log.close()

    lines = str(
        [entry.get(name) for entry in told for name in ("subject", "reason", "path")]
    )  # a code is of any digits
    assert len(told) > 30
    for part in ("AKIA", "4111", "xoxb"):
        assert part not in lines


@pytest.mark.parametrize(
    "piece",
    ["eyJ", "eyJaaaaaaaa.", "-eyJaaaaaaaa", ".eyJaaaaaaaaaaa.a", "://", "://a:", "://a:b", "bearer ", "token a ",
     "-----BEGIN PRIVATE KEY-----", "-----BEGIN A", "AKIA", "gh_", "ghp_", "xoxb-", "4 ", "41", "- -"],
)  # fmt: skip
def test_four_times_the_length_takes_about_four_times_the_time(piece: str) -> None:
    """And not sixteen times: 64 KB against 256 KB, of whatever is repeated."""

    def took(size: int) -> float:
        text = (piece * size)[:size]
        times: list[float] = []
        for _ in range(3):
            started = time.process_time()
            hidden(text)
            times.append(time.process_time() - started)
        return min(times)

    assert took(262_144) < 9 * took(65_536) + 0.02


CUT = [
    "Bearer abcdefgh12345678zzzz",
    "4111111111111111",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1NyJ9.c2lnbmF0dXJl",
    "ghp_" + "a1" * 18,
    "AKIAIOSFODNN7EXAMPLE",
    "sk_live_" + "a1" * 8,
    "glpat-" + "a1" * 10,
    "AIza" + "a1_-b" * 7,
    "https://shop:12345secret@db.example",
]


@pytest.mark.parametrize("secret", CUT)
def test_little_is_left_of_a_secret_that_somebody_has_cut_off(secret: str) -> None:
    """At the end of a long text, which may have been cut: its mark, four digits of a card, and no more."""
    for size in range(1, len(secret)):
        text = "p" * 300 + " " + secret[:size]
        left = hidden(text).rpartition(" ")[2].removesuffix(HIDDEN)

        assert left.startswith("https://") or len(left) <= len("sk_live")
        assert sum(map(str.isdigit, left)) <= 4


def test_a_short_text_was_not_cut() -> None:
    """What it ends with is kept."""
    for text in ("the order is 123456", "this is no token yet", "https://shop:8080"):
        assert hidden(text) == text


SECRETS = ["Bearer abcdefgh12345678zzzz", "4111111111111111", "ghp_" + "a1" * 18, "DE12345678901234567890"]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_part_of_a_secret_is_shown_where_a_path_is_cut(secret: str) -> None:
    """It is looked for in the whole path, and cut then: an attacker chooses where the bound is."""
    redactor = Redactor((), ["DE[0-9]{20}"])
    for shown in range(1, len(secret) + 1):
        path = "/" + "p" * (254 - shown) + "/" + secret
        event = RequestRefused(layer="x", scope_type="http", method="GET", path=path, status=400, code="X", reason="")
        entry = entry_of(event, 1.0)
        assert entry is not None
        kept = cut(redactor.fields(entry.told()))["path"]

        assert len(kept) <= 256
        assert "/" + "<hidden>"[:shown] == kept[255 - shown : 256 - shown + 8][: shown + 1]
        assert event.path == path[:256]
