"""Checks of the settings: what the guard was told, and what it was not.

Must never read a secret: of a file it asks who may read it, and whether it has names that sound like secrets.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import fields, is_dataclass
from ipaddress import ip_network
from typing import Any, Final

from asgi_guard.doctor.examination import Examination, Said, is_local, policies, usual_peer
from asgi_guard.doctor.finding import Finding, Skipped

_SECRET: Final = re.compile(r"(?im)^[^#\n]{0,200}(?:token|key|password|secret|://[^/\s@]{0,200}:[^/\s@]{1,200}@)")
_SHOWN_BY: Final = {
    "rate_limit": ("DR104",),
    "request_limits": ("DR105", "DR106", "DR107"),
    "request_limits.max_body_bytes": ("DR105",),
    "request_limits.max_headers": ("DR106",),
    "request_limits.max_url_bytes": ("DR107",),
}
"""What finds out by asking that a limit is off: it is told once."""


async def check_guard(x: Examination) -> Said:
    """Look for a guard, and for a second one."""
    if not x.chain.middlewares:
        return [
            Finding(
                "DR001",
                "warning",
                "no guard stands in front of the application",
                "nothing of asgi_guard was found between the server and the routes",
                "Nothing limits, inspects or counts what comes in.",
                "app = Guard(app), or asgi-guard run MODULE:APP",
            )
        ]
    if x.chain.guards > 1:
        return [
            Finding(
                "DR002",
                "warning",
                "several guards do the same work",
                f"{x.chain.guards} guards stand one inside the other",
                "Each request is limited, inspected and counted more than once, and the stricter of two limits wins.",
                "Keep one Guard(...). With asgi-guard run, settings in a file take the place of a Guard in the code.",
            )
        ]
    return []


async def check_dangers(x: Examination) -> Said:
    """Look for settings whose name says that they are dangerous."""
    said = sorted({name for layer in x.chain.layers for name in _dangerous(getattr(layer, "settings", None), 0)})
    return [
        Finding(
            "DR003",
            "error",
            "a dangerous setting is on",
            name,
            "Its name says so: it is for development, or for those who know what they give up.",
            f"Leave {name.rpartition('.')[2]} out.",
        )
        for name in said
    ]


def _dangerous(settings: Any, depth: int) -> list[str]:
    if not is_dataclass(settings) or depth > 2:
        return []
    found: list[str] = []
    for field in fields(settings):
        value = getattr(settings, field.name, None)
        if field.name.startswith("dangerously_") and value is True:
            found.append(f"{type(settings).__name__}.{field.name}")
        for inner in value if isinstance(value, tuple | list) else (value,):  # pyright: ignore[reportUnknownVariableType]
            found += _dangerous(inner, depth + 1)
    return found


async def check_validation(x: Examination) -> Said:
    """Look whether attacks are refused."""
    if not x.chain.middlewares:
        return []
    modes = [settings.mode for settings in x.chain.settings("validation")]
    if "block" in modes:
        return []
    seen = "validation only detects" if modes else "validation is off"
    return [
        Finding(
            "DR004",
            "warning",
            "attacks in what clients send are not refused",
            seen,
            "SQL injection, traversal and their like reach the application; its own checks are all that is left.",
            'Guard(app, validation=True), or validation = "block" in the file',
        )
    ]


async def check_audit(x: Examination) -> Said:
    """Look for an audit log."""
    if not x.chain.middlewares or x.chain.settings("audit"):
        return []
    return [
        Finding(
            "DR005",
            "note",
            "there is no audit log",
            "audit is off",
            "After an incident nothing says who was refused, and who logged in.",
            'Guard(app, audit="audit.jsonl"), with a key from the environment',
        )
    ]


async def check_debug(x: Examination) -> Said:
    """Look for debug modes."""
    on = [*x.chain.debugging]
    fixes = ["debug=False (Django: DEBUG = False) where the application is made"] if on else []
    for name, part in (("error_envelope", "ErrorEnvelope.debug"), ("cors", "CORS.debug")):
        if any(settings.debug for settings in x.chain.settings(name)):
            on.append(part)
            fixes.append(f"no debug in {part.partition('.')[0]}(...)")
    if not on:
        return []
    return [
        Finding(
            "DR006",
            "error",
            "debug mode is on",
            ", ".join(on),
            "Whoever makes it fail reads its code, its paths and its secrets.",
            f"Write {', and '.join(fixes)}.",
        )
    ]


async def check_workers(x: Examination) -> Said:
    """Look what several workers share."""
    workers = x.options.workers
    if workers == 1:
        return []
    said: Said = []
    alone = [policy for policy in policies(x) if is_local(policy)]
    if alone:
        names = ", ".join(dict.fromkeys(str(policy.name) for policy in alone))
        said.append(
            Finding(
                "DR007",
                "warning",
                "each worker counts for itself",
                f"{workers} workers, and the rate limit ({names}) counts in the memory of each",
                f"A client gets up to {workers} times the rate.",
                'RateLimit(..., store="redis://localhost:6379")',
            )
        )
    is_given = x.options.server.is_run or bool(os.environ.get("ASGI_GUARD_SHARED_DIR"))
    telemetry = x.chain.settings("telemetry")
    if telemetry and not is_given and all(one.shared_dir is None and one.aggregate is None for one in telemetry):
        said.append(
            Finding(
                "DR008",
                "warning",
                "the numbers of the workers are not added up",
                f"{workers} workers, and telemetry has no shared_dir",
                "/metrics and the dashboard show one worker, whichever answers.",
                'Telemetry(shared_dir="auto"), or start it by asgi-guard run',
            )
        )
    return said


async def check_trust(x: Examination) -> Said:
    """Look whose word on the client's address is taken."""
    said: Said = []
    for settings in x.chain.settings("client_address"):
        wide = [str(network) for network in settings.trusted if _is_everybody(str(network))]
        if wide:
            said.append(
                Finding(
                    "DR009",
                    "error",
                    "everybody is a trusted proxy",
                    f"client_address trusts {', '.join(wide)}",
                    "Each request says itself whom it comes from: rate limits, bans and the audit log mean nothing.",
                    'client_address=["10.0.0.0/8"]: the networks of the proxies, and no others',
                )
            )
    return said + _of_the_proxy(x)


def _of_the_proxy(x: Examination) -> Said:
    if not x.options.behind_proxy or not x.chain.middlewares:
        return []
    unix = any("unix:" in map(str, settings.trusted) for settings in x.chain.settings("client_address"))
    if usual_peer(x.chain) is not None or unix:
        return []
    server = x.options.server
    if server.facts.trusts and not server.has(server.facts.trust_off):
        return [Skipped("DR010", f"{server.name} reads the proxy's headers itself: {server.facts.trusts}")]
    return [
        Finding(
            "DR010",
            "warning",
            "the proxy in front is not believed",
            "--behind-proxy, and client_address trusts nobody",
            "All clients have the proxy's address: they share one rate limit, and one ban shuts everybody out.",
            'client_address=["127.0.0.1"]: the address of the proxy',
        )
    ]


def _is_everybody(network: str) -> bool:
    if network == "unix:":
        return False
    found = ip_network(network, strict=False)
    return found.prefixlen <= (1 if found.version == 4 else 3)


async def check_file(x: Examination) -> Said:
    """Look who may read the settings file."""
    path = x.options.config
    if path is None:
        return []
    if os.name != "posix":
        return [Skipped("DR012", "who may read a file is asked on POSIX only")]
    others = path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)
    if not others or not _SECRET.search(path.read_text(encoding="utf-8", errors="replace")[:1_000_000]):
        return []
    return [
        Finding(
            "DR012",
            "error",
            "the settings file has secrets, and everybody on the machine may read it",
            f"{path.name} has the mode {stat.S_IMODE(path.stat().st_mode):o}",
            "Any other user, or any program that can be made to read a file, has the token.",
            f"chmod 600 {path.name}, or take the secrets from the environment",
        )
    ]


async def check_endpoints(x: Examination) -> Said:
    """Look who may see the endpoints."""
    said: Said = []
    for settings in x.chain.settings("endpoints"):
        if settings.local is True and (x.options.behind_proxy or not x.options.server.is_run):
            said.append(
                Finding(
                    "DR013",
                    "warning",
                    "whoever asks from this machine sees everything",
                    "endpoints has local=True",
                    "A proxy on the same machine that says for nobody lets all of its clients in.",
                    "Endpoints(token=...), with the token from ASGI_GUARD_TOKEN, and local=False",
                )
            )
        elif settings.token is None and not settings.allowed and not settings.local:
            said.append(
                Finding(
                    "DR013",
                    "note",
                    "nobody may see what the guard counts",
                    "endpoints has neither a token nor allowed networks",
                    "It cannot be read while something goes wrong.",
                    "Guard(app, endpoints=Endpoints(token=...)), or ASGI_GUARD_TOKEN=... where settings are read from "
                    "the environment",
                )
            )
    return said


async def check_limits(x: Examination) -> Said:
    """Look for limits that are off."""
    if not x.chain.middlewares:
        return []
    off = [name for name in _SHOWN_BY if "." not in name and not x.chain.settings(name)]
    for settings in x.chain.settings("request_limits"):
        off += [
            f"request_limits.{name}"
            for name in ("max_body_bytes", "max_headers", "max_header_bytes", "max_url_bytes")
            if getattr(settings, name) is None
        ]
    shadows = [policy.name for policy in policies(x) if policy.shadow]
    off += [f"rate_limit {name!r} (shadow)" for name in shadows]
    off = [name for name in off if x.found.isdisjoint(_SHOWN_BY.get(name, ()))]
    if not off:
        return []
    return [
        Finding(
            "DR014",
            "warning",
            "limits are off",
            ", ".join(off),
            "One client can take all of the memory, or all of the time.",
            "Leave request_limits and rate_limit at their defaults, or give them values.",
        )
    ]
