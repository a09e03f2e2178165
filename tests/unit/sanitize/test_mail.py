"""E-mail addresses: one that can exist, in one form, with one recipient."""

from __future__ import annotations

import sys

import pytest

from asgi_guard.errors import MissingExtraError
from asgi_guard.sanitize import SanitizeError, clean_email

GOOD = {
    "ada@example.com": "ada@example.com",
    " ada@example.com ": "ada@example.com",
    "Ada.Lovelace+news@EXAMPLE.com": "Ada.Lovelace+news@example.com",
    "o'brien@example.co.uk": "o'brien@example.co.uk",
    "j\xf6rg@b\xfccher.example.com": "j\xf6rg@b\xfccher.example.com",
    "ada@xn--bcher-kva.example.com": "ada@b\xfccher.example.com",
    "jo\u0308rg@example.com": "j\xf6rg@example.com",
}

BAD = {
    "": "bad_email",
    "ada": "bad_email",
    "ada@": "bad_email",
    "@example.com": "bad_email",
    "ada@@example.com": "bad_email",
    "ada@localhost": "bad_email",
    "ada@example": "bad_email",
    "ada@[127.0.0.1]": "bad_email",
    "ada@exa mple.com": "bad_email",
    "ada@example..com": "bad_email",
    ".ada@example.com": "bad_email",
    "ada@example.com\nBcc: all@example.com": "bad_email",
    "ada@example.com\r\n": "bad_email",
    "ada@example.com,eve@example.com": "bad_email",
    "Ada <ada@example.com>": "bad_email",
    '"ada eve"@example.com': "bad_email",
    "ada(comment)@example.com": "bad_email",
    "ada\0@example.com": "bad_email",
    "ada\u202e@example.com": "bad_email",
    "ada@-example.com": "bad_email",
    "a" * 65 + "@example.com": "bad_email",
    "ada@" + "a" * 251: "too_long",
    "ada\ud800@example.com": "not_unicode",
    None: "not_text",
    b"ada@example.com": "not_text",
}


@pytest.mark.parametrize(("given", "expected"), GOOD.items(), ids=[ascii(given) for given in GOOD])
def test_an_address_has_one_form(given: str, expected: str) -> None:
    """The domain in lower case, the local part as its owner writes it."""
    assert clean_email(given) == expected


@pytest.mark.parametrize(("given", "reason"), BAD.items(), ids=[ascii(given)[:40] for given in BAD])
def test_what_is_no_address_is_refused(given: object, reason: str) -> None:
    """Above all what would add a header or a recipient."""
    with pytest.raises(SanitizeError) as error:
        clean_email(given)

    assert error.value.reason == reason


def test_without_the_extra_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first use."""
    monkeypatch.setitem(sys.modules, "email_validator", None)

    with pytest.raises(MissingExtraError, match=r"asgi-guard\[sanitize\]"):
        clean_email("ada@example.com")
