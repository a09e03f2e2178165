"""Load targets: what is asked, and how: an application in this process, or a server on this machine.

Must never follow a redirect: that may lead to another machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import anyio

from asgi_guard.settings import Problems
from asgi_guard.testing.client import call
from asgi_guard.testing.targets import Called, Served, Target, check_callable, checked_url

METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that is asked for.

    Attributes:
        path: the path, with the query where there is one.
        method: of HTTP.
        headers: its own, besides those of the run.
        body: what is sent.
        label: what it is called in the report; by default its method and its path.
    """

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    label: str = ""

    @property
    def name(self) -> str:
        """What it is called."""
        return self.label or f"{self.method} {self.path.partition('?')[0]}"


class LoadTarget(Target, Protocol):
    """What is asked; an async context manager."""

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        ...


def parsed(
    problems: Problems, scenario: Iterable[str | Ask], headers: Mapping[str, str], *, most: int
) -> tuple[Ask, ...]:
    """Read a scenario; what is wrong with it is noted.

    Args:
        problems: where it is noted.
        scenario: paths, methods with paths, or `Ask`s.
        headers: of every request.
        most: how many there may be.
    """
    if isinstance(scenario, str) or not isinstance(scenario, Iterable):
        scenario = [scenario]  # one alone is meant as one
    asks: list[Ask] = []
    for index, given in enumerate(scenario):
        ask = _ask(given)
        if ask is None or ask.method not in METHODS or not ask.path.startswith("/"):
            remedy = 'Write "/items/1", "POST /orders" or Ask("/orders", "POST", body=b"{}").'
            problems.add("AG920", f"scenario[{index}]", given, "must be a path, with or without a method", remedy)
        else:
            asks.append(Ask(ask.path, ask.method, {**headers, **ask.headers}, ask.body, ask.label))
    if not 1 <= len(asks) <= most:
        problems.add("AG920", "scenario", len(asks), f"must be 1 to {most} things to ask for", "Name some paths.")
    return tuple(asks)


def _ask(given: Any) -> Ask | None:
    if isinstance(given, Ask):
        return given
    if not isinstance(given, str):
        return None
    method, space, path = given.strip().partition(" ")
    return Ask(path.strip(), method.upper()) if space else Ask(method)


def target_of(problems: Problems, target: Any, timeout_seconds: float, may_load: str | None) -> LoadTarget:
    """Return what is asked; what is wrong with it is noted.

    Args:
        problems: where it is noted.
        target: an application, or a URL.
        timeout_seconds: after how long a request has failed.
        may_load: the name of a host elsewhere that may be asked.
    """
    if isinstance(target, str):
        return ServedTarget(target, checked_url(problems, target, may_load), timeout_seconds, "To load a server")
    check_callable(problems, target)
    return CalledTarget(target, timeout_seconds)


class CalledTarget(Called):
    """An application that is called in this process, by a strict server."""

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        headers = [*ask.headers.items()]
        answer = await call(
            self._app, ask.method, ask.path, headers=headers, body=ask.body, timeout_seconds=self._timeout
        )
        return answer.status


class ServedTarget(Served):
    """A server."""

    async def ask(self, ask: Ask) -> int:
        """Ask, read the whole answer, and return its status."""
        with anyio.fail_after(self._timeout):
            answer, _ = await self._link.ask(ask.method, ask.path, ask.headers, ask.body, kept_bytes=0)
        return answer.status_code
