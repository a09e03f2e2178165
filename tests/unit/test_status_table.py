"""The statuses: each row of the table in README.md happens as it says, and no refusal is missing there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from asgi_guard import (
    CORS,
    HTTPS,
    Bans,
    Endpoints,
    Guard,
    IPFilter,
    OperationTimeoutError,
    RateLimit,
    RequestLimits,
    StoreError,
    TrustedHost,
)
from asgi_guard.limiting import Decision
from asgi_guard.resilience import Bulkhead, CircuitBreaker, circuit_breaker, deadline
from asgi_guard.testing import call, websocket
from asgi_guard.testing.client import Response

pytestmark = pytest.mark.anyio

SHOP, FOREIGNER = "https://shop.example", "https://evil.example"
CORS_HEADERS = ("access-control-allow-origin", "access-control-allow-methods", "access-control-allow-headers")
PREFLIGHT = {"Origin": FOREIGNER, "Access-Control-Request-Method": "DELETE"}
CLIENT = ("203.0.113.7", 4711)
JSON = {"Content-Type": "application/json"}
WHOLE = {"type": "http.request", "body": b"whole"}
HALF = {"type": "http.request", "body": b"half", "more_body": True}

Row = tuple[int, str]
Case = Callable[[], Awaitable[Response]]


def rows() -> dict[Row, str]:
    """Read the table: what is refused with a status and a code, by both."""
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- statuses -->\n.*\n.*\n((?:\|.*\n)+)", text)
    assert table is not None
    cells = re.findall(r"^\| (\d{3}) \|(.*?)\| (.+) \|$", table[1], re.MULTILINE)
    named = [(int(status), re.findall(r"`(\w+)`", codes) or [""], when) for status, codes, when in cells]
    return {(status, code): when for status, codes, when in named for code in codes}


ROWS = rows()


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and answer."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an application that a refusal keeps from being called."""
    raise AssertionError("the application was called")


async def fail(scope: Any, receive: Any, send: Any) -> None:
    """Fail before anything is sent."""
    raise RuntimeError("secret")


async def hang(scope: Any, receive: Any, send: Any) -> None:
    """Never answer; once the client has left, there is no need to."""
    while (await receive())["type"] != "http.disconnect":
        pass


def calls(make: Callable[[], Any]) -> Any:
    """Make an application that calls something under a policy which does not let it through, or not to its end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        policy = make()
        match policy:
            case CircuitBreaker():
                policy.force_open()
                await policy.call(anyio.sleep, 0)
            case Bulkhead():
                async with policy, policy:
                    pass
            case _:
                await policy.call(anyio.sleep_forever)

    return app


async def time_out(scope: Any, receive: Any, send: Any) -> None:
    """Say that a call to somebody else took too long."""
    raise OperationTimeoutError("secret")


async def be_silent(scope: Any, receive: Any, send: Any) -> None:
    """Return without a word."""


async def misspell(scope: Any, receive: Any, send: Any) -> None:
    """Say for this request what no layer understands."""
    scope["asgi_guard"]["rate_limit"] = {"price": 10}


class BrokenStore:
    """A store over a line that is cut."""

    synchronous = True
    limits = ()

    def bucket(self, *args: Any, **options: Any) -> Any:
        """Give a bucket that cannot count."""
        return self

    def hit(self, key: Any, cost: int = 1) -> Any:
        """Fail as a store does."""
        raise StoreError


class ClosedStore(BrokenStore):
    """A store that refuses where it cannot count."""

    def hit(self, key: Any, cost: int = 1) -> Any:
        """Refuse, and name no limit."""
        return Decision(
            allowed=False, at_ns=0, remaining=(), reset_after_ns=(), retry_after_ns=1, violated=(), degraded=True
        )


def refused(app: Any = unreachable, /, *asked: str, headers: Any = (), incoming: Any = None, **parts: Any) -> Case:
    """Make a case: one request to a guard with these parts."""

    async def ask() -> Response:
        return await call(Guard(app, **parts), *asked, headers=headers, incoming=incoming, client=CLIENT)

    return ask


async def ask_too_often() -> Response:
    """Ask twice where once is enough."""
    guard = Guard(greet, rate_limit="1/minute")
    await call(guard)
    return await call(guard)


async def ask_while_another_is_served() -> Response:
    """Have the application ask its own guard, which has one place."""
    answers: list[Response] = []

    async def ask_again(scope: Any, receive: Any, send: Any) -> None:
        answers.append(await call(guard))
        await greet(scope, receive, send)

    guard = Guard(ask_again, request_limits=RequestLimits(max_concurrent=1))
    await call(guard)
    return answers[0]


async def come_back_after_a_ban() -> Response:
    """Ask from an address that is banned."""
    bans = Bans()
    bans.ban(CLIENT[0], seconds=60)
    return await refused(ip_filter=IPFilter(bans=bans))()


async def shake_hands_from_a_foreign_page() -> Response:
    """Open a WebSocket as the page of another site does."""
    async with websocket(Guard(unreachable, cors=SHOP), headers={"Origin": FOREIGNER}) as session:
        assert session.denial is not None
        return session.denial


TOKEN = "a-token-of-twenty-and-more"
CASES: dict[Row, Case] = {
    (308, ""): refused(https=True),
    (400, "MALFORMED_REQUEST"): refused(headers={"Content-Length": "4", "Transfer-Encoding": "chunked"}),
    (400, "MALFORMED_HOST"): refused(headers={"Host": "shop.example:"}, trusted_host="shop.example"),
    (400, "HOST_NOT_ALLOWED"): refused(headers={"Host": "evil.example"}, https=HTTPS(hosts=["shop.example"])),
    (400, "VALIDATION_REFUSED"): refused(unreachable, "GET", "/?q=%3Cscript%3Ealert(1)"),
    (400, "VALIDATION_TOO_COMPLEX"): refused(unreachable, "GET", f"/?{'a&' * 2_000}"),
    (401, "TOKEN_REQUIRED"): refused(
        unreachable, "GET", "/performance", endpoints=Endpoints(token=TOKEN, challenge=True)
    ),
    (403, "ADDRESS_BANNED"): come_back_after_a_ban,
    (403, "ADDRESS_BLOCKED"): refused(ip_filter=IPFilter(block=["203.0.113.0/24"])),
    (403, "ADDRESS_NOT_ALLOWED"): refused(ip_filter=["198.51.100.0/24"]),
    (403, "CORS_PREFLIGHT_REFUSED"): refused(unreachable, "OPTIONS", headers=PREFLIGHT, cors=CORS(origins=[SHOP])),
    (403, "ORIGIN_NOT_ALLOWED"): shake_hands_from_a_foreign_page,
    (403, "CROSS_SITE_REQUEST"): refused(headers={"Sec-Fetch-Site": "cross-site"}, fetch_metadata=True),
    (403, "HTTPS_REQUIRED"): refused(https="require"),
    (405, "METHOD_NOT_ALLOWED"): refused(
        unreachable, "POST", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, endpoints=Endpoints(token=TOKEN)
    ),
    (408, "BODY_TOO_SLOW"): refused(greet, "POST", incoming=[HALF], request_limits=RequestLimits(idle_seconds=0.1)),
    (413, "BODY_TOO_LARGE"): refused(unreachable, "POST", headers={"Content-Length": "99999999"}),
    (413, "VALIDATION_TOO_LARGE"): refused(greet, "POST", headers={"Content-Length": "999999", **JSON}, incoming=[]),
    (414, "URL_TOO_LONG"): refused(unreachable, "GET", f"/{'a' * 9_000}"),
    (415, "VALIDATION_ENCODING"): refused(greet, "POST", headers={"Content-Encoding": "br"}, incoming=[WHOLE]),
    (421, "UNTRUSTED_HOST"): refused(headers={"Host": "evil.example"}, trusted_host=TrustedHost(["shop.example"])),
    (429, "RATE_LIMIT_EXCEEDED"): ask_too_often,
    (431, "TOO_MANY_HEADERS"): refused(headers=[(b"x-a", b"1")] * 101),
    (431, "HEADERS_TOO_LARGE"): refused(headers=[(b"x-a", b"1" * 9_000)] * 4),
    (431, "HEADER_TOO_LARGE"): refused(headers=[(b"x-a", b"1" * 17_000)]),
    (500, "INTERNAL_ERROR"): refused(fail),
    (500, "NO_RESPONSE"): refused(be_silent),
    (500, "CONFIGURATION_ERROR"): refused(misspell),
    (503, "STORE_ERROR"): refused(rate_limit=RateLimit("1/minute", store=BrokenStore())),
    (503, "RATE_LIMIT_UNAVAILABLE"): refused(rate_limit=RateLimit("1/minute", store=ClosedStore())),
    (503, "CIRCUIT_OPEN"): refused(calls(circuit_breaker)),
    (503, "BULKHEAD_FULL"): refused(calls(lambda: Bulkhead(1))),
    (503, "TOO_MANY_AT_ONCE"): ask_while_another_is_served,
    (504, "DEADLINE_EXCEEDED"): refused(calls(lambda: deadline(0.001))),
    (504, "TIMEOUT"): refused(time_out),
    (504, "RESPONSE_TOO_SLOW"): refused(hang, request_limits=RequestLimits(total_seconds=0.1)),
}


def test_each_row_has_its_case_and_each_case_its_row() -> None:
    """Neither promises more than the other."""
    assert sorted(ROWS) == sorted(CASES)


@pytest.mark.parametrize("row", CASES, ids=lambda row: f"{row[0]} {row[1]}".strip())
async def test_a_row_happens_as_it_says(row: Row) -> None:
    """With the status, the code and the headers that it names, an id, and nothing of what went wrong inside."""
    named = re.findall("`(Location|Retry-After)`", ROWS[row])

    answer = await CASES[row]()

    assert (answer.status, answer.json()["error"]["code"] if row[1] else "") == row
    assert [name for name in ["X-Request-ID", *named] if answer.headers.get(name) is None] == []
    assert b"secret" not in answer.body


async def test_a_preflight_is_refused_without_a_word_to_the_page() -> None:
    """No header of CORS: the browser keeps even the refusal from it."""
    answer = await CASES[403, "CORS_PREFLIGHT_REFUSED"]()

    assert [name for name in CORS_HEADERS if answer.headers.get(name) is not None] == []
