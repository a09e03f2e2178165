"""Out: hands what the telemetry counts to OpenTelemetry, where somebody has set it up, or has it set up.

A meter provider that somebody has set up gets everything through instruments of its own; one whose exporter is wrapped
gets it from there. Must never import OpenTelemetry where nobody has, unless it is asked to; must never fail a request,
and never set anything up in a constructor.
"""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.errors.exceptions import MissingExtraError

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate, Series
    from asgi_guard.telemetry.settings import Telemetry

_IDLE: Final = frozenset({"_ProxyMeterProvider", "NoOpMeterProvider"})
_NANOSECONDS: Final = 1e9

_logger: Final = logging.getLogger("asgi_guard.telemetry")


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
        self._otlp: Any = None
        self._lock = Lock()
        self.is_waiting: bool = settings.export == "otlp"
        if self.is_waiting and (find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None):
            raise MissingExtraError('telemetry="otlp"', "otel")

    def set_up(self) -> None:
        """Set up OTLP, if it is asked for; again after it was shut down.

        Raises:
            ConfigError: a variable of the environment has a value that is not known.
            MissingExtraError: the exporter is not installed.
        """
        if not self.is_waiting:
            return
        from asgi_guard.telemetry.otlp import setup_otlp

        with self._lock:
            if self.is_waiting:
                self._otlp = setup_otlp(self._aggregate, keep_errors=self._keeps_errors)
                self.is_waiting = False

    def set_up_late(self) -> None:
        """Set it up for a request, where no lifespan has come before; what goes wrong is logged, once."""
        try:
            self.set_up()
        except Exception:
            self.is_waiting = False
            _logger.exception("nothing is sent over OTLP")

    def shut_down(self) -> None:
        """Send what is left, within some seconds; the next lifespan, or request, sets it up again."""
        if self._otlp is not None:
            self._otlp.shutdown()
            self._otlp = None
            self.is_waiting = True

    def both(self, series: Series) -> Any:
        """Return what records a duration in the series, and at the meter provider where that has no other way."""
        recorder = self._recorder(series)
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

    __slots__ = ("_record", "_recorder")

    def __init__(self, series: Series, recorder: Any) -> None:
        self._record = series.record
        self._recorder = recorder

    def record(self, amount: int, trace: tuple[int, int] | None = None) -> None:
        """Record a duration, in nanoseconds."""
        self._record(amount, trace)
        self._recorder(amount / _NANOSECONDS)
