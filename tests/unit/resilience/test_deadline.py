"""Deadline: the nearest one counts, everybody can ask, and what a header says is believed up to a bound."""

from __future__ import annotations

import pytest
from anyio import CancelScope, create_task_group, move_on_after, sleep_forever, wait_all_tasks_blocked

from asgi_guard.errors import ConfigError
from asgi_guard.resilience import DeadlineExceededError, deadline, remaining_seconds
from asgi_guard.resilience.deadline import header_value, seconds_from
from asgi_guard.testing import ManualClock

anyio_test = pytest.mark.anyio


def test_what_is_left_can_be_asked_for() -> None:
    """It never is less than nothing; outside there is no deadline."""
    clock = ManualClock()
    assert remaining_seconds(clock) is None
    with deadline(2, clock=clock):
        clock.advance(0.5)
        assert (remaining_seconds(clock), header_value(clock)) == (1.5, "1500")
        clock.advance(2)
        assert (remaining_seconds(clock), header_value(clock)) == (0, "0")

    assert header_value(clock) is None


@pytest.mark.parametrize(("inner", "left"), [(1, 1), (5, 2)])
def test_a_deadline_can_only_come_nearer(inner, left) -> None:
    """And afterwards the outer one holds again."""
    clock = ManualClock()
    with deadline(2, clock=clock):
        with deadline(inner, clock=clock):
            assert remaining_seconds(clock) == left
        assert remaining_seconds(clock) == 2


@anyio_test
@pytest.mark.parametrize("way", ["block", "decorator", "call", "outer"])
async def test_what_is_under_way_at_the_end_is_cancelled(way) -> None:
    """And fails with an error of status 504, which is a `TimeoutError`."""
    with pytest.raises(TimeoutError) as caught:  # noqa: PT012
        match way:
            case "block":
                async with deadline(0.01):
                    await sleep_forever()
            case "decorator":
                await deadline(0.01)(sleep_forever)()
            case "call":
                await deadline(0.01).call(sleep_forever)
            case "outer":
                async with deadline(0.01), deadline(60):
                    await sleep_forever()

    assert (type(caught.value), caught.value.status, caught.value.not_sent) == (DeadlineExceededError, 504, False)


@anyio_test
async def test_where_nothing_is_left_nothing_is_called() -> None:
    """The error says so: it was not sent."""
    clock = ManualClock()
    with deadline(1, clock=clock):
        clock.advance(1)
        with pytest.raises(DeadlineExceededError) as caught:
            await deadline(5, clock=clock)(sleep_forever)()

    assert caught.value.not_sent


@anyio_test
async def test_somebody_elses_cancellation_is_not_ours() -> None:
    """It goes through as it came, and so does an exception."""
    with move_on_after(0.01) as scope:
        async with deadline(60):
            await sleep_forever()
    assert scope.cancelled_caught

    with pytest.raises(ZeroDivisionError):
        async with deadline(60):
            divmod(1, 0)


@anyio_test
@pytest.mark.parametrize("seconds", [0.01, 60])
async def test_one_object_serves_many_blocks_at_a_time(seconds) -> None:
    """Each block has its own end, and inside another the nearer of both."""
    ends = deadline(seconds)
    outcomes = []

    async def waits() -> None:
        try:
            async with ends, ends:
                await (sleep_forever() if seconds < 1 else wait_all_tasks_blocked())
        except DeadlineExceededError:
            outcomes.append("over")
        else:
            outcomes.append("in time")
        assert remaining_seconds() is None

    async with create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(waits)

    assert outcomes == ["over" if seconds < 1 else "in time"] * 3


def test_to_leave_it_where_it_was_not_entered_is_an_error() -> None:
    """Else the deadline of somebody else would be taken off."""
    with pytest.raises(RuntimeError, match="another task"):
        deadline(1).__exit__(None, None, None)
    with deadline(1), pytest.raises(RuntimeError, match="out of order"):
        deadline(1).__exit__(None, None, None)


@anyio_test
async def test_a_result_in_time_is_returned() -> None:
    """As it is."""

    async def answer() -> int:
        return 42

    with CancelScope():
        assert await deadline(60).call(answer) == 42


def test_a_plain_function_cannot_be_interrupted() -> None:
    """So the decorator refuses it, and promises nothing that it cannot keep."""
    with pytest.raises(ConfigError, match="AG602"):
        deadline(1)(int)


@pytest.mark.parametrize("seconds", [-1, 1e9, "1", float("nan")])
def test_the_seconds_have_bounds(seconds) -> None:
    """A day at most."""
    with pytest.raises(ConfigError):
        deadline(seconds)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 30),
        (b"1500", 1.5),
        ("1500", 1.5),
        ("0", 0),
        ("99999999", 30),
        ("999999999", 30),
        ("9" * 10_000, 30),
        ("-1", 30),
        ("1.5", 30),
        ("", 30),
        ("٣", 30),
        (b"\xff", 30),
    ],
    ids=lambda value: repr(value)[:16],
)
def test_a_header_is_believed_up_to_a_bound(value, seconds) -> None:
    """A client may ask for less time than there is, and for no more."""
    assert seconds_from(value, most=30) == seconds
