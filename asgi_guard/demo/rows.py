"""The rows of the demo: which request is sent, and what has to come back.

A row sends one request, or several that belong together, and checks what it saw. The same checks are made of both
sides: what they find on the plain one is what the guard changes; on the guarded one each of them has to hold.
Rule 1: a check states what is right and what is wrong about one thing, and there is a server on which it fails.
Rule 2: the burst comes last, since it uses up the limit. A further protection adds its row to `ROWS` before it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from asgi_guard.demo.app import PARTS, PAUSE_SECONDS, PLANTED, LedgerError
from asgi_guard.demo.client import EXPECT, Answer, Site

SeenT = TypeVar("SeenT")

_BURST: Final = 110
_MEGABYTE: Final = 1_000_000
_CHUNK: Final = bytes(50_000)
_CHUNKED: Final = ("Transfer-Encoding", "chunked")
_SMALL, _LARGE, _STREAMED, _HUGE = _MEGABYTE, 11 * _MEGABYTE, 40 * _MEGABYTE, 10**20 - 1
"""What is streamed is far more than the limit and what the buffers of both sides hold, or all of it may have left."""
_SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "strict-origin-when-cross-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_HARMLESS: Final = "Select a lamp from the union; drop it -- <50% off, 'sleep' & javascript"
_REQUEST_ID: Final = re.compile("req_[0-9a-f]{32}")
_QUOTA: Final = re.compile('"100/minute";r=([0-9]+);t=[0-9]+')


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        holds: whether it is as it should be.
        right: what to say if so; empty where it is not worth a word.
        wrong: what to say if not.
    """

    holds: bool
    right: str
    wrong: str

    def __str__(self) -> str:
        return self.right if self.holds else self.wrong


@dataclass(frozen=True, slots=True)
class Row(Generic[SeenT]):
    """One line of the table.

    Attributes:
        name: what is asked.
        send: asks it, and returns what it saw.
        judge: says what is right and what is wrong about that.
    """

    name: str
    send: Callable[[Site], SeenT]
    judge: Callable[[SeenT], Iterable[Check]]


# Looked at in several rows --------------------------------------------------------------------------------------------


def _status(answer: Answer, status: int) -> Check:
    return Check(answer.status == status, f"{status}", f"{answer.status}")


def _request_id(answer: Answer) -> Check:
    return Check(bool(_REQUEST_ID.fullmatch(answer.headers.get("x-request-id", ""))), "request id", "no request id")


def _security_headers(answer: Answer) -> Check:
    return Check(answer.headers.items() >= _SECURITY_HEADERS.items(), "security headers", "no security headers")


def _secrecy(answer: Answer) -> Check:
    words = {"the secret": PLANTED, "the exception": LedgerError.__name__, "a traceback": "Traceback"}
    found = [name for name, word in words.items() if word.encode() in answer.received]
    return Check(not found, "nothing leaked", f"leaked {', '.join(found)}")


def _error(answer: Answer, status: int, code: str) -> Iterator[Check]:
    """Check for an error of the guard's, by its status and by a body that speaks of this very request."""
    if answer.status != status:
        yield Check(False, "", f"{answer.status}")
        return
    is_ours = answer.is_whole and answer.json.get("error", {}).get("code") == code
    yield Check(is_ours, f"{status} {code}", f"{status}, no JSON error")
    named = _REQUEST_ID.fullmatch(answer.headers.get("x-request-id", ""))
    yield Check(named is not None and answer.json.get("request_id") == named[0], "request id", "no request id")
    yield Check(_security_headers(answer).holds, "", "no security headers")


def _in_chunks(size: int) -> Iterator[bytes]:
    return (_CHUNK for _ in range(size // len(_CHUNK)))


# What passes ----------------------------------------------------------------------------------------------------------


def _list(site: Site) -> Answer:
    return site.ask("GET", "/items")


def _judge_list(answer: Answer) -> Iterator[Check]:
    yield Check(answer.status == 200 and "items" in answer.json, "200", f"{answer.status}")
    yield _request_id(answer)
    yield _security_headers(answer)
    quota = _QUOTA.fullmatch(answer.headers.get("ratelimit", ""))
    yield Check(quota is not None, f"{quota and quota[1]} left", "no rate limit")


def _stream(site: Site) -> Answer:
    return site.ask("GET", "/stream")


def _judge_stream(answer: Answer) -> Iterator[Check]:
    yield _status(answer, 200)
    yield Check(answer.is_whole and answer.body == b"".join(PARTS), "whole", "not whole")
    # Half of the time that the parts take is left to a busy machine.
    in_time = answer.spread_seconds > PAUSE_SECONDS * (len(PARTS) - 1) / 2
    yield Check(in_time, "part by part", "all parts at once")


def _echo(site: Site) -> Answer:
    with site.connect() as wire:
        return wire.echo("/ws", "hello")


def _judge_echo(answer: Answer) -> Iterator[Check]:
    yield _status(answer, 101)
    yield Check(answer.body == b"hello", "echoed", "not echoed")


def _upload(site: Site) -> Answer:
    return site.ask("POST", "/upload", [_CHUNKED], _in_chunks(_SMALL))


def _judge_upload(answer: Answer) -> Iterator[Check]:
    yield _status(answer, 200)
    yield Check(answer.json.get("received") == _SMALL, "arrived whole", "did not arrive whole")


# What is refused ------------------------------------------------------------------------------------------------------


def _upload_declared(site: Site) -> Answer:
    return site.ask("POST", "/upload", [("Content-Length", f"{_LARGE}"), EXPECT], _in_chunks(_LARGE))


def _judge_declared(answer: Answer) -> Iterator[Check]:
    yield from _error(answer, 413, "BODY_TOO_LARGE")
    yield Check(not answer.sent_bytes, "nothing sent", "all of it was read")


def _upload_streamed(site: Site) -> Answer:
    return site.ask("POST", "/upload", [_CHUNKED], _in_chunks(_STREAMED))


def _judge_streamed(answer: Answer) -> Iterator[Check]:
    yield from _error(answer, 413, "BODY_TOO_LARGE")
    yield Check(answer.sent_bytes < _STREAMED, "stopped", "all of it was read")


def _upload_huge(site: Site) -> Answer:
    return site.ask("POST", "/upload", [("Content-Length", f"{_HUGE}"), EXPECT], None)


def _judge_huge(answer: Answer) -> Iterator[Check]:
    yield from _error(answer, 413, "BODY_TOO_LARGE")
    yield Check(answer.status != 100, "", "asks for all of it")


def _upload_ambiguous(site: Site) -> Answer:
    return site.ask("POST", "/upload", [("Content-Length", "5"), _CHUNKED], [b"GET / HTTP/1.1\r\n\r\n"])


def _judge_ambiguous(answer: Answer) -> Iterator[Check]:
    yield from _error(answer, 400, "MALFORMED_REQUEST")
    yield Check(len(answer.json.get("told_by", ())) < 2, "", "both reach the app")


def _many_headers(site: Site) -> Answer:
    return site.ask("GET", "/items", [(f"X-Filler-{number}", "1") for number in range(200)])


def _long_url(site: Site) -> Answer:
    return site.ask("GET", f"/items?q={'a' * 9_000}")


# What is an attack ----------------------------------------------------------------------------------------------------


def _query(name: str, value: str) -> Callable[[Site], Answer]:
    return lambda site: site.ask("GET", f"/items?{name}={quote(value)}")


def _item(name: str) -> Callable[[Site], Answer]:
    body = json.dumps({"name": name}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", f"{len(body)}")]
    return lambda site: site.ask("POST", "/items", headers, [body])


def _judge_attack(answer: Answer) -> Iterator[Check]:
    return _error(answer, 400, "VALIDATION_REFUSED")


def _judge_harmless(answer: Answer) -> Iterator[Check]:
    yield _status(answer, 201)
    yield Check(answer.json.get("name") == _HARMLESS, "taken as it is", "not taken")


# What fails -----------------------------------------------------------------------------------------------------------


def _judge_failure(answer: Answer) -> Iterator[Check]:
    yield from _error(answer, 500, "INTERNAL_ERROR")
    yield Check(answer.is_whole, "", "cut off")
    yield _secrecy(answer)


# What is too much -----------------------------------------------------------------------------------------------------


def _burst(site: Site) -> list[Answer]:
    with site.connect() as wire:
        return [wire.ask("GET", "/items") for _ in range(_BURST)]


def _judge_burst(answers: Sequence[Answer]) -> Iterator[Check]:
    counts = Counter(answer.status for answer in answers)
    told = ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))
    refused = [answer for answer in answers if answer.status == 429]
    yield Check(bool(refused) and counts[200] + len(refused) == _BURST, told, told)
    promised = _QUOTA.fullmatch(answers[0].headers.get("ratelimit", ""))
    is_kept = promised is not None and int(promised[1]) + 1 == counts[200]
    yield Check(is_kept, "as announced", "not as announced" if promised else "no limit")
    for answer in refused[-1:]:
        yield from _error(answer, 429, "RATE_LIMIT_EXCEEDED")
        wait = answer.headers.get("retry-after", "")
        yield Check(_is_wait(wait), f"Retry-After: {wait}", "no Retry-After")


def _is_wait(seconds: str) -> bool:
    """Tell whether this is what a client under `100/minute` may be told: its window, and a tenth of it at most."""
    return seconds.isdecimal() and 1 <= int(seconds) <= 66


ROWS: Final[tuple[Row[Any], ...]] = (
    Row("GET /items", _list, _judge_list),
    Row("GET /stream", _stream, _judge_stream),
    Row("WebSocket /ws", _echo, _judge_echo),
    Row("POST /upload, 1 MB", _upload, _judge_upload),
    Row("POST /upload, 11 MB", _upload_declared, _judge_declared),
    Row("POST /upload, 40 MB chunked", _upload_streamed, _judge_streamed),
    Row("Content-Length of 20 nines", _upload_huge, _judge_huge),
    Row("Content-Length and chunked", _upload_ambiguous, _judge_ambiguous),
    Row("200 headers", _many_headers, lambda answer: _error(answer, 431, "TOO_MANY_HEADERS")),
    Row("URL of 9 kB", _long_url, lambda answer: _error(answer, 414, "URL_TOO_LONG")),
    Row("SQL injection, in the query", _query("id", "1' OR 1=1--"), _judge_attack),
    Row("script, in JSON", _item("<img src=x onerror=alert(document.cookie)>"), _judge_attack),
    Row("../../etc/passwd, encoded twice", _query("file", quote("../../../../etc/passwd", safe="")), _judge_attack),
    Row("a sentence full of keywords", _item(_HARMLESS), _judge_harmless),
    Row("GET /boom, raises", lambda site: site.ask("GET", "/boom"), _judge_failure),
    Row("GET /late, starts, raises", lambda site: site.ask("GET", "/late"), _judge_failure),
    Row(f"{_BURST} x GET /items", _burst, _judge_burst),
)
