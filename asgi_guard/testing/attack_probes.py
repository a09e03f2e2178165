"""Attack probes: how one sees that an attack has worked, and not merely that it was let through.

Each probe asks a spot a few things and looks for what only a hole would answer: arithmetic that was done, an element in
the page that was sent as text, a line of a file, a header of one's own, a pair of conditions of which only the true one
is like the ordinary answer. What proves nothing is no evidence.
Must never change anything: probes read, count and wait for a second, and that is all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from html import escape
from time import perf_counter
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote as percent_encoded
from urllib.parse import urlsplit

from asgi_guard.testing.attack_markup import BREAKING_OUT, CALL, FIRST, MARK, became

_A, _B = 7919, 7907
_NOBODY: Final = "987654321"  # a number that names nothing
_PRODUCT: Final = str(_A * _B)
_PASSWD: Final = re.compile(r"^root:[^:\n]*:0:0:", re.MULTILINE)
_SQL_ERROR: Final = re.compile(
    r"sqlite3\.\w*Error|near \"[^\"]{0,80}\": syntax error|unrecognized token|SQL syntax|SQLSTATE|ORA-\d{5}|psycopg"
    r"|unterminated quoted string|syntax error at or near|pymysql|ODBC SQL Server|unclosed quotation mark",
    re.IGNORECASE,
)
_TRACE: Final = re.compile(r"Traceback \(most recent call last\)|^ {2}File \"[^\"\n]{1,300}\", line \d+", re.MULTILINE)
_LONGEST: Final = 1 << 20
_PAIRS: Final = (
    (1, 2),
    (1, 1),
    (1, 2),
    (7, 7),
    (7, 3),
    (40, 40),
    (5, 90),
    (8, 8),
    (6, 1),
    (3, 3),
    (2, 9),
    (5, 5),
    (4, 3),
)
FETCHED: Final = "that address was asked"
"""What shows that an application fetches what a client names."""
_WAIT_SECONDS: Final = 1.0


class Answer(NamedTuple):
    """What came back.

    Attributes:
        status: of HTTP; 0 where nothing came back.
        headers: by name, in lower case.
        text: the body, at most 1 MiB of it.
        seconds: how long it took.
        error: what was raised, where nothing came back.
    """

    status: int
    headers: dict[str, str]
    text: str
    seconds: float = 0.0
    error: str = ""


class Evidence(NamedTuple):
    """A hole, and what shows it.

    Attributes:
        attack: its class.
        payload: what was sent.
        said: what shows it, in a sentence.
    """

    attack: str
    payload: str
    said: str


Ask = Callable[[str], Awaitable[Answer]]
"""Puts a text into a spot, and returns what came back."""

Put = Callable[[object], Awaitable[Answer]]
"""The same for any value of JSON."""


@dataclass(frozen=True, slots=True)
class Context:
    """What a probe knows.

    Attributes:
        ask: puts a text into the spot.
        value: an ordinary value of the spot.
        ordinary: what is answered to that.
        listener: the address of a listener of this machine, and whether it was asked; None where there is none.
        put: puts any value of JSON into the spot and into the fields beside it; None where it is no field of JSON.
    """

    ask: Ask
    value: str
    ordinary: Answer
    listener: Listener | None = None
    put: Put | None = None


class Listener(Protocol):
    """Somebody who is asked where an application fetches what a client names."""

    def address(self) -> str:
        """Return an address that nobody was told before."""
        ...

    def was_asked(self, address: str) -> bool:
        """Tell whether that very address was asked for."""
        ...


async def by_condition(context: Context) -> Evidence | None:
    """SQL: whatever two numbers are compared, only what is true is answered like the ordinary value."""
    value = context.value
    nothing = [shape_of(await context.ask(text), text) for text in (MARK, _NOBODY)]
    for form in (
        f"{value}' AND '{{}}'='{{}}",
        f"{value} AND {{}}={{}}",
        f'{value}" AND "{{}}"="{{}}',
        f"{value}') AND ('{{}}'='{{}}",
        f"{MARK}' OR '{{}}'='{{}}",
        "-1 OR {}={}",
    ):
        true, false = form.format(1, 1), form.format(1, 2)
        answer = await context.ask(true)
        found = shape_of(answer, true)
        if answer.status != context.ordinary.status or answer.status >= 400 or found in nothing:
            continue
        # What is true finds something, and what is false finds as little as a value that nobody has. One pair may be
        # so by chance, where answers depend on the text in some other way: not so many of them.
        for left, right in _PAIRS:
            text = form.format(left, right)
            shape = shape_of(await context.ask(text), text)
            if shape != found if left == right else shape not in nothing:
                break
        else:
            said = f"answered otherwise than {false!r}, which is answered as if nothing was found; and so are others"
            return Evidence("sqli", true, said)
    return None


async def by_quote(context: Context) -> Evidence | None:
    """SQL: one quote breaks it, two do not, and so does only what is no expression; or the database says so."""
    for quote in ("'", '"'):
        odd, even = await context.ask(context.value + quote), await context.ask(context.value + quote * 2)
        said = _SQL_ERROR.search(odd.text) or _SQL_ERROR.search(odd.error)
        if said is not None and not _SQL_ERROR.search(context.ordinary.text):
            return Evidence("sqli", context.value + quote, f"the database says {said[0]!r}")
        if not is_broken(odd) or is_broken(even) or is_broken(context.ordinary):
            continue
        for sound, unsound in (("||", "|||"), ("+", "+*")):
            joined = [f"{context.value}{quote}{operator}{quote}1" for operator in (sound, unsound, sound, unsound)]
            if [is_broken(await context.ask(text)) for text in joined] == [False, True, False, True]:
                said_so = f"one quote fails and two do not; {joined[0]!r} does not, and {joined[1]!r} does"
                return Evidence("sqli", context.value + quote, said_so)
    return None


async def by_waiting(context: Context) -> Evidence | None:
    """SQL and commands: it takes as long as it was told to, and no longer when told not to wait."""
    value, wait = context.value, _WAIT_SECONDS
    for attack, slow, quick in (
        ("sqli", f"{value}' AND SLEEP({wait})-- ", f"{value}' AND SLEEP(0)-- "),
        ("sqli", f"{value}'; SELECT pg_sleep({wait})-- ", f"{value}'; SELECT pg_sleep(0)-- "),
        ("command", f"{value}; sleep {wait}", f"{value}; sleep 0"),
        ("command", f"$(sleep {wait})", "$(sleep 0)"),
    ):
        if (await context.ask(slow)).seconds < wait:
            continue
        for text, waits in ((quick, False), (slow, True), (quick, False), (slow, True)):
            seconds = (await context.ask(text)).seconds
            if seconds < wait if waits else seconds >= wait / 2:
                break
        else:
            return Evidence(attack, slow, f"it waits for {wait:g} s, three times, and not when it is told 0")
    return None


async def by_markup(context: Context) -> Evidence | None:
    """XSS: what was sent as text is an element, an attribute, a link that runs, or code of a page."""
    first = [await context.ask(text) for text in FIRST]
    if not any(is_page(answer) and MARK in answer.text for answer in first):
        return None
    if became((await context.ask(context.value)).text) is not None:
        return None  # it stands there already: somebody else has put it there, and who is seen by its identity
    for text in BREAKING_OUT:
        answer = await context.ask(text)
        what = became(answer.text) if is_page(answer) else None
        if what is not None and what.startswith("code") and became((await context.ask(CALL)).text) == what:
            continue  # it reads as code without leaving anything: it may be the page that is not understood
        if what is not None:
            return Evidence("xss", text, f"it stands in the page as {what}")
    return None


def is_page(answer: Answer) -> bool:
    """Tell whether a browser shows it as a page."""
    return "html" in answer.headers.get("content-type", "")


async def by_arithmetic(context: Context) -> Evidence | None:
    """Templates, commands and code: what was sent is computed."""
    for attack, text in (
        ("template", f"{{{{{_A}*{_B}}}}}"),
        ("template", f"${{{_A}*{_B}}}"),
        ("template", f"#{{{_A}*{_B}}}"),
        ("template", f"<%= {_A}*{_B} %>"),
        ("command", f"; echo $(({_A}*{_B}))"),
        ("command", f"| echo $(({_A}*{_B}))"),
        ("command", f"$(echo $(({_A}*{_B})))"),
        ("command", f"`expr {_A} \\* {_B}`"),
        ("code", f"str({_A}*{_B})"),
    ):
        answer = await context.ask(text)
        if _PRODUCT in answer.text and _PRODUCT not in context.ordinary.text:
            return Evidence(attack, text, f"it was computed: {_PRODUCT}")
    return None


async def by_file(context: Context) -> Evidence | None:
    """Traversal, inclusion and XXE: a line of a file that every Unix has."""
    up = "../" * 16  # more than there are to the root, where they lead nowhere
    for text in (
        f"{up}etc/passwd",
        "/etc/passwd",
        f"{up}etc/passwd".replace("/", "%2f"),
        "....//" * 16 + "etc/passwd",
        "file:///etc/passwd",
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    ):
        answer = await context.ask(text)
        if _PASSWD.search(answer.text):
            attack = "xxe" if "ENTITY" in text else "traversal"
            return Evidence(attack, text, "lines of /etc/passwd came back")
    return None


async def by_header(context: Context) -> Evidence | None:
    """Header injection, and redirects to anywhere."""
    for text in (f"x\r\nx-{MARK}: 1", f"x\nx-{MARK}: 1"):
        answer = await context.ask(text)
        # A strict server refuses what lets one in: "the value of b'x-lang' holds CR, LF or NUL".
        if f"x-{MARK}" in answer.headers or "CR, LF or NUL" in answer.error:
            return Evidence("header", text, "a line break reaches a header of the answer")
    for text in (f"https://{MARK}.example/", f"//{MARK}.example/", f"/\\{MARK}.example/", f"https:{MARK}.example/"):
        answer = await context.ask(text)
        if 300 <= answer.status < 400 and _leads_to(answer.headers.get("location", "")) == f"{MARK}.example":
            return Evidence("redirect", text, "it redirects there")
    return None


def _leads_to(location: str) -> str | None:
    """Return the host that a browser goes to: it takes a backslash for a slash, and needs none behind a scheme."""
    address = re.sub(r"^(https?:)?[/\\]{2,}", r"\1//", location.strip(), flags=re.IGNORECASE)
    address = re.sub(r"^(https?:)(?![/\\])", r"\1//", address, flags=re.IGNORECASE)
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


async def by_fetching(context: Context) -> Evidence | None:
    """SSRF: somebody on this machine is asked."""
    if context.listener is None:
        return None
    address = context.listener.address()
    await context.ask(address)
    return Evidence("ssrf", address, FETCHED) if context.listener.was_asked(address) else None


PROBES: Final = (
    by_quote,
    by_condition,
    by_markup,
    by_arithmetic,
    by_file,
    by_header,
    by_fetching,
    by_waiting,
)
"""All of them; without a hole each needs at most 16 requests."""


def leaks(answer: Answer, sent: str) -> str | None:
    """Say what of the inside an answer shows, besides what was sent; None where that is nothing."""
    text = _without(answer.text, sent)
    if _TRACE.search(text):
        return "a traceback is shown"
    found = _SQL_ERROR.search(text) if answer.status >= 500 else None
    return None if found is None else f"the database's own words are shown: {found[0]!r}"


def is_broken(answer: Answer) -> bool:
    """Tell whether it failed, or nothing came back."""
    return answer.status >= 500 or answer.status == 0


def shape_of(answer: Answer, sent: str) -> tuple[int, str]:
    """Return what is compared: an answer without what was sent, and without what changes from time to time."""
    return answer.status, re.sub(r"[0-9a-f]{16,}|\d+", "#", _without(answer.text, sent))


def _without(text: str, sent: str) -> str:
    """Leave out what was sent, as it was and as pages, JSON and addresses write it."""
    for written in (
        sent,
        escape(sent),
        sent.replace("'", "&#39;"),
        json.dumps(sent)[1:-1],
        percent_encoded(sent),
        percent_encoded(sent, ""),
    ):
        text = text.replace(written, "") if written else text
    return text


def timed(answer: Answer, began: float) -> Answer:
    """Note how long an answer took."""
    return answer._replace(seconds=perf_counter() - began, text=answer.text[:_LONGEST])
