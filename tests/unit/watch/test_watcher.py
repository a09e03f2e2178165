"""The watcher: what it finds step by step, whom it tells, and how it begins, ends and survives."""

from __future__ import annotations

import gc
import json
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import SLO, Alert, Monitor
from asgi_guard.monitor import names as counted
from asgi_guard.monitor import process
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.semconv import ANSWERS, REQUEST_DURATION
from asgi_guard.testing import ManualClock
from asgi_guard.watch.performance import PerformanceMonitor
from asgi_guard.watch.system import SystemSample
from asgi_guard.watch.watcher import Watcher, watch

MS = 1_000_000
CALM = SystemSample(
    time=0,
    source="proc",
    cpu_percent=10.0,
    cpu_cores=2.0,
    memory_percent=20.0,
    memory_bytes=1_000,
    memory_limit_bytes=5_000,
    disk_percent=30.0,
    disk_free_bytes=700,
    throttled_percent=None,
)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing have been counted in this process before."""
    monkeypatch.setattr(process, "_aggregate", Aggregate())


class Machine:
    """A machine that is as it is told to be."""

    def __init__(self) -> None:
        self.now: SystemSample = CALM

    def sample(self) -> SystemSample:
        """Say how it is."""
        return self.now


class Stage:
    """A watcher on a clock that a test moves, and what it tells."""

    def __init__(self, settings: Monitor, aggregate: Aggregate | None = None) -> None:
        self.clock = ManualClock()
        self.machine = Machine()
        self.aggregate = Aggregate() if aggregate is None else aggregate
        self.watcher = Watcher(self.aggregate, settings, clock=self.clock, system=self.machine)  # type: ignore[arg-type]
        self.told: list[Any] = []
        self.heard = Heard(self.told.append)
        self.watcher.heard_by.add(self.heard)
        self.watcher.step()

    def serve(self, count: int = 1, route: str = "/", status: str = "200", ms: float = 10) -> None:
        """Let requests have been served."""
        series = self.aggregate.series(REQUEST_DURATION, "GET", "http", "1.1", route, status, "")
        for _ in range(count):
            series.record(int(ms * MS))

    def go_on(self, seconds: float, each: Callable[[], object] = bool) -> None:
        """Let time pass, in steps of 2.5 seconds; something happens before each."""
        for _ in range(round(seconds / 2.5)):
            each()
            self.clock.advance(2.5)
            self.watcher.step()
        self.watcher.flush()

    def summary(self, *windows: str) -> dict[str, Any]:
        """Read the summary."""
        return json.loads(self.watcher.summary(windows or ("1m", "5m", "60m")))


class Heard:
    """A layer that listens."""

    def __init__(self, *listeners: Callable[[Any], None]) -> None:
        self.listeners = listeners


@pytest.fixture
def stage() -> Stage:
    """A watcher with the defaults."""
    return Stage(Monitor(log_alerts=False))


def test_the_summary_says_how_the_last_minutes_were(stage: Stage) -> None:
    """Route by route, and all together; the older ones are in the longer windows alone."""
    stage.go_on(60, lambda: stage.serve(5, "/old"))
    stage.go_on(60, lambda: (stage.serve(8, "/a"), stage.serve(2, "/b", "500", 400)))

    windows = stage.summary()["windows"]

    minute, five = windows["1m"], windows["5m"]
    assert minute["seconds"] == 60
    assert [(one["route"], one["requests"]) for one in minute["routes"]] == [("/a", 192), ("/b", 48)]
    assert minute["all"]["requests_per_second"] == 4
    assert (minute["all"]["errors"], minute["all"]["error_rate"]) == (48, 20.0)
    assert minute["all"]["p50_seconds"] == pytest.approx(0.01, rel=0.011)
    assert minute["all"]["p99_seconds"] == pytest.approx(0.4, rel=0.011)
    assert five["seconds"] == 120
    assert five["all"]["requests"] == 240 + 120
    assert {one["route"] for one in five["routes"]} == {"/a", "/b", "/old"}


def test_the_timeline_is_of_five_minutes(stage: Stage) -> None:
    """A step each five seconds, the oldest first, all lists of one length."""
    stage.go_on(400, lambda: stage.serve(10))

    timeline = stage.summary()["timeline"]

    assert timeline["step_seconds"] == 5
    assert {len(values) for values in timeline.values() if isinstance(values, list)} == {60}
    assert timeline["times"] == sorted(timeline["times"])
    assert timeline["times"][-1] == stage.clock.time()
    assert set(timeline["requests_per_second"]) == {4.0}
    assert set(timeline["cpu_percent"]) == {10.0}


def test_a_summary_of_nothing_is_whole(stage: Stage) -> None:
    """Nothing has happened, nothing is missing."""
    summary = stage.summary()

    assert summary["windows"]["1m"]["all"]["requests"] == 0
    assert summary["windows"]["1m"]["all"]["p99_seconds"] is None
    assert summary["refusals"] == summary["breakers"] == summary["validation"] == []
    assert summary["timeline"]["times"] == []
    assert summary["system"]["cpu_percent"] == 10.0
    assert [worker["pid"] for worker in summary["workers"]] == [os.getpid()]
    assert {alert["state"] for alert in summary["alerts"]} == {"ok"}


def test_only_the_windows_that_are_wanted_are_told(stage: Stage) -> None:
    """Others are not put together."""
    assert stage.summary("1m", "5m")["windows"].keys() == {"1m", "5m"}
    assert stage.summary("never")["windows"] == {}


def test_it_tells_who_refuses_and_why(stage: Stage) -> None:
    """By the reason where a layer has reasons, else by the status; what an endpoint answers is no refusal."""

    def refuse() -> None:
        stage.aggregate.series(ANSWERS, "rate_limit", "429").add(3)
        stage.aggregate.series(counted.RATE_LIMIT_REQUESTS, "api", "rejected", "memory").add(3)
        stage.aggregate.series(counted.RATE_LIMIT_REQUESTS, "api", "allowed", "memory").add(7)
        stage.aggregate.series(counted.RATE_LIMIT_REQUESTS, "new", "shadowed", "memory").add(1)
        stage.aggregate.series(ANSWERS, "ip_filter", "403").add(2)
        stage.aggregate.series(ANSWERS, "cors", "204").add(9)
        stage.aggregate.series(counted.REQUEST_LIMITS_REJECTIONS, "body_bytes").add(1)
        stage.aggregate.series(ANSWERS, "request_limits", "413").add(1)
        stage.aggregate.series(counted.VALIDATION_FINDINGS, "sqli", "query", "blocked").add(4)
        stage.aggregate.series(counted.VALIDATION_FINDINGS, "xss", "query", "logged").add(5)
        stage.aggregate.pressure.note("api", "198.51.100.7")

    stage.go_on(10, refuse)
    summary = stage.summary()

    assert [(one["layer"], one["reason"], one["count"]) for one in summary["refusals"]] == [
        ("validation", "sqli", 16),
        ("rate_limit", "api", 12),
        ("ip_filter", "403", 8),
        ("request_limits", "body_bytes", 4),
    ]
    assert summary["limiter"]["policies"] == [
        {"policy": "api", "admitted": 28, "refused": 12, "would_refuse": 0},
        {"policy": "new", "admitted": 0, "refused": 0, "would_refuse": 4},
    ]
    (key,) = summary["limiter"]["keys"]
    assert (key["policy"], key["refused"]) == ("api", 4)
    assert "198" not in json.dumps(key["key"])
    assert [(one["rule"], one["action"], one["count"]) for one in summary["validation"]] == [
        ("xss", "logged", 20),
        ("sqli", "blocked", 16),
    ]
    assert set(summary["timeline"]["refusals_per_second"]) == {2 * 6 / 5}


def test_what_was_refused_long_ago_is_forgotten(stage: Stage) -> None:
    """After five minutes."""
    stage.aggregate.series(ANSWERS, "ip_filter", "403").add(2)
    stage.aggregate.pressure.note("api", "a")
    stage.go_on(10)
    assert stage.summary()["refusals"]
    assert stage.summary()["limiter"]["keys"]

    stage.go_on(400)
    assert stage.summary()["refusals"] == []
    assert stage.summary()["limiter"]["keys"] == []


def test_a_circuit_is_as_bad_as_the_worst_worker_sees_it(stage: Stage) -> None:
    """With what has come of its calls."""
    for state, number in (("closed", 2), ("open", 1), ("half_open", 0)):
        stage.aggregate.series(counted.BREAKER_STATE, "database", state).add(number)
    stage.aggregate.series(counted.BREAKER_CALLS, "database", "success").add(9)
    stage.aggregate.series(counted.BREAKER_CALLS, "database", "failure").add(5)
    stage.aggregate.series(counted.BREAKER_TRANSITIONS, "database", "closed", "open").add(1)
    stage.go_on(5)

    assert stage.summary()["breakers"] == [
        {"name": "database", "state": "open", "calls": {"success": 9, "failure": 5}, "transitions": 1}
    ]


def test_what_the_application_measures_is_told(stage: Stage) -> None:
    """Counters with their rate, gauges, and timings with their percentiles."""
    monitor = PerformanceMonitor(stage.aggregate)

    def work() -> None:
        monitor.increment("orders", 5, {"shop": "a"})
        monitor.set_gauge("queue", 17.5)
        monitor.record_timing("query", 0.02, {"table": "t"})

    stage.go_on(60, work)
    custom = stage.summary()["custom"]

    assert custom["counters"] == [{"name": "orders", "attributes": {"shop": "a"}, "total": 120, "per_second": 2.0}]
    assert custom["gauges"] == [{"name": "queue", "attributes": {}, "value": 17.5}]
    (timing,) = custom["timings"]
    assert (timing["name"], timing["attributes"], timing["count"]) == ("query", {"table": "t"}, 24)
    assert timing["p99_seconds"] == pytest.approx(0.02, rel=0.011)


def test_each_worker_is_told(stage: Stage) -> None:
    """What it uses is measured by itself."""
    stage.serve(3)
    stage.go_on(10)
    (worker,) = stage.summary()["workers"]

    assert worker["requests"] == 3
    assert worker["memory_bytes"] is None or worker["memory_bytes"] > 1_000_000
    assert worker["cpu_percent"] >= 0


# Alerts


def test_an_alert_fires_within_five_seconds_and_clears(stage: Stage) -> None:
    """It is told to listeners, warned of, and over when all is well again."""
    stage.go_on(30, lambda: stage.serve(50))
    assert stage.told == []

    stage.go_on(5, lambda: stage.serve(50, status="500"))

    assert [(one.kind, one.name) for one in stage.told] == [("alert.fired", "error_rate")]
    (warning,) = stage.watcher.warnings()
    assert warning.startswith("error_rate is 16.67 %")
    assert next(one for one in stage.summary()["alerts"] if one["name"] == "error_rate")["state"] == "firing"

    stage.go_on(60, lambda: stage.serve(50))
    assert [one.kind for one in stage.told] == ["alert.fired", "alert.cleared"]
    assert stage.watcher.warnings() == []


@pytest.mark.parametrize(
    ("signal", "changed"),
    [
        ("cpu_usage", {"cpu_percent": 81.0}),
        ("memory_usage", {"memory_percent": 86.0}),
        ("disk_usage", {"disk_percent": 91.0}),
    ],
)
def test_the_machine_is_watched(stage: Stage, signal: str, changed: dict[str, float]) -> None:
    """By the thresholds of the earlier system."""
    stage.go_on(10)
    stage.machine.now = SystemSample(**{**{name: getattr(CALM, name) for name in CALM.__slots__}, **changed})
    stage.go_on(5)

    assert [one.signal for one in stage.told] == [signal]


def test_slow_answers_are_an_alert(stage: Stage) -> None:
    """By the 95th percentile."""
    stage.go_on(5, lambda: stage.serve(20, ms=6_000))

    assert [one.name for one in stage.told] == ["response_time"]


@pytest.mark.parametrize("steps", [5, 7.5])
def test_one_slow_request_among_few_is_no_alert(stage: Stage, steps: float) -> None:
    """Also in half a step, in which durations are not read: only what has one counts."""
    stage.go_on(20, lambda: stage.serve(1, ms=9_000) if not stage.aggregate.snapshot() else None)
    stage.go_on(steps, lambda: stage.serve(19))

    assert stage.told == []


@pytest.mark.parametrize("status", ["403", "404", "429"])
def test_a_flood_of_refusals_hides_no_failure(stage: Stage, status: str) -> None:
    """What never reached the application is neither right nor quick."""
    stage.go_on(30, lambda: (stage.serve(2_000, "", status, 0.1), stage.serve(20, "/a", "500", 6_000)))

    assert {one.name for one in stage.told} == {"error_rate", "response_time"}


def test_a_counter_at_rest_is_under_its_threshold() -> None:
    """As soon as a whole window has been seen; where nothing was ever counted nobody knows."""
    stage = Stage(Monitor(alerts=[Alert("orders", "orders", below=0.5)], log_alerts=False))
    orders = PerformanceMonitor(stage.aggregate)
    stage.go_on(60)
    assert stage.told == []

    stage.go_on(60, lambda: orders.increment("orders", 10))
    assert stage.told == []
    stage.go_on(60)
    assert [one.kind for one in stage.told] == ["alert.fired"]
    stage.go_on(60, lambda: orders.increment("orders", 10))
    assert [one.kind for one in stage.told] == ["alert.fired", "alert.cleared"]


def test_a_signal_that_nobody_measures_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """A minute after the start, with what may have been meant."""
    stage = Stage(Monitor(alerts=[Alert("orders", "orders_wating", above=80)], log_alerts=False))
    PerformanceMonitor(stage.aggregate).set_gauge("orders_waiting", 1)
    stage.go_on(57.5)
    assert caplog.text == ""

    stage.go_on(120)
    assert caplog.text.count("the alert 'orders' watches 'orders_wating', which nothing has measured") == 1
    assert "orders_waiting" in caplog.text


def test_one_request_alone_is_no_alert(stage: Stage) -> None:
    """Whatever became of it."""
    stage.serve(1, status="500", ms=60_000)
    stage.go_on(120)

    assert stage.told == []


@pytest.mark.parametrize(
    ("kind", "below", "over"), [("set_gauge", 5, 50), ("increment", 1, 100), ("record_timing", 0.1, 70)]
)
def test_a_metric_of_the_application_is_watched(kind: str, below: float, over: float) -> None:
    """A gauge by its value, a counter by its rate, a timing by its 95th percentile."""
    stage = Stage(Monitor(alerts=[Alert("mine", "mine", above=20)], log_alerts=False))
    measure = getattr(PerformanceMonitor(stage.aggregate), kind)

    stage.go_on(20, lambda: [measure("mine", below) for _ in range(20)] if kind != "increment" else measure("mine"))
    assert stage.told == []
    stage.go_on(60, lambda: [measure("mine", over) for _ in range(20)])
    assert [one.name for one in stage.told] == ["mine"]


def test_a_metric_that_nobody_has_measured_is_no_alert() -> None:
    """Neither over nor under a threshold."""
    stage = Stage(Monitor(alerts=[Alert("over", "mine", above=0), Alert("under", "mine", below=1)], log_alerts=False))
    stage.go_on(60)

    assert stage.told == []


def test_an_objective_burns() -> None:
    """Its budget is spent by errors and by what is too slow, on its own routes."""
    settings = Monitor(
        alerts=(),
        slos=[SLO("errors"), SLO("slow", latency_seconds=0.5, routes=["/slow"]), SLO("calm", routes=["/calm"])],
        log_alerts=False,
    )
    stage = Stage(settings)
    stage.go_on(600, lambda: (stage.serve(40), stage.serve(10, "/slow", ms=900), stage.serve(50, "/calm")))
    assert {one.name.partition(" ")[0] for one in stage.told} == {"slow"}

    stage.go_on(300, lambda: stage.serve(50, status="503"))
    assert {one.name.partition(" ")[0] for one in stage.told if one.kind == "alert.fired"} == {"slow", "errors"}


def test_thresholds_by_the_names_of_the_earlier_system() -> None:
    """They change the alerts that everybody has."""
    stage = Stage(Monitor(alert_thresholds={"cpu_usage": 5.0, "error_rate": 50.0}, log_alerts=False))
    stage.go_on(5, lambda: stage.serve(50, status="500"))

    assert {(one.name, one.threshold) for one in stage.told} == {("cpu_usage", 5.0), ("error_rate", 50.0)}


def test_alerts_go_to_the_log_and_to_sinks(caplog: pytest.LogCaptureFixture) -> None:
    """Each by a thread of its own."""
    sunk: list[Any] = []
    stage = Stage(Monitor(sinks=[sunk.append]))
    with caplog.at_level(logging.INFO, "asgi_guard.alerts"):
        stage.go_on(5, lambda: stage.serve(50, status="500"))
        stage.watcher.end()

    assert [one.name for one in sunk] == ["error_rate"]
    assert any("error_rate" in record.getMessage() for record in caplog.records)


def test_a_listener_that_fails_keeps_nobody_from_hearing(stage: Stage) -> None:
    """Nor does one who has gone."""

    def fail(event: Any) -> None:
        raise LookupError(event)

    failing = Heard(fail)
    stage.watcher.heard_by.add(failing)
    stage.watcher.heard_by.add(Heard(fail))
    stage.go_on(5, lambda: stage.serve(50, status="500"))

    assert [one.name for one in stage.told] == ["error_rate"]
    assert failing in stage.watcher.heard_by


def test_a_listener_that_hangs_keeps_nobody_waiting(stage: Stage) -> None:
    """The watcher looks on, and sinks are told."""
    let_go = threading.Event()
    sunk: list[Any] = []
    stage.watcher.configure(Monitor(sinks=[sunk.append], log_alerts=False))
    hanging = Heard(lambda _: let_go.wait(60))
    stage.watcher.heard_by.add(hanging)
    for _ in range(4):
        stage.serve(50, status="500")
        stage.clock.advance(2.5)
        stage.watcher.step()
    assert stage.watcher.warnings() != []

    let_go.set()
    stage.watcher.flush()
    assert [one.name for one in sunk] == ["error_rate"]
    assert hanging in stage.watcher.heard_by


def test_other_settings_forget_no_alert(stage: Stage) -> None:
    """One that fires clears one day, and a cool-down lasts."""
    stage.go_on(10, lambda: stage.serve(50, status="500"))
    stage.watcher.configure(Monitor(log_alerts=False, period_seconds=6))
    stage.go_on(60, lambda: stage.serve(50))
    assert [one.kind for one in stage.told] == ["alert.fired", "alert.cleared"]

    stage.watcher.configure(Monitor(log_alerts=False, period_seconds=5))
    stage.go_on(60, lambda: stage.serve(50, status="500"))
    assert [one.kind for one in stage.told] == ["alert.fired", "alert.cleared"]
    stage.go_on(300, lambda: stage.serve(50, status="500"))
    assert [one.kind for one in stage.told] == ["alert.fired", "alert.cleared", "alert.fired"]


# Its life


@pytest.fixture
def quick() -> Iterator[Watcher]:
    """A watcher whose thread runs."""
    aggregate = Aggregate()
    aggregate.to_watch = Monitor(period_seconds=1, log_alerts=False)
    watcher = watch(aggregate)
    yield watcher
    watcher.end()


def threads() -> list[threading.Thread]:
    """Return the threads of watchers."""
    return [thread for thread in threading.enumerate() if thread.name == "asgi_guard.watch"]


def test_nothing_runs_before_it_begins_and_after_it_has_ended(quick: Watcher) -> None:
    """It may begin again; to begin twice, or to end twice, changes nothing."""
    before = len(threads())
    assert not quick.is_running
    for _ in range(2):
        quick.begin()
        quick.begin()
        assert quick.is_running
        assert len(threads()) == before + 1
        quick.end()
        quick.end()
        assert not quick.is_running
        assert len(threads()) == before


def test_one_aggregate_has_one_watcher(quick: Watcher) -> None:
    """Other settings are its settings from then on."""
    aggregate = quick._aggregate
    assert watch(aggregate) is quick
    aggregate.to_watch = Monitor(period_seconds=2)
    assert watch(aggregate) is quick
    assert quick.settings.period_seconds == 2


def test_a_watcher_that_nobody_needs_goes(quick: Watcher) -> None:
    """Its thread holds nothing."""
    aggregate = Aggregate()
    aggregate.to_watch = Monitor()
    watch(aggregate)
    gone = weakref.ref(aggregate)
    del aggregate
    gc.collect()

    assert gone() is None
    assert quick.summary()


@pytest.mark.long
def test_a_step_that_fails_is_logged_and_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    """What could not be looked at once may be looked at the next time."""
    stepped = threading.Event()

    class Failing(Machine):
        def sample(self) -> SystemSample:
            if stepped.is_set():
                again.set()
            stepped.set()
            raise OSError("gone")

    again = threading.Event()
    watcher = Watcher(Aggregate(), Monitor(period_seconds=1), system=Failing())  # type: ignore[arg-type]
    watcher.begin()
    assert again.wait(10)
    watcher.end()

    assert caplog.text.count("the monitor could not look") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_begins_anew(quick: Watcher) -> None:
    """The thread stays with the parent; the child has one of its own as soon as it serves."""
    quick.begin()
    says, hears = os.pipe()
    child = os.fork()
    if not child:
        was = quick.is_running
        quick.begin()
        os.write(hears, b"%d%d%d" % (was, quick.is_running, len(threads())))
        os._exit(0)
    os.waitpid(child, 0)
    said = os.read(says, 9)
    os.close(says)
    os.close(hears)

    assert said == b"011"
    assert quick.is_running


def test_a_thread_that_was_told_to_end_ends_whatever_begins_meanwhile(quick: Watcher) -> None:
    """However long its step takes."""
    before = set(threads())
    inside, on = threading.Event(), threading.Event()

    class Slow(Machine):
        def sample(self) -> SystemSample:
            inside.set()
            on.wait(10)
            return CALM

    watcher = Watcher(Aggregate(), Monitor(period_seconds=1), system=Slow())  # type: ignore[arg-type]
    watcher.begin()
    assert inside.wait(10)
    (first,) = set(threads()) - before
    ending = threading.Thread(target=watcher.end)
    ending.start()
    while watcher.is_running:
        pass
    watcher.begin()
    on.set()
    first.join(10)
    ending.join(10)

    assert not first.is_alive()
    watcher.end()
    assert not quick.is_running


def test_sinks_of_other_settings_are_closed() -> None:
    """Their threads do not gather, however often the guard is reconfigured."""
    stage = Stage(Monitor(sinks=[print], log_alerts=False))
    running = threading.active_count()
    for _ in range(5):
        stage.go_on(5, lambda: stage.serve(50, status="500"))
        stage.watcher.configure(Monitor(sinks=[print], log_alerts=False))
    stage.watcher.end()
    deadline = time.monotonic() + 10
    while threading.active_count() > running and time.monotonic() < deadline:
        pass

    assert threading.active_count() <= running


def test_the_machine_is_found_among_the_metrics(quick: Watcher) -> None:
    """As long as the watcher runs."""
    quick.begin()
    quick.step()
    quick.step()
    names = {point.metric.name for point in quick._aggregate.snapshot()}
    assert {"system.filesystem.utilization", "process.cpu.time", "asgi_guard.alerts.firing"} <= names

    quick.end()
    assert "asgi_guard.alerts.firing" not in {point.metric.name for point in quick._aggregate.snapshot()}


# Several workers


@pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of a POSIX system")
class TestSeveralWorkers:
    """One looks at all, and the others say what it has found."""

    @pytest.fixture
    def stages(self, tmp_path: Path) -> Iterator[tuple[Stage, Stage]]:
        """Two workers in one folder."""
        aggregates = [SharedAggregate(tmp_path / "cells") for _ in range(2)]
        settings = Monitor(log_alerts=False)
        yield Stage(settings, aggregates[0]), Stage(settings, aggregates[1])
        for aggregate in aggregates:
            aggregate.close()

    def go_on(self, stages: tuple[Stage, Stage], seconds: float, each: Callable[[], object] = bool) -> None:
        """Let time pass for both."""
        for _ in range(round(seconds / 2.5)):
            each()
            for stage in stages:
                stage.clock.advance(2.5)
                stage.watcher.step()

    def test_both_say_the_same(self, stages: tuple[Stage, Stage]) -> None:
        """What either has counted is in it."""
        one, other = stages
        self.go_on(stages, 60, lambda: (one.serve(3, "/a"), other.serve(4, "/b")))

        assert one.summary() == other.summary()
        assert one.summary("1m") == other.summary("1m")
        minute = one.summary()["windows"]["1m"]
        assert [(route["route"], route["requests"]) for route in minute["routes"]] == [("/b", 96), ("/a", 72)]
        assert len(one.summary()["workers"]) == 2

    def test_an_alert_is_told_once(self, stages: tuple[Stage, Stage]) -> None:
        """By the one that leads; both warn of it."""
        one, other = stages
        self.go_on(stages, 10, lambda: other.serve(50, status="500"))

        assert [event.name for event in one.told] == ["error_rate"]
        assert other.told == []
        assert one.watcher.warnings() == other.watcher.warnings() != []

    def test_keys_under_pressure_are_added_up(self, stages: tuple[Stage, Stage]) -> None:
        """A client that several workers refuse is one client."""
        one, other = stages
        for stage, times in ((one, 2), (other, 3)):
            for _ in range(times):
                stage.aggregate.pressure.note("api", "198.51.100.7")
        self.go_on(stages, 10)

        (key,) = other.summary()["limiter"]["keys"]
        assert (key["policy"], key["refused"]) == ("api", 5)

    def test_when_the_one_that_leads_dies_another_goes_on(self, stages: tuple[Stage, Stage]) -> None:
        """With what happens from then on: what was before is not counted as if it had just happened."""
        one, other = stages
        self.go_on(stages, 60, lambda: (one.serve(3), other.serve(4)))
        one.aggregate.close()
        other.go_on(5)
        other.go_on(30, lambda: other.serve(5))

        minute = other.summary()["windows"]["1m"]
        assert minute["all"]["requests"] == 60
        assert [worker["requests"] for worker in other.summary()["workers"]] == [96 + 60]

    def test_alerts_go_on_with_the_next_one_that_leads(self, stages: tuple[Stage, Stage]) -> None:
        """None fires again, what fires is cleared, and a cool-down lasts."""
        one, other = stages
        self.go_on(stages, 20, lambda: one.serve(50, status="500"))
        one.aggregate.close()
        other.go_on(10, lambda: other.serve(50, status="500"))
        assert [event.kind for event in one.told + other.told] == ["alert.fired"]

        other.go_on(60, lambda: other.serve(50))
        assert [event.kind for event in other.told] == ["alert.cleared"]
        third = Stage(Monitor(log_alerts=False), SharedAggregate(one.aggregate._path))
        other.aggregate.close()
        third.clock = other.clock
        third.watcher._clock = third.watcher._leader._clock = other.clock
        third.watcher._leader._alerts._clock = other.clock
        third.go_on(20, lambda: third.serve(50, status="500"))
        third.aggregate.close()
        assert third.told == []

    def test_the_one_that_ends_leads_no_more(self, stages: tuple[Stage, Stage]) -> None:
        """Though its process lives on."""
        one, other = stages
        self.go_on(stages, 10)
        one.watcher.end()
        other.go_on(20, lambda: other.serve(50, status="500"))

        assert [event.name for event in other.told] == ["error_rate"]

    @pytest.mark.parametrize(
        "said",
        [
            b"[1, 2]",
            b'{"alerts": 5, "quiet": 7}',
            b'{"alerts": [1, {}, {"name": 1}], "quiet": {"a": "b", "error_rate": 1e999}}',
            b'{"alerts": [{"name": "error_rate", "state": "firing", "message": "x", "severity": "y", "since": "z"}]}',
            b"[" * 100_000,
            b"\xff",
            None,
        ],
    )
    def test_what_cannot_be_understood_changes_nothing(self, stages: tuple[Stage, Stage], said: bytes | None) -> None:
        """Of another version, or of nobody: the followers warn of nothing, and alerts are told as ever."""
        one, other = stages
        self.go_on(stages, 10)
        if said is None:
            (one.aggregate._path / "said-alerts.json").unlink()
            (one.aggregate._path / "said-alerts.json").mkdir()
        else:
            one.aggregate.publish("alerts.json", said)
        other.watcher.step()
        other.watcher.step()
        assert other.watcher.warnings() == []

        one.watcher.end()
        other.go_on(2.5) if said is not None else None
        for _ in range(8):
            other.serve(50, status="500")
            other.clock.advance(2.5)
            with suppress(OSError):
                other.watcher.step()
        other.watcher.flush()
        assert [event.name for event in other.told] == ["error_rate"]

    @pytest.mark.parametrize("left", [b"[[1e999]]", b'[["a", "b", 1e999]]', b"[" * 100_000, b"{}", None])
    def test_what_another_has_left_costs_no_alert(self, stages: tuple[Stage, Stage], left: bytes | None) -> None:
        """Whatever it is; and where nothing can be published events are told all the same."""
        one, other = stages
        self.go_on(stages, 10)
        other.aggregate.leave(left or b"[]")
        if left is None:
            path = one.aggregate._path / f"left-{other.aggregate._name}"
            path.unlink()
            path.symlink_to("/etc/hostname")
            (one.aggregate._path / "new-said-alerts.json").mkdir()
        for _ in range(8):
            one.serve(50, status="500")
            one.clock.advance(2.5)
            with suppress(OSError) if left is None else nullcontext():
                one.watcher.step()
        one.watcher.flush()

        assert [event.name for event in one.told] == ["error_rate"]

    def test_a_sum_that_is_full_counts_nothing_again(self, tmp_path: Path) -> None:
        """What becomes overflow when a worker dies was there before."""
        aggregates = [SharedAggregate(tmp_path / "full", max_series=3) for _ in range(3)]
        stage = Stage(Monitor(log_alerts=False), aggregates[0])
        stage.go_on(5, lambda: stage.serve(1, "/a"))
        for number, aggregate in enumerate(aggregates[1:]):
            for route in range(3):
                aggregate.series(REQUEST_DURATION, "GET", "http", "1.1", f"/{number}{route}", "500", "").record(MS)
            PerformanceMonitor(aggregate).increment("jobs", 10)
        stage.go_on(30)
        for aggregate in aggregates[1:]:
            aggregate.close()
        stage.go_on(20)
        windows = stage.summary()["windows"]
        aggregates[0].close()

        assert windows["1m"]["all"]["requests"] == 2 + 6

    def test_a_file_that_breaks_and_heals_counts_nothing_again(self, stages: tuple[Stage, Stage]) -> None:
        """Meanwhile its counters stand as they stood."""
        one, other = stages
        self.go_on(stages, 10, lambda: other.serve(25, status="500"))
        file = one.aggregate._path / other.aggregate._name
        whole = file.read_bytes()
        with file.open("r+b") as broken:
            broken.write(bytes(64))
        one.go_on(10)
        with file.open("r+b") as healed:
            healed.write(whole[:64])
        one.go_on(10)

        assert one.summary()["windows"]["1m"]["all"]["requests"] == 100


def test_a_folder_that_is_shared_later_brings_no_news(tmp_path: Path) -> None:
    """What other processes have counted in it before."""
    earlier = SharedAggregate(tmp_path / "cells")
    for _ in range(100):
        earlier.series(REQUEST_DURATION, "GET", "http", "1.1", "/", "500", "").record(MS)
    earlier.close()
    stage = Stage(Monitor(log_alerts=False))
    stage.go_on(10)
    with pytest.MonkeyPatch.context() as patch:
        later = SharedAggregate(tmp_path / "cells")
        patch.setattr(process, "_aggregate", later)
        stage.go_on(20)
        later.close()

    assert stage.told == []
    assert stage.summary()["windows"]["1m"]["all"]["requests"] == 0
