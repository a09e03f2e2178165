"""Conformance: does a middleware keep the rules of ASGI?

Three lines ask, on anybody's middleware:

    async def test_my_middleware_keeps_the_rules():
        report = await check_middleware(MyMiddleware)
        report.raise_for_failures()

Outside of a test, `print(anyio.run(check_middleware, MyMiddleware))` writes a line for each rule. A middleware with
settings is wrapped in a function, `lambda app: MyMiddleware(app, limit=10)`; that it refuses requests, or answers for
an application that fails, is said by `Expectations`, and the rules about that are asked as well. The hundreds of a
rule's number are its subject: 1 the scope, 2 `receive`, 3 `send`, 4 how calls end, 5 what lies between calls,
6 WebSockets, 7 refusals. `asgi_guard.testing.sockets` asks the same middleware on real servers, by rules of its own.

Rule 1: the middleware is asked from outside only: it wraps small applications, and a strict server looks at the rest.
Rule 2: every rule stands alone: it has a number that it keeps, a name that says what a good middleware does, and why.
Rule 3: the event loop of the caller is the one that is tested; run it on asyncio and on trio.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from asgi_guard.testing.rules import concurrency, errors, receive, refusals, scope, send, websockets
from asgi_guard.testing.rules.rule import Expectations, NotApplicableError, Rule, Subject, Wrap

__all__ = [
    "RULES",
    "Expectations",
    "Finding",
    "NotConformingError",
    "Report",
    "Rule",
    "Wrap",
    "check_middleware",
]

RULES: Final[tuple[Rule, ...]] = (
    *scope.RULES,
    *receive.RULES,
    *send.RULES,
    *errors.RULES,
    *concurrency.RULES,
    *websockets.RULES,
    *refusals.RULES,
)
"""Every rule, in the order of their numbers."""

_DETAIL_LENGTH: Final = 500


class NotConformingError(AssertionError):
    """A middleware does not keep the rules of ASGI; the text names each that it breaks, and how."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one rule.

    Attributes:
        rule: the rule.
        passed: whether it is kept; None where it does not apply.
        detail: what the middleware did instead, or why the rule does not apply.
    """

    rule: Rule
    passed: bool | None
    detail: str = ""

    def __str__(self) -> str:
        mark = {True: "ok    ", False: "BROKEN", None: "-     "}[self.passed]
        detail = f": {self.detail}" if self.detail else ""
        return f"{mark} {self.rule.number} {self.rule.name}{detail}"


@dataclass(frozen=True, slots=True)
class Report:
    """What came of all rules; as text it is a table.

    Attributes:
        findings: one for each rule, in order.
    """

    findings: tuple[Finding, ...]

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The rules that are broken."""
        return tuple(finding for finding in self.findings if finding.passed is False)

    def raise_for_failures(self) -> None:
        """Raise if a rule is broken.

        Raises:
            NotConformingError: with a line for each broken rule, and why it matters.
        """
        if self.failures:
            raise NotConformingError(
                "\n".join(["it does not keep the rules of ASGI", *(f"{f}\n       {f.rule.why}" for f in self.failures)])
            )

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


async def check_middleware(
    wrap: Wrap,
    expectations: Expectations | None = None,
    *,
    rules: Iterable[Rule] = RULES,
    timeout_seconds: float = 5.0,
) -> Report:
    """Ask a middleware every rule.

    Args:
        wrap: takes an application and returns the middleware around it; called afresh for each rule.
        expectations: what the middleware means to do where ASGI leaves it the choice; without them either is right, and
            the rules about refusals do not apply.
        rules: which rules to ask.
        timeout_seconds: how long one call may take.

    Raises:
        BaseException: only what is no `Exception`, such as a cancellation from outside.
    """
    subject = Subject(wrap, expectations or Expectations(), timeout_seconds)
    return Report(tuple([await _ask(rule, subject) for rule in rules]))


async def _ask(rule: Rule, subject: Subject) -> Finding:
    try:
        await rule.check(subject)
    except NotApplicableError as exc:
        return Finding(rule, None, str(exc))
    except Exception as exc:  # noqa: BLE001  a middleware may fail in any way, and all of them are findings
        return Finding(rule, passed=False, detail=_told(exc))
    return Finding(rule, passed=True)


def _told(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    text = str(exc) or type(exc).__name__  # pyright: ignore[reportUnknownArgumentType]
    return text if len(text) <= _DETAIL_LENGTH else f"{text[:_DETAIL_LENGTH]}..."
