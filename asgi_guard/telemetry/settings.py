"""The settings of the telemetry.

| id    | rule that was broken                                                        |
|-------|-----------------------------------------------------------------------------|
| AG800 | a path begins with a slash, and has a `*` at its end alone                  |
| AG801 | a method is named once, in its own case, and is a token (RFC 9110 9.1)      |
| AG802 | a tracer provider has `get_tracer`                                          |
| AG803 | an aggregate is one of `asgi_guard.monitor`                                 |
| AG804 | an aggregate of one's own cannot be shared by naming a folder               |
| AG805 | an access log is True, False, `"errors"`, a share, or its settings          |
| AG806 | a duration is above 0                                                       |
| AG808 | a meter provider has `get_meter`                                            |
| AG807 | the folder that workers share is an absolute path, or `"auto"`              |
| AG809 | the bounds of durations are 1 to 64 numbers above 0 that increase           |
| AG810 | a registry has `collect`                                                    |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypedDict, cast

from asgi_guard.engine.types import Scope
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, MAX_BOUNDS
from asgi_guard.settings import Problems
from asgi_guard.telemetry.access_log import AccessLog
from asgi_guard.telemetry.coexistence import CHOICES, HTTP
from asgi_guard.telemetry.semconv import KNOWN_METHODS

MAX_METHODS: Final = 64
_LONGEST_PATH: Final = 2_048

AccessLogs = bool | float | Literal["errors"] | AccessLog
"""An access log in short, or its settings."""


class TracerProvider(Protocol):
    """Gives tracers, as OpenTelemetry's does."""

    def get_tracer(self, instrumenting_module_name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Return a tracer."""


class Registry(Protocol):
    """Collects metrics, as one of prometheus_client does."""

    def collect(self) -> Any:
        """Return the families."""


class MeterProvider(Protocol):
    """Gives meters, as OpenTelemetry's does."""

    def get_meter(self, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Return a meter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Settings of the telemetry.

    Attributes:
        http: who measures requests where the framework, or OpenTelemetry's middleware, does it too. `"auto"` leaves it
            to them; the guard then measures what it answers itself. `"guard"` measures all, and keeps those of FastAPI
            and Starlette that stand inside from it; OpenTelemetry's cannot be kept from it. `"framework"` leaves it to
            one that the guard does not know.
        excluded_paths: paths of requests that are not measured, such as those of probes: whole ones, or all that begin
            with what stands before a final `*`. Nothing that happens in such a request is traced either.
        exclude: says of a scope whether its request is not measured; asked of those that no path excludes.
        known_methods: the methods that are told apart, 1 to 64; any other is `_OTHER`.
        traffic: whether the bytes of bodies and the messages of WebSockets are counted, message by message.
        spans: whether each request gets a server span, as soon as there is a tracer provider.
        tracer_provider: whose; by default OpenTelemetry's global one.
        metrics: whether a meter provider is told what is counted, as soon as there is one.
        meter_provider: which; by default OpenTelemetry's global one. Durations cost several microseconds more there;
            who wraps their exporter in an `otel_export.GuardMetricExporter` spares that.
        duration_bounds: the upper bounds of the buckets of durations, in seconds: 1 to 64, increasing; by default the
            14 of the conventions. All guards of a process that count together have the same.
        export: `"otlp"` sets up OTLP, for spans and numbers, as the `OTEL_*` variables of the environment say;
            `"prometheus"` sends nothing, and says in the log where nobody may see `/metrics`, which is there anyway.
        registry: a registry of prometheus_client, whose metrics `/metrics` tells too. Of several workers it tells those
            of the one that is asked, unless it is one for several processes.
        is_public: whether the trace of a client is only linked to, and not gone on with.
        slow_seconds: from which duration on a request gets a span though the sampler dropped it, as one that fails
            does; it needs `sampling.KeepErrors` in the provider. None leaves it to the sampler.
        request_headers: the names of request headers to record on spans; what sounds like a secret is redacted.
        response_headers: those of response headers.
        access_log: a line for each request, in JSON: for all of them (True), those that have failed (`"errors"`: from
            400 on, and those without an answer), a share of them between 0 and 1 and all that have failed, or as an
            `AccessLog` says.
        aggregate: where to count; by default in the aggregate of the process.
        shared_dir: the folder in which several workers count together, of this user alone, such as
            `"/run/shop/telemetry"`; `"auto"` for one under the system's temporary directory, keyed by the process that
            started the workers. None counts in the memory of each process.

    Raises:
        ConfigError: a field is wrong.
    """

    http: HTTP = "auto"
    excluded_paths: Sequence[str] = ()
    exclude: Callable[[Scope], bool] | None = None
    known_methods: Sequence[str] = KNOWN_METHODS
    traffic: bool = False
    spans: bool = True
    tracer_provider: TracerProvider | None = None
    metrics: bool = True
    meter_provider: MeterProvider | None = None
    duration_bounds: Sequence[float] = HTTP_DURATION_BOUNDS
    export: Literal["otlp", "prometheus"] | None = None
    registry: Registry | None = None
    is_public: bool = False
    slow_seconds: float | None = None
    request_headers: Sequence[str] = ()
    response_headers: Sequence[str] = ()
    access_log: AccessLogs = False
    aggregate: Aggregate | None = None
    shared_dir: str | None = None

    def __post_init__(self) -> None:
        problems = Problems("Telemetry")
        problems.choice("http", self.http, CHOICES)
        for switch in ("traffic", "spans", "is_public", "metrics"):
            problems.boolean(switch, getattr(self, switch))
        self._check_what_is_left_out(problems)
        self._check_methods(problems)
        for name in ("request_headers", "response_headers"):
            given: Sequence[str] = getattr(self, name)
            if problems.sequence_of_text(name, given):
                for index, header in enumerate(given):
                    problems.header_name(f"{name}[{index}]", header)
        if self.tracer_provider is not None and not callable(getattr(self.tracer_provider, "get_tracer", None)):
            rule, remedy = "must have `get_tracer`", "Give a TracerProvider of OpenTelemetry's SDK, not its name."
            problems.add("AG802", "tracer_provider", self.tracer_provider, rule, remedy)
        if self.meter_provider is not None and not callable(getattr(self.meter_provider, "get_meter", None)):
            rule, remedy = "must have `get_meter`", "Give a MeterProvider of OpenTelemetry's SDK, not its name."
            problems.add("AG808", "meter_provider", self.meter_provider, rule, remedy)
        if self.export is not None:
            problems.choice("export", self.export, ("otlp", "prometheus"))
        if self.registry is not None and not callable(getattr(self.registry, "collect", None)):
            remedy = "Give a CollectorRegistry of prometheus_client, such as its REGISTRY."
            problems.add("AG810", "registry", self.registry, "must have `collect`", remedy)
        self._check_bounds(problems)
        slow = self.slow_seconds
        if slow is not None and problems.number("slow_seconds", slow) and slow <= 0:
            problems.add("AG806", "slow_seconds", slow, "must be above 0", "Write None to leave it to the sampler.")
        self._check_access_log(problems)
        self._check_place(problems)
        problems.raise_if_any()

    def _check_bounds(self, problems: Problems) -> None:
        bounds: object = self.duration_bounds
        rule = f"must be 1 to {MAX_BOUNDS} numbers above 0 that increase"
        if not isinstance(bounds, list | tuple) or not 1 <= len(cast("Sequence[object]", bounds)) <= MAX_BOUNDS:
            problems.add("AG809", "duration_bounds", bounds, rule, "Write seconds: [0.1, 0.5, 1].")
            return
        before = 0.0
        for index, bound in enumerate(cast("Sequence[Any]", bounds)):
            if not problems.number(f"duration_bounds[{index}]", bound):
                return
            if bound <= before:
                problems.add("AG809", f"duration_bounds[{index}]", bound, rule, "Write them in their order.")
                return
            before = bound

    def _check_what_is_left_out(self, problems: Problems) -> None:
        paths = self.excluded_paths
        if problems.sequence_of_text("excluded_paths", paths, max_length=_LONGEST_PATH, ascii_only=False):
            for index, path in enumerate(paths):
                if not path.startswith("/"):
                    remedy = "Write the path alone, without scheme and host."
                    problems.add("AG800", f"excluded_paths[{index}]", path, "must begin with a slash", remedy)
                elif "*" in path[:-1]:
                    remedy = "Name the paths one by one, or decide in `exclude`."
                    problems.add("AG800", f"excluded_paths[{index}]", path, "has its `*` at the end alone", remedy)
        if self.exclude is not None:
            problems.callable("exclude", self.exclude)

    def _check_methods(self, problems: Problems) -> None:
        methods = self.known_methods
        if not problems.sequence_of_text("known_methods", methods, minimum=1, max_length=32):
            return
        problems.integer("known_methods", len(methods), maximum=MAX_METHODS)
        for index, method in enumerate(methods):
            if problems.header_name(f"known_methods[{index}]", method) and method in [*methods][:index]:
                problems.add("AG801", f"known_methods[{index}]", method, "must be named once", "Leave it out.")
            elif method not in KNOWN_METHODS and method.upper() in KNOWN_METHODS:
                rule, remedy = "is written in capitals: methods are case-sensitive", f'Write "{method.upper()}".'
                problems.add("AG801", f"known_methods[{index}]", method, rule, remedy)

    def _check_access_log(self, problems: Problems) -> None:
        log: object = self.access_log
        is_share = isinstance(log, int | float) and 0 <= log <= 1
        if not is_share and log != "errors" and not isinstance(log, AccessLog):
            rule = "must be True, False, 'errors', a share from 0 to 1, or an AccessLog"
            problems.add("AG805", "access_log", log, rule, "Write 0.01 for one line in a hundred.")

    def _check_place(self, problems: Problems) -> None:
        aggregate: object = self.aggregate
        if aggregate is not None and not isinstance(aggregate, Aggregate):
            problems.add(
                "AG803", "aggregate", aggregate, "must be an Aggregate", "Leave it out for that of the process."
            )
        if self.shared_dir is not None:
            is_text = problems.text("shared_dir", self.shared_dir, max_length=_LONGEST_PATH, ascii_only=False)
            if is_text and self.shared_dir != "auto" and not Path(self.shared_dir).is_absolute():
                rule, remedy = "must be an absolute path, or 'auto'", "Workers may stand in different folders."
                problems.add("AG807", "shared_dir", self.shared_dir, rule, remedy)
            if aggregate is not None:
                rule, remedy = "must not be given together with an aggregate", "Leave one of the two out."
                problems.add("AG804", "shared_dir", self.shared_dir, rule, remedy)

    def access_log_settings(self) -> AccessLog | None:
        """Return the settings of the access log, whichever form they were given in; None where there is none."""
        log = self.access_log
        if isinstance(log, AccessLog):
            return log
        if log == "errors":
            return AccessLog(share=0)
        return AccessLog(share=float(cast("float", log))) if log is True or log else None


class TelemetryFields(TypedDict, total=False):
    """The fields of `Telemetry`, for keyword arguments."""

    http: HTTP
    excluded_paths: Sequence[str]
    exclude: Callable[[Scope], bool] | None
    known_methods: Sequence[str]
    traffic: bool
    spans: bool
    tracer_provider: TracerProvider | None
    metrics: bool
    meter_provider: MeterProvider | None
    duration_bounds: Sequence[float]
    export: Literal["otlp", "prometheus"] | None
    registry: Registry | None
    is_public: bool
    slow_seconds: float | None
    request_headers: Sequence[str]
    response_headers: Sequence[str]
    access_log: AccessLogs
    aggregate: Aggregate | None
    shared_dir: str | None
