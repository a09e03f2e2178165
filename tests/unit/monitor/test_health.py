"""Health: each check is asked once for all who want to know, and cannot do harm."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from functools import partial
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from asgi_guard import ConfigError
from asgi_guard.monitor.health import MAX_CHECKS, MAX_WARNINGS, Health, HealthCheck
from asgi_guard.monitor.health_report import MAX_TEXT, Report, Result, told
from asgi_guard.testing import ManualClock

HTTP_OK = Report((Result("db", True, None, 0.0015, 0.0),))
asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


class Dependency:
    """Something to ask, which answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = anyio.Event()
        self.may_answer = anyio.Event()

    async def __call__(self) -> None:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()


@asynccontextmanager
async def patience() -> Any:
    """Fail instead of waiting for ever."""
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            yield group


def named(*checks: Any, **fields: Any) -> list[HealthCheck]:
    """Make checks, called a, b, c."""
    return [HealthCheck(name, check, **fields) for name, check in zip("abc", checks, strict=False)]


# what a check may do


def returns(value: Any) -> Any:
    """Make a plain check."""
    return lambda: value


async def passes() -> None:
    """Be well."""


async def says_no() -> bool:
    """Be unwell."""
    return False


async def raises(text: str = "connection refused") -> None:
    """Be unwell, and say why."""
    raise ConnectionError(text)


async def never_answers() -> None:
    """Hang."""
    await anyio.sleep_forever()


def leads_to(check: Any) -> Any:
    """Be a plain function that gives something to wait for."""
    return check()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("check", "failure"),
    [
        pytest.param(passes, None, id="passes"),
        pytest.param(returns(None), None, id="in a thread"),
        pytest.param(returns(True), None, id="True"),
        pytest.param(returns(0), None, id="0"),
        pytest.param(partial(leads_to, passes), None, id="an awaitable of a plain function"),
        pytest.param(partial(leads_to, says_no), "it returned False", id="an awaitable that fails"),
        pytest.param(says_no, "it returned False", id="False"),
        pytest.param(returns(False), "it returned False", id="False in a thread"),
        pytest.param(raises, "ConnectionError: connection refused", id="raises"),
        pytest.param(partial(raises, "no\nroute"), "ConnectionError: no route", id="raises two lines"),
        pytest.param({}.popitem, "KeyError: 'popitem(): dictionary is empty'", id="raises in a thread"),
        pytest.param(never_answers, "no answer within 0.01 seconds", id="hangs"),
    ],
)
async def test_a_check_fails_by_raising_by_false_and_by_hanging(check, failure) -> None:
    """Whatever else it returns passes; its timeout bounds it."""
    async with patience():
        report = await Health(named(check, timeout_seconds=0.01 if check is never_answers else 2.0)).report()

    (result,) = report.results
    assert result.failure == failure
    assert report.status == ("pass" if failure is None else "fail")


@pytest.mark.anyio
async def test_a_thousand_probes_ask_once() -> None:
    """All of them wait for the same flight."""
    dependency = Dependency()
    health = Health(named(dependency, timeout_seconds=20))
    reports: list[Report] = []

    async def probe() -> None:
        reports.append(await health.report())

    async with patience() as group:
        for _ in range(1_000):
            group.start_soon(probe)
        await dependency.was_asked.wait()
        dependency.may_answer.set()

    assert dependency.asked == 1
    assert [report.status for report in reports] == ["pass"] * 1_000


@pytest.mark.anyio
async def test_a_probe_that_gives_up_spoils_it_for_nobody() -> None:
    """Though it is the one that asked first."""
    dependency = Dependency()
    health = Health(named(dependency))
    reports: list[Report] = []

    async def probe() -> None:
        reports.append(await health.report())

    async with patience() as group:
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(probe)
            await dependency.was_asked.wait()
            impatient.cancel_scope.cancel()
        group.start_soon(probe)
        await checkpoint()
        dependency.may_answer.set()

    assert dependency.asked == 1
    assert [report.status for report in reports] == ["pass"]


@pytest.mark.anyio
@pytest.mark.parametrize(("seconds", "asked"), [(0.0, 1), (0.999, 1), (1.0, 2), (100.0, 2)])
async def test_what_was_found_holds_for_a_while(seconds, asked) -> None:
    """By the clock that it was given."""
    clock = ManualClock()
    dependency = Dependency()
    dependency.may_answer.set()
    health = Health(named(dependency), clock=clock)

    await health.report()
    clock.advance(seconds)
    await health.report()

    assert dependency.asked == asked


@pytest.mark.anyio
async def test_checks_do_not_wait_for_each_other() -> None:
    """The second one answers for both."""
    first, second = Dependency(), Dependency()
    health = Health(named(first, second))

    async with patience() as group:
        group.start_soon(health.report)
        await first.was_asked.wait()
        await second.was_asked.wait()
        second.may_answer.set()
        first.may_answer.set()


@pytest.mark.anyio
async def test_a_check_that_hangs_in_a_thread_has_one_thread() -> None:
    """Another one for each flight would take all threads there are, as long as the dependency hangs."""
    may_end = threading.Event()
    threads: list[str] = []

    def hang() -> None:
        threads.append(threading.current_thread().name)
        may_end.wait(5)

    clock = ManualClock()
    health = Health(named(hang, timeout_seconds=0.1), clock=clock)
    try:
        failures = []
        for _ in range(3):
            failures += [result.failure for result in (await health.report()).results]
            clock.advance(1)
    finally:
        may_end.set()

    assert len(threads) == 1
    lingers = "RuntimeError: the check before this one has not ended yet"
    assert failures == ["no answer within 0.1 seconds", lingers, lingers]


@pytest.mark.anyio
async def test_a_check_is_no_part_of_the_request_that_asks_first() -> None:
    """It sees none of its variables, or those that it is given."""
    seen: list[str] = []

    def of_probes() -> Context:
        context = Context()
        context.run(asked_by.set, "a probe")
        return context

    async def look() -> None:
        seen.append(asked_by.get())

    asked_by.set("a request")
    await Health(named(look)).report()
    await Health(named(look), new_context=of_probes).report()

    assert seen == ["nobody", "a probe"]


def test_each_loop_has_flights_of_its_own() -> None:
    """One that ended in the middle of a flight keeps nobody waiting, and nor does another one at the same time."""
    asked: list[str] = []

    async def check() -> None:
        asked.append("")
        if len(asked) == 1:
            await anyio.sleep_forever()

    health = Health(named(check))

    async def leave_early() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(health.report)
            while not asked:
                await checkpoint()
            group.cancel_scope.cancel()

    anyio.run(leave_early)

    assert anyio.run(health.report).status == "pass"
    assert anyio.run(health.report, backend="trio").status == "pass"
    assert len(asked) == 3


# what becomes of it


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("required", "optional", "warnings", "status"),
    [
        (passes, passes, [], "pass"),
        (raises, passes, [], "fail"),
        (passes, raises, [], "warn"),
        (passes, passes, ["slow"], "warn"),
        (raises, raises, ["slow"], "fail"),
    ],
)
async def test_only_a_required_check_is_a_failure(required, optional, warnings, status) -> None:
    """Whatever else is wrong is a warning."""
    checks = [HealthCheck("required", required), HealthCheck("optional", optional, required=False)]

    report = await Health(checks, warnings=[lambda: warnings]).report()

    assert report.status == status


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_check_that_takes_no_notice_of_its_end_costs_no_processor() -> None:
    """It is told once that its time is over; probes say that it has not answered, and no second one is begun."""
    told_to_end = asked = 0
    is_over = anyio.Event()

    async def stubborn() -> None:
        nonlocal told_to_end, asked
        asked += 1
        while not is_over.is_set():
            try:
                await is_over.wait()
            except anyio.get_cancelled_exc_class():
                told_to_end += 1

    health = Health([HealthCheck("db", stubborn, timeout_seconds=0.01)])
    failures = [(await health.report()).results[0].failure for _ in range(2)]
    is_over.set()
    assert failures == ["no answer within 0.01 seconds"] * 2
    assert (asked, told_to_end) == (1, 1)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["db", "queue", "mail"]),
        ({"exclude": ["db"]}, ["queue", "mail"]),
        ({"exclude": ["nothing of ours"]}, ["db", "queue", "mail"]),
        ({"tags": ["own"]}, ["db", "queue"]),
        ({"tags": ["own"], "exclude": ["queue"]}, ["db"]),
        ({"exclude": ["queue, mail"]}, ["db"]),
        ({"tags": ["nothing of ours"]}, ["tag"]),
    ],
)
async def test_checks_can_be_left_out(asked, names) -> None:
    """By their names, and by tags."""
    checks = [
        HealthCheck("db", passes, tags=["own"]),
        HealthCheck("queue", passes, tags=["own", "slow"]),
        HealthCheck("mail", passes),
    ]

    report = await Health(checks).report(**asked)

    assert [result.name for result in report.results] == names


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("state", "health", "readiness"),
    [("starting", "warn", "fail"), ("ready", "pass", "pass"), ("draining", "warn", "fail")],
)
async def test_an_application_that_is_not_ready_is_well_and_not_ready(state, health, readiness) -> None:
    """Whoever balances the load is told, and nobody is to restart it."""
    own = Health()
    own.state = state

    assert (await own.report()).status == health
    assert (await own.report(is_readiness=True)).status == readiness


@pytest.mark.anyio
async def test_a_failure_is_logged_when_it_begins_and_ends(caplog) -> None:
    """And not with each probe."""
    caplog.set_level("INFO", "asgi_guard")
    clock = ManualClock()
    outcomes = iter([True, False, False, True, True])

    async def check() -> bool:
        return next(outcomes)

    health = Health(named(check), clock=clock)
    for _ in range(5):
        await health.report()
        clock.advance(1)

    assert caplog.messages == ["the health check a fails: it returned False", "the health check a passes again"]


@pytest.mark.anyio
async def test_warnings_that_cannot_be_told_are_one(caplog) -> None:
    """A part that raises does not take the probes down, and the other parts are still heard."""

    def fails() -> list[str]:
        raise ValueError("broken")

    report = await Health(warnings=[fails, lambda: ["w"] * 2 * MAX_WARNINGS]).report()

    assert len(report.warnings) == MAX_WARNINGS
    assert report.warnings[1] == "w"
    assert "broken" in caplog.text


# how it is told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (ValueError("no"), "ValueError: no"),
        (ValueError("a\r\nb\tc"), "ValueError: a b c"),
        (ValueError("\x1b[31mred\x00"), "ValueError: ?[31mred?"),
        ("redis://user:p@ss/w@db:1/0 is away", "redis://***@db:1/0 is away"),
        ("('postgresql://:hunter2@db/x', 5)", "('postgresql://***@db/x', 5)"),
        ("amqp://a:b@c and mongodb://d:e@f", "amqp://***@c and mongodb://***@f"),
        ("https://db/?user=u&password=hunter2&x=1", "https://db/?user=u&password=***&x=1"),
        ("host=db PASSWORD=hunter2 port=1", "host=db PASSWORD=*** port=1"),
        ("mail to someone@example.com", "mail to someone@example.com"),
        ("x" * 10_000, ""),
        ("x " * 10_000, ("x " * 128)),
        ("y" * 300 + " ", "y" * MAX_TEXT),
        ("x " * 2_040 + "redis://user:hunter2" + "2" * 100 + "@db", "x " * 128),
    ],
    ids=range(13),
)
def test_what_others_say_is_one_line_without_passwords(said, shown) -> None:
    """Bounded, and nothing in it that a terminal would take for a command."""
    assert told(said) == shown


def test_an_exception_that_cannot_be_shown_is_told_by_name() -> None:
    """It is a failure as well."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert told(SilentError()) == "SilentError"


def test_a_report_is_health_json() -> None:
    """By the draft: how long each check took is what was observed, and why it failed is its output."""
    failed = Result("mail", is_required=False, failure="no", seconds=0.25, time=1_700_000_000.5)
    report = Report((*HTTP_OK.results, failed), ("slow",))

    assert HTTP_OK.as_json() == {
        "status": "pass",
        "checks": {
            "db:responseTime": [
                {
                    "status": "pass",
                    "observedValue": 1.5,
                    "observedUnit": "ms",
                    "time": "1970-01-01T00:00:00.000+00:00",
                }
            ]
        },
    }
    assert report.as_json()["notes"] == ["slow"]
    assert report.as_json()["checks"]["mail:responseTime"] == [
        {
            "status": "warn",
            "observedValue": 250.0,
            "observedUnit": "ms",
            "time": "2023-11-14T22:13:20.500+00:00",
            "output": "no",
        }
    ]


def test_a_report_is_lines() -> None:
    """As Kubernetes prints them."""
    report = Report(
        (*HTTP_OK.results, Result("mail", False, "no", 0, 0), Result("queue", True, "away", 0, 0)), ("slow",)
    )

    assert report.as_lines() == "[+]db ok\n[!]mail failed: no\n[-]queue failed: away\n[!]slow\nstatus fail\n"
    assert Report().as_lines() == "status pass\n"


# settings


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": ""}, "AG830"),
        ({"name": "a b"}, "AG830"),
        ({"name": "a:b"}, "AG830"),
        ({"name": "a" * 65}, "AG830"),
        ({"name": None}, "AG830"),
        ({"check": None}, "AG109"),
        ({"required": 1}, "AG103"),
        ({"timeout_seconds": 0}, "AG102"),
        ({"timeout_seconds": float("inf")}, "AG102"),
        ({"cache_seconds": 0}, "AG102"),
        ({"tags": "slow"}, "AG106"),
    ],
    ids=str,
)
def test_checks_that_cannot_work_do_not_start(fields, problem) -> None:
    """Each field by its rule."""
    with pytest.raises(ConfigError) as caught:
        HealthCheck(**{"name": "db", "check": passes, **fields})

    assert [found.id for found in caught.value.problems] == [problem]


@pytest.mark.anyio
async def test_no_more_than_a_hundred_checks_are_asked() -> None:
    """A report is bounded."""
    checks = [HealthCheck(f"check-{number}", passes) for number in range(MAX_CHECKS + 1)]

    assert len((await Health(checks).report()).results) == MAX_CHECKS


@pytest.mark.anyio
async def test_a_check_that_cannot_be_ended_holds_up_no_report() -> None:
    """It has not answered in time, whatever it does with its cancellation."""
    released = anyio.Event()

    async def stubborn() -> None:
        with anyio.CancelScope(shield=True):
            await released.wait()

    health = Health([HealthCheck("db", stubborn, timeout_seconds=0.05)])

    with anyio.fail_after(5):
        (result,) = (await health.report()).results
    released.set()

    assert result.failure == "no answer within 0.05 seconds"


@pytest.mark.anyio
async def test_a_check_that_blocks_the_loop_beyond_its_time_has_failed() -> None:
    """Nothing can end it, but what it returns comes too late."""
    clock = ManualClock()

    async def blocks() -> bool:
        clock.advance(2)
        return True

    (result,) = (await Health([HealthCheck("db", blocks, timeout_seconds=1)], clock=clock).report()).results

    assert result.failure == "no answer within 1 seconds"
