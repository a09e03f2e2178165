"""Sinks: each is told everything in its own time, and what one does is no other's concern."""

from __future__ import annotations

import logging
import os
from queue import SimpleQueue
from threading import Event, Thread, current_thread

import pytest
from opentelemetry._logs import SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from asgi_guard.errors import ConfigError, MissingExtraError
from asgi_guard.watch.alert_events import AlertCleared, AlertEvent, AlertFired
from asgi_guard.watch.otel_alerts import OTelAlerts
from asgi_guard.watch.sinks import MAX_WAITING, LogSink, Sinks

LONG = 10.0  # seconds, which no test waits for


def event_of(value: float | None = 7.25, kind: type[AlertEvent] = AlertFired, severity="high") -> AlertEvent:
    """Make an event as the alerts do."""
    message = "error_rate is not measured" if value is None else f"error_rate is {value:g} %, over 5 %"
    return kind(
        name="errors",
        signal="error_rate",
        severity=severity,
        value=value,
        threshold=5.0,
        unit="%",
        message=message,
        time=1_700_000_000.5,
    )


class Hanging:
    """A sink that hangs until it is let go, and remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[float | None] = []
        self.is_called = Event()
        self.may_go_on = Event()

    def __call__(self, event: AlertEvent) -> None:
        self.told.append(event.value)
        self.is_called.set()
        self.may_go_on.wait(LONG)


def failing(event: AlertEvent) -> None:
    """Be a sink that is broken."""
    raise OSError("no route to anybody")


def test_everything_is_told_in_order_in_a_thread_of_its_own() -> None:
    """Whoever tells goes on at once; closing waits for what is left."""
    told, threads = [], set()

    def sink(event: AlertEvent) -> None:
        told.append(event.value)
        threads.add(current_thread().name)

    sinks = Sinks([sink])
    for value in range(50):
        sinks(event_of(value))
    sinks.close(LONG)

    assert told == [*range(50)]
    assert threads == {"asgi_guard alerts"}


def test_one_that_raises_is_said_once_and_called_again(caplog) -> None:
    """The other sinks hear everything; it is counted each time."""
    told = []
    sinks = Sinks([failing, lambda event: told.append(event.value)])
    for value in range(3):
        sinks(event_of(value))
    sinks.close(LONG)

    assert told == [0, 1, 2]
    assert (sinks.failed, sinks.dropped) == (3, 0)
    assert [record.getMessage().partition("<")[0] for record in caplog.records] == ["The alerts' sink "]


def test_one_that_hangs_harms_no_other_and_loses_the_oldest(caplog) -> None:
    """Its queue is bounded: what is new pushes out what is old, which is counted, and said once."""
    hanging, told = Hanging(), SimpleQueue[float | None]()
    sinks = Sinks([hanging, lambda event: told.put(event.value)])
    for value in range(MAX_WAITING + 4):
        sinks(event_of(value))
        assert told.get(timeout=LONG) == value  # the other one keeps up
        assert hanging.is_called.wait(LONG)
    hanging.may_go_on.set()
    sinks.close(LONG)

    assert hanging.told == [0, *range(4, MAX_WAITING + 4)]
    assert sinks.dropped == 3
    assert ["too slow" in record.getMessage() for record in caplog.records] == [True]


def test_closing_waits_no_longer_than_it_is_told_to() -> None:
    """A sink that hangs does not hold up the end of the process."""
    hanging = Hanging()
    sinks = Sinks([hanging])
    sinks(event_of())
    assert hanging.is_called.wait(LONG)
    sinks.close(0.01)

    hanging.may_go_on.set()
    sinks.close(LONG)
    assert hanging.told == [7.25]


def test_after_closing_the_next_event_starts_again() -> None:
    """A server that ends one lifespan and begins another is the same process."""
    told = []
    sinks = Sinks([lambda event: told.append(event.value)])
    for value in range(3):
        sinks(event_of(value))
        sinks.close(LONG)
        sinks.close(LONG)

    assert told == [0, 1, 2]


def test_nothing_starts_before_there_is_something_to_tell() -> None:
    """A guard that is only made has no threads."""
    sinks = Sinks([failing])
    sinks.close()

    assert sinks._lines[0]._thread is None


def test_a_process_that_can_have_no_more_threads_tells_when_it_can(monkeypatch) -> None:
    """Whoever tells does not fail; what waits is told with the next event."""
    told = []
    sinks = Sinks([lambda event: told.append(event.value)])
    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", refuse)
        sinks(event_of(1))
    sinks(event_of(2))
    sinks.close(LONG)

    assert told == [1, 2]


def refuse(thread: Thread) -> None:
    """Be a system that has no thread left."""
    raise RuntimeError("can't start new thread")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="only where processes fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_of_the_process_tells_with_a_thread_of_its_own() -> None:
    """What its parent had to tell is the parent's."""
    hanging = Hanging()
    sinks = Sinks([hanging])
    sinks(event_of(1))
    assert hanging.is_called.wait(LONG)
    sinks(event_of(2))
    child = os.fork()
    if child == 0:
        hanging.may_go_on = Event()
        hanging.may_go_on.set()
        sinks(event_of(3))
        sinks.close(LONG)
        os._exit(0 if hanging.told == [1, 3] else 1)
    hanging.may_go_on.set()
    sinks.close(LONG)

    assert os.waitpid(child, 0)[1] == 0
    assert hanging.told == [1, 2]


@pytest.mark.parametrize(
    ("sinks", "expected"),
    [
        (failing, ["AG885 Sinks.sinks"]),
        ([failing] * 17, ["AG885 Sinks.sinks"]),
        ([failing, "https://hooks.example.com", None], ["AG109 Sinks.sinks[1]", "AG109 Sinks.sinks[2]"]),
    ],
    ids=["no list", "too many", "no functions"],
)
def test_what_is_no_sink_is_refused(sinks, expected) -> None:
    """Every problem at once."""
    with pytest.raises(ConfigError) as raised:
        Sinks(sinks)

    assert [f"{problem.id} {problem.field}" for problem in raised.value.problems] == expected


def test_a_sink_is_not_async() -> None:
    """Neither a function nor an object that is called like one."""

    async def waiting(event: AlertEvent) -> None: ...

    class Waiting:
        async def __call__(self, event: AlertEvent) -> None: ...

    with pytest.raises(ConfigError) as raised:
        Sinks([waiting, Waiting()])

    assert [problem.id for problem in raised.value.problems] == ["AG886", "AG886"]


KINDS = [
    (AlertFired, "low", logging.WARNING, "WARN"),
    (AlertFired, "medium", logging.WARNING, "WARN2"),
    (AlertFired, "high", logging.ERROR, "ERROR"),
    (AlertFired, "critical", logging.CRITICAL, "FATAL"),
    (AlertCleared, "critical", logging.INFO, "INFO"),
]


@pytest.mark.parametrize(("kind", "severity", "level", "_"), KINDS)
def test_the_log_has_a_line_at_the_level_of_the_severity(kind, severity, level, _, caplog) -> None:
    """One line for a person, and the facts for a program."""
    with caplog.at_level(logging.INFO, "asgi_guard.alerts"):
        LogSink()(event_of(kind=kind, severity=severity))

    (record,) = caplog.records
    what = "fires" if kind is AlertFired else "has cleared"
    assert record.getMessage() == f"the alert errors {what}: error_rate is 7.25 %, over 5 %"
    assert (record.name, record.levelno) == ("asgi_guard.alerts", level)
    facts = {name: value for name, value in vars(record).items() if name.startswith("alert_")}
    assert facts == {
        "alert_event": kind.kind,
        "alert_name": "errors",
        "alert_signal": "error_rate",
        "alert_severity": severity,
        "alert_value": 7.25,
        "alert_threshold": 5.0,
        "alert_unit": "%",
        "alert_message": "error_rate is 7.25 %, over 5 %",
        "alert_time": 1_700_000_000.5,
    }


@pytest.mark.parametrize(("kind", "severity", "_", "expected"), KINDS)
def test_opentelemetry_has_an_event_of_that_severity(kind, severity, _, expected) -> None:
    """It is a log record with a name, as the SDK's own exporter sees it."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    OTelAlerts(provider)(event_of(kind=kind, severity=severity))

    (finished,) = exporter.get_finished_logs()
    record = finished.log_record
    assert (record.event_name, record.body) == (f"asgi_guard.{kind.kind}", "error_rate is 7.25 %, over 5 %")
    assert (record.severity_number, record.severity_text) == (SeverityNumber[expected], expected)
    assert record.timestamp == 1_700_000_000_500_000_000
    assert dict(record.attributes or {}) == {
        "asgi_guard.alert.name": "errors",
        "asgi_guard.alert.signal": "error_rate",
        "asgi_guard.alert.severity": severity,
        "asgi_guard.alert.value": 7.25,
        "asgi_guard.alert.threshold": 5.0,
        "asgi_guard.alert.unit": "%",
    }


def test_who_has_no_logger_provider_has_no_events() -> None:
    """The API alone does nothing, and nothing fails."""
    OTelAlerts()(event_of(value=None, kind=AlertCleared))


def test_without_opentelemetry_there_is_the_command_that_installs_it(monkeypatch) -> None:
    """At construction, not at the first alert."""
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry._logs", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'asgi-guard\[otel\]'"):
        OTelAlerts()
