"""One examination: what is known of an application before the checks, and what each of them says.

Rule 1: a check that fails itself is told as skipped, so that the others are made. Rule 2: must never judge here: the
checks do, each by its own questions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, TypeAlias

from asgi_guard.doctor.ask import Answer, Asker
from asgi_guard.doctor.chain import Chain
from asgi_guard.doctor.finding import Finding, Skipped, shown
from asgi_guard.doctor.observatory import Score
from asgi_guard.doctor.servers import Chosen

_LOCAL_STORES: Final = {"MemoryStore"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is told to the doctor.

    Attributes:
        host: the host that the application answers for; None takes it from its settings, or `example.com`.
        path: of the page that is scored.
        error_path: a path at which the application fails, where there is one.
        workers: how many processes serve, 1 or more.
        behind_proxy: whether a proxy stands in front, which speaks TLS and reads the head of each request.
        config: the file with the guard's settings.
        server: who serves.
    """

    host: str | None = None
    path: str = "/"
    error_path: str | None = None
    workers: int = 1
    behind_proxy: bool = False
    config: Path | None = None
    server: Chosen


@dataclass(slots=True, kw_only=True)
class Examination:
    """An application under examination.

    Attributes:
        options: what was told.
        chain: what stands in front.
        asker: asks it.
        home: its answer at the path, over HTTPS.
        score: by the Observatory's rules, once it is known.
        found: the ids of what the checks before have found.
    """

    options: Options
    chain: Chain
    asker: Asker
    home: Answer
    score: Score | None = None
    found: set[str] = field(default_factory=set[str])


Said: TypeAlias = list[Finding | Skipped]
Check: TypeAlias = Callable[[Examination], Awaitable[Said]]


async def made(ids: str, check: Check, x: Examination) -> Said:
    """Make one check."""
    try:
        return await check(x)
    except Exception as error:  # noqa: BLE001  what an application answers is not foreseen
        return [Skipped(ids, f"the check itself failed: {type(error).__name__}: {shown(str(error))}")]


def policies(x: Examination) -> list[Any]:
    """Return the policies of the rate limits: one alone is its own settings."""
    return [
        policy for settings in x.chain.settings("rate_limit") for policy in getattr(settings, "policies", [settings])
    ]


def is_local(policy: Any) -> bool:
    """Tell whether a policy counts in this process."""
    return policy.store is None or type(policy.store).__name__ in _LOCAL_STORES


def usual_host(chain: Chain) -> str:
    """Return a host that the application answers for, with the port at which it does, if only there."""
    for settings in chain.settings("trusted_host"):
        for host in settings.hosts:
            return str(host).replace("*.", "www.", 1).removesuffix(":*")
    return "example.com"


def usual_peer(chain: Chain) -> str | None:
    """Return the address of a proxy that is believed; None where none is."""
    for settings in chain.settings("client_address"):
        for network in settings.trusted:
            if network != "unix:":
                return _first(network)
        if settings.hops is not None:
            return "127.0.0.1"
    return None


def usual_client(chain: Chain) -> str | None:
    """Return the address of a client that is let in, where not everybody is."""
    for settings in chain.settings("ip_filter"):
        for network in settings.allow or ():
            if network != "unix:":
                return _first(network)
    return None


def _first(network: Any) -> str:
    found = ip_network(str(network), strict=False)
    return str(found[0] if found.num_addresses == 1 else found[1])
