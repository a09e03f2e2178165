"""Kit: ask a middleware on a real server, and tell what is its own fault from what is the server's.

Each rule is asked twice: of the bare application, which shows what the server does by itself, and of the wrapped one.
Rule 1: what fails bare is the server's, is named, and is never skipped; what passes bare and fails wrapped is not.
Rule 2: what fails is asked once more, of a server that was started for it, and with twice the patience: a machine may
be busy, and some servers never recover from what a rule before has done to them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal

from asgi_guard.testing.conformance import NotConformingError
from asgi_guard.testing.rules.rule import NotApplicableError
from asgi_guard.testing.sockets import refusals, requests, websockets
from asgi_guard.testing.sockets.rule import SocketRule
from asgi_guard.testing.sockets.servers import Served, serving

SOCKET_RULES: Final[tuple[SocketRule, ...]] = (*requests.RULES, *refusals.RULES, *websockets.RULES)
"""Every rule, in the order of their numbers."""

Verdict = Literal["kept", "broken", "the server's", "mended", "-"]
"""Kept; broken by the middleware; broken by the server with and without it; broken by the server alone; not asked."""

Complaints = Mapping[int, str | None]
"""For each rule that was asked, by number: what was wrong, or None."""

_DETAIL_LENGTH: Final = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule.

    Attributes:
        rule: the rule.
        verdict: whose fault it is, if it is one.
        detail: what was wrong.
    """

    rule: SocketRule
    verdict: Verdict
    detail: str = ""

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.verdict:<12} {self.rule.number} {self.rule.name}{detail}"


@dataclass(frozen=True, slots=True)
class SocketReport:
    """What came of all rules on one server; as text it is a table.

    Attributes:
        server: the name of the server.
        outcomes: one for each rule, in order.
    """

    server: str
    outcomes: tuple[Outcome, ...]

    def of(self, verdict: Verdict) -> tuple[Outcome, ...]:
        """Return the outcomes with this verdict."""
        return tuple(outcome for outcome in self.outcomes if outcome.verdict == verdict)

    def raise_for_failures(self) -> None:
        """Raise if the middleware breaks a rule that the server keeps.

        Raises:
            NotConformingError: with a line for each of them, and why it matters.
        """
        if broken := self.of("broken"):
            lines = [f"{outcome}\n       {outcome.rule.why}" for outcome in broken]
            raise NotConformingError("\n".join([f"on {self.server} it breaks what the server keeps", *lines]))

    def __str__(self) -> str:
        return "\n".join([f"on {self.server}", *map(str, self.outcomes)])


def check_served(
    wrap: str,
    server: str = "uvicorn-h11",
    *,
    refuses: bool = False,
    headers: bytes = b"",
    folder: Path | None = None,
    rules: Iterable[SocketRule] = SOCKET_RULES,
    bare: Complaints | None = None,
    patience_seconds: float = 1.0,
) -> SocketReport:
    """Ask a middleware every rule on a real server, which is started for it and stopped.

    Args:
        wrap: names what takes an application and returns the middleware around it: `module:attribute`.
        server: one of `SERVERS`.
        refuses: whether that refuses requests and handshakes for the host `refused.example`, and bodies of more than
            1,000,000 bytes; otherwise the rules about refusals do not apply.
        headers: header lines, each with its CR LF, that every request must have to be let through.
        folder: where the module is, if it is not installed.
        rules: which rules to ask.
        bare: what `ask_bare` said of this server, where several middlewares are asked.
        patience_seconds: how long a client waits for each piece; what fails is asked again with twice as much.

    Raises:
        RuntimeError: the server does not begin to serve; the text has what it said.
    """
    rules = tuple(rules)
    bare = ask_bare(server, headers=headers, rules=rules, patience_seconds=patience_seconds) if bare is None else bare
    start = partial(
        serving, server, wrap, refuses=refuses, headers=headers, folder=folder, patience_seconds=patience_seconds
    )
    wrapped = _ask(start, rules)
    return SocketReport(server, tuple(_outcome(rule, bare, wrapped) for rule in rules))


def ask_bare(
    server: str,
    *,
    headers: bytes = b"",
    rules: Iterable[SocketRule] = SOCKET_RULES,
    patience_seconds: float = 1.0,
) -> Complaints:
    """Ask what a server does by itself.

    Args:
        server: one of `SERVERS`.
        headers: header lines of every request.
        rules: which rules to ask.
        patience_seconds: how long a client waits for each piece.

    Raises:
        RuntimeError: the server does not begin to serve; the text has what it said.
    """
    start = partial(
        serving, server, None, refuses=True, headers=headers, folder=None, patience_seconds=patience_seconds
    )
    return _ask(start, rules)


def _ask(start: Callable[[], AbstractContextManager[Served]], rules: Iterable[SocketRule]) -> Complaints:
    complaints: dict[int, str | None] = {}
    failed: list[SocketRule] = []
    with start() as served:
        for rule in rules:
            with suppress(NotApplicableError):
                complaints[rule.number] = _complaint(served, rule)
                failed += [rule] if complaints[rule.number] else []
    for rule in failed:
        with start() as served:
            served.patience_seconds *= 2
            complaints[rule.number] = _complaint(served, rule)
    return complaints


def _complaint(served: Served, rule: SocketRule) -> str | None:
    try:
        rule.check(served)
    except NotApplicableError:
        raise
    except Exception as exc:  # noqa: BLE001  a server may fail in any way, and all of them are answers
        return (str(exc) or type(exc).__name__)[:_DETAIL_LENGTH]
    return None


def _outcome(rule: SocketRule, bare: Complaints, wrapped: Complaints) -> Outcome:
    if rule.number not in wrapped or rule.number not in bare:
        return Outcome(rule, "-")
    own, server = wrapped[rule.number], bare[rule.number]
    if own is None:
        return Outcome(rule, "kept") if server is None else Outcome(rule, "mended", server)
    return Outcome(rule, "broken", own) if server is None else Outcome(rule, "the server's", server)
