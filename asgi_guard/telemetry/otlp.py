"""OTLP: spans and numbers to a collector, as the `OTEL_*` variables of OpenTelemetry's specification say.

Only `OTEL_SDK_DISABLED` and what chooses between exporters are read by us, see `otlp_variables`. Endpoint, headers,
sampler, resource, intervals and queues are the SDK's to read.
Rule 1: providers that somebody has set up are used, and never replaced.
Rule 2: no request waits for a collector, and neither does the end of the process for more than a few seconds.
Rule 3: nothing is set up by a constructor or an import: threads that it starts belong to the process that serves.
"""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final, Literal
from weakref import WeakSet

from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.telemetry.otlp_variables import FEATURE, chosen_exporters, exporter_class, need

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate
    from asgi_guard.telemetry.otel import Instruments

SHUTDOWN_SECONDS: Final = 5.0
"""How long the end of a process waits for the last numbers and spans to leave."""

_NOT_SET_UP: Final = frozenset({"ProxyTracerProvider", "_ProxyMeterProvider"})

_logger: Final = logging.getLogger("asgi_guard.telemetry")
_lock: Final = Lock()
_made: Final[WeakSet[Any]] = WeakSet()
_current: Otlp | None = None


class Otlp:
    """What sends spans and numbers to a collector.

    Attributes:
        tracer_provider: where to get tracers from; None where no spans are wanted.
        meter_provider: where numbers leave; None where none are wanted.
        instruments: ours at it; they record durations only where it is somebody else's.
        is_over: whether it was shut down.
    """

    def __init__(self, tracer_provider: Any, meter_provider: Any, instruments: Instruments | None) -> None:
        self.tracer_provider: Any = tracer_provider
        self.meter_provider: Any = meter_provider
        self.instruments: Instruments | None = instruments
        self.is_over: bool = False
        self._last_seconds = SHUTDOWN_SECONDS
        atexit.register(self._end)

    def flush(self, timeout_seconds: float = SHUTDOWN_SECONDS) -> bool:
        """Send what is left, and go on: a process may have several lifespans, and has one global provider of a kind.

        Args:
            timeout_seconds: how long to wait, 0 or more. What has not left by then may still do so.

        Returns:
            Whether everything was done in time. Where it was not, the end of the process waits no second time.
        """
        in_time = self._each("force_flush", timeout_seconds)
        self._last_seconds = SHUTDOWN_SECONDS if in_time else 0.0
        return in_time

    def shutdown(self, timeout_seconds: float = SHUTDOWN_SECONDS) -> bool:
        """Send what is left, and stop; providers that others have set up go on.

        Args:
            timeout_seconds: how long to wait, 0 or more. What has not left by then may still do so until the process
                ends, and is lost with it.

        Returns:
            Whether everything was done in time.
        """
        atexit.unregister(self._end)
        if self.is_over:
            return True
        self.is_over = True
        return self._each("shutdown", timeout_seconds)

    def _end(self) -> None:
        self.shutdown(self._last_seconds)

    def _each(self, what: Literal["force_flush", "shutdown"], timeout_seconds: float) -> bool:
        """Have our providers do something, each in a thread of its own; tell whether all was done in time."""
        mine = [provider for provider in (self.tracer_provider, self.meter_provider) if provider in _made]
        threads = [
            Thread(target=_done, args=(getattr(provider, what),), name="asgi_guard.otlp", daemon=True)
            for provider in mine
        ]
        deadline = time.monotonic() + timeout_seconds
        for thread in threads:
            try:
                thread.start()
            except RuntimeError:  # some versions of Python start no thread at exit
                thread.run()
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)


def _done(what: Callable[[], object]) -> None:
    try:
        what()
    except Exception as failure:  # noqa: BLE001  a reader that could not collect in time
        _logger.warning("%s: what is left has not all been sent: %s", FEATURE, failure)


def setup_otlp(
    aggregate: Aggregate | None = None, environ: Mapping[str, str] | None = None, *, keep_errors: bool = False
) -> Otlp:
    """Set up what sends spans and numbers to a collector; once a process, whoever asks.

    Args:
        aggregate: what to send; by default the aggregate of the process.
        environ: the variables that choose between exporters; by default `os.environ`. The SDK reads all others from
            the environment itself.
        keep_errors: whether the sampler is asked again for requests that have failed; see `sampling.KeepErrors`.

    Raises:
        ConfigError: a variable has a value that is not known.
        MissingExtraError: OpenTelemetry's SDK, or its exporter, is not installed.
    """
    global _current  # noqa: PLW0603  it is about the process
    with _lock:
        if _current is None or _current.is_over:
            _current = _set_up(aggregate, os.environ if environ is None else environ, keep_errors=keep_errors)
        return _current


def _set_up(aggregate: Aggregate | None, environ: Mapping[str, str], *, keep_errors: bool) -> Otlp:
    chosen = chosen_exporters(environ)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Otlp(None, None, None)
    makers = {
        signal: [exporter_class(signal, exporter) for exporter in exporters] for signal, exporters in chosen.items()
    }
    resource = need("opentelemetry.sdk.resources", "otel").Resource.create()
    tracers = _tracer_provider(makers["traces"], resource, keep_errors=keep_errors) if makers["traces"] else None
    meters = _meter_provider(makers["metrics"], resource, aggregate) if makers["metrics"] else None
    if meters is None:
        return Otlp(tracers, None, None)
    from asgi_guard.telemetry.otel import Instruments

    return Otlp(tracers, meters, Instruments(meters, aggregate or aggregate_of_process()))


def _tracer_provider(makers: Sequence[Callable[[], Any]], resource: Any, *, keep_errors: bool) -> Any:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    found = trace.get_tracer_provider()
    if _is_theirs(found):
        _logger.warning("%s: spans go to the tracer provider that is set up already", FEATURE)
        return found
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if keep_errors:
        from asgi_guard.telemetry.sampling import KeepErrors

        provider.sampler = KeepErrors(provider.sampler)
    for make in makers:
        provider.add_span_processor(BatchSpanProcessor(make()))
    _made.add(provider)
    if found not in _made:  # there is one global provider in the life of a process, which may be over
        trace.set_tracer_provider(provider)
    return provider


def _meter_provider(makers: Sequence[Callable[[], Any]], resource: Any, aggregate: Aggregate | None) -> Any:
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    from asgi_guard.telemetry.otel_export import GuardMetricExporter

    found = metrics.get_meter_provider()
    if _is_theirs(found):
        _logger.warning("%s: numbers go to the meter provider that is set up already", FEATURE)
        return found
    readers = [PeriodicExportingMetricReader(GuardMetricExporter(make(), aggregate)) for make in makers]
    provider = MeterProvider(readers, resource, shutdown_on_exit=False)
    _made.add(provider)
    if found not in _made:
        metrics.set_meter_provider(provider)
    return provider


def _is_theirs(provider: Any) -> bool:
    """Tell whether a provider is one that somebody else has set up."""
    return type(provider).__name__ not in _NOT_SET_UP and provider not in _made
