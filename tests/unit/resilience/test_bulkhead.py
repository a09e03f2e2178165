"""Bulkhead: at most so many at a time, in the order of their coming, and no place is ever lost."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from anyio import Event, create_task_group, lowlevel, sleep_forever, to_thread, wait_all_tasks_blocked

from asgi_guard.errors import ConfigError
from asgi_guard.resilience import Bulkhead, BulkheadFullError

anyio_test = pytest.mark.anyio


class Held:
    """Calls that stay until they are let go, and the order in which they began."""

    def __init__(self) -> None:
        self.began: list[object] = []
        self.go = Event()

    async def __call__(self, name: object) -> None:
        self.began.append(name)
        await self.go.wait()


@anyio_test
async def test_one_too_many_is_refused() -> None:
    """At once, where nobody may wait: status 503."""
    held, bulkhead = Held(), Bulkhead(2, name="reports")
    async with create_task_group() as tasks:
        for name in "ab":
            tasks.start_soon(bulkhead.call, held, name)
        await wait_all_tasks_blocked()
        assert bulkhead.under_way == 2
        with pytest.raises(BulkheadFullError) as caught:
            await bulkhead.call(held, "c")
        held.go.set()

    assert (sorted(held.began), bulkhead.under_way, bulkhead.rejected) == (["a", "b"], 0, 1)
    assert (caught.value.status, caught.value.name, caught.value.not_sent) == (503, "reports", True)


@anyio_test
async def test_who_waits_is_served_in_order() -> None:
    """First come, first served; who comes when the line is full is refused."""
    held, bulkhead = Held(), Bulkhead(1, max_waiting=3)
    async with create_task_group() as tasks:
        for name in "abcd":
            tasks.start_soon(bulkhead.call, held, name)
            await wait_all_tasks_blocked()
        assert (held.began, bulkhead.waiting) == (["a"], 3)
        with pytest.raises(BulkheadFullError):
            await bulkhead.call(held, "e")
        held.go.set()

    assert held.began == list("abcd")
    assert (bulkhead.under_way, bulkhead.waiting) == (0, 0)


@anyio_test
async def test_nobody_waits_longer_than_the_bound() -> None:
    """And the place in the line is free again."""
    held, bulkhead = Held(), Bulkhead(1, max_waiting=1, max_wait=0.01)
    async with create_task_group() as tasks:
        tasks.start_soon(bulkhead.call, held, "a")
        await wait_all_tasks_blocked()
        for _ in range(2):
            with pytest.raises(BulkheadFullError):
                await bulkhead.call(held, "b")
        held.go.set()

    assert (held.began, bulkhead.under_way, bulkhead.waiting) == (["a"], 0, 0)


@anyio_test
async def test_a_place_handed_to_who_is_cancelled_goes_to_the_next() -> None:
    """Even in the very moment in which it is handed over."""
    held, bulkhead = Held(), Bulkhead(1, max_waiting=2)
    async with create_task_group() as tasks, create_task_group() as others:
        tasks.start_soon(bulkhead.call, held, "a")
        await wait_all_tasks_blocked()
        others.start_soon(bulkhead.call, held, "b")
        await wait_all_tasks_blocked()
        tasks.start_soon(bulkhead.call, held, "c")
        await wait_all_tasks_blocked()
        held.go.set()
        others.cancel_scope.cancel()

    assert "c" in held.began
    assert (bulkhead.under_way, bulkhead.waiting) == (0, 0)


@anyio_test
async def test_a_place_that_comes_before_the_wait_begins_is_not_missed() -> None:
    """Another thread may leave in between."""
    bulkhead = Bulkhead(1, max_waiting=1)
    first, second = bulkhead._enter(), bulkhead._enter()
    bulkhead._leave(first)

    await bulkhead._wait(second)
    assert bulkhead.under_way == 1


@anyio_test
async def test_threads_and_tasks_share_the_places() -> None:
    """A thread waits for a task, and a task for a thread."""
    bulkhead = Bulkhead(1, max_waiting=1)
    order: list[str] = []
    inside = threading.Event()

    def plain(name: str) -> None:
        order.append(name)
        inside.wait(5)

    async def tasks_wait(name: str) -> None:
        order.append(name)
        await lowlevel.checkpoint()

    async with create_task_group() as tasks:
        tasks.start_soon(to_thread.run_sync, lambda: bulkhead.call(plain, "thread"))
        while not order:
            await lowlevel.checkpoint()
        tasks.start_soon(bulkhead.call, tasks_wait, "task")
        while not bulkhead.waiting:
            await lowlevel.checkpoint()
        inside.set()
    assert order == ["thread", "task"]

    release = Event()

    async def first() -> None:
        await release.wait()

    async with create_task_group() as tasks:
        tasks.start_soon(bulkhead.call, first)
        await wait_all_tasks_blocked()
        tasks.start_soon(to_thread.run_sync, lambda: bulkhead.call(order.append, "thread again"))
        while not bulkhead.waiting:
            await lowlevel.checkpoint()
        release.set()
    assert order[-1] == "thread again"


@anyio_test
async def test_a_plain_function_on_an_event_loop_does_not_wait() -> None:
    """It is refused, since nobody could ever leave."""
    held, bulkhead = Held(), Bulkhead(1, max_waiting=5)
    async with create_task_group() as tasks:
        tasks.start_soon(bulkhead.call, held, "a")
        await wait_all_tasks_blocked()
        with pytest.raises(BulkheadFullError):
            bulkhead.call(int)
        held.go.set()
    assert bulkhead.waiting == 0


# as a block


@anyio_test
async def test_it_is_a_block_for_several_at_a_time() -> None:
    """One object, and each task has a place or waits for one; plain blocks take the same places."""
    bulkhead = Bulkhead(2, max_waiting=1)
    order, go = [], Event()

    async def enters(name: str) -> None:
        async with bulkhead:
            order.append(name)
            await go.wait()

    async with create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(enters, name)
            await wait_all_tasks_blocked()
        assert (order, bulkhead.under_way, bulkhead.waiting) == (["a", "b"], 2, 1)
        with pytest.raises(BulkheadFullError):
            await enters("d")
        with pytest.raises(BulkheadFullError), bulkhead:
            order.append("e")
        go.set()

    assert (order, bulkhead.under_way, bulkhead.waiting) == (["a", "b", "c"], 0, 0)


def test_a_plain_block_leaves_its_place_whatever_happens_in_it() -> None:
    """And blocks may be nested: each takes one."""
    bulkhead = Bulkhead(2)
    with bulkhead, pytest.raises(ZeroDivisionError), bulkhead:
        divmod(bulkhead.under_way, 0)

    assert bulkhead.under_way == 0


def test_a_thread_waits_for_its_block() -> None:
    """Until another thread leaves; not for longer than the bound."""
    bulkhead = Bulkhead(1, max_waiting=1)
    order = []

    def enters() -> None:
        with bulkhead:
            order.append("second")

    thread = threading.Thread(target=enters)
    with bulkhead:
        thread.start()
        while not bulkhead.waiting:
            pass
        order.append("first")
    thread.join()
    assert (order, bulkhead.under_way) == (["first", "second"], 0)

    impatient = Bulkhead(1, max_waiting=1, max_wait=0.001)
    with impatient, pytest.raises(BulkheadFullError), impatient:
        order.append("third")
    assert (len(order), impatient.under_way, impatient.waiting) == (2, 0, 0)


@anyio_test
@pytest.mark.parametrize("when", ["in the line", "as it is handed over", "inside"])
async def test_a_block_that_is_cancelled_loses_no_place(when) -> None:
    """Wherever the cancellation finds it."""
    bulkhead = Bulkhead(1, max_waiting=1)
    entered = Event()

    async def enters() -> None:
        async with bulkhead:
            entered.set()
            await sleep_forever()

    first = bulkhead._enter()
    async with create_task_group() as tasks:
        tasks.start_soon(enters)
        await wait_all_tasks_blocked()
        if when != "in the line":
            bulkhead._leave(first)
        if when == "inside":
            await entered.wait()
        tasks.cancel_scope.cancel()
    if when == "in the line":
        bulkhead._leave(first)

    assert (bulkhead.under_way, bulkhead.waiting) == (0, 0)


def test_a_place_handed_to_a_loop_that_is_closed_goes_to_the_next() -> None:
    """Two threads with a loop each: one is closed while its call stands in the line."""
    bulkhead = Bulkhead(1, max_waiting=2)
    order: list[str] = []

    async def enters(word: str) -> None:
        await bulkhead.call(asyncio.sleep, 0)
        order.append(word)

    def left_alone() -> Any:
        loop = asyncio.new_event_loop()
        task = loop.create_task(enters("dead"))
        while not bulkhead.waiting:
            loop.run_until_complete(asyncio.sleep(0))
        loop.close()
        return task  # kept: what nobody holds is swept up, and leaves its place then

    async def holds() -> None:
        dead = await to_thread.run_sync(left_alone)
        async with create_task_group() as tasks:
            tasks.start_soon(enters, "alive")
            while bulkhead.waiting < 2:
                await lowlevel.checkpoint()
            release.set()
        dead._log_destroy_pending = False  # it is meant to

    async def main() -> None:
        async with create_task_group() as tasks:
            tasks.start_soon(bulkhead.call, release.wait)
            while not bulkhead.under_way:
                await lowlevel.checkpoint()
            tasks.start_soon(holds)

    release = Event()
    asyncio.run(main())

    assert (order, bulkhead.under_way, bulkhead.waiting) == (["alive"], 0, 0)


class Promise:
    """Can be awaited, and is no coroutine."""

    def __await__(self) -> Any:
        yield


def test_what_has_to_be_awaited_is_refused_from_a_plain_function() -> None:
    """Its place would be free before it has begun."""
    bulkhead = Bulkhead(1)
    with pytest.raises(TypeError, match="returns a Promise but is no `async def`"):
        bulkhead.call(Promise)

    assert bulkhead.under_way == 0


def test_a_call_that_fails_leaves_its_place() -> None:
    """Whatever it raises."""
    bulkhead = Bulkhead(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            bulkhead.call(divmod, 1, 0)
    with pytest.raises(TypeError, match="coroutine"):
        bulkhead.call(lambda: Held.__call__(None, 1))

    assert bulkhead.under_way == 0


@pytest.mark.parametrize(
    "options",
    [
        {"max_concurrent": 0},
        {"max_concurrent": 1, "max_waiting": -1},
        {"max_concurrent": 1, "max_wait": 0},
        {"max_concurrent": 1, "name": ""},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(options) -> None:
    """When it is made."""
    with pytest.raises(ConfigError):
        Bulkhead(**options)
