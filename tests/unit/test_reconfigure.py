"""A guard that is reconfigured while it serves: what changes, what stays, and when."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import (
    BanAfter,
    Bans,
    ConfigError,
    Endpoints,
    Guard,
    IPFilter,
    MemoryStore,
    RateLimit,
    RateLimitMiddleware,
    RequestLimits,
    RequestRefused,
)
from asgi_guard.guard import ORDER, GuardParts
from asgi_guard.testing import ManualClock, call

pytestmark = pytest.mark.anyio


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_the_next_request_meets_the_new_settings() -> None:
    """Parts are changed, switched on and switched off; what is not named stays as it is."""
    guard = Guard(greet, rate_limit="9/minute")
    before = await call(guard)

    guard.reconfigure(security_headers="strict", request_id=False, cors=["https://a.example"])
    after = await call(guard, headers={"Origin": "https://a.example"})

    assert before.headers.get("x-frame-options") == "SAMEORIGIN"
    assert after.headers.get("x-frame-options") == "DENY"
    assert before.headers.get("x-request-id")
    assert after.headers.get("x-request-id") is None
    assert after.headers.get("access-control-allow-origin") == "https://a.example"
    assert "strict" in guard.explain()
    assert "cors" in repr(guard)


@pytest.mark.parametrize(
    "parts",
    [
        {"security_headers": "strict"},
        {"rate_limit": "3/minute"},
        {"rate_limit": RateLimit("3/minute", headers=False)},
        {"rate_limit": "3/minute", "request_limits": False},
    ],
    ids=["another part", "the same rate", "the same rate, told otherwise", "with another part"],
)
async def test_what_was_counted_stays(parts: Any) -> None:
    """A client cannot begin anew because somebody changed a setting."""
    guard = Guard(greet, rate_limit="3/minute")

    statuses = [(await call(guard)).status for _ in range(2)]
    guard.reconfigure(**parts)
    statuses += [(await call(guard)).status for _ in range(2)]

    assert statuses == [200, 200, 200, 429]


@pytest.mark.parametrize(("rate", "admitted"), [("6/minute", 3), ("4/minute", 1), ("2/minute", 0)])
async def test_what_was_counted_stays_under_another_rate(rate: str, admitted: int) -> None:
    """Of the new limit there is left what was not used of the old one."""
    guard = Guard(greet, rate_limit="5/minute")
    for _ in range(3):
        await call(guard)

    guard.reconfigure(rate_limit=rate)
    statuses = [(await call(guard)).status for _ in range(5)]

    assert statuses.count(200) == admitted


async def test_a_request_on_its_way_keeps_its_settings() -> None:
    """It ends as it began: with the place that it holds, and the headers of then."""
    entered, leave = anyio.Event(), anyio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            entered.set()
            await leave.wait()
        await greet(scope, receive, send)

    guard = Guard(slow, request_limits=RequestLimits(max_concurrent=1))
    answers: dict[str, Any] = {}

    async def ask(path: str) -> None:
        answers[path] = await call(guard, path=path)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "/slow")
        await entered.wait()
        guard.reconfigure(request_limits=RequestLimits(max_concurrent=1), security_headers="strict")
        await ask("/meanwhile")
        leave.set()
    await ask("/afterwards")

    assert {path: answer.status for path, answer in answers.items()} == {
        "/slow": 200,
        "/meanwhile": 503,
        "/afterwards": 200,
    }
    assert answers["/slow"].headers.get("x-frame-options") == "SAMEORIGIN"
    assert answers["/afterwards"].headers.get("x-frame-options") == "DENY"


async def test_bans_stay() -> None:
    """Those of the filter's own, and what has been seen of refusals."""
    guard = Guard(greet, rate_limit="1/minute", ip_filter=IPFilter(ban_after="2/minute"))

    async def ask() -> str:
        answer = await call(guard, client=("203.0.113.9", 1))
        return "200" if answer.status == 200 else f"{answer.status} {answer.json()['error']['code']}"

    told = [await ask() for _ in range(2)]
    guard.reconfigure(ip_filter=IPFilter(ban_after="2/minute", block=["198.51.100.0/24"]))
    told += [await ask() for _ in range(2)]
    guard.reconfigure(ip_filter=IPFilter(ban_after="9/minute"))
    told.append(await ask())

    assert told == [
        "200",
        "429 RATE_LIMIT_EXCEEDED",
        "429 RATE_LIMIT_EXCEEDED",
        "403 ADDRESS_BANNED",
        "403 ADDRESS_BANNED",
    ]


async def test_a_guard_that_is_fused_into_another_is_reconfigured_there_too() -> None:
    """However deep it stands."""
    guard = Guard(greet, rate_limit=False)
    outer = RateLimitMiddleware(Guard(guard, rate_limit=False, security_headers=False), "9/minute")

    guard.reconfigure(security_headers="strict")

    assert (await call(outer)).headers.get("x-frame-options") == "DENY"


async def test_whoever_listens_hears_the_new_parts() -> None:
    """Once each, also of parts that were kept."""
    events: list[Any] = []
    guard = Guard(greet, rate_limit="1/day", ip_filter=["203.0.113.0/24"], listeners=[events.append])

    guard.reconfigure(ip_filter=["198.51.100.0/24"])
    for client in ("203.0.113.9", "198.51.100.7", "198.51.100.7"):
        await call(guard, client=(client, 1))

    assert [event.layer for event in events if isinstance(event, RequestRefused)] == ["ip_filter", "rate_limit"]


async def test_nothing_changes_unless_everything_is_right() -> None:
    """Every problem of every part is told, and the guard goes on as it was."""
    guard = Guard(greet, rate_limit="1/day")
    told = guard.explain()
    await call(guard)

    with pytest.raises(ConfigError) as caught:
        guard.reconfigure(
            security_headers="strict",
            rate_limit="often",
            ip_filter=["example.com"],
            rate_limt="1/day",
            telemetry="otpl",
        )

    assert sorted(problem.id for problem in caught.value.problems) == ["AG105", "AG110", "AG210", "AG302"]
    assert guard.explain() == told
    assert (await call(guard)).status == 429


def test_it_takes_what_the_constructor_takes() -> None:
    """The same names, for each part."""
    of_the_constructor = {name: form for name, form in Guard.__init__.__annotations__.items() if name in ORDER}

    assert GuardParts.__annotations__.keys() == of_the_constructor.keys()


asks = st.lists(st.sampled_from(["off", "on", "strict", "ask", "ask", "ask"]), max_size=15)


@pytest.mark.long
@given(asks, asks, asks, st.permutations(["5/minute", "8/minute", "8/minute"]))
def test_no_client_gets_more_than_the_largest_rate_that_was_set(
    first: list[str], second: list[str], third: list[str], rates: list[str]
) -> None:
    """Whatever is reconfigured in between, within one window; what is over a lower rate is forgotten when it is set."""
    clock = ManualClock()
    store = MemoryStore(clock=clock.monotonic_ns)

    async def play() -> list[int]:
        guard = Guard(greet, rate_limit=RateLimit(rates[0], store=store))
        admitted = []
        for rate, steps in zip(rates, (first, second, third), strict=True):
            guard.reconfigure(rate_limit=RateLimit(rate, store=store))
            admitted.append(0)
            for step in steps:
                if step == "ask":
                    admitted[-1] += (await call(guard)).status == 200
                elif step == "strict":
                    guard.reconfigure(security_headers="strict")
                else:
                    guard.reconfigure(request_id=step == "on")
        return admitted

    admitted = anyio.run(play)

    is_low_in_between = rates[1] == "5/minute"
    assert sum(admitted) <= 8 + (max(0, admitted[0] - 5) if is_low_in_between else 0)


async def test_ban_after_is_a_listener_of_every_part() -> None:
    """What `IPFilter(ban_after=...)` stands for, written out, does the same."""
    clock = ManualClock()
    bans = Bans(clock=clock)
    written_out = Guard(
        greet,
        rate_limit="1/minute",
        ip_filter=IPFilter(bans=bans),
        listeners=[BanAfter(bans, refusals=3, seconds=60, ban_seconds=600)],
    )
    short = Guard(greet, rate_limit="1/minute", ip_filter=IPFilter(ban_after="3/minute", ban_seconds=600))

    for guard in (written_out, short):
        statuses = [(await call(guard, client=("203.0.113.9", 1))).status for _ in range(6)]
        assert statuses == [200, 429, 429, 429, 403, 403]


@pytest.mark.parametrize("ban_after", ["1/minute", "1001/minute", "5/second;9/minute", "often", 5, True, ["5/minute"]])
def test_ban_after_is_one_rate(ban_after: Any) -> None:
    """Of 2 to 1,000 refusals."""
    with pytest.raises(ConfigError) as caught:
        IPFilter(ban_after=ban_after)

    assert [problem.id for problem in caught.value.problems] == ["AG323"]


async def test_a_part_can_be_asked_and_told() -> None:
    """The layer of a part that is on has the operations of that part."""
    guard = Guard(greet, rate_limit="1/day", ip_filter=False)
    assert [(await call(guard, client=("203.0.113.9", 1))).status for _ in range(2)] == [200, 429]

    guard.part("rate_limit").reset("203.0.113.9")

    assert (await call(guard, client=("203.0.113.9", 1))).status == 200
    for off in ("ip_filter", "rate_limt"):
        with pytest.raises(KeyError):
            guard.part(off)


@pytest.mark.parametrize("fused", [False, True])
async def test_what_a_part_that_is_off_has_opened_is_closed_at_the_end(fused: bool) -> None:
    """The connections of a store, of which no layer knows any more; also where the guard is fused into another."""
    closed: list[str] = []

    class Store(MemoryStore):
        synchronous = False

        async def aclose(self) -> None:
            closed.append("store")

    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        guard.reconfigure(rate_limit=False)
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        closed.append(message["type"])

    guard = Guard(app, rate_limit=RateLimit("5/minute", store=Store()))
    whole = RateLimitMiddleware(guard, "9/minute") if fused else guard
    await whole({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    assert closed == ["lifespan.startup.complete", "store", "lifespan.shutdown.complete"]


async def test_a_guard_that_is_reconfigured_still_learns_of_the_end() -> None:
    """Its readiness is that of the application, whichever layers stand there by then."""
    guard: Guard
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    ready: list[int] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        guard.reconfigure(endpoints=Endpoints(prefix="/internal"))
        await send({"type": "lifespan.startup.complete"})
        ready.append((await call(guard, "GET", "/internal/readyz")).status)
        await receive()
        ready.append((await call(guard, "GET", "/internal/readyz")).status)
        await send({"type": "lifespan.shutdown.complete"})

    async def receive() -> Any:
        return messages.pop(0)

    async def send(_message: Any) -> None:
        """Take it."""

    guard = Guard(app)
    await guard({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)

    assert ready == [200, 503]
