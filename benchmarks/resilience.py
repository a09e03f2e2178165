"""What resilience costs a call that goes well: over the bare call, ours beside the packages that are installed.

`python benchmarks/resilience.py` takes about ten seconds and writes `results/resilience.json`. All are interleaved in
one process, each call is stepped to its end without a task, and the clock is the CPU time of this thread. Quoted are
the minimum, which noise cannot lower, and the median.
"""

from __future__ import annotations

import gc
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import Any

import breakers
from run import machine

from asgi_guard.resilience import (
    Bulkhead,
    CircuitOpenError,
    CountWindow,
    TimeWindow,
    circuit_breaker,
    resilient,
    retry_on_failure,
)

RESULTS = Path(__file__).with_name("results") / "resilience.json"

AsyncCall = Callable[[], Awaitable[int]]
Samples = dict[str, list[float]]


async def answer() -> int:
    """Be a call that goes well."""
    return 42


def plain_answer() -> int:
    """Be a plain one."""
    return 42


def decorators() -> dict[str, Callable[[Any], Any]]:
    """Return what is put around both kinds of function, by name."""
    return {
        "retry": retry_on_failure(3),
        "breaker, consecutive": circuit_breaker(failure_threshold=5),
        "breaker, last 100 calls": circuit_breaker(window=CountWindow(100)),
        "breaker, last 100 calls, slow ones too": circuit_breaker(window=CountWindow(100), slow_call_seconds=10),
        "breaker, last 60 seconds": circuit_breaker(window=TimeWindow(60)),
        "bulkhead": Bulkhead(10),
        "retry, breaker, bulkhead": resilient(retry=3, breaker=circuit_breaker(), bulkhead=10),
    }


def _tenacity() -> Any:
    import tenacity

    return tenacity.retry(stop=tenacity.stop_after_attempt(4), wait=tenacity.wait_random_exponential())


def _stamina() -> Any:
    import stamina

    return stamina.retry(on=ConnectionError, attempts=4)


def _backoff() -> Any:
    import backoff

    return backoff.on_exception(backoff.expo, ConnectionError, max_tries=4)


def _hyx_retry() -> Any:
    from hyx.retry import retry

    return retry(on=ConnectionError, attempts=4)


PEERS: Mapping[str, tuple[str, Callable[[], Any]]] = {
    **{f"breaker of {name}": (name, make) for name, make in breakers.PEERS.items()},
    "retry of tenacity": ("tenacity", _tenacity),
    "retry of stamina": ("stamina", _stamina),
    "retry of backoff": ("backoff", _backoff),
    "retry of hyx": ("hyx", _hyx_retry),
}


def stepped(call: AsyncCall, count: int) -> float:
    """Return the nanoseconds of an asynchronous call that waits for nothing."""
    began = thread_time_ns()
    for _ in range(count):
        try:
            call().send(None)
        except StopIteration:
            continue
        raise RuntimeError("the call waits for something")
    return (thread_time_ns() - began) / count


def plain(call: Callable[[], int], count: int) -> float:
    """Return the nanoseconds of a plain call."""
    began = thread_time_ns()
    for _ in range(count):
        call()
    return (thread_time_ns() - began) / count


def interleaved(calls: Mapping[str, Any], measure: Callable[[Any, int], float], rounds: int, count: int) -> Samples:
    """Measure each call once a round, in an order that changes."""
    samples: Samples = {name: [] for name in calls}
    turns = random.Random(1)
    gc.collect()
    for number in range(-2, rounds):  # two rounds to warm up
        for name in turns.sample([*calls], len(calls)):
            took = measure(calls[name], count)
            if number >= 0:
                samples[name].append(took)
    return samples


def over_bare(samples: Samples) -> dict[str, dict[str, float]]:
    """Return what each adds to the bare call, in microseconds."""
    bare = samples.pop("bare")
    return {
        name: {
            "min_us": round((min(own) - min(bare)) / 1_000, 3),
            "median_us": round(median(mine - base for mine, base in zip(own, bare, strict=True)) / 1_000, 3),
        }
        for name, own in samples.items()
    }


def peers() -> dict[str, Any]:
    """Return the peers that are installed, around an `async def`."""
    return {
        f"{name} {breakers.release(package)}": make()(answer)
        for name, (package, make) in PEERS.items()
        if breakers.release(package)
    }


def refusing() -> AsyncCall:
    """Return a call that an open circuit refuses."""
    breaker = circuit_breaker()
    breaker.force_open()
    guarded = breaker(answer)

    async def refused() -> int:
        try:
            return await guarded()
        except CircuitOpenError:
            return 0

    return refused


def figures(rounds: int = 60, count: int = 400) -> dict[str, Any]:
    """Measure both kinds of function."""
    in_async = {"bare": answer, **{name: around(answer) for name, around in decorators().items()}, **peers()}
    in_plain = {"bare": plain_answer, **{name: around(plain_answer) for name, around in decorators().items()}}
    return {
        "async def": over_bare(interleaved(in_async, stepped, rounds, count)),
        "plain": over_bare(interleaved(in_plain, plain, rounds, count)),
        "refused by an open circuit": over_bare(
            interleaved({"bare": answer, "refused": refusing()}, stepped, rounds, count)
        )["refused"],
    }


def main() -> None:
    """Measure, write and print."""
    logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
    result = {"machine": machine(), "added to a call": figures()}
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
