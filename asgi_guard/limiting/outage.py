"""Outages: what the log says of a store that is away, once when it goes and once when it comes back.

That it cannot be reached is a warning, and may be over by itself; that it refuses us is an error, with what to mend.
Must never show the text of any other error: the address stands in it, and what is secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from asgi_guard.limiting.store import OnFailure
from asgi_guard.redis.refusals import refusal_of

logger: logging.Logger = logging.getLogger("asgi_guard")

_MEANWHILE: Final[Mapping[OnFailure, str]] = {
    "local": "this process counts for itself",
    "open": "everything is admitted",
    "closed": "everything is refused with 503",
}


class Outage:
    """Says in the log how a store is.

    Args:
        name: of the store.
        modes: tells what is done while it is away: what its policies say.

    Attributes:
        name: as given.
    """

    __slots__ = ("_has_been_refused", "_is_told", "_modes", "name")

    def __init__(self, name: str, modes: Callable[[], Collection[OnFailure]]) -> None:
        self.name: str = name
        self._modes = modes
        self._is_told = False
        self._has_been_refused = False

    def begin(self, error: Exception) -> None:
        """Note a call that has failed: the first one is told, and the first that was refused."""
        refusal = refusal_of(error)
        if refusal is not None and not self._has_been_refused:
            self._is_told = self._has_been_refused = True
            logger.error("%s refuses: %s. %s Until then %s", self.name, refusal.text, refusal.remedy, self._meanwhile())
        elif not self._is_told:
            self._is_told = True
            logger.warning("%s does not answer (%s); until it does, %s", self.name, _name(error), self._meanwhile())
        else:
            logger.debug("%s is still away (%s)", self.name, _name(error))

    def end(self) -> None:
        """Note that the store answers."""
        if self._is_told:
            self._is_told = self._has_been_refused = False
            logger.warning("%s answers again", self.name)

    def _meanwhile(self) -> str:
        modes = self._modes()
        told = [text for mode, text in _MEANWHILE.items() if mode in modes]
        return " or ".join(told) + (", as each policy says" if len(told) > 1 else "")


def _name(error: Exception) -> str:
    return type(error).__name__
