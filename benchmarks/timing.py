"""Timing: interleaved rounds in one process, so that whatever slows the machine slows all contenders alike.

A batch of requests is made, the collector run, and then the batch timed, with the collector on as it is in production;
the contenders take turns in an order that changes every round. The clock is the CPU time of this thread: what other
processes take is not counted. Quoted are the minimum, which noise cannot lower, and the median.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Iterable, Mapping
from statistics import median
from time import thread_time_ns
from typing import Any

from scenarios import App, Call, Contender

Samples = dict[str, list[float]]
"""Nanoseconds a request, one value for each round, by contender."""


async def discard(message: dict[str, Any]) -> None:
    """Be the server's `send`."""


def stepped(app: App, calls: Iterable[Call]) -> None:
    """Run requests to their end in one step each, without a task: nothing in them waits."""
    for scope, receive in calls:
        try:
            app(scope, receive, discard).send(None)
        except StopIteration:
            continue
        raise RuntimeError("the application waits for something")


def interleaved(contenders: Mapping[str, Contender], *, rounds: int, batch: int) -> Samples:
    """Time each contender once a round."""
    return asyncio.run(_interleaved(contenders, rounds, batch))


async def _interleaved(contenders: Mapping[str, Contender], rounds: int, batch: int) -> Samples:
    samples: Samples = {name: [] for name in contenders}
    turns = random.Random(1)
    order = list(contenders)
    gc.collect()
    gc.freeze()
    for number in range(-2, rounds):  # two rounds to warm up
        for name in turns.sample(order, len(order)):
            contender = contenders[name]
            calls = [contender.call(index) for index in range(number * batch, (number + 1) * batch)]
            gc.collect()
            began = thread_time_ns()
            stepped(contender.app, calls)
            took = thread_time_ns() - began
            if number >= 0:
                samples[name].append(took / batch)
            await asyncio.sleep(0)  # the ticker has its turn
    gc.unfreeze()
    return samples


def in_tasks(contenders: Mapping[str, Contender], *, rounds: int, batch: int) -> Samples:
    """Time each contender with one asyncio task for each request, as servers run them."""

    async def run() -> Samples:
        samples: Samples = {name: [] for name in contenders}
        for number in range(rounds):
            for name, contender in contenders.items():
                calls = [contender.call(index) for index in range(number * batch, (number + 1) * batch)]
                gc.collect()
                began = thread_time_ns()
                for scope, receive in calls:
                    await asyncio.create_task(contender.app(scope, receive, discard))
                samples[name].append((thread_time_ns() - began) / batch)
        return samples

    return asyncio.run(run())


def added(samples: Samples, name: str, base: str | None = None, *, count: int = 1) -> dict[str, float]:
    """Return what a contender costs, over a base where there is one, each of `count`: microseconds a request."""
    own = samples[name]
    floor = samples[base] if base else [0.0] * len(own)
    differences = [mine - bare for mine, bare in zip(own, floor, strict=True)]
    return {"min_us": _us((min(own) - min(floor)) / count), "median_us": _us(median(differences) / count)}


def ratio(samples: Samples, name: str, other: str, base: str) -> dict[str, float]:
    """Return how many times what `other` adds to the base `name` adds."""
    pairs = zip(samples[name], samples[other], samples[base], strict=True)
    by_round = [(mine - bare) / (others - bare) for mine, others, bare in pairs]
    floor = min(samples[base])
    by_min = (min(samples[name]) - floor) / (min(samples[other]) - floor)
    return {"of_minima": round(by_min, 3), "median": round(median(by_round), 3)}


def _us(nanoseconds: float) -> float:
    return round(nanoseconds / 1_000, 3)


def percentiles(nanoseconds: list[int]) -> dict[str, float]:
    """Return the tail of single calls: microseconds."""
    ordered = sorted(nanoseconds)
    shares = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999, "max_us": 1.0}
    return {name: _us(ordered[min(len(ordered) - 1, int(len(ordered) * share))]) for name, share in shares.items()}
