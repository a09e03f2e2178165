"""Leader: keeps the history of all that was counted, judges the alerts, and has the summary ready.

Of several workers one leads: it alone reads what all of them have counted, and publishes what it finds; the others hear
from it, and leave for it what only they know.
Must never be asked by two threads at once: whoever steps and whoever reads take turns.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.clock import Clock
from asgi_guard.monitor.pressure import Pressed
from asgi_guard.monitor.process import aggregate_of_process, has_siblings
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.settings import did_you_mean
from asgi_guard.watch.alerts import Alert, Alerts, Reading
from asgi_guard.watch.history import TICKS, History
from asgi_guard.watch.names import PROCESS_CPU_TIME
from asgi_guard.watch.readings import NOT_MEASURED, SIGNALS, good_and_bad, reading_of
from asgi_guard.watch.stretch import Stretch, between, put_together
from asgi_guard.watch.summary import WINDOWS, Mark, Moment, document
from asgi_guard.watch.system import SystemSample

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate
    from asgi_guard.watch.alert_events import AlertEvent
    from asgi_guard.watch.settings import Monitor

SUMMARY: Final = "summary.json"
"""Under which name the summary is published."""

ALERTS: Final = "alerts.json"
"""Under which name the states of the alerts are."""

_logger: Final = logging.getLogger("asgi_guard.monitor")
_MAX_PRESSED: Final = 20
_SILENT_SECONDS: Final = 60
_FAR: Final = 1e12  # of times: thirty thousand years
_GENERATION: Final = 30
"""For how many steps the keys under pressure are counted together."""


class Leader:
    """What one process knows of all.

    Args:
        aggregate: what is looked at; what belongs to no guard is looked at as well.
        settings: what is worth an alert.
        clock: the time.

    Attributes:
        moment: what the last step has found.
    """

    def __init__(self, aggregate: Aggregate, settings: Monitor, clock: Clock) -> None:
        self._aggregate = aggregate
        self._settings = settings
        self._clock = clock
        self._alerts = Alerts(settings.rules(), settings.slos, clock=clock)
        self._spent = [(0, 0)] * len(settings.slos)
        self._history = History(settings.period_seconds)
        self._common = aggregate_of_process()
        self._heard_since: dict[str, float] = {}
        self._missed: set[str] = set()
        self._unheard: set[str] = {alert.name for alert in settings.rules() if alert.signal not in SIGNALS}
        self._marks: deque[Mark] = deque(maxlen=TICKS)
        self._generation = 0
        self._earlier: Snapshot | None = None
        self._earlier_ns = 0
        self._seen = Snapshot(())
        self._began_ns = clock.monotonic_ns()
        self._cpu: dict[int, float] = {}
        self._cpu_ns = 0
        self._documents: dict[tuple[str, ...], bytes] = {}
        alerts = self._alerts.states(self._began_ns / 1e9)
        self.moment: Moment = Moment(clock.time(), period_seconds=settings.period_seconds, alerts=alerts)

    def look(self, sample: SystemSample | None, *, is_whole: bool) -> list[AlertEvent]:
        """Look at what was counted since the last time, and return the alerts that began or ended.

        Args:
            sample: how the machine is.
            is_whole: whether a stretch of the history ends here; else only the alerts are judged.
        """
        now_ns = self._clock.monotonic_ns()
        self._seen = self._counted_by_all(with_exponential=is_whole or self._earlier is None)
        unfinished = Stretch()
        if self._earlier is not None:
            unfinished = between(self._earlier, self._seen, (now_ns - self._earlier_ns) / 1e9)
        if is_whole or self._earlier is None:
            if self._earlier is not None:
                self._keep(unfinished, sample)
            unfinished = Stretch()
            self._earlier, self._earlier_ns = self._seen, now_ns
        events = self._judge(now_ns / 1e9, unfinished, sample)
        self._note(now_ns, sample)
        return events

    def _counted_by_all(self, *, with_exponential: bool) -> Snapshot:
        snapshot = self._aggregate.merged(with_exponential=with_exponential)
        common = aggregate_of_process()
        if common is not self._common:  # from now on it is shared: what stood in its folder before is no news
            self._common, self._earlier = common, None
        if common is self._aggregate:
            return snapshot
        return snapshot.merged(common.merged(with_exponential=with_exponential))

    def _keep(self, stretch: Stretch, sample: SystemSample | None) -> None:
        self._history.add(stretch)
        cpu, memory = (None, None) if sample is None else (sample.cpu_percent, sample.memory_percent)
        self._marks.append(Mark(self._clock.time(), cpu, memory))
        counted = [good_and_bad(slo, stretch) for slo in self._settings.slos]
        self._spent = [
            (total + more, bad + worse) for (total, bad), (more, worse) in zip(self._spent, counted, strict=True)
        ]

    def _judge(self, now: float, unfinished: Stretch, sample: SystemSample | None) -> list[AlertEvent]:
        """Judge the alerts by what is in the history, and by what has happened since."""

        @cache
        def recent(seconds: float) -> Stretch:
            return put_together([self._history.window(seconds), unfinished], with_routes=False)

        def read(alert: Alert) -> Reading:
            found = reading_of(alert, recent(alert.window_seconds), self._seen, sample)
            if alert.name in self._unheard:
                self._listen_for(alert, found, now)
            is_new = now - self._heard_since.get(alert.name, -math.inf) < alert.window_seconds
            return NOT_MEASURED if is_new and alert.above is None else found  # a window of it is not full yet

        for budget, spent in zip(self._alerts.budgets, self._spent, strict=True):
            budget.observe(now, *spent)
        return self._alerts.evaluate(now, read)

    def _listen_for(self, alert: Alert, found: Reading, now: float) -> None:
        """Say once of an alert that nothing has measured what it watches: its name may be written wrongly."""
        if found.value is not None:
            self._unheard.discard(alert.name)
            self._heard_since[alert.name] = now
        elif now - self._began_ns / 1e9 >= _SILENT_SECONDS and alert.name not in self._missed:
            self._missed.add(alert.name)
            _logger.warning(
                "the alert %r watches %r, which nothing has measured in the first %d seconds. %s",
                alert.name,
                alert.signal,
                _SILENT_SECONDS,
                did_you_mean(alert.signal, [*SIGNALS, *{point.metric.name for point in self._seen}]) or "",
            )

    def _note(self, now_ns: int, sample: SystemSample | None) -> None:
        self.moment = replace(
            self.moment,
            time=self._clock.time(),
            uptime_seconds=(now_ns - self._began_ns) / 1e9,
            snapshot=self._seen,
            system={} if sample is None else _told(sample),
            alerts=self._alerts.states(now_ns / 1e9),
        )

    def publish(self) -> None:
        """Have ready what this is asked for, and let the other workers know what they are asked for as well.

        Raises:
            OSError: the folder cannot be read, or not be written.
        """
        now_ns = self._clock.monotonic_ns()
        workers = self._aggregate.by_worker()
        pressed = added_up([*self._aggregate.pressure.top(), *_understood(self._aggregate.left())])
        cpu_percent = self._cpu_of(workers, now_ns)
        is_alone = self.moment.is_alone or (not self._aggregate.is_shared and has_siblings())
        self.moment = replace(self.moment, workers=workers, cpu_percent=cpu_percent, pressed=pressed, is_alone=is_alone)
        self._documents = {}
        self._turn()
        if self._aggregate.is_shared:  # also where this one is alone: whoever comes after it goes on with the alerts
            self._aggregate.publish(ALERTS, json.dumps(self.handover()).encode())
        if len(workers) > 1:
            self._aggregate.publish(SUMMARY, self.written(tuple(WINDOWS)))

    def handover(self) -> dict[str, Any]:
        """Return what another process has to know to go on with the alerts."""
        return {"alerts": self.moment.alerts, "quiet": self._alerts.quiet(self._clock.monotonic_ns() / 1e9)}

    def take_over(self, said: object) -> None:
        """Go on with the alerts where another has stopped.

        Args:
            said: what its `handover` was; whatever else it is, this begins anew.
        """
        states, quiet = _of_handover(said)
        now_ns = self._clock.monotonic_ns()
        self._alerts.adopt(now_ns / 1e9, states, quiet)
        self.moment = replace(self.moment, alerts=self._alerts.states(now_ns / 1e9))

    def said(self) -> object:
        """Read what the process that leads, or led last, has said of the alerts; None where it is not to be read."""
        with suppress(OSError, ValueError, RecursionError):
            published = self._aggregate.published(ALERTS)
            return None if published is None else json.loads(published)
        return None

    def _cpu_of(self, workers: Iterable[tuple[int, Snapshot]], now_ns: int) -> dict[int, float]:
        """Tell what each worker has used since the last time, in percent of one core."""
        before, seconds = self._cpu, (now_ns - self._cpu_ns) / 1e9
        self._cpu_ns = now_ns
        self._cpu = {
            number: point.value
            for number, snapshot in workers
            for point in snapshot
            if point.metric.name == PROCESS_CPU_TIME.name
        }
        return {one: 100 * (used - before[one]) / seconds for one, used in self._cpu.items() if one in before}

    def follow(self) -> None:
        """Leave for the worker that leads whom this one refuses, and hear from it which alerts fire.

        Raises:
            OSError: the folder cannot be read, or not be written.
        """
        self._earlier = None  # what happens until this one leads is in another's history
        self._turn()
        states, _ = _of_handover(self.said())
        self.moment = replace(self.moment, alerts=states)
        self._aggregate.leave(json.dumps(self._aggregate.pressure.top()).encode())

    def _turn(self) -> None:
        self._generation += 1
        if self._generation % _GENERATION == 0:
            self._aggregate.pressure.turn()

    def written(self, windows: tuple[str, ...]) -> bytes:
        """Return the summary as JSON, with some of its windows; it changes when a stretch of the history ends."""
        found = self._documents.get(windows)
        if found is None:
            made = document(self._history, list(self._marks), self.moment, windows)
            found = self._documents[windows] = json.dumps(made, separators=(",", ":")).encode()
        return found


def added_up(pressed: Iterable[Pressed]) -> list[Pressed]:
    """Add up what several workers have refused, and return the keys that were refused most often."""
    counts: Counter[tuple[str, str]] = Counter()
    for key, policy, refused in pressed:
        counts[key, policy] += refused
    return [Pressed(key, policy, refused) for (key, policy), refused in counts.most_common(_MAX_PRESSED)]


def _understood(left: Iterable[bytes]) -> Iterator[Pressed]:
    """Read what other workers have left, which may be of another version."""
    for data in left:
        with suppress(ValueError, TypeError, OverflowError, RecursionError):
            yield from [Pressed(str(key), str(policy), int(refused)) for key, policy, refused in json.loads(data)]


def _of_handover(said: object) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Read what another process has said, which may be of another version, or be nothing at all."""
    told = _of_type(said, dict)
    states, quiet = _of_type(told.get("alerts"), list), _of_type(told.get("quiet"), dict)
    return (
        [state for state in states if _is_state(_of_type(state, dict))],
        {name: float(quiet[name]) for name in quiet if _is_number(quiet[name])},
    )


def _of_type(value: Any, kind: type[Any]) -> Any:
    return value if isinstance(value, kind) else kind()


def _is_state(state: Mapping[str, Any]) -> bool:
    are_texts = all(isinstance(state.get(name), str) for name in ("name", "state", "message", "severity"))
    return are_texts and (state.get("since") is None or _is_number(state["since"]))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _FAR


def _told(sample: SystemSample) -> Mapping[str, Any]:
    return {field: getattr(sample, field) for field in sample.__slots__ if field != "time"}
