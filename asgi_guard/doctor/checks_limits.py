"""Checks of the limits, by behaviour: many requests, a large body, many headers, a long address, and what errors tell.

Rule 1: what is sent has a bound: 200 small requests, 20 MiB of a body. Must never call an answer a limit that is none:
429 and 503 to the first request say nothing of the second.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.doctor.ask import Answer
from asgi_guard.doctor.examination import Examination, Said
from asgi_guard.doctor.finding import Finding, Skipped, shown

_MANY_REQUESTS: Final = 200
_BODY_BYTES: Final = 20 * 1_048_576
_ANNOUNCED_BYTES: Final = 10_000_000_000
_MANY_HEADERS: Final = 1_000
_URL_BYTES: Final = 65_536
_LEAKS: Final = (
    "Traceback (most recent call last)",
    'File "/',
    "DEBUG = True",
    "site-packages/",
    "werkzeug",
)
_FIX: Final = "Guard(app, request_limits=True)"


async def check_rate(x: Examination) -> Said:
    """Ask many times as one client; only where no rate limit is known to be there."""
    if x.chain.settings("rate_limit"):
        return []
    client = x.asker.clients.next()
    for number in range(_MANY_REQUESTS):
        answer = await x.asker.ask(x.options.path, client=client)
        if answer.is_limited:
            return [] if number else [Skipped("DR104", f"the first request was answered with {answer.status}")]
        if not answer.status:
            return [Skipped("DR104", f"GET {x.options.path} was not answered: {shown(answer.raised)}")]
    return [
        Finding(
            "DR104",
            "warning",
            "one client can ask without end",
            f"{_MANY_REQUESTS} requests in a row from one address were all answered",
            "Passwords can be guessed at leisure, and one client takes the time of all.",
            'Guard(app, rate_limit="100/minute")',
        )
    ]


async def check_body(x: Examination) -> Said:
    """Announce a body of ten gigabytes, and send some of it."""
    if _has(x, "max_body_bytes"):
        return []
    headers = [("content-length", str(_ANNOUNCED_BYTES)), ("content-type", "application/octet-stream")]
    answer = await x.asker.ask(x.options.path, method="POST", headers=headers, endless_bytes=_BODY_BYTES)
    if answer.status == 413:
        return []
    if answer.read_bytes < _BODY_BYTES:
        told = f"POST {x.options.path} was answered with {answer.status} after {answer.read_bytes:,} bytes of a body"
        return [Skipped("DR105", f"{told}: nothing there reads one; name a path that does with --path")]
    return [
        Finding(
            "DR105",
            "warning",
            "a body may be as large as it likes",
            f"{answer.read_bytes:,} of {_ANNOUNCED_BYTES:,} announced bytes were taken",
            "A few clients fill the memory or the disk.",
            "Guard(app, request_limits=RequestLimits(max_body_bytes=10_485_760))",
        )
    ]


async def check_head(x: Examination) -> Said:
    """Send many headers, and a long address."""
    facts, said = x.options.server.facts, list[Finding | Skipped]()
    usual = x.home
    if not usual.status or usual.is_limited:
        return [
            Skipped(check, f"GET {x.options.path} was answered with {usual.status}") for check in ("DR106", "DR107")
        ]
    if not _has(x, "max_headers") and facts.max_headers is None:
        many = await x.asker.ask(x.options.path, headers=[(f"x-{n}", "1") for n in range(_MANY_HEADERS)])
        if many.status == usual.status:
            said.append(
                Finding(
                    "DR106",
                    "warning",
                    "a request may have as many headers as it likes",
                    f"{_MANY_HEADERS} headers: answered with {many.status}, and {x.options.server.name} lets them by",
                    "Each of them costs time and memory in every part that looks at headers.",
                    _FIX,
                )
            )
    if not _has(x, "max_url_bytes"):
        long = await x.asker.ask(f"{x.options.path}?q={'a' * _URL_BYTES}")
        if long.status == usual.status:
            said.append(
                Finding(
                    "DR107",
                    "warning",
                    "an address may be as long as it likes",
                    f"an address of {_URL_BYTES:,} bytes was answered with {long.status}",
                    "It ends up in logs and caches, and every pattern that looks at it looks for longer.",
                    _FIX,
                )
            )
    return said


def _cure(x: Examination) -> str:
    if x.chain.debugging:
        return "Debug mode off: DR006 says where."
    if not x.chain.settings("error_envelope"):
        return "Guard(app, error_envelope=True)"
    return "The application answers so itself: send nothing of an exception, or raise it, and the guard answers."


def _has(x: Examination, name: str) -> bool:
    return any(getattr(settings, name) is not None for settings in x.chain.settings("request_limits"))


async def check_errors(x: Examination) -> Said:
    """Make the application fail in the usual ways, and look what it tells."""
    json = [("content-type", "application/json"), ("accept", "text/html")]
    answers: list[tuple[str, Answer]] = [
        ("an unknown path", await x.asker.ask("/no-such-page-9f3b", headers=[("accept", "text/html")])),
        ("broken JSON", await x.asker.ask(x.options.path, method="POST", headers=json, body=b'{"a":')),
        ("bytes that are no UTF-8", await x.asker.ask(f"{x.options.path}?q=%ff%fe")),
    ]
    if x.options.error_path is not None:
        path = x.options.error_path
        answers.append((path, await x.asker.ask(path, headers=[("accept", "text/html")])))
    for what, answer in answers:
        leak = next((mark for mark in _LEAKS if answer.status >= 400 and mark in answer.text), None)
        if leak is not None:
            return [
                Finding(
                    "DR108",
                    "error",
                    "errors tell how the application is made",
                    f"{what} was answered with {answer.status} and {leak!r}",
                    "Paths, versions, code and values lead an attacker on.",
                    _cure(x),
                )
            ]
    if x.options.error_path is None and not x.chain.settings("error_envelope"):
        return [Skipped("DR108", "no path is known that fails; name one with --error-path")]
    return []
