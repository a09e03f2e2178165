"""The bulkhead's line against a model: places are never lost, never doubled, and go to whoever came first."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.resilience import Bulkhead, BulkheadFullError
from asgi_guard.resilience.bulkhead import Line

TASKS = 4


@pytest.mark.parametrize("places", [1, 2, 3])
@pytest.mark.parametrize("max_waiting", [0, 1, 3])
def test_every_interleaving_of_four_tasks_keeps_to_the_model(places, max_waiting) -> None:
    """They come, leave, and give up waiting in any order, in eight steps: the model is a list of who is there."""

    def replay(path) -> tuple[Line, dict, list, list]:
        line, seats, inside, waiting = Line(places, max_waiting), {}, [], []
        for task in path:
            if task not in seats:
                seat = line.enter()
                assert (seat is None) == (len(inside) == places and len(waiting) == max_waiting)
                if seat is not None:
                    seats[task] = seat
                    (inside if len(inside) < places else waiting).append(task)
                continue
            heir = line.leave(seats.pop(task))
            if task in waiting:
                waiting.remove(task)
                assert heir is None
            else:
                inside.remove(task)
                if waiting:
                    inside.append(waiting.pop(0))
                    assert heir is seats[inside[-1]]
            assert line.under_way == len(inside)
            assert [seat for name in waiting for seat in [seats[name]]] == [*line.waiting]
            assert all(seats[name].is_taken for name in inside)
        return line, seats, inside, waiting

    seen, paths = set(), [()]
    while paths:
        path = paths.pop()
        _, _, inside, waiting = replay(path)
        key = (frozenset(inside), tuple(waiting))
        if key in seen or len(path) > 8:
            continue
        seen.add(key)
        paths.extend((*path, task) for task in range(TASKS))
    assert len(seen) > TASKS


CALL = st.tuples(st.integers(0, 4), st.integers(0, 4), st.one_of(st.none(), st.integers(0, 8)))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=300)
@given(calls=st.lists(CALL, min_size=1, max_size=10), places=st.integers(1, 3), max_waiting=st.integers(0, 4))
def test_no_cancellation_loses_a_place(backend, calls, places, max_waiting) -> None:
    """At whichever await it comes."""

    async def main() -> None:
        bulkhead = Bulkhead(places, max_waiting=max_waiting)
        under_way = 0

        async def call(within: int) -> None:
            nonlocal under_way
            under_way += 1
            assert under_way <= places
            try:
                for _ in range(within):
                    await checkpoint()
            finally:
                under_way -= 1

        async def task(before: int, within: int, cancelled: int | None) -> None:
            for _ in range(before):
                await checkpoint()
            async with anyio.create_task_group() as own:
                if cancelled is not None:
                    own.start_soon(cancel, own.cancel_scope, cancelled)
                with suppress(BulkheadFullError):
                    await bulkhead.call(call, within)
                own.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            for one in calls:
                tasks.start_soon(task, *one)
        assert (bulkhead.under_way, bulkhead.waiting) == (0, 0)

    async def cancel(scope: anyio.CancelScope, after: int) -> None:
        for _ in range(after):
            await checkpoint()
        scope.cancel()

    anyio.run(main, backend=backend)
