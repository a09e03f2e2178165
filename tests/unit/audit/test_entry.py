"""Entries: who, what, when and where, on one line that nothing in it can end."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.audit import VOCABULARY, Entry, to_ocsf
from asgi_guard.audit.entry import BOUNDS, cut, line_of, stamp
from asgi_guard.audit.redact import Redactor
from asgi_guard.audit.vocabulary import SEVERITIES
from asgi_guard.errors.details import plain

TIME = 1_700_000_000.25
HOSTILE = [
    "a\nb",
    'a\r\n{"v":1}',
    "\x1b[2J\x1b]0;x\x07",
    "\u2028\u2029\x85",
    "\u202e\u2066gnp.exe",
    "\x00\x7f",
    "\ud800",
    '"},{"event":"sys_startup"',
    "\\n\\u000a",
    "<script>",
    "%0a%0d",
    "😀" * 10,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_a_client_writes_stays_on_its_line(text: str) -> None:
    """It comes back as it was, and no character of it is one that a terminal or a log obeys."""
    entry = Entry(event="authn_login_fail", time=TIME, subject=text, reason=text, path=text, facts=plain({text: text}))

    line = line_of(entry.told())

    assert line.isascii()
    assert line.decode().isprintable()
    told = json.loads(line)
    assert (told["subject"], told["reason"], told["facts"]) == (text, text, {text: text})


@given(st.text(), st.dictionaries(st.text(), st.text() | st.integers() | st.lists(st.text()), max_size=5))
def test_any_text_gives_one_line(text: str, facts: dict[str, Any]) -> None:
    """Whatever it is, and whatever is hidden of it."""
    entry = Entry(event="authz_fail", time=TIME, subject=text, client=text, request_id=text, facts=plain(facts))

    line = line_of(Redactor().fields(entry.told()))

    assert line.isascii()
    assert line.decode().isprintable()
    assert json.loads(line)["event"] == "authz_fail"


def test_every_text_is_bounded() -> None:
    """A client sizes no line."""
    names = [name for name in BOUNDS if name != "event"]
    told = cut(Entry(event="authz_fail", time=TIME, **dict.fromkeys(names, "x" * 10_000)).told())  # type: ignore[arg-type]

    assert {name: len(told[name]) for name in names} == {name: BOUNDS[name] for name in names}


def test_a_line_says_what_it_has_to_and_nothing_empty() -> None:
    """In the order in which people read it; the time in UTC."""
    told = Entry(event="authn_login_fail", outcome="failure", time=TIME, subject="u7", layer="", reason=None).told()

    assert list(told.items()) == [
        ("v", 1),
        ("time", "2023-11-14T22:13:20.250000Z"),
        ("event", "authn_login_fail"),
        ("outcome", "failure"),
        ("severity", "medium"),
        ("subject", "u7"),
    ]


def test_how_grave_it_is_can_be_said() -> None:
    """Else the vocabulary does; a name of one's own is no alarm."""
    assert Entry(event="authn_login_fail", time=0, severity="critical").told()["severity"] == "critical"
    assert Entry(event="sensitive_export", time=0).told()["severity"] == "info"


@pytest.mark.parametrize("name", VOCABULARY)
def test_every_event_is_one_of_ocsf(name: str) -> None:
    """With the fields that its classes require, and the numbers that belong together."""
    told = Entry(
        event=name, outcome="failure", time=TIME, subject="u7", client="198.51.100.7", method="GET", path="/a",
        reason="why", request_id="req_1", trace_id="a" * 32, facts={"n": 1},
    ).told()  # fmt: skip
    told |= {"chain": "c", "seq": 7}

    event = to_ocsf(told)

    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"]
    assert event["category_uid"] == event["class_uid"] // 1000
    assert event["severity_id"] == SEVERITIES[VOCABULARY[name].severity]
    assert (event["status_id"], event["status_detail"]) == (2, "why")
    assert event["time"] == 1_700_000_000_250
    assert event["metadata"]["uid"] == "c:7"
    assert event["actor"]["user"]["uid"] == "u7"
    assert event["src_endpoint"]["ip"] == "198.51.100.7"
    assert event["http_request"] == {"http_method": "GET", "url": {"path": "/a"}}
    assert event["unmapped"] == {"n": 1}


def test_an_event_of_ocsf_has_no_empty_field() -> None:
    """Of an entry that is about no request and nobody."""
    event = to_ocsf(Entry(event="sys_startup", outcome="success", time=TIME).told())

    assert event["status_id"] == 1
    assert not {"actor", "src_endpoint", "http_request", "unmapped", "status_detail"} & set(event)


def test_a_stamp_is_rfc_3339() -> None:
    """With microseconds, so that lines of one request stay in order."""
    assert stamp(0.000001) == "1970-01-01T00:00:00.000001Z"
