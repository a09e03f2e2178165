"""Backoff: how long to wait before a retry.

Full jitter, by default: anything between nothing and a bound that doubles with each retry. Callers that failed together
must not come back together, and no other scheme spreads them as widely for the same mean.
Pure: randomness is an argument, and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from asgi_guard.settings import Problems

MAX_SECONDS: Final = 3_600.0
"""An hour: the longest that anything here waits."""

_MAX_DOUBLINGS: Final = 60  # beyond them every bound is above the cap; a float would overflow at 1,024


@dataclass(frozen=True, slots=True)
class Backoff:
    """The bounds of the delays.

    Attributes:
        base: the bound of the first delay in seconds, 0 to 3,600.
        cap: the bound that no delay exceeds, in seconds, `base` to 3,600.
        jitter: `full`, anything up to the bound; or `none`, the bound itself.

    Raises:
        ConfigError: a field is wrong.
    """

    base: float = 0.1
    cap: float = 5.0
    jitter: Literal["full", "none"] = "full"

    def __post_init__(self) -> None:
        problems = Problems("retry_on_failure")  # where users write these fields
        problems.number("base", self.base, minimum=0, maximum=MAX_SECONDS)
        least = self.base if problems.found == () else 0
        problems.number("cap", self.cap, minimum=least, maximum=MAX_SECONDS)
        problems.choice("jitter", self.jitter, ("full", "none"))
        problems.raise_if_any()

    def delay(self, retry: int, random: Callable[[], float]) -> float:
        """Return the seconds to wait before a retry.

        Args:
            retry: how many retries there were before it.
            random: returns a number from 0 up to 1.
        """
        bound = min(self.cap, self.base * 2.0 ** min(retry, _MAX_DOUBLINGS))
        return bound * random() if self.jitter == "full" else bound
