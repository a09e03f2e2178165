"""Watcher: the one thread that looks at what was counted, every few seconds, and says what it finds.

Of several workers that share an aggregate each tells how it is itself; one of them, which holds a lock, looks at all,
and when it dies another goes on.
Rule 1: a request never waits for it; what it does stands in its own thread, and it asks nothing of the network.
Rule 2: nothing starts in a constructor: the thread starts with the first lifespan or request, and again after a fork.
Rule 3: whoever is told of alerts may take their time, or hang: they are told by threads of their own.
Rule 4: it lives as long as somebody needs it, and a step that fails is logged, and does not end it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet, ref

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import Listener, notify
from asgi_guard.watch import names
from asgi_guard.watch.leader import SUMMARY, Leader
from asgi_guard.watch.process import ProcessMeter
from asgi_guard.watch.runtime import GcPauses, LoopLag
from asgi_guard.watch.sinks import Sinks
from asgi_guard.watch.summary import WINDOWS
from asgi_guard.watch.system import System, SystemSample

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate
    from asgi_guard.watch.alert_events import AlertEvent
    from asgi_guard.watch.settings import Monitor

STEPS: Final = 2
"""The steps to a period: each judges the alerts, and the last one ends a stretch of the history."""

_STOP_SECONDS: Final = 2.0
_GENERATIONS: Final = 3  # of CPython's garbage collector
_logger: Final = logging.getLogger("asgi_guard.monitor")
_lock = threading.Lock()


def watch(aggregate: Aggregate) -> Watcher:
    """Return the watcher of an aggregate, by the settings in `to_watch`; call it in a thread, since it reads files."""
    with _lock:
        watcher: Watcher | None = aggregate.watcher
        if watcher is None:
            watcher = aggregate.watcher = Watcher(aggregate, aggregate.to_watch)
        elif watcher.settings != aggregate.to_watch:
            watcher.configure(aggregate.to_watch)
        return watcher


class Watcher:
    """Watches one aggregate.

    Args:
        aggregate: what is watched.
        settings: how often, and what is worth an alert.
        clock: the time.
        system: asked how the machine is; by default this one, or this container.

    Attributes:
        is_running: whether the thread runs, in this process.
        heard_by: layers whose listeners are told of alerts.
        users: who has begun it, and ends it some time.
        settings: as given.
    """

    def __init__(
        self, aggregate: Aggregate, settings: Monitor, *, clock: Clock = SYSTEM_CLOCK, system: System | None = None
    ) -> None:
        self.is_running: bool = False
        self.heard_by: WeakSet[Any] = WeakSet()
        self.users: WeakSet[Any] = WeakSet()
        self._aggregate = aggregate
        self._clock = clock
        self._given_system = system
        self._meter = ProcessMeter(clock)
        pauses = {generation: aggregate.series(names.GC_PAUSE, str(generation)) for generation in range(_GENERATIONS)}
        self._pauses = GcPauses(pauses)
        self._end_observed: Callable[[], object] = bool
        self._reset()
        self.configure(settings)
        _all.add(self)

    def _reset(self) -> None:
        """Begin in a process in which nothing runs yet."""
        self.is_running = False
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._stepping = threading.Lock()
        self._told: dict[str, int] = {}
        self._steps = 0
        self._is_leading = False
        self._sample: SystemSample | None = None
        self._leader: Leader = None  # type: ignore[assignment]  # until it is configured
        self._sinks: tuple[Sinks, ...] = ()  # a parent's have threads that a child has not
        self._lag = LoopLag(self._aggregate.series(names.EVENT_LOOP_LAG))  # no loop of a parent's is asked
        self._listening = Sinks([partial(_hear, self.heard_by)])

    def configure(self, settings: Monitor) -> None:
        """Go on with other settings; the history begins anew, and sinks that were told before are closed.

        An alert whose threshold is the same goes on as it was.
        """
        for sinks in self._sinks:
            sinks.close(0)
        leader = Leader(self._aggregate, settings, self._clock)
        with self._stepping:
            if self._leader is not None:
                leader.take_over(self._leader.handover())
            self.settings: Monitor = settings
            self._system = self._new_system()
            self._leader = leader
            self._sinks = settings.told()

    def _new_system(self) -> System:
        return self._given_system or System(disk_path=self.settings.disk_path, clock=self._clock)

    # Its life --------------------------------------------------------------------------------------------------------

    def begin(self, loop: object = None, user: object = None) -> None:
        """Start the thread, unless it runs.

        Args:
            loop: an event loop that is asked from now on how late it is; or the token of a run of trio.
            user: who needs it until `end` is called for them.
        """
        if user is not None:
            self.users.add(user)
        self._lag.watch(loop)
        if self.is_running:
            return
        with self._starting:
            if self.is_running:
                return
            self.is_running = True
            self._system = self._new_system()  # what was used before it ran is no news
            self._stopped = threading.Event()  # that of a thread before stays set, whenever it looks
            self._steps = 0
            self._end_observed = self._observe()
            self._pauses.start()
            arguments = ref(self), self._stopped
            self._thread = threading.Thread(target=_run, args=arguments, name="asgi_guard.watch", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the process ends, or has too many
                _logger.warning("the monitor has no thread: there is no summary, and there are no alerts")

    def end(self, user: object = None) -> None:
        """Stop the thread, unless somebody else needs it, and let the sinks send what they have, within some seconds.

        Another worker may lead from then on.

        Args:
            user: who needs it no more.
        """
        if user is not None:
            self.users.discard(user)
        if not self.users:
            self._stop()
        self.flush()

    def _stop(self) -> None:
        with self._starting:
            thread, self._thread = self._thread, None
            self._stopped.set()
            self.is_running = False
            self._pauses.stop()
            self._end_observed()
        if thread is not None and thread.is_alive():
            thread.join(_STOP_SECONDS)
        with self._stepping:
            self._is_leading = False
            self._aggregate.step_down()

    def flush(self) -> None:
        """Wait until everybody was told of what has happened, for some seconds at most."""
        for sinks in (*self._sinks, self._listening):
            sinks.close()

    def forked(self) -> None:
        """Know that this is a child of the process that the thread runs in: whoever sends alerts has threads, too."""
        self._end_observed()
        self._reset()
        self.users = WeakSet()
        self.configure(self.settings)

    def _observe(self) -> Callable[[], None]:
        """Let the machine be read off with everything else that is counted."""
        gauges = (
            (names.SYSTEM_CPU_UTILIZATION, partial(self._observed, "cpu_percent", 100)),
            (names.SYSTEM_MEMORY_UTILIZATION, partial(self._observed, "memory_percent", 100)),
            (names.SYSTEM_MEMORY_USAGE, partial(self._observed, "memory_bytes", 1)),
            (names.SYSTEM_FILESYSTEM_UTILIZATION, partial(self._observed, "disk_percent", 100)),
            (names.ALERTS_FIRING, self._firing),
        )
        ends = [self._aggregate.observe(metric, observed) for metric, observed in gauges]

        def end() -> None:
            for one in ends:
                one()

        return end

    def _observed(self, field: str, whole: int) -> Iterable[tuple[tuple[str, ...], float]]:
        value = None if self._sample is None else getattr(self._sample, field)
        return [] if value is None else [((), value / whole)]

    def _firing(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((state["name"],), float(state["state"] == "firing")) for state in self._leader.moment.alerts]

    # Steps -----------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Look once: at what is urgent each time, at everything every other time."""
        with self._stepping:
            is_whole = self._steps % STEPS == 0
            self._steps += 1
            self._lag.probe()
            self._pauses.record()
            if is_whole:
                self._sample = self._system.sample()
                self._tell_of_this_process()
            was_leading, self._is_leading = self._is_leading, self._aggregate.leads()
            events: list[AlertEvent] = []
            if self._is_leading:
                if not was_leading:
                    self._leader.take_over(self._leader.said())
                events = self._leader.look(self._sample, is_whole=is_whole)
        for event in events:  # before anything else can fail
            self._tell(event)
        if is_whole:
            with self._stepping:
                self._leader.publish() if self._is_leading else self._leader.follow()

    def _tell(self, event: AlertEvent) -> None:
        for sinks in (*self._sinks, self._listening):
            sinks(event)

    def _tell_of_this_process(self) -> None:
        sample = self._meter.sample()
        for metric, value in (
            (names.PROCESS_CPU_TIME, int(sample.cpu_seconds * 1e9)),
            (names.PROCESS_MEMORY_USAGE, sample.memory_bytes),
            (names.PROCESS_OPEN_FILES, sample.open_files),
            (names.PROCESS_THREADS, sample.threads),
        ):
            if value is not None:
                self._aggregate.series(metric).add(value - self._told.get(metric.name, 0))
                self._told[metric.name] = value

    # What it says ----------------------------------------------------------------------------------------------------

    def summary(self, windows: Collection[str] = tuple(WINDOWS)) -> bytes:
        """Return the summary as JSON; it may read files, so call it in a thread.

        Args:
            windows: those that are wanted, of `1m`, `5m` and `60m`.
        """
        wanted = tuple([name for name in WINDOWS if name in windows])
        if not self._is_leading:
            published = None
            with suppress(OSError):  # then there is at least what this one knows
                published = self._aggregate.published(SUMMARY)
            if published is not None:
                return _cut(published, wanted)
        with self._stepping:
            return self._leader.written(wanted)

    def warnings(self) -> list[str]:
        """Return a sentence for each alert that fires."""
        return [state["message"] for state in self._leader.moment.alerts if state["state"] == "firing"]


def _hear(heard_by: Iterable[Any], event: AlertEvent) -> None:
    """Let the listeners of all layers hear of an event, each once."""
    listeners: dict[int, Listener] = {id(one): one for layer in list(heard_by) for one in layer.listeners}
    notify(listeners.values(), event)


def _cut(published: bytes, windows: Collection[str]) -> bytes:
    if len(windows) == len(WINDOWS):
        return published
    told = json.loads(published)
    told["windows"] = {name: window for name, window in told["windows"].items() if name in windows}
    return json.dumps(told, separators=(",", ":")).encode()


def _run(watcher: ref[Watcher], stopped: threading.Event) -> None:
    """Step until the watcher stops, or nobody needs it any more; what fails again and again is said once."""
    went_well = STEPS  # of the steps in a row, of which not each looks at everything
    while True:
        found = watcher()
        if found is None:
            return
        try:
            found.step()
            went_well += 1
        except Exception:
            if went_well >= STEPS:
                _logger.exception("the monitor could not look; it tries again, and says no more of it until it could")
            went_well = 0
        seconds = found.settings.period_seconds / STEPS
        del found
        if stopped.wait(seconds):
            return


_all: Final[WeakSet[Watcher]] = WeakSet()


def _forked() -> None:
    global _lock  # noqa: PLW0603  another thread of the parent may have held it
    _lock = threading.Lock()
    for watcher in tuple(_all):
        watcher.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
