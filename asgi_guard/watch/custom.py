"""Custom: what an application measures of its own: counters, gauges and timings, beside all that the guard counts.

They stand in the aggregate of the process, so they are merged over workers, and found in `/metrics`, in OTLP and in the
summary. The newest values are kept besides, so that a program can look at its own.
Must never fail whoever measures because of a value: what is not finite is left out, and said once. A name that is none
raises at once, since it stands in the program.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections import deque
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import WeakSet

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.monitor.cells import TooManyMetricsError
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.settings import Problems, shown

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate, Series

MAX_CUSTOM: Final = 200
"""The metrics that one program may have of its own."""

MAX_CUSTOM_ATTRIBUTES: Final = 8
"""The attributes of each; a timing has `error.type` besides."""

RESERVED: Final = ("asgi_guard.", "cpython.", "http.", "process.", "system.")
"""What names begin with that are taken."""

ERROR: Final = "error.type"

LONGEST_SECONDS: Final = 1e9
"""The longest timing: thirty years."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,127}")
_ATTRIBUTE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,63}")
_MAX_REMEMBERED: Final = 4_096
_logger: Final = logging.getLogger("asgi_guard.monitor")

_Attributes = Mapping[str, object] | None


class Measurement(NamedTuple):
    """One value, as it was measured.

    Attributes:
        time: when, in UNIX seconds.
        value: seconds of a timing; what a gauge was set to; by how much a counter grew.
        attributes: with their names.
    """

    time: float
    value: float
    attributes: tuple[tuple[str, str], ...]


class Custom:
    """The metrics of one program.

    Args:
        aggregate: where they are counted; by default that of the process, whichever it is.
        retention: how many of the newest values of each metric are kept, 1 to 100,000.
        clock: when they were measured.

    Raises:
        ConfigError: `retention` is out of bounds.
    """

    def __init__(
        self, aggregate: Aggregate | None = None, *, retention: int = 1_000, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        problems = Problems("PerformanceMonitor")
        problems.integer("retention", retention, minimum=1, maximum=100_000)
        problems.raise_if_any()
        self._aggregate = aggregate
        self._retention = retention
        self._clock = clock
        self._lock = Lock()
        self._metrics: dict[str, Metric] = {}
        self._series: dict[tuple[str, tuple[tuple[str, str], ...]], Series] = {}
        self._kept: dict[str, deque[Measurement]] = {}
        self._complained: set[str] = set()
        _alive.add(self)

    def renew_lock(self) -> None:
        """Go on in a process that was just forked: another thread of the parent may have held the lock."""
        self._lock = Lock()

    @property
    def aggregate(self) -> Aggregate:
        """Where it is counted."""
        return self._aggregate or aggregate_of_process()

    def increment(self, name: str, amount: int = 1, attributes: _Attributes = None) -> None:
        """Count: an event, or several at once.

        Args:
            name: of the counter: a letter, and at most 127 of `A-Z a-z 0-9 _ .`.
            amount: a whole number, 0 or more.
            attributes: at most 8; their names are those of the first time, and each value is cut to 256 characters.

        Raises:
            ValueError: the name is none, is taken, or was used for something else; or an attribute has no name.
        """
        number = number_of(amount)
        if not 0 <= number <= 2**53 or number != int(number):
            self._complain(name, f"{shown(amount)} is out of its bounds")
            return
        series = self._found(Kind.COUNTER, name, attributes)
        if series is None:
            return
        try:
            series.add(int(number))
        except (OverflowError, ValueError):
            self._complain(name, "all of it together is out of its bounds")
            return
        self._keep(name, number, attributes)

    def set_gauge(self, name: str, value: float, attributes: _Attributes = None) -> None:
        """Say what something stands at, such as the length of a queue; of several workers' the newest counts.

        Args:
            name: as for `increment`.
            value: any finite number.
            attributes: as for `increment`.

        Raises:
            ValueError: as for `increment`.
        """
        number = number_of(value)
        if not math.isfinite(number):
            self._complain(name, f"{shown(value)} is out of its bounds")
            return
        series = self._found(Kind.GAUGE, name, attributes)
        if series is not None:
            series.set(number)
            self._keep(name, number, attributes)

    def record_timing(self, name: str, seconds: float, attributes: _Attributes = None) -> None:
        """Record how long something took.

        Args:
            name: as for `increment`.
            seconds: 0 to 1,000,000,000.
            attributes: as for `increment`; `error.type` is what went wrong, if anything did.

        Raises:
            ValueError: as for `increment`.
        """
        number = number_of(seconds)
        if not 0 <= number <= LONGEST_SECONDS:
            self._complain(name, f"{shown(seconds)} is out of its bounds")
            return
        series = self._found(Kind.HISTOGRAM, name, attributes)
        if series is not None:
            series.record(int(number * 1e9))
            self._keep(name, number, attributes)

    def measurements(self, name: str) -> list[Measurement]:
        """Return the newest values of a metric that this process has measured, the oldest first."""
        with self._lock:
            return list(self._kept.get(name, ()))

    def names(self) -> dict[str, Kind]:
        """Return the metrics that this process has measured, by name."""
        with self._lock:
            return {name: metric.kind for name, metric in self._metrics.items()}

    def _found(self, kind: Kind, name: str, attributes: _Attributes) -> Series | None:
        key = name, tuple([(one, _text(value)) for one, value in attributes.items()]) if attributes else ()
        series = self._series.get(key)
        if series is not None and series.metric.kind is kind:
            return series
        metric = self._metric(kind, name, attributes or {})
        if metric is None:
            return None
        values = [_text((attributes or {}).get(attribute, "")) for attribute in metric.attributes]
        try:
            series = self.aggregate.series(metric, *values)
        except TooManyMetricsError as exc:
            self._complain(name, f"there are {exc}")
            return None
        if len(self._series) < _MAX_REMEMBERED:
            self._series[key] = series
        return series

    def _metric(self, kind: Kind, name: str, attributes: Mapping[str, object]) -> Metric | None:
        with self._lock:
            known = self._metrics.get(name)
            if known is not None:
                if known.kind is not kind:
                    raise ValueError(f"{name} is a {known.kind.value}, not a {kind.value}")
                return known
            _check(name, attributes)
            if len(self._metrics) >= MAX_CUSTOM:
                self._complain(name, f"there are {MAX_CUSTOM} metrics already")
                return None
            metric = self._metrics[name] = _described(kind, name, attributes)
            self._kept[name] = deque(maxlen=self._retention)
            return metric

    def _keep(self, name: str, value: float, attributes: _Attributes) -> None:
        told = tuple([(one, str(told)[:256]) for one, told in attributes.items()]) if attributes else ()
        kept = self._kept.get(name)
        if kept is not None:
            kept.append(Measurement(self._clock.time(), value, told))

    def _complain(self, name: str, why: str) -> None:
        """Say once of each name why it is left out."""
        if name not in self._complained and len(self._complained) < MAX_CUSTOM:
            self._complained.add(name)
            _logger.warning("%s is not measured: %s; this is said once", name[:128], why)

    def check_timing(self, name: str, attributes: Mapping[str, object]) -> None:
        """Check that a timing may be called so.

        Raises:
            ValueError: it may not, or is something else already.
        """
        _check(name, attributes)
        known = self._metrics.get(name)
        if known is not None and known.kind is not Kind.HISTOGRAM:
            raise ValueError(f"{name} is a {known.kind.value}, not a {Kind.HISTOGRAM.value}")


def _text(value: object) -> str:
    """Return the text of a value, by which it is told: 1, 1.0 and True are equal, and not the same."""
    return value if isinstance(value, str) else str(value)


def number_of(value: Any) -> float:
    """Return what was measured as a number; what is none is not a number."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _check(name: str, attributes: Mapping[str, object]) -> None:
    if not _NAME.fullmatch(name) or name.startswith(RESERVED):
        raise ValueError(
            f"{name[:160]!r} is no name: it is a letter and at most 127 of A-Z a-z 0-9 _ . and begins with none of "
            f"{', '.join(RESERVED)}"
        )
    if len(attributes) > MAX_CUSTOM_ATTRIBUTES + (ERROR in attributes):
        raise ValueError(f"{name} has more than {MAX_CUSTOM_ATTRIBUTES} attributes")
    for attribute in attributes:
        if not _ATTRIBUTE.fullmatch(attribute):
            raise ValueError(f"{attribute[:160]!r} is no name of an attribute")


def _described(kind: Kind, name: str, attributes: Mapping[str, object]) -> Metric:
    names = tuple([attribute for attribute in attributes if attribute != ERROR])
    if kind is Kind.HISTOGRAM:
        said = "Duration, as the application has measured it."
        return Metric(name, "s", said, kind, (*names, ERROR), HTTP_DURATION_BOUNDS, is_exponential=True)
    said = "Number, as the application has set it." if kind is Kind.GAUGE else "Count, as the application has made it."
    return Metric(name, "{value}" if kind is Kind.GAUGE else "{count}", said, kind, names)


_alive: Final[WeakSet[Custom]] = WeakSet()


def _renew_locks() -> None:
    for custom in tuple(_alive):
        custom.renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
