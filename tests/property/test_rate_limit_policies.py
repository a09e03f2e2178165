"""Several policies on one request, against an exact model: lists of what each has counted, and all or nothing.

Random requests of two clients, on three paths, with costs, some in flight while others come, some answered with 401. In
a store that answers at once and in one that is awaited, every status, every `RateLimit` and every `Retry-After` must be
what the lists say; a refused request is in none of them, and a place is given back exactly once.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import MemoryStore, Middleware, RateLimit
from asgi_guard.layers.rate_limit import RateLimitLayer
from asgi_guard.limiting.rate import parse_rate
from asgi_guard.testing import ManualClock, http_scope

SECOND = 1_000_000_000
PATHS = ["/login", "/api", "/"]


class Policy:
    """A policy of the model: what it has counted, by key, as the times and costs of hits."""

    def __init__(self, name: str, rate: str, path: str, kind: str) -> None:
        self.name = name
        self.rate = rate
        self.path = path
        self.kind = kind
        (self.limit,) = parse_rate(rate)
        self.hits: dict[str, list[list[int]]] = {}

    def settings(self, store: Any) -> RateLimit:
        """Say it in the words of the rate limit."""
        return RateLimit(
            self.rate,
            name=self.name,
            paths=[self.path],
            store=store,
            cost=lambda exchange: int(exchange.header(b"x-cost") or 1),
            algorithm="concurrency" if self.kind == "lease" else "strict",
            count=(lambda exchange: exchange.status == 401) if self.kind == "late" else None,
        )

    def applies(self, path: str) -> bool:
        """Tell whether it is for a path."""
        return self.path in {"/", path}

    def leaves(self, at: int) -> int:
        """Say when the slot of a hit has left every window that could hold it."""
        slot = self.limit.window_ns // 10
        return (at // slot + 11) * slot

    def room(self, client: str, now: int) -> int:
        """Say how much is left."""
        return self.limit.amount - sum(cost for at, cost in self.hits.get(client, []) if now < self.leaves(at))

    def fits(self, client: str, now: int, cost: int) -> bool:
        """Say whether a hit is admitted."""
        return self.room(client, now) >= cost

    def wait(self, client: str, now: int, cost: int) -> int | None:
        """Say how many nanoseconds a lone client has to wait, by trying every moment at which something changes."""
        moments = [now, *sorted(self.leaves(at) for at, _ in self.hits.get(client, []) if now < self.leaves(at))]
        return next((moment - now for moment in moments if self.fits(client, moment, cost)), None)

    def add(self, client: str, now: int, cost: int) -> list[int]:
        """Count a hit, as far as there is room, and return it."""
        hit = [now, min(cost, self.room(client, now))]
        self.hits.setdefault(client, []).append(hit)
        return hit


class AwaitedBucket:
    """A bucket whose answers are awaited, and are there at once."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self.limits = bucket.limits

    def __getattr__(self, method: str) -> Any:
        """Give a method that is awaited."""

        async def asked(*args: Any) -> Any:
            return getattr(self._bucket, method)(*args)

        return asked


class AwaitedStore:
    """A store that is awaited."""

    synchronous = False

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def bucket(self, name: str, limits: Any, algorithm: str) -> Any:
        """Give such a bucket."""
        return AwaitedBucket(self._store.bucket(name, limits, algorithm))


class Pause:
    """Give the word to whoever drives the coroutine."""

    def __await__(self) -> Any:
        yield


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Wait once, then answer with the status that the query names."""
    await Pause()
    await send({"type": "http.response.start", "status": int(scope["query_string"]), "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Request:
    """A request that is begun, and ended later."""

    def __init__(self, guarded: Any, path: str, client: str, cost: int, status: int) -> None:
        self.sent: list[Any] = []
        headers = [(b"x-cost", b"%d" % cost)]
        scope = http_scope("GET", f"{path}?{status}", client=(client, 1), headers=headers)
        self._coroutine = guarded(scope, None, self._send)
        self.is_over = self._step()

    async def _send(self, message: Any) -> None:
        self.sent.append(message)

    def _step(self) -> bool:
        try:
            self._coroutine.send(None)
        except StopIteration:
            return True
        return False

    def end(self) -> None:
        """Let it come to its end."""
        assert self._step()

    @property
    def told(self) -> tuple[int, dict[str, int], int | None]:
        """The status, what remains by policy, and the wait."""
        headers = dict(self.sent[0]["headers"])
        remaining = re.findall(r'"([^"]+)";r=(\d+)', headers.get(b"ratelimit", b"").decode())
        wait = headers.get(b"retry-after")
        return (
            self.sent[0]["status"],
            {name: int(left) for name, left in remaining},
            None if wait is None else int(wait),
        )


KINDS = ["hit", "lease", "late"]
RATES = ["2/second", "3/10second", "5/minute"]
policies = st.lists(
    st.tuples(st.sampled_from(RATES), st.sampled_from(PATHS), st.sampled_from(KINDS)), min_size=1, max_size=4
)
requests = st.tuples(st.sampled_from(PATHS), st.sampled_from("ab"), st.integers(0, 3), st.sampled_from([200, 401]))
pauses = st.sampled_from([0, 1, SECOND // 10, SECOND, 2 * SECOND, 11 * SECOND])
steps = st.lists(st.one_of(requests, pauses, st.just("end")), max_size=40)


class World:
    """The real thing and the model, side by side."""

    def __init__(self, given: Any) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(clock=self.clock.monotonic_ns)
        self.model = [Policy(f"p{number}", *one) for number, one in enumerate(given)]
        self.guarded = Middleware(app, RateLimitLayer([policy.settings(self.store) for policy in self.model]))
        self.under_way: list[tuple[Request, list[Any]]] = []

    def ask(self, path: str, client: str, cost: int, status: int) -> None:
        """Begin a request, and check how it is judged."""
        now = self.clock.monotonic_ns()
        asked = [policy for policy in self.model if policy.applies(path)]
        waits = [policy.wait(client, now, cost) for policy in asked]

        request = Request(self.guarded, path, client, cost, status)

        if any(wait != 0 for wait in waits):
            longest = None if None in waits else -(-max(wait or 0 for wait in waits) // SECOND)
            assert request.told == (429, {policy.name: policy.room(client, now) for policy in asked}, longest)
            return
        assert not request.is_over
        at_its_end: list[Any] = []
        for policy in asked:
            hit = policy.add(client, now, cost)
            if policy.kind == "lease" or (policy.kind == "late" and status != 401):
                at_its_end.append(partial(hit.__setitem__, 1, 0))
        self.under_way.append((request, at_its_end))

    def end(self) -> None:
        """End the request that was begun first."""
        request, at_its_end = self.under_way.pop(0)
        request.end()
        for change in at_its_end:
            change()

    def check(self) -> None:
        """Compare what is left."""
        now = self.clock.monotonic_ns()
        for policy in self.model:
            algorithm = "concurrency" if policy.kind == "lease" else "strict"
            bucket = self.store.bucket(policy.name, [policy.limit], algorithm)
            assert {key: bucket.peek(key).remaining for key in "ab"} == {key: (policy.room(key, now),) for key in "ab"}


@given(policies=policies, script=steps)
def test_every_policy_counts_a_request_or_none_does(policies: Any, script: Any) -> None:
    """And places come back, and outcomes count, when the request has ended."""
    world = World(policies)

    for step in script:
        if isinstance(step, tuple):
            world.ask(*step)
        elif step != "end":
            world.clock.advance(step / SECOND)
        elif world.under_way:
            world.end()
        world.check()
    while world.under_way:
        world.end()

    world.check()


@given(policies=policies, requests=st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 3)), max_size=20))
def test_a_store_that_is_awaited_gives_the_same_answers(policies: Any, requests: Any) -> None:
    """One set of rules for both."""
    clock = ManualClock()
    stacks = []
    for wrap in (lambda store: store, AwaitedStore):
        store = wrap(MemoryStore(clock=clock.monotonic_ns))
        model = [Policy(f"p{number}", rate, path, "hit") for number, (rate, path, _) in enumerate(policies)]
        stacks.append(Middleware(app, RateLimitLayer([policy.settings(store) for policy in model])))

    for path, cost in requests:
        told = []
        for guarded in stacks:
            request = Request(guarded, path, "a", cost, 200)
            if not request.is_over:
                request.end()
            told.append(request.told)
        assert told[0] == told[1]
        clock.advance(0.3)
