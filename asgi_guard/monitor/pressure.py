"""Pressure: who is refused most often, among all who are refused.

The algorithm is Space-Saving (Metwally, Agrawal, El Abbadi, 2005), in two generations, so that what is long ago is
forgotten: a key that makes up more than one in 256 of the refusals of some minutes is always among those that are told.
Must never tell a key, which may be a secret or a person's address: only its hash, with a secret that is nowhere else.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from threading import Lock
from typing import Final, NamedTuple

MAX_KEYS: Final = 256
"""The keys that are counted at once."""

LONGEST_KEY: Final = 256
"""The characters, or bytes, of a key that are looked at: clients write keys."""


class Pressed(NamedTuple):
    """One key under pressure.

    Attributes:
        key: its hash, 12 hexadecimal digits.
        policy: the policy that refuses it.
        refused: how often, within some minutes.
    """

    key: str
    policy: str
    refused: int


class Pressure:
    """The keys that are refused most often.

    Args:
        secret: what keys are hashed with; processes whose keys are to be added up have the same one.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self.secret: bytes = os.urandom(16) if secret is None else secret
        self._lock = Lock()
        self._now: dict[tuple[str, str | bytes], int] = {}
        self._before: dict[tuple[str, str | bytes], int] = {}

    def renew_lock(self) -> None:
        """Go on in a process that was just forked: another thread of the parent may have held it."""
        self._lock = Lock()

    def note(self, policy: str, key: str | bytes) -> None:
        """Count a refusal."""
        name = policy, key[:LONGEST_KEY]
        with self._lock:
            if name not in self._now and len(self._now) >= MAX_KEYS:
                least = min(self._now, key=self._now.__getitem__)
                self._now[name] = self._now.pop(least) + 1
            else:
                self._now[name] = self._now.get(name, 0) + 1

    def turn(self) -> None:
        """Begin another generation, and forget the one before the last."""
        with self._lock:
            self._before, self._now = self._now, {}

    def top(self, most: int = 20) -> list[Pressed]:
        """Return those that were refused most often, in this generation and the one before."""
        with self._lock:
            counts = Counter(self._before)
            counts.update(self._now)
        return [*self._told(counts, most)]

    def _told(self, counts: Counter[tuple[str, str | bytes]], most: int) -> Iterator[Pressed]:
        for (policy, key), refused in counts.most_common(most):
            raw = key if isinstance(key, bytes) else key.encode("utf-8", "surrogatepass")
            yield Pressed(blake2b(raw, digest_size=6, key=self.secret).hexdigest(), policy, refused)
