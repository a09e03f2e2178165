"""Presets: `SecurityMiddleware`, a guard whose settings are one flat list of names.

They are the names that users of the earlier system have in their code, as arguments or in a dict `SECURITY_CONFIG`.
Each stands for a field of the standard stack, and every other part of it is as in a `Guard`; so all of a guard's own
keywords may stand next to them.

| name                                       | stands for                                                      |
|--------------------------------------------|-----------------------------------------------------------------|
| `rate_limit_requests`, `rate_limit_window` | `rate_limit`: so many in so many seconds, for each client       |
| `max_request_size`                         | `request_limits.max_body_bytes`                                 |
| `allowed_ips`, `blocked_ips`               | `ip_filter.allow` and `.block`; without any, the part is off    |
| `enable_cors`, `cors_origins`              | `cors.origins`; without any, the part is off: nobody is let in  |
| `enable_security_headers`                  | `security_headers`                                              |
| `enable_input_validation`                  | `validation`                                                    |

Must never read the environment in the constructor, and must never take a protection for granted that is not there.

| id    | rule that was broken                           |
|-------|------------------------------------------------|
| AG540 | a switch in the environment says true or false |
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final, Self, Unpack

from asgi_guard.config.part import PREFIX
from asgi_guard.config.reader import Configuration, Source
from asgi_guard.config.sources import from_env
from asgi_guard.engine.types import ASGIApp
from asgi_guard.events import Listener
from asgi_guard.guard import ORDER, Guard, GuardParts
from asgi_guard.limiting.rate import MAX_AMOUNT, MAX_SECONDS, Limit
from asgi_guard.settings import Problem, Problems, shown

SWITCHES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "ENABLE_SECURITY_MIDDLEWARE": (
            "audit",
            "cors",
            "security_headers",
            "trusted_host",
            "https",
            "ip_filter",
            "request_limits",
            "fetch_metadata",
            "rate_limit",
            "validation",
        ),
        "ENABLE_PERFORMANCE_MONITORING": ("telemetry", "monitor"),
        "ENABLE_ERROR_HANDLING": ("error_envelope",),
    }
)
"""What a variable switches off. Who asks, and under which id, is found out in any case."""

_ON: Final = frozenset({"", "true", "1", "on", "yes"})
_OFF: Final = frozenset({"false", "0", "off", "no"})
_OWN: Final = "SecurityMiddleware"
_NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "request_limits.max_body_bytes": f"{_OWN}.max_request_size",
        "ip_filter.allow": f"{_OWN}.allowed_ips",
        "ip_filter.block": f"{_OWN}.blocked_ips",
        "cors.origins": f"{_OWN}.cors_origins",
    }
)


class _GuardKeywords(GuardParts, total=False):
    listeners: Iterable[Listener]


class SecurityMiddleware(Guard):
    """Protect an ASGI application, by the names of the earlier system.

    Args:
        app: the application to wrap.
        rate_limit_requests: how many requests a client may send in a window, 1 to 1,000,000,000.
        rate_limit_window: the length of the window in seconds, 1 to 31,622,400.
        max_request_size: the bytes of a body, at least 1; None for any.
        allowed_ips: addresses and networks that may ask, and nobody else; none lets everybody ask.
        blocked_ips: those that may not.
        enable_cors: let the pages of `cors_origins` read.
        cors_origins: origins, such as `"https://app.example"`; without any, CORS is off.
        enable_security_headers: send them.
        enable_input_validation: refuse input that looks like an attack.
        given: arguments of `Guard`; they win over the names above.

    Raises:
        ConfigError: lists every problem: a host name in a list of addresses, a name that is not known.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        rate_limit_requests: int = 100,
        rate_limit_window: int = 60,
        max_request_size: int | None = 10 * 1024 * 1024,
        allowed_ips: Sequence[str] | None = None,
        blocked_ips: Sequence[str] | None = None,
        enable_cors: bool = True,
        cors_origins: Sequence[str] | None = None,
        enable_security_headers: bool = True,
        enable_input_validation: bool = True,
        **given: Unpack[_GuardKeywords],
    ) -> None:
        problems = Problems(_OWN)
        problems.boolean("enable_cors", enable_cors)
        problems.boolean("enable_security_headers", enable_security_headers)
        problems.boolean("enable_input_validation", enable_input_validation)
        settings: dict[str, Any] = {
            "request_limits": {"max_body_bytes": max_request_size},
            "security_headers": enable_security_headers is not False,
            "validation": enable_input_validation is not False,
        }
        are_numbers = [
            problems.integer("rate_limit_requests", rate_limit_requests, minimum=1, maximum=MAX_AMOUNT),
            problems.integer("rate_limit_window", rate_limit_window, minimum=1, maximum=MAX_SECONDS),
        ]
        if all(are_numbers):
            settings["rate_limit"] = {"rate": Limit(rate_limit_requests, rate_limit_window)}
        if allowed_ips or blocked_ips:
            settings["ip_filter"] = {"allow": allowed_ips or None, "block": blocked_ips or ()}
        if cors_origins and enable_cors:
            settings["cors"] = {"origins": cors_origins}
        problems.known(given, (*ORDER, "listeners", *(SecurityMiddleware.__init__.__kwdefaults__ or ())))
        known = {name: value for name, value in given.items() if name in ORDER or name == "listeners"}
        source = Source(settings, names=dict(_NAMES), problems=list(problems.found))
        Configuration(source, ORDER).apply(partial(super().__init__, app), **known)

    @classmethod
    def from_env(
        cls, app: ASGIApp, environ: Mapping[str, str] | None = None, *, prefix: str = PREFIX, **given: Any
    ) -> Self:
        """Protect an application as the environment says, also by the switches of the earlier system.

        `ENABLE_SECURITY_MIDDLEWARE=false` leaves out what refuses, and the headers; `ENABLE_ERROR_HANDLING=false` the
        error envelope, and `ENABLE_PERFORMANCE_MONITORING=false` whatever measures. They win over everything else.

        Args:
            app: the application to wrap.
            environ: the environment; by default `os.environ`.
            prefix: what other variables begin with; see `Guard.from_env`.
            given: arguments of the constructor.

        Raises:
            ConfigError: lists every problem, under the names of the variables.
        """
        environ = os.environ if environ is None else environ
        configuration = from_env(environ, ORDER, prefix)
        off: dict[str, Any] = {}
        for switch, parts in SWITCHES.items():
            said = environ.get(switch, "").strip().lower()
            off |= dict.fromkeys(parts, False) if said in _OFF else {}
            if said not in _OFF | _ON:
                rule, remedy = "must be true or false", "Write true or false."
                configuration.problems.append(Problem("AG540", switch, shown(said), rule, remedy))
        return configuration.apply(partial(cls, app), **{**given, **off})
