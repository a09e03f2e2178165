"""What keeps requests waiting inside the process: a blocked event loop, and the garbage collector."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
import trio
from anyio import to_thread
from anyio.lowlevel import checkpoint, current_token

from asgi_guard.monitor.cells import Aggregate, Series, Slots
from asgi_guard.testing import ManualClock
from asgi_guard.watch import names
from asgi_guard.watch.runtime import MAX_PAUSES, GcPauses, LoopLag

BLOCKED_SECONDS = 0.05


@pytest.fixture
def series() -> Series:
    """Give what the lag is counted in."""
    return Aggregate().series(names.EVENT_LOOP_LAG)


def native_loop() -> object:
    """Return the loop of asyncio, or the token of trio, that runs here."""
    token = current_token()
    return getattr(token, "native_token", token)


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until something holds."""
    while not holds():
        await checkpoint()


# The loop ------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_loop_that_is_idle_hardly_lags(series) -> None:
    """It answers as soon as it is asked, once each time."""
    lag = LoopLag(series)
    lag.watch(native_loop())
    for asked in range(1, 4):
        await to_thread.run_sync(lag.probe)
        await until(lambda asked=asked: series.read().count == asked)

    assert series.read().total < 3 * 10**9 * BLOCKED_SECONDS


def block_asyncio(lag: LoopLag) -> None:
    """Block a loop of asyncio's while it is asked."""

    async def blocked() -> None:
        lag.watch(asyncio.get_running_loop())
        ask_in_a_thread(lag)
        time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251  that is the mistake
        await asyncio.sleep(0)

    asyncio.run(blocked())


def block_trio(lag: LoopLag) -> None:
    """Block a loop of trio's while it is asked."""

    async def blocked() -> None:
        lag.watch(trio.lowlevel.current_trio_token())
        ask_in_a_thread(lag)
        time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251
        await trio.lowlevel.checkpoint()

    trio.run(blocked)


def ask_in_a_thread(lag: LoopLag) -> None:
    """Ask as the watcher does, while the loop goes no further."""
    thread = threading.Thread(target=lag.probe)
    thread.start()
    thread.join()


@pytest.mark.parametrize("block", [block_asyncio, block_trio], ids=["asyncio", "trio"])
def test_a_loop_that_is_blocked_lags_as_long_as_it_is_blocked(series, block) -> None:
    """For 50 ms."""
    block(LoopLag(series))
    point = series.read()

    assert point.count == 1
    assert BLOCKED_SECONDS <= point.total / 1e9 < BLOCKED_SECONDS + 5


@pytest.mark.parametrize("block", [block_asyncio, block_trio], ids=["asyncio", "trio"])
def test_a_loop_that_has_ended_is_forgotten(series, block) -> None:
    """It is asked nothing any more, and is not kept alive."""
    lag = LoopLag(series)
    block(lag)
    lag.probe()
    lag.probe()

    assert not lag._questions
    assert series.read().count == 1


class Stuck:
    """A loop that does not run what it is asked for, until the test does."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []
        self.runs = True

    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self.runs

    def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
        """Put a callback off."""
        self.soon.append(callback)


def test_a_loop_that_hangs_has_one_callback_to_run_and_is_seen_to_lag(series) -> None:
    """Every 5 s its lag is that of the callback so far, and when it goes on, all of it."""
    clock, loop = ManualClock(), Stuck()
    lag = LoopLag(series, clock=clock)
    lag.watch(loop)
    seen = []
    for _ in range(3):
        lag.probe()
        seen.append(series.read().total / 1e9)
        clock.advance(5)
    (callback,) = loop.soon
    callback()

    assert seen == [0, 5, 15]
    assert (series.read().total / 1e9, series.read().count) == (30, 3)


def test_a_loop_that_sleeps_between_two_runs_does_not_lag(series) -> None:
    """What it was asked before it stopped is an hour old when it goes on, and nobody has waited."""
    clock, loop = ManualClock(), Stuck()
    lag = LoopLag(series, clock=clock)
    lag.watch(loop)
    lag.probe()
    loop.runs = False
    lag.probe()
    clock.advance(3_600)
    loop.soon[0]()

    assert series.read().count == 0
    assert not lag._questions


def test_a_loop_is_watched_once_and_none_is_no_loop(series) -> None:
    """However often it is named."""
    loop, lag = Stuck(), LoopLag(series)
    lag.watch(None)
    lag.watch(loop)
    lag.watch(loop)
    lag.probe()

    assert len(loop.soon) == 1


def test_a_loop_that_is_gone_is_not_kept(series) -> None:
    """Nobody else has it any more."""
    loop, lag = Stuck(), LoopLag(series)
    lag.watch(loop)
    gone = weakref.ref(loop)
    del loop
    gc.collect()
    lag.probe()

    assert gone() is None


def test_a_loop_that_is_closed_between_two_looks_fails_nobody(series) -> None:
    """It says so by an error."""

    class Closing(Stuck):
        def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
            raise RuntimeError("Event loop is closed")

    loop, lag = Closing(), LoopLag(series)
    lag.watch(loop)
    lag.probe()

    assert not lag._questions


# The collector -------------------------------------------------------------------------------------------------------


@pytest.fixture
def aggregate() -> Aggregate:
    """Give what the pauses are counted in."""
    return Aggregate()


@pytest.fixture
def by_generation(aggregate) -> dict[int, Series]:
    """Give what counts the pauses of each generation."""
    return {generation: aggregate.series(names.GC_PAUSE, str(generation)) for generation in range(3)}


@pytest.fixture
def pauses(by_generation) -> Iterator[GcPauses]:
    """Measure, with no collection but those that the test asks for."""
    gc.collect()
    gc.disable()
    measured = GcPauses(by_generation)
    measured.start()
    yield measured
    measured.stop()
    gc.enable()


def counts(by_generation: dict[int, Series]) -> list[int]:
    """Return how many pauses were counted, by generation."""
    return [series.read().count for series in by_generation.values()]


def test_each_pause_is_counted_with_its_generation(pauses, by_generation) -> None:
    """A whole collection is one of the oldest."""
    for generation, times in enumerate((3, 2, 1)):
        for _ in range(times):
            gc.collect(generation)
    pauses.record()

    assert counts(by_generation) == [3, 2, 1]


def test_a_pause_is_as_long_as_the_collection(pauses, by_generation) -> None:
    """No longer than whoever asked for it has waited, and most of that."""
    held = [[] for _ in range(200_000)]
    began = time.perf_counter_ns()
    gc.collect()
    waited = time.perf_counter_ns() - began
    pauses.record()
    del held

    assert 0.2 * waited < by_generation[2].read().total <= waited


def test_a_collection_in_the_middle_of_counting_does_not_wait_for_itself(pauses, by_generation) -> None:
    """The collector runs in any thread at any time, also in one that holds the lock which a new page needs."""
    slots: Slots = by_generation[0]._slots
    with slots.lock:
        gc.collect(0)
    pauses.record()

    assert counts(by_generation) == [1, 0, 0]


@pytest.mark.long
def test_after_the_end_nothing_is_measured(pauses, by_generation) -> None:
    """What was measured before is counted, and what comes later is not; both may be said twice."""
    gc.collect()
    pauses.stop()
    pauses.stop()
    gc.collect()
    pauses.record()
    assert counts(by_generation) == [0, 0, 1]

    pauses.start()
    pauses.start()
    gc.collect()
    pauses.record()
    assert counts(by_generation) == [0, 0, 2]


def test_what_nobody_records_is_bounded(pauses, by_generation) -> None:
    """The newest are kept."""
    for _ in range(MAX_PAUSES + 10):
        gc.collect(0)
    pauses.record()

    assert counts(by_generation) == [MAX_PAUSES, 0, 0]


def test_a_collection_that_began_before_the_watch_is_not_counted(pauses, by_generation) -> None:
    """Nobody knows when."""
    pauses._stopwatch("stop", {"generation": 2})
    pauses.record()

    assert counts(by_generation) == [0, 0, 0]


def test_a_generation_that_nobody_asked_for_is_passed_over(aggregate) -> None:
    """As of an interpreter with more of them."""
    measured = GcPauses({0: aggregate.series(names.GC_PAUSE, "0")})
    measured.start()
    gc.collect(2)
    measured.stop()

    assert aggregate.series(names.GC_PAUSE, "0").read().count == 0


def test_whoever_forgets_to_end_leaves_nothing_behind(by_generation) -> None:
    """The collector's list of callbacks is as it was."""
    before = list(gc.callbacks)
    measured = GcPauses(by_generation)
    measured.start()
    assert len(gc.callbacks) == len(before) + 1
    del measured

    assert gc.callbacks == before


def test_several_threads_may_collect_and_record(pauses, by_generation) -> None:
    """No pause is counted twice, and none fails."""

    def work() -> None:
        for _ in range(200):
            gc.collect(0)
            pauses.record()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pauses.record()

    assert 200 <= counts(by_generation)[0] <= 800


def test_a_process_that_ends_meanwhile_ends_quietly() -> None:
    """The interpreter collects once more while it takes everything down."""
    script = (
        "from asgi_guard.monitor.cells import Aggregate\n"
        "from asgi_guard.watch import names\n"
        "from asgi_guard.watch.runtime import GcPauses\n"
        "kept = GcPauses({2: Aggregate().series(names.GC_PAUSE, '2')})\n"
        "kept.start()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)

    assert (done.returncode, done.stderr) == (0, "")
