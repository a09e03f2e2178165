"""Past one machine: a simulation of many workers that count in one Redis, with a few keys that are asked for the most.

`python benchmarks/scale.py` takes a minute and writes `results/scale.json`, the same each time. Requests arrive at
random but seeded moments, at random workers, for keys whose popularity falls as Zipf's law says. The server is the very
arithmetic of the store, a lease is the very `Lease`, and a worker sends what has gathered while its last call was under
way, as the store does. Times alone are given: a call from a worker to the server and back takes half a millisecond, and
what the server works on a call and on each decision was measured (`results/redis.json`).

A server that is asked too much does not grow slower here: the share of a core that it needs is told instead. What is
left of a lease goes back when its worker asks for the key again.

Told are commands and decisions of the server for each request, the share of one core that it needs, by how many a limit
was exceeded in its worst window, and how many were admitted of those that an exact log of all requests admits.
"""

from __future__ import annotations

import heapq
import json
import random
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, product
from pathlib import Path
from typing import Any, TypeAlias

from asgi_guard.limiting.algorithms import EMPTY, algorithm_for
from asgi_guard.limiting.leases import LEAST, Lease, Terms
from asgi_guard.limiting.rate import parse_rate
from asgi_guard.limiting.redis_batch import MAX_BATCH
from asgi_guard.limiting.store import Decision

RESULTS = Path(__file__).with_name("results")

ROUND_TRIP_NS = 500_000
SECONDS = 3
REQUESTS_S = 20_000
ZIPF = 1.1
WORKERS = (4, 32, 256)
WORKLOADS = {
    "100,000 clients, 50/second each": (100_000, "50/second"),
    "1,000 tenants, 1,000/second each": (1_000, "1000/second"),
    "one limit for all, 15,000/second": (1, "15000/second"),
}
WAYS = {
    "each request asks": (False, None),
    "with the denial cache": (True, None),
    "with the denial cache and leases of 100": (True, 100),
}

Asked: TypeAlias = tuple[int, int, int]
"""A key; how many tokens are asked for, or given back where that is below 0; when those were counted."""

Batch: TypeAlias = Sequence[Asked]


@dataclass
class Worker:
    """One process: what it knows, and what waits to be asked."""

    denied_until: dict[int, int] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    remaining: dict[int, tuple[int, ...]] = field(default_factory=dict)
    fetching: dict[int, int] = field(default_factory=dict)
    waiting: deque[Asked] = field(default_factory=deque)
    is_asking: bool = False


class Simulation:
    """Some workers and one server.

    Args:
        workers: how many.
        rate: the limit of each key.
        remembers: whether workers remember denials.
        lease: how many tokens a lease has; None for no leases.
    """

    def __init__(self, workers: int, rate: str, *, remembers: bool, lease: int | None) -> None:
        (self.limit,) = limits = parse_rate(rate)
        self.algorithm = algorithm_for(limits, "strict")
        self.terms = None if lease is None else Terms(limits, "strict", lease)
        self.remembers = remembers
        self.workers = [Worker() for _ in range(workers)]
        self.states: dict[int, int] = defaultdict(lambda: EMPTY)
        self.admitted: dict[int, list[int]] = defaultdict(list)
        self.commands = self.decisions = 0
        self._events: list[tuple[int, int, Any, tuple[Any, ...]]] = []
        self._order = count()

    def run(self, arrivals: Iterable[tuple[int, int, int]]) -> None:
        """Let requests arrive: the time, the worker, the key."""
        for now, number, key in arrivals:
            self._at(now, self._arrive, self.workers[number], key)
        while self._events:
            now, _, action, args = heapq.heappop(self._events)
            action(now, *args)

    def _at(self, when: int, action: Any, *args: Any) -> None:
        heapq.heappush(self._events, (when, next(self._order), action, args))

    def _arrive(self, now: int, worker: Worker, key: int) -> None:
        if self.remembers and worker.denied_until.get(key, 0) > now:
            return
        lease = worker.leases.get(key)
        if lease is not None and lease.take(1, now) is not None:
            self.admitted[key].append(now)
        elif key in worker.fetching:
            worker.fetching[key] += 1
        else:
            self._ask(now, worker, key, self._tokens(worker, key))

    def _tokens(self, worker: Worker, key: int) -> int:
        """Return how many to ask for."""
        if self.terms is None:
            return 1
        tokens = min(self.terms.most, self.terms.spare(worker.remaining.get(key, self.terms.fresh)))
        return tokens if tokens >= LEAST else 1

    def _ask(self, now: int, worker: Worker, key: int, tokens: int) -> None:
        lease = worker.leases.pop(key, None)
        unused = 0 if lease is None else lease.returnable(now)
        if lease is not None and unused:
            worker.waiting.append((key, -unused, lease.at_ns))
        if tokens > 1:
            worker.fetching[key] = 1
        worker.waiting.append((key, tokens, 0))
        if not worker.is_asking:
            self._send(now, worker)

    def _send(self, now: int, worker: Worker) -> None:
        batch = [worker.waiting.popleft() for _ in range(min(len(worker.waiting), MAX_BATCH))]
        worker.is_asking = bool(batch)
        if batch:
            self._at(now + ROUND_TRIP_NS // 2, self._serve, worker, batch, now)

    def _serve(self, now: int, worker: Worker, batch: Batch, sent: int) -> None:
        self.commands += 1
        self.decisions += len(batch)
        answers = [self._decide(now, *asked) for asked in batch]
        self._at(now + ROUND_TRIP_NS // 2, self._answer, worker, batch, answers, sent)

    def _decide(self, now: int, key: int, tokens: int, at: int) -> Decision | None:
        if tokens < 0:
            self.states[key] = self.algorithm.refund(self.states[key], at, -tokens)
            return None
        taken = self.algorithm.take(self.states[key], now, tokens)
        if taken is None:
            return Decision.by_waits(now, *self.algorithm.look(self.states[key], now, tokens))
        self.states[key], remaining, resets = taken
        return Decision(True, now, remaining, resets)

    def _answer(
        self,
        now: int,
        worker: Worker,
        batch: Batch,
        answers: Sequence[Decision | None],
        sent: int,
    ) -> None:
        for (key, tokens, _), decision in zip(batch, answers, strict=True):
            if decision is None:
                continue
            worker.remaining[key] = decision.remaining
            waiting = worker.fetching.pop(key, 0) if tokens > 1 else 0
            if tokens == 1 and decision.allowed:
                self.admitted[key].append(decision.at_ns)
            elif tokens == 1:
                worker.denied_until[key] = decision.at_ns + (decision.retry_after_ns or 0)
            elif decision.allowed and self.terms is not None:
                worker.leases[key] = self.terms.lease(decision, tokens, sent)
            for _ in range(waiting):
                self._arrive(now, worker, key)
        self._send(now, worker)


def arrivals(workers: int, keys: int) -> list[tuple[int, int, int]]:
    """Return the requests of all: the time in nanoseconds, the worker, the key."""
    chance = random.Random(20)
    weights = [*accumulate(1 / (rank + 1) ** ZIPF for rank in range(keys))]
    now, told = 10**15, []
    for key in chance.choices(range(keys), cum_weights=weights, k=REQUESTS_S * SECONDS):
        now += round(chance.expovariate(REQUESTS_S) * 1e9)
        told.append((now, chance.randrange(workers), key))
    return told


def worst_excess(admitted: Iterable[Sequence[int]], amount: int, window_ns: int) -> int:
    """Return by how many the worst window of any key exceeds its limit."""
    most = 0
    for times in admitted:
        ordered = sorted(times)
        for first, since in enumerate(ordered):
            most = max(most, bisect_right(ordered, since + window_ns - 1) - first)
    return max(0, most - amount)


def exact(requests: Iterable[tuple[int, int, int]], amount: int, window_ns: int) -> int:
    """Return how many an exact log admits."""
    logs: dict[int, deque[int]] = defaultdict(deque)
    total = 0
    for now, _, key in requests:
        log = logs[key]
        while log and log[0] <= now - window_ns:
            log.popleft()
        if len(log) < amount:
            log.append(now)
            total += 1
    return total


def costs() -> tuple[float, float]:
    """Return the microseconds of a core that the server works on a call, and on each decision in it."""
    measured = json.loads((RESULTS / "redis.json").read_text(encoding="utf-8"))
    alone, shared = (measured[f"{flying} in flight"]["RedisStore, 1 limit"]["server_cpu_us"] for flying in (1, 64))
    each = (64 * shared - alone) / 63
    return alone - each, each


def figures() -> dict[str, Any]:
    """Simulate every workload, number of workers, and way."""
    a_call_us, each_us = costs()
    result: dict[str, Any] = {}
    for (workload, (keys, rate)), workers in product(WORKLOADS.items(), WORKERS):
        requests = arrivals(workers, keys)
        (limit,) = parse_rate(rate)
        ideal = exact(requests, limit.amount, limit.window_ns)
        for way, (remembers, lease) in WAYS.items():
            simulation = Simulation(workers, rate, remembers=remembers, lease=lease)
            simulation.run(requests)
            total = sum(map(len, simulation.admitted.values()))
            busy_us = simulation.commands * a_call_us + simulation.decisions * each_us
            result.setdefault(workload, {}).setdefault(f"{workers} workers", {})[way] = {
                "commands a request": round(simulation.commands / len(requests), 4),
                "decisions a request": round(simulation.decisions / len(requests), 4),
                "share of a core": round(busy_us / SECONDS / 1e6, 4),
                "requests a core carries": round(REQUESTS_S * SECONDS * 1e6 / busy_us),
                "over a limit": worst_excess(simulation.admitted.values(), limit.amount, limit.window_ns),
                "admitted, of what an exact log admits": round(total / ideal, 4),
            }
    return result


def main() -> None:
    """Simulate, write and print."""
    a_call_us, each_us = costs()
    given = {
        "requests a second": REQUESTS_S,
        "seconds": SECONDS,
        "round trip, us": ROUND_TRIP_NS // 1_000,
        "Zipf": ZIPF,
    }
    server = {"a call, us": round(a_call_us, 2), "each decision in it, us": round(each_us, 2)}
    text = json.dumps({"given": given, "server": server, "simulated": figures()}, indent=2)
    (RESULTS / "scale.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
