"""What an attacker sends at telemetry: requests of which no two have a method, a host, a path or a header in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from telemetry_watched import Watched

from asgi_guard.testing import StrictServer, http_scope, request_messages
from asgi_guard.testing.scopes import raw_headers

WARM_UP, HOSTILE = 1_000, 20_000


def hostile_scope(number: int) -> dict[str, Any]:
    """Make a request whose method, host, path and headers no other number has."""
    fields = {"Host": f"h{number}.example", "User-Agent": f"agent-{number}", "X-Forwarded-For": f"203.0.113.{number}"}
    return dict(http_scope(f"M{number}", f"/nowhere/{number}", headers=raw_headers(fields)))


async def attack(watched: Watched, numbers: Iterable[int]) -> None:
    """Send such requests."""
    for number in numbers:
        await StrictServer(hostile_scope(number), request_messages()).serve(watched.app)
