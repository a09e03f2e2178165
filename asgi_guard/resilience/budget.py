"""Budget: retries are a share of the calls, so that they cannot become the outage.

Where each of three tiers tries four times, one call at the top is 64 at the bottom, in the very minute in which the
bottom has no strength left. With a budget of a tenth for each tier it is 1.33.

Each call puts a tenth of a token in, each retry takes a whole one out, and without one there is no retry. A reserve
stands there from the start, for those who call seldom.
"""

from __future__ import annotations

from math import ceil
from threading import Lock

from asgi_guard.settings import Problems

_WHOLE = 1_000
"""The parts of a token: whole numbers, so that ten tenths are one."""


class RetryBudget:
    """Tokens for retries; may be shared between policies and threads.

    Args:
        ratio: the retries for each call, 0 to 1: in the long run, calls are at most `1 + ratio` times as many.
        reserve: the tokens at the start, 0 to 10,000.
        most: the tokens that it can hold, `reserve` to 100,000: how many retries a quiet hour can save up.

    Raises:
        ConfigError: a value is out of its bounds.
    """

    __slots__ = ("_deposit", "_lock", "full", "level")

    def __init__(self, ratio: float = 0.1, *, reserve: int = 10, most: int = 100) -> None:
        problems = Problems("RetryBudget")
        problems.number("ratio", ratio, minimum=0, maximum=1)
        if problems.integer("reserve", reserve, minimum=0, maximum=10_000):
            problems.integer("most", most, minimum=reserve, maximum=100_000)
        problems.raise_if_any()
        self._lock = Lock()
        self._deposit = ceil(ratio * _WHOLE)
        # Read by those who call, to leave `deposit` out where it would change nothing.
        self.level: int = reserve * _WHOLE
        self.full: int = most * _WHOLE if ratio else self.level

    @property
    def tokens(self) -> float:
        """The retries that may be made now."""
        return self.level / _WHOLE

    def deposit(self) -> None:
        """Put in the share of one call."""
        with self._lock:
            self.level = min(self.level + self._deposit, self.full)

    def withdraw(self) -> bool:
        """Take out one token for a retry; tell whether there was one."""
        with self._lock:
            if self.level < _WHOLE:
                return False
            self.level -= _WHOLE
            return True

    def __repr__(self) -> str:
        return f"RetryBudget({self.tokens:g} of {self.full // _WHOLE} tokens)"
