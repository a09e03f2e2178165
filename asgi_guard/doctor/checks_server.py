"""Checks of the server: what it cannot protect from, and what it was told.

Must never start it: what is known of each stands in `servers.py`.
"""

from __future__ import annotations

from dataclasses import replace

from asgi_guard.doctor.examination import Examination, Said
from asgi_guard.doctor.finding import Finding, Skipped
from asgi_guard.doctor.servers import DEVELOPMENT, allowed_by_environment

_PROXY_READS_FIRST = "the proxy reads the head of each request first (nginx: client_header_timeout, 60 seconds)"


async def check_server(x: Examination) -> Said:
    """Look at all that the server does by itself."""
    said = [*_slow(x), *_head(x), *_name(x), *_trust(x), *_stop(x), *_lacks(x), *_development(x)]
    return [_by_run(one) if isinstance(one, Finding) and x.options.server.is_run else one for one in said]


def _by_run(finding: Finding) -> Finding:
    """Say how `asgi-guard run` is told an option of the server's."""
    if " with --" not in finding.fix:
        return finding
    return replace(finding, fix=f"{finding.fix} By asgi-guard run: --server-options='...'.")


def _named(x: Examination) -> str:
    server = x.options.server
    installed = f"{server.installed} is" if server.installed else "is not"
    return f"{server.facts.package} {installed} installed; it was seen in {server.facts.seen}"


def _slow(x: Examination) -> Said:
    server = x.options.server
    if x.options.behind_proxy:
        return [Skipped("DR201", _PROXY_READS_FIRST)]
    if server.facts.slow_headers_seconds is not None:
        return []
    return [
        Finding(
            "DR201",
            "warning",
            f"{server.name} waits for slow headers without end",
            _named(x),
            "One machine holds all connections with a few bytes each (Slowloris); it is over before ASGI begins.",
            "Put a proxy in front (then say --behind-proxy), or serve with hypercorn or granian.",
        )
    ]


def _head(x: Examination) -> Said:
    server = x.options.server
    if x.options.behind_proxy:
        return [Skipped("DR202", "the proxy limits the head of a request (nginx: large_client_header_buffers)")]
    if server.facts.max_head_bytes is not None:
        return []
    if server.name == "uvicorn" and (server.value("--http") == "h11"):
        return []
    return [
        Finding(
            "DR202",
            "note",
            f"{server.name} has no limit for the head of a request",
            f"one header of 800,000 bytes came through; {_named(x)}",
            "The guard refuses what is too large, but the server has it in memory by then.",
            f"Put a proxy in front, or {server.facts.head_fix}",
        )
    ]


def _name(x: Examination) -> Said:
    server = x.options.server
    if server.facts.name_options and server.has(server.facts.name_options):
        return []
    if x.options.behind_proxy:
        return [Skipped("DR203", "the proxy writes Server itself, unless it is told to pass it on")]
    if server.has_own_worker:
        return [Skipped("DR203", "a worker of your own may leave it out: ask for a page, and look at its Server")]
    if server.value("--config") and server.name == "hypercorn":
        return [Skipped("DR203", "hypercorn reads include_server_header from its own file")]
    return [
        Finding(
            "DR203",
            "note",
            f"each answer says Server: {server.facts.name}",
            _named(x),
            "Whoever looks for servers with a known hole finds this one.",
            server.facts.name_fix,
        )
    ]


def _trust(x: Examination) -> Said:
    server, facts = x.options.server, x.options.server.facts
    if server.has(facts.trust_off) and server.name == "uvicorn":
        return []
    everybody = _trusts_everybody(x)
    if everybody:
        return [
            Finding(
                "DR204",
                "error",
                f"{server.name} believes everybody's forwarding headers",
                everybody,
                "It takes the address that the client itself has written.",
                facts.trust_fix or f"Leave out {everybody}, and name the proxies in client_address.",
            )
        ]
    if not facts.trusts or server.has(facts.trust_off) or not x.chain.settings("client_address"):
        return []
    return [
        Finding(
            "DR204",
            "note",
            f"{server.name} reads forwarding headers before the guard does",
            f"it believes {_believed(x)}",
            "The guard then sees what the server has made of them, and cannot tell a proxy from a client.",
            facts.trust_fix,
        )
    ]


def _believed(x: Examination) -> str:
    option, _ = x.options.server.facts.trusts_all
    given = x.options.server.value(option) or allowed_by_environment()
    return f"those of {given}" if given else x.options.server.facts.trusts


def _trusts_everybody(x: Examination) -> str:
    """Return what makes the server believe everybody; empty where nothing does."""
    server = x.options.server
    if not server.facts.trusts_all:
        return ""
    option, value = server.facts.trusts_all
    if not value:
        return option if server.has((option,)) else ""
    given = server.value(option)
    if given is not None:
        return f"{option} '{value}'" if value in given.split(",") else ""
    return f"FORWARDED_ALLOW_IPS={value}" if value in allowed_by_environment().split(",") else ""


def _stop(x: Examination) -> Said:
    server = x.options.server
    if server.facts.stop_seconds is not None or server.has(server.facts.stop_options):
        return []
    return [
        Finding(
            "DR205",
            "note",
            f"{server.name} waits without end when it stops",
            _named(x),
            "One slow client keeps an old process alive through a deployment.",
            server.facts.stop_fix,
        )
    ]


def _lacks(x: Examination) -> Said:
    server = x.options.server
    if not server.facts.lacks:
        return []
    return [
        Finding(
            "DR206",
            "warning",
            f"{server.name} does not do all that the guard builds on",
            server.facts.lacks,
            "What the application opens at startup is missing, and what it should write at shutdown is lost.",
            "Serve with hypercorn or granian, or with uvicorn behind a proxy.",
        )
    ]


def _development(x: Examination) -> Said:
    server = x.options.server
    on = [option for option in DEVELOPMENT if server.has((option,))]
    if not on:
        return []
    return [
        Finding(
            "DR207",
            "warning",
            f"{server.name} is started for development",
            ", ".join(on),
            " ".join(DEVELOPMENT[option] for option in on),
            f"Leave out {', '.join(on)}.",
        )
    ]
