"""Shares: whose the span and the duration of a request are, where the guard is not the only one who measures.

Must never leave a request with none, or with two: a refusal never reaches whoever stands inside, and is the guard's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from asgi_guard.telemetry import coexistence
from asgi_guard.telemetry.coexistence import FASTAPI, HTTP, NOTHING, Inside, Measured

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange

OURS: Final = 0
OURS_UNLESS_MARKED: Final = 1
"""Up to here a request is among those on their way."""
OURS_IF_REFUSED: Final = 2
THEIRS: Final = 3


class Shares:
    """What one guard leaves to others.

    Args:
        http: who measures; see `Telemetry`.

    Attributes:
        is_alone: whether nobody else measures, so that nobody needs to be asked.
    """

    def __init__(self, http: HTTP) -> None:
        self._http = http
        self._inside = Inside(None)
        self.is_alone: bool = False

    def wraps(self, app: Any) -> None:
        """Know the application, which may measure requests itself."""
        self._inside = Inside(app)
        self.is_alone = False

    def settle(self) -> None:
        """Know that the application has served a request, so that its middlewares stand for good."""
        self._inside.is_settled = True

    def begin(self, exchange: Exchange) -> tuple[Measured, int]:
        """Find out what others measure of a request, and whose its duration is."""
        if self._http != "framework" and not coexistence.is_possible():
            self.is_alone = self._inside.is_settled  # whoever has not been imported by now will not be
            return NOTHING, OURS
        theirs = coexistence.outside(exchange)
        if theirs is not NOTHING:
            return theirs, THEIRS if theirs.durations else OURS
        if self._http == "framework":
            return Measured(spans=True, durations=True), OURS_IF_REFUSED
        theirs = self._inside.measured()
        if self._http == "guard":
            return NOTHING, OURS
        if theirs.durations:
            self._inside.say_so()
            return theirs, OURS_IF_REFUSED
        return theirs, OURS if theirs.spans else OURS_UNLESS_MARKED

    def claim(self, exchange: Exchange, *, has_span: bool) -> bool:
        """Keep those inside from beginning what the guard has begun, and let FastAPI say its routes in any case.

        Returns:
            Whether that was done, so that nobody inside can have the duration.
        """
        inside = self._inside
        if not (has_span or inside.is_idle or self._http == "guard"):
            return False
        coexistence.claim(exchange.scope, has_span=has_span, is_fastapi=inside.is_fastapi)
        return True

    def is_nobodys(self, exchange: Exchange) -> bool:
        """Tell, of a request without a span that was kept from the application, whether nobody outside has made one."""
        return self._http == "auto" and not self.is_alone and coexistence.outside(exchange) is NOTHING

    def is_ours(self, exchange: Exchange, whose: int) -> bool:
        """Tell, now that a request is over, whether its duration is the guard's."""
        if whose == OURS_IF_REFUSED:
            return not exchange.is_admitted
        # A FastAPI that is mounted further in could not be seen before.
        return exchange.scope.get(FASTAPI) is None or not coexistence.outside(exchange).durations
