"""Log: one line for what is refused, for whoever has to find out why.

The first refusal by a rule in a minute is told at INFO, with how many were not since the line before; the others are at
DEBUG, so that whoever sends attacks by the thousand fills no disk.
Must never write what a value was, nor a path, which is one; what a client has named is bounded and printable (CWE-117).
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import BOUNDS, printable

if TYPE_CHECKING:
    from asgi_guard.inspection.policy import Judgement

logger: logging.Logger = logging.getLogger("asgi_guard")

_NAME: Final = re.compile(r"[\w.:$@\[\]-]{1,64}")
_LONGEST: Final = 64

_MINUTE_NS: Final = 60_000_000_000
_VERDICT: Final = {True: "is refused", False: "would be refused"}


def told_name(name: str) -> str:
    """Return at most 64 characters of a name, printable in ASCII, or nothing of one that has others than names have.

    A client may call a parameter what it likes, also the attack itself, which belongs in no event and no log.
    """
    known = _NAME.match(name)
    return printable(known[0], _LONGEST) if known and known.end() in {len(name), _LONGEST} else ""


class RefusalLog:
    """Writes the lines of one validation.

    Args:
        clock: for the minute.
    """

    __slots__ = ("_clock", "_told")

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._told: dict[str, tuple[int, int]] = {}  # by rule, of which there are so many: when, and how many not since

    def attack(self, judgement: Judgement, request_id: str | None, *, is_refused: bool) -> None:
        """Tell of an attack that is refused, or would be if the mode were to block."""
        gravest = judgement.findings[0]
        rule, place = gravest.rule, gravest.place
        name = "" if place == "name" else told_name(gravest.name)
        where = f"{place} '{name}'" if name else place
        reason = f"{rule.attack} by {rule.id} in the {where}, score {judgement.score}"
        self._tell(rule.id, reason, request_id, is_refused=is_refused)

    def limit(self, limit: str, request_id: str | None, *, is_refused: bool) -> None:
        """Tell of a request that goes on beyond a limit."""
        self._tell(limit, f"it goes on beyond the limit {limit}", request_id, is_refused=is_refused)

    def _tell(self, key: str, reason: str, request_id: str | None, *, is_refused: bool) -> None:
        now = self._clock.monotonic_ns()
        told_at, left_out = self._told.get(key, (now - _MINUTE_NS, 0))
        is_first = now - told_at >= _MINUTE_NS
        self._told[key] = (now, 0) if is_first else (told_at, left_out + 1)
        logger.log(
            logging.INFO if is_first else logging.DEBUG,
            "the validation: a request %s: %s, request id %s%s",
            _VERDICT[is_refused],
            reason,
            printable(request_id, BOUNDS["request_id"]) if request_id else "-",
            f"; {left_out:,} like it were not told since the last" if is_first and left_out else "",
        )
