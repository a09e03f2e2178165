"""What circuit breakers do when callers overlap: six tests of meaning, of ours and of the packages that are installed.

`python benchmarks/breakers.py` takes some seconds and writes `results/breakers.json`. Each breaker opens after five
failures in a row and lets one probe through, and is used as its documentation says for an `async def`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from run import machine

RESULTS = Path(__file__).with_name("results") / "breakers.json"
OPEN_SECONDS = 0.1
THRESHOLD = 5
CROWD = 1_000

Act = Callable[[], Awaitable[None]]
Guarded = Callable[[Act], Awaitable[None]]
Verdict = tuple[bool, str]


class DownError(Exception):
    """What a dependency raises."""


async def works() -> None:
    """Answer at once."""


async def fails() -> None:
    """Do not."""
    raise DownError


class Circuit:
    """A circuit breaker of any make, and how many calls it let through."""

    def __init__(self, decorate: Callable[[Guarded], Guarded]) -> None:
        self.admitted = 0

        async def dependency(act: Act) -> None:
            self.admitted += 1
            await act()

        self._guarded = decorate(dependency)

    async def call(self, act: Act = works) -> bool:
        """Make a call; tell whether it was let through."""
        before = self.admitted
        try:
            await self._guarded(act)
        except Exception:  # noqa: BLE001  each make has an exception of its own for an open circuit
            return self.admitted > before
        return True

    async def fail(self, times: int = THRESHOLD) -> None:
        """Make calls that fail."""
        for _ in range(times):
            await self.call(fails)

    async def open_and_wait(self) -> None:
        """Let it open, and wait until it may be probed."""
        await self.fail()
        await asyncio.sleep(1.2 * OPEN_SECONDS)

    async def cancelled(self) -> None:
        """Make a call that is cancelled."""
        task = asyncio.create_task(self.call(asyncio.Event().wait))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def crowd(self, callers: int, act: Act = works) -> int:
        """Let many call at once, before any of them has its answer; return how many were let through."""
        go = asyncio.Event()

        async def late() -> None:
            await go.wait()
            await act()

        before = self.admitted
        tasks = [asyncio.create_task(self.call(late)) for _ in range(callers)]
        for _ in range(20):
            await asyncio.sleep(0)
        admitted = self.admitted - before
        go.set()
        await asyncio.gather(*tasks)
        return admitted


async def opens(circuit: Circuit) -> Verdict:
    """Five failures of an `async def` open it."""
    await circuit.fail()
    is_open = not await circuit.call()
    return is_open, "opens" if is_open else "never opens"


async def probes(circuit: Circuit) -> Verdict:
    """Of a thousand callers at once, one is the probe."""
    await circuit.open_and_wait()
    admitted = await circuit.crowd(CROWD, fails)
    return admitted == 1, f"{admitted} of {CROWD} let through"


async def cancellation(circuit: Circuit) -> Verdict:
    """A cancelled call neither trips it nor forgives it anything."""
    await circuit.fail(THRESHOLD - 1)
    await circuit.cancelled()
    before = circuit.admitted
    await circuit.fail(1)
    if circuit.admitted == before:
        return False, "counts as a failure"
    is_open = not await circuit.call()
    return is_open, "neutral" if is_open else "counts as a success"


async def cancelled_probe(circuit: Circuit) -> Verdict:
    """A cancelled probe makes room for one other."""
    await circuit.open_and_wait()
    await circuit.cancelled()
    admitted = await circuit.crowd(100)
    return admitted == 1, f"{admitted} of the next 100 let through"


async def stale_success(circuit: Circuit) -> Verdict:
    """A call that began before it opened, and succeeds then, does not close it."""
    go = asyncio.Event()
    straggler = asyncio.create_task(circuit.call(go.wait))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await circuit.fail()
    go.set()
    await straggler
    stays_open = not await circuit.call()
    return stays_open, "stays open" if stays_open else "is closed by it"


async def stale_failures(circuit: Circuit) -> Verdict:
    """Calls that began before it opened, and fail after it has recovered, do not open it again."""
    go = asyncio.Event()

    async def late() -> None:
        await go.wait()
        raise DownError

    stragglers = [asyncio.create_task(circuit.call(late)) for _ in range(20)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await circuit.open_and_wait()
    await circuit.call()
    go.set()
    await asyncio.gather(*stragglers)
    stays_closed = await circuit.call()
    return stays_closed, "stays closed" if stays_closed else "is opened by them"


TESTS: Mapping[str, Callable[[Circuit], Awaitable[Verdict]]] = {
    "an async def opens it": opens,
    "1,000 probes at once": probes,
    "a cancelled call": cancellation,
    "a cancelled probe": cancelled_probe,
    "a stale success": stale_success,
    "20 stale failures": stale_failures,
}


def ours() -> Any:
    """Make one of ours."""
    from asgi_guard.resilience import circuit_breaker

    return circuit_breaker(failure_threshold=THRESHOLD, recovery_timeout=OPEN_SECONDS)


def _pybreaker() -> Any:
    import pybreaker

    return pybreaker.CircuitBreaker(fail_max=THRESHOLD, reset_timeout=OPEN_SECONDS)


def _circuitbreaker() -> Any:
    import circuitbreaker

    return circuitbreaker.CircuitBreaker(failure_threshold=THRESHOLD, recovery_timeout=OPEN_SECONDS)


def _aiobreaker() -> Any:
    import aiobreaker

    return aiobreaker.CircuitBreaker(fail_max=THRESHOLD, timeout_duration=timedelta(seconds=OPEN_SECONDS))


def _purgatory() -> Any:
    import purgatory

    factory = purgatory.AsyncCircuitBreakerFactory(default_threshold=THRESHOLD, default_ttl=OPEN_SECONDS)
    return factory("dependency")


def _hyx() -> Any:
    from hyx.circuitbreaker import consecutive_breaker

    return consecutive_breaker(failure_threshold=THRESHOLD, recovery_time_secs=OPEN_SECONDS, recovery_threshold=1)


PEERS: Mapping[str, Callable[[], Any]] = {
    "pybreaker": _pybreaker,
    "circuitbreaker": _circuitbreaker,
    "aiobreaker": _aiobreaker,
    "purgatory": _purgatory,
    "hyx": _hyx,
}


def release(package: str) -> str | None:
    """Return the version that is installed; None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def judge(make: Callable[[], Any]) -> dict[str, dict[str, Any]]:
    """Put a make of circuit breakers to all tests, each with a new one."""
    does_open, seen = asyncio.run(opens(Circuit(make())))
    if not does_open:  # whoever never opens does nothing right or wrong after that
        return {name: {"passed": False, "seen": seen} for name in TESTS}
    results = {}
    for name, test in TESTS.items():
        passed, seen = asyncio.run(test(Circuit(make())))
        results[name] = {"passed": passed, "seen": seen}
    return results


def figures() -> dict[str, Any]:
    """Test ours and each peer that is installed."""
    installed = {f"{name} {release(name)}": make for name, make in PEERS.items() if release(name)}
    return {
        "asgi_guard": judge(ours),
        **{name: judge(make) for name, make in installed.items()},
        "not installed": [name for name in PEERS if not release(name)],
    }


def main() -> None:
    """Write the table, and print it."""
    logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
    table = figures()
    RESULTS.write_text(json.dumps({"machine": machine(), "breakers": table}, indent=2) + "\n", encoding="utf-8")
    for name, results in table.items():
        if isinstance(results, dict):
            print(f"{name}: {sum(result['passed'] for result in results.values())} of {len(results)}")
            for test, one in results.items():
                print(f"  {'ok  ' if one['passed'] else 'FAIL'} {test}: {one['seen']}")


if __name__ == "__main__":
    main()
