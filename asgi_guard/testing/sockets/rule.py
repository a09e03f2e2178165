"""Rule: one thing that can be seen from outside of a server, and the check that looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Final, TypeAlias

from asgi_guard.testing.rules.rule import NotApplicableError, expect
from asgi_guard.testing.sockets.servers import Served

__all__ = ["NotApplicableError", "SocketRule", "expect", "fresh", "socket_rule"]

Check: TypeAlias = Callable[[Served], None]

_NUMBERS: Final = count()


@dataclass(frozen=True, slots=True)
class SocketRule:
    """One rule.

    Attributes:
        number: its number, which it keeps.
        name: what is right.
        why: what goes wrong where it is not.
        check: raises where it is not kept.
    """

    number: int
    name: str
    why: str
    check: Check


def socket_rule(number: int) -> Callable[[Check], SocketRule]:
    """Make a rule of a check: its name is the check's, its reason the check's docstring."""

    def make(check: Check) -> SocketRule:
        return SocketRule(number, check.__name__.strip("_").replace("_", " "), (check.__doc__ or "").strip(), check)

    return make


def fresh() -> str:
    """Make a query that no other request has, by which the application can be asked about this one."""
    return f"n{next(_NUMBERS)}"
