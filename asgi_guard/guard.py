"""Guard: the standard stack, its order as one table, and what it says of itself.

`Guard(app)` is every part that exists with safe defaults, fused into one middleware. Each part takes `True`, `False`,
its settings, or a short form where one is natural.
Its constructor must never read the environment, a file or a clock, and must never start anything: that is for those who
ask for it by `from_env` and `from_toml`, and for the layers' first use.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypedDict, Unpack, cast

from asgi_guard.config.part import PREFIX, Part
from asgi_guard.config.told import explained, told
from asgi_guard.engine.fuse import Middleware, check_door, restructuring
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.events import Listener
from asgi_guard.layers.client_address import ClientAddress, ClientAddressLayer
from asgi_guard.layers.endpoints import Endpoints, EndpointsLayer
from asgi_guard.layers.error_envelope import ErrorEnvelope, ErrorEnvelopeLayer
from asgi_guard.layers.rate_limit import Rate, RateLimit, RateLimitLayer
from asgi_guard.layers.request_id import RequestID, RequestIDLayer
from asgi_guard.layers.request_limits import RequestLimits, RequestLimitsLayer
from asgi_guard.layers.security_headers import Preset, SecurityHeaders, SecurityHeadersLayer
from asgi_guard.layers.telemetry import Telemetry, TelemetryLayer
from asgi_guard.limiting.rate import Limit
from asgi_guard.settings import Problem, Problems, shown

if TYPE_CHECKING:  # parts that are off until set are loaded when they are
    from asgi_guard.inspection.settings import Validation
    from asgi_guard.layers.audit import Audit
    from asgi_guard.layers.cors import CORS
    from asgi_guard.layers.fetch_metadata import FetchMetadata
    from asgi_guard.layers.https import HTTPS
    from asgi_guard.layers.ip_filter import IPFilter
    from asgi_guard.layers.monitor import Monitor
    from asgi_guard.layers.trusted_host import TrustedHost

Off = Literal[False]
Table = Mapping[str, Any]

DEFAULT_RATE: Final = Limit(100, 60, "100/minute")
"""The rate of a guard that was told none, for each client; written out, so that no grammar has to be loaded for it."""


def _cors() -> tuple[type[CORS], type[Layer]]:
    from asgi_guard.layers.cors import CORS, CORSLayer

    return CORS, CORSLayer


def _https() -> tuple[type[HTTPS], type[Layer]]:
    from asgi_guard.layers.https import HTTPS, HTTPSLayer

    return HTTPS, HTTPSLayer


def _trusted_host() -> tuple[type[TrustedHost], type[Layer]]:
    from asgi_guard.layers.trusted_host import TrustedHost, TrustedHostLayer

    return TrustedHost, TrustedHostLayer


def _fetch_metadata() -> tuple[type[FetchMetadata], type[Layer]]:
    from asgi_guard.layers.fetch_metadata import FetchMetadata, FetchMetadataLayer

    return FetchMetadata, FetchMetadataLayer


def _ip_filter() -> tuple[type[IPFilter], type[Layer]]:
    from asgi_guard.layers.ip_filter import IPFilter, IPFilterLayer

    return IPFilter, IPFilterLayer


def _validation() -> tuple[type[Validation], type[Layer]]:
    from asgi_guard.inspection.settings import Validation
    from asgi_guard.layers.validation import ValidationLayer

    return Validation, ValidationLayer


def _monitor() -> tuple[type[Monitor], type[Layer]]:
    from asgi_guard.layers.monitor import Monitor, MonitorLayer

    return Monitor, MonitorLayer


def _audit() -> tuple[type[Audit], type[Layer]]:
    from asgi_guard.layers.audit import Audit, AuditLayer

    return Audit, AuditLayer


def _default_rate_limit() -> Layer:
    return RateLimitLayer(RateLimit(DEFAULT_RATE), yields_to_undeclared_proxy=True)


def _untold(part: str, rule: str, remedy: str) -> Layer:
    raise ConfigError([Problem("AG226", f"Guard.{part}", "True", rule, remedy)])


_no_audit = partial(_untold, "audit", "must say where it is written", 'Write "audit.jsonl", or Audit(sinks=["log"]).')
_WHOM: Final = "must say whom to let in or keep out"
_no_ip_filter = partial(_untold, "ip_filter", _WHOM, "Write a list of networks, or IPFilter(block=[...]).")

ORDER: Final[Mapping[str, Part]] = MappingProxyType(
    {
        "telemetry": Part(lambda: (Telemetry, TelemetryLayer), "export", (str,)),
        "monitor": Part(_monitor, takes_table=True),
        "client_address": Part(lambda: (ClientAddress, ClientAddressLayer), "trusted", (list, tuple)),
        "request_id": Part(lambda: (RequestID, RequestIDLayer)),
        "audit": Part(_audit, "path", (str,), default=_no_audit),
        "cors": Part(_cors, "origins", (str, list, tuple), wraps=True),
        "security_headers": Part(lambda: (SecurityHeaders, SecurityHeadersLayer), "preset", (str,)),
        "error_envelope": Part(lambda: (ErrorEnvelope, ErrorEnvelopeLayer)),
        "endpoints": Part(lambda: (Endpoints, EndpointsLayer), words={"local": {"local": True}}),
        "trusted_host": Part(_trusted_host, "hosts", (str, list, tuple), wraps=True),
        "https": Part(_https, "mode", (str,)),
        "ip_filter": Part(_ip_filter, "allow", (list, tuple), default=_no_ip_filter),
        "request_limits": Part(lambda: (RequestLimits, RequestLimitsLayer)),
        "fetch_metadata": Part(_fetch_metadata),
        "rate_limit": Part(
            lambda: (RateLimit, RateLimitLayer),
            "rate",
            (str, Limit, list, tuple),
            many="RateLimits.policies",
            default=_default_rate_limit,
        ),
        "validation": Part(_validation, "mode", (str,), takes_table=True),
    }
)
"""The standard stack, outermost first.

Ids from outside are believed only of trusted proxies, so the address comes before the id. The envelope stands inside
CORS and the headers, so that what it answers carries them. What costs least refuses first.
"""


class GuardParts(TypedDict, total=False):
    """The parts of the standard stack, as the guard takes them."""

    request_id: bool | RequestID
    error_envelope: bool | ErrorEnvelope
    security_headers: bool | Preset | SecurityHeaders
    request_limits: bool | RequestLimits
    rate_limit: bool | Rate | RateLimit | Sequence[RateLimit]
    telemetry: bool | Literal["otlp", "prometheus"] | Telemetry
    monitor: bool | Monitor | Table
    client_address: bool | Sequence[str] | ClientAddress
    audit: Off | str | Audit
    cors: Off | str | Sequence[str] | CORS
    endpoints: bool | Literal["local"] | Endpoints
    trusted_host: Off | str | Sequence[str] | TrustedHost
    https: bool | Literal["redirect", "require"] | HTTPS
    ip_filter: Off | Sequence[str] | IPFilter
    fetch_metadata: bool | FetchMetadata
    validation: bool | Literal["block", "detect"] | Validation | Table


class Guard(Middleware):
    """Protect an ASGI application.

    Every part takes True (its defaults), False (off) or its settings; some take a short form.

    Args:
        app: the application to wrap; another guard or middleware of this package is fused with this one.
        request_id: an id for each request, in the log, the response and `scope["state"]`.
        error_envelope: exceptions become answers that tell nothing.
        security_headers: also a preset: `"auto"`, `"api"`, `"web"` or `"strict"`.
        request_limits: sizes of URL, headers and body.
        rate_limit: also a rate such as `"5/second;100/minute"`; the default is `"100/minute"` for each client.
        telemetry: what the application and every part of the guard do is counted and measured; also `"otlp"`, which
            sends it to a collector, or `"prometheus"`, which asks for it at `/metrics`.
        monitor: what was counted is watched: the summary and the dashboard of the endpoints, and alerts; also a dict of
            the fields of its settings, such as `{"alert_thresholds": {"error_rate": 2.0}}`.
        client_address: whose word on the client's address is taken; also a list of trusted proxies. Told nothing, it
            trusts nobody, and says once in the log when somebody sends a forwarding header.
        audit: off until set; also the path of a file: what was refused, and what the application reports.
        cors: off until set; also an origin, or a list of them.
        endpoints: `/health`, `/livez` and `/readyz` for everybody, their details and `/metrics` for whoever may see
            them; also `"local"`, which lets in whoever asks from this machine, for development.
        trusted_host: off until set; also a host, or a list of them.
        https: off until set; also `"redirect"` (as True) or `"require"`.
        ip_filter: off until set; also a list of the networks to let in.
        fetch_metadata: off until set; True keeps requests from other sites out.
        validation: attacks in what the client sends are refused; also `"detect"`, which only tells the listeners;
            or a dict of the fields of its settings.
        listeners: called with each event; see `asgi_guard.events`.

    Raises:
        ConfigError: lists every problem of every part.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        request_id: bool | RequestID = True,
        error_envelope: bool | ErrorEnvelope = True,
        security_headers: bool | Preset | SecurityHeaders = True,
        request_limits: bool | RequestLimits = True,
        rate_limit: bool | Rate | RateLimit | Sequence[RateLimit] = True,
        telemetry: bool | Literal["otlp", "prometheus"] | Telemetry = True,
        monitor: bool | Monitor | Table = True,
        client_address: bool | Sequence[str] | ClientAddress = True,
        audit: Off | str | Audit = False,
        cors: Off | str | Sequence[str] | CORS = False,
        endpoints: bool | Literal["local"] | Endpoints = True,
        trusted_host: Off | str | Sequence[str] | TrustedHost = False,
        https: bool | Literal["redirect", "require"] | HTTPS = False,
        ip_filter: Off | Sequence[str] | IPFilter = False,
        fetch_metadata: bool | FetchMetadata = False,
        validation: bool | Literal["block", "detect"] | Validation | Table = True,
        listeners: Iterable[Listener] = (),
    ) -> None:
        given = {name: value for name, value in locals().items() if name in ORDER}
        self._heard_by, layers = _checked(given, app, listeners)
        self._own = {layer.name: layer for layer in layers}  # `layers` has those of a guard inside as well
        self._tell()
        super().__init__(app, *layers)

    @classmethod
    def from_mapping(cls, app: ASGIApp, settings: Mapping[str, Any], **given: Any) -> Self:
        """Protect an application as a mapping says.

        Args:
            app: the application to wrap.
            settings: for each part True, False, a table of the fields of its settings, a short form, or the settings
                themselves: `{"rate_limit": "5/second", "request_limits": {"max_body_bytes": 1_000_000}}`.
            given: arguments of the constructor; they win over the mapping, which is checked all the same.

        Raises:
            ConfigError: lists every problem, under the names of the mapping: `request_limits.max_body_bytes`.
        """
        from asgi_guard.config import sources

        return sources.from_mapping(settings, ORDER).apply(partial(cls, app), **given)

    @classmethod
    def from_toml(
        cls,
        app: ASGIApp,
        path: str | PathLike[str],
        environ: Mapping[str, str] | None = None,
        *,
        prefix: str = PREFIX,
        **given: Any,
    ) -> Self:
        """Protect an application as a TOML file says.

        Args:
            app: the application to wrap.
            path: the file, of at most 1,000,000 bytes; a key or a table for each part.
            environ: an environment such as `os.environ`, whose variables win over the file, as in `from_env`, field by
                field; by default, none is read.
            prefix: what the variables begin with.
            given: arguments of the constructor; they win over both, which are checked all the same.

        Raises:
            ConfigError: lists every problem, under the names of the file; or says why and at which line it cannot be
                read.
        """
        from asgi_guard.config import sources

        return sources.from_toml(path, ORDER, environ, prefix).apply(partial(cls, app), **given)

    @classmethod
    def from_env(
        cls, app: ASGIApp, environ: Mapping[str, str] | None = None, *, prefix: str = PREFIX, **given: Any
    ) -> Self:
        """Protect an application as the environment says.

        `ASGI_GUARD_RATE_LIMIT=5/second` is a part, `ASGI_GUARD_REQUEST_LIMITS__MAX_BODY_BYTES=1000000` a field of its
        settings. Lists have commas or are JSON, tables are JSON, and there are `true`, `false` and `none`.

        Args:
            app: the application to wrap.
            environ: the environment; by default `os.environ`.
            prefix: what the variables begin with; every variable that does is read, but for `ASGI_GUARD_APP`,
                `ASGI_GUARD_APP_DIR`, `ASGI_GUARD_CONFIG`, `ASGI_GUARD_RUN` and `ASGI_GUARD_WORKERS`.
                `ASGI_GUARD_TOKEN` is short for the token of the endpoints, `ASGI_GUARD_SHARED_DIR` for the folder of
                the telemetry.
            given: arguments of the constructor; they win over the environment, which is checked all the same.

        Raises:
            ConfigError: lists every problem, under the names of the variables.
        """
        from asgi_guard.config import sources

        environ = os.environ if environ is None else environ
        return sources.from_env(environ, ORDER, prefix).apply(partial(cls, app), **given)

    def explain(self, *, whole: bool = False) -> str:
        """Describe each part of the stack, outermost first: its settings, and what it refuses with which status.

        Args:
            whole: tell also the settings that are as by default.
        """
        return explained(ORDER, self._own, whole=whole)

    def reconfigure(self, **parts: Unpack[GuardParts]) -> None:
        """Go on with other settings, from the next request on.

        Requests that are on their way keep the settings that they began with. What was counted stays: the new part
        goes on with the counts, bans and places in use of the one that stood in its place. Nothing changes unless
        everything is right.

        Args:
            parts: those that change, as the constructor takes them; the others stay as they are.

        Raises:
            ConfigError: lists every problem of every part.
        """
        _, made = _checked(parts, self.app, self._heard_by)
        with restructuring:  # a signal may ask for it in a thread of its own
            new = {layer.name: layer for layer in made}
            own = {name: new.get(name) or self._own.get(name) for name in ORDER if name in new or name not in parts}
            off = [layer for name, layer in self._own.items() if name not in own]
            for name, layer in new.items():
                if name in self._own:
                    layer.take_over(self._own[name])
            self._own = {name: layer for name, layer in own.items() if layer is not None}
            self._tell()
            self._replace_layers(self._own.values(), off)
            for layer in off:
                layer.leave()

    def part(self, name: str) -> Any:
        """Return the layer of a part that is on, which is another one after that part was reconfigured.

        Raises:
            KeyError: the part is off, or there is none of this name.
        """
        return self._own[name]

    def _tell(self) -> None:
        """Let everybody who listens hear of every layer."""
        heard_by = *self._heard_by, *[layer.hears for layer in self._own.values() if layer.hears is not None]
        for layer in self._own.values():
            layer.listeners = heard_by
            layer.stands_among(lambda: {name: told(part.settings) for name, part in self._own.items()})

    def __repr__(self) -> str:
        """Name the application and the parts that are on."""
        return f"<Guard of {shown(self.app)}: {', '.join(self._own) or 'nothing'}>"


def _checked(
    given: Mapping[str, Any], app: object, listeners: Iterable[Listener]
) -> tuple[tuple[Listener, ...], list[Layer]]:
    """Make the layers, and find every problem before the first is raised."""
    problems: list[Problem] = []
    layers: list[Layer] = []
    own = Problems("Guard")
    heard_by = check_door(own, app, listeners)
    own.known(given, ORDER)
    for name, part in ORDER.items():
        value = given.get(name, False)
        if value is False:
            continue
        if value is None:
            own.add("AG221", name, value, "must be True, False or settings", f"To switch it off, write {name}=False.")
        else:
            try:
                is_table = part.takes_table and isinstance(value, Mapping)
                layers.append(part.make(_of_table(name, cast("Mapping[str, Any]", value)) if is_table else value))
            except ConfigError as error:
                problems.extend(error.problems)
    own.extend(problems)
    _check_hearing(own, layers)
    own.raise_if_any()
    return heard_by, layers


def _of_table(name: str, table: Mapping[str, Any]) -> Any:
    """Make the settings of a part of a table of their fields, as a file has them."""
    from asgi_guard.config import sources

    return sources.from_mapping({name: table}, ORDER).apply(dict[str, Any])[name]


def _check_hearing(problems: Problems, layers: Iterable[Layer]) -> None:
    """Refuse a layer that waits for word of parts that are none: it would wait for ever."""
    for layer in layers:
        for name in layer.hears_of:
            if name not in ORDER:
                remedy = f"Name one of {', '.join(ORDER)}."
                problems.add("AG232", layer.name, name, "must count the refusals of parts of the guard", remedy)
