"""Out: hands what the telemetry counts to OpenTelemetry, where somebody has set it up, or has it set up.

A meter provider that somebody has set up gets everything through instruments of its own; one whose exporter is wrapped
gets it from there. Must never import OpenTelemetry where nobody has, unless it is asked to; must never fail a request,
and never set anything up in a constructor.
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.errors.exceptions import ConfigError, MissingExtraError
from asgi_guard.monitor.process import aggregate_of_process, remove_abandoned, share
from asgi_guard.settings import Problem, shown
from asgi_guard.telemetry.exposition import append_registry, expect_scrapes
from asgi_guard.telemetry.semconv import REQUEST_DURATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asgi_guard.monitor.cells import Aggregate, Series
    from asgi_guard.monitor.metric import Metric
    from asgi_guard.telemetry.settings import Telemetry

_IDLE: Final = frozenset({"_ProxyMeterProvider", "NoOpMeterProvider"})
_NANOSECONDS: Final = 1e9

_logger: Final = logging.getLogger("asgi_guard.telemetry")


def aggregate_for(settings: Telemetry) -> Aggregate:
    """Return the aggregate that a layer counts in; the folder of a shared one is opened by whoever serves."""
    if settings.aggregate is not None:
        return settings.aggregate
    if settings.shared_dir is None:
        return aggregate_of_process()
    return share(None if settings.shared_dir == "auto" else settings.shared_dir, opens=False)


def duration_metric(aggregate: Aggregate, bounds: Sequence[float], metric: Metric = REQUEST_DURATION) -> Metric:
    """Return a metric of durations with bounds of one's own.

    Raises:
        ConfigError: the aggregate counts durations in other ones.
    """
    if tuple(bounds) != metric.bounds:
        metric = replace(metric, bounds=tuple(map(float, bounds)))
    try:
        aggregate.know(metric)
    except ValueError:
        rule = "must be the same wherever one process counts"
        remedy = "Name them once, or give this one an aggregate of its own."
        raise ConfigError([Problem("AG809", "Telemetry.duration_bounds", shown(bounds), rule, remedy)]) from None
    return metric


class Out:
    """What takes the numbers of one layer out.

    Args:
        settings: whether, and where to.
        aggregate: what has counted them.

    Raises:
        MissingExtraError: OTLP is asked for, and the SDK is not installed.
    """

    def __init__(self, settings: Telemetry, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        self._provider: Any = settings.meter_provider
        self._is_wanted = settings.metrics
        self._keeps_errors = settings.slow_seconds is not None
        self._instruments: Any = None
        self._has_come = False
        self._otlp: Any = None
        self._lock = Lock()
        self._shares = settings.shared_dir is not None
        self._is_default_folder = settings.shared_dir == "auto"
        self._exports = settings.export == "otlp"
        self.is_waiting: bool = self._exports or self._shares
        if settings.registry is not None:
            append_registry(aggregate, settings.registry)
        if settings.export == "prometheus":
            expect_scrapes(aggregate)
        if self._exports and (find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None):
            raise MissingExtraError('telemetry="otlp"', "otel")

    def set_up(self) -> None:
        """Open the folder that is shared, and set up OTLP, where they are asked for.

        Raises:
            ConfigError: the folder cannot be used, or a variable of the environment has a value that is not known.
            MissingExtraError: the exporter is not installed.
        """
        with self._lock:
            if not self.is_waiting:
                return
            self.is_waiting = False
            if self._shares:
                self._open()
            if self._exports:
                from asgi_guard.telemetry.otlp import setup_otlp

                self._otlp = setup_otlp(self._aggregate, keep_errors=self._keeps_errors)

    def _open(self) -> None:
        from asgi_guard.monitor.shared_memory import SharedAggregate

        if self._is_default_folder:
            remove_abandoned()
        try:
            if isinstance(self._aggregate, SharedAggregate):
                self._aggregate.open()
        except ConfigError as error:  # under the name that somebody has written
            raise ConfigError([replace(problem, field="Telemetry.shared_dir") for problem in error.problems]) from None

    def set_up_late(self) -> None:
        """Set it up for a request, where no lifespan has come before; what goes wrong is logged, once."""
        try:
            self.set_up()
        except (ConfigError, MissingExtraError) as error:
            _logger.error("what is counted stays in this process: %s", error)  # noqa: TRY400  it says what to do
        except Exception:
            _logger.exception("what is counted stays in this process")

    def flush(self) -> None:
        """Send what is left, within some seconds; the next lifespan goes on with what is set up."""
        if self._otlp is not None:
            self._otlp.flush()

    def has_come(self) -> bool:
        """Tell, once, that somebody has set up a meter provider, which does not know what was counted before."""
        if self._has_come or self._otlp is not None or not self._is_wanted or self._found() is None:
            return False
        self._has_come = True
        return self._instruments is None

    def both(self, series: Series) -> Any:
        """Return what records a duration in the series, and at the meter provider where that has no other way."""
        try:
            recorder = self._recorder(series)
        except Exception:
            _logger.exception("the meter provider fails: it is not told of %s", series.metric.name)
            return series
        return series if recorder is None else _Both(series, recorder)

    def _recorder(self, series: Series) -> Any:
        if self._otlp is not None:  # it has instruments where somebody else has set up the provider that it uses
            return None if self._otlp.instruments is None else self._otlp.instruments.recorder(series)
        provider = self._found() if self._is_wanted else None
        if provider is None:
            return None
        from asgi_guard.telemetry.otel import Instruments

        with self._lock:
            if self._instruments is None:
                self._instruments = Instruments(provider, self._aggregate)
        return self._instruments.recorder(series)

    def _found(self) -> Any:
        """Return the meter provider; None where there is none that does anything."""
        if self._provider is not None:
            return self._provider
        api: Any = sys.modules.get("opentelemetry.metrics")
        if not hasattr(api, "get_meter_provider"):  # absent, or another thread is importing it
            return None
        provider = api.get_meter_provider()
        return None if type(provider).__name__ in _IDLE else provider


class _Both:
    """A series, and what records the same at a meter provider."""

    __slots__ = ("_name", "_record", "_recorder")

    def __init__(self, series: Series, recorder: Any) -> None:
        self._name = series.metric.name
        self._record = series.record
        self._recorder = recorder

    def record(self, amount: int, trace: tuple[int, int] | None = None) -> None:
        """Record a duration, in nanoseconds."""
        self._record(amount, trace)
        if self._recorder is None:
            return
        try:
            self._recorder(amount / _NANOSECONDS)
        except Exception:
            self._recorder = None  # one that fails once fails for each request
            _logger.exception("the meter provider fails: it is told no more of %s", self._name)
