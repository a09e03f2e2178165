"""Guard: the standard stack, its order as one table, and what it says of itself.

`Guard(app)` is every part that exists with safe defaults, fused into one middleware. Each part takes `True`, `False`,
its settings, or a short form where one is natural. A part that is planned and not built yet is off, is named by
`explain()`, and is refused with a `ConfigError` when somebody asks for it: there are no silent stubs.
Must never read the environment, a file or a clock, and must never start anything: that is `config`, the layers' first
use, and nobody's constructor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from asgi_guard.engine.fuse import Middleware, check_door
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.events import Listener
from asgi_guard.layers.client_address import ClientAddress, ClientAddressLayer
from asgi_guard.layers.error_envelope import ErrorEnvelope, ErrorEnvelopeLayer
from asgi_guard.layers.rate_limit import Rate, RateLimit, RateLimitLayer
from asgi_guard.layers.request_id import RequestID, RequestIDLayer
from asgi_guard.layers.request_limits import RequestLimits, RequestLimitsLayer
from asgi_guard.layers.security_headers import Preset, SecurityHeaders, SecurityHeadersLayer
from asgi_guard.limiting.rate import Limit
from asgi_guard.settings import Problem, Problems, build, shown

if TYPE_CHECKING:  # parts that are off until set are loaded when they are
    from asgi_guard.layers.cors import CORS
    from asgi_guard.layers.fetch_metadata import FetchMetadata
    from asgi_guard.layers.https import HTTPS
    from asgi_guard.layers.ip_filter import IPFilter
    from asgi_guard.layers.trusted_host import TrustedHost

Off = Literal[False]

DEFAULT_RATE: Final = Limit(100, 60, "100/minute")
"""The rate of a guard that was told none, for each client; written out, so that no grammar has to be loaded for it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One place in the standard stack.

    Attributes:
        make: makes the layer from what the part was given; raises ConfigError.
    """

    make: Callable[[Any], Layer]


def _rate_limit(given: Any) -> Layer:
    if given is True:
        return RateLimitLayer(RateLimit(DEFAULT_RATE), yields_to_undeclared_proxy=True)
    if isinstance(given, str | Limit | list | tuple):
        return RateLimitLayer(RateLimit(cast("Rate", given)))
    return RateLimitLayer(build(RateLimit, given, {}))


def _security_headers(given: Any) -> Layer:
    preset = {"preset": given} if isinstance(given, str) else {}
    return SecurityHeadersLayer(build(SecurityHeaders, None if preset else given, preset))


def _listed(field: str, given: Any) -> dict[str, Any]:
    """Read the short form of a part whose one field is a list of texts; nothing where it is no short form."""
    if isinstance(given, str):
        return {field: [given]}
    return {field: given} if given.__class__ in {list, tuple} else {}


def _cors(given: Any) -> Layer:
    from asgi_guard.layers.cors import CORS, CORSLayer

    short = _listed("origins", given)
    return CORSLayer(build(CORS, None if short else given, short))


def _https(given: Any) -> Layer:
    from asgi_guard.layers.https import HTTPS, HTTPSLayer

    mode = {"mode": given} if isinstance(given, str) else {}
    return HTTPSLayer(build(HTTPS, None if mode else given, mode))


def _trusted_host(given: Any) -> Layer:
    from asgi_guard.layers.trusted_host import TrustedHost, TrustedHostLayer

    short = _listed("hosts", given)
    return TrustedHostLayer(build(TrustedHost, None if short else given, short))


def _client_address(given: Any) -> Layer:
    short = {} if isinstance(given, str) else _listed("trusted", given)
    return ClientAddressLayer(build(ClientAddress, None if short else given, short))


def _fetch_metadata(given: Any) -> Layer:
    from asgi_guard.layers.fetch_metadata import FetchMetadata, FetchMetadataLayer

    return FetchMetadataLayer(build(FetchMetadata, given, {}))


def _ip_filter(given: Any) -> Layer:
    from asgi_guard.layers.ip_filter import IPFilter, IPFilterLayer

    if given is True:
        rule, remedy = "must say whom to let in or keep out", "Write a list of networks, or IPFilter(block=[...])."
        raise ConfigError([Problem("AG226", "Guard.ip_filter", "True", rule, remedy)])
    short = {} if isinstance(given, str) else _listed("allow", given)
    return IPFilterLayer(build(IPFilter, None if short else given, short))


ORDER: Final[Mapping[str, Part | None]] = MappingProxyType(
    {
        "telemetry": None,
        "client_address": Part(_client_address),
        "request_id": Part(lambda given: RequestIDLayer(build(RequestID, given, {}))),
        "cors": Part(_cors),
        "security_headers": Part(_security_headers),
        "error_envelope": Part(lambda given: ErrorEnvelopeLayer(build(ErrorEnvelope, given, {}))),
        "endpoints": None,
        "trusted_host": Part(_trusted_host),
        "https": Part(_https),
        "ip_filter": Part(_ip_filter),
        "request_limits": Part(lambda given: RequestLimitsLayer(build(RequestLimits, given, {}))),
        "fetch_metadata": Part(_fetch_metadata),
        "rate_limit": Part(_rate_limit),
        "validation": None,
    }
)
"""The standard stack, outermost first; None stands for a part that is not built yet.

Ids from outside are believed only of trusted proxies, so the address comes before the id. The envelope stands inside
CORS and the headers, so that what it answers carries them. What costs least refuses first.
"""


class Guard(Middleware):
    """Protect an ASGI application.

    Every part takes True (its defaults), False (off) or its settings; some take a short form. Parts that are not built
    yet accept False only.

    Args:
        app: the application to wrap; another guard or middleware of this package is fused with this one.
        request_id: an id for each request, in the log, the response and `scope["state"]`.
        error_envelope: exceptions become answers that tell nothing.
        security_headers: also a preset: `"auto"`, `"api"`, `"web"` or `"strict"`.
        request_limits: sizes of URL, headers and body.
        rate_limit: also a rate such as `"5/second;100/minute"`; the default is `"100/minute"` for each client.
        telemetry: not built yet.
        client_address: whose word on the client's address is taken; also a list of trusted proxies. Told nothing, it
            trusts nobody, and says once in the log when somebody sends a forwarding header.
        cors: off until set; also an origin, or a list of them.
        endpoints: not built yet.
        trusted_host: off until set; also a host, or a list of them.
        https: off until set; also `"redirect"` (as True) or `"require"`.
        ip_filter: off until set; also a list of the networks to let in.
        fetch_metadata: off until set; True keeps requests from other sites out.
        validation: not built yet.
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
        rate_limit: bool | Rate | RateLimit = True,
        telemetry: Off | None = None,
        client_address: bool | Sequence[str] | ClientAddress = True,
        cors: Off | str | Sequence[str] | CORS = False,
        endpoints: Off | None = None,
        trusted_host: Off | str | Sequence[str] | TrustedHost = False,
        https: bool | Literal["redirect", "require"] | HTTPS = False,
        ip_filter: Off | Sequence[str] | IPFilter = False,
        fetch_metadata: bool | FetchMetadata = False,
        validation: Off | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        given = {name: value for name, value in locals().items() if name in ORDER}
        heard_by, layers = _checked(given, app, listeners)
        super().__init__(app, *layers, listeners=heard_by)
        self._own = {layer.name: layer for layer in layers}  # `layers` has those of a guard inside as well

    def explain(self) -> str:
        """Describe each part of the stack, outermost first: its settings, and what it refuses with which status."""
        lines: list[str] = []
        for name, part in ORDER.items():
            layer = self._own.get(name)
            if layer is None:
                lines.append(f"{name}: {'not built yet' if part is None else 'off'}")
            else:
                lines.append(f"{name}: {_told(layer.settings)}")
                lines.extend(f"  {refusal}" for refusal in layer.refusals())
        return "\n".join(lines)

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
    for name, part in ORDER.items():
        value = given[name]
        if value is False or (value is None and part is None):
            continue
        if part is None:
            own.add("AG220", name, value, "is not built yet in this version", f"Leave it out, or write {name}=False.")
        elif value is None:
            own.add("AG221", name, value, "must be True, False or settings", f"To switch it off, write {name}=False.")
        else:
            try:
                layers.append(part.make(value))
            except ConfigError as error:
                problems.extend(error.problems)
    own.extend(problems)
    own.raise_if_any()
    return heard_by, layers


def _told(settings: Any) -> str:
    """Write settings as they would be written in code, functions by their names."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings) if field.init}
    told = [f"{name}={getattr(value, '__qualname__', None) or repr(value)}" for name, value in values.items()]
    return f"{type(settings).__name__}({', '.join(told)})"
