"""Strength: a score from 0 to 4 for a meter on a page, by zxcvbn where it is installed.

Source: zxcvbn (USENIX Security 2016), in Rust; its scores are steps of 10^3, 10^6, 10^8 and 10^10 guesses.
Must never hand on more than 100 characters: some versions raise then, and others take the square of the length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from math import log10
from typing import Any, Final, Literal

from asgi_guard.passwords.guesses import read

_LONGEST: Final = 100
_STEPS: Final = (3.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong a password is.

    Attributes:
        score: 0 risky, 1 weak, 2 fair, 3 good, 4 strong.
        guesses_log10: how many tries it withstands, as a power of ten.
        source: who says so: `zxcvbn`, or this package itself.
    """

    score: int
    guesses_log10: float
    source: Literal["zxcvbn", "asgi_guard"]


def strength(password: str, *, user: Iterable[str] = ()) -> Strength:
    """Tell how strong a password is; for a meter, not to decide: that is a `PasswordPolicy`.

    Args:
        password: the first 100 characters of it are looked at.
        user: what belongs to the user, such as a name or an e-mail address.
    """
    looked_at = _whole(password)
    words = [_whole(str(word)) for word in ([user] if isinstance(user, str) else list(user)[:32])]
    if find_spec("zxcvbn_rs_py") is not None:
        import zxcvbn_rs_py  # type: ignore[import-not-found, unused-ignore]

        found: Any = zxcvbn_rs_py.zxcvbn(looked_at, words)
        guesses = float(found.guesses_log10) if looked_at else 0.0
        return Strength(_score(guesses), guesses, "zxcvbn")
    guesses = read(looked_at, words).bits * log10(2)
    return Strength(_score(guesses), guesses, "asgi_guard")


def _whole(text: str) -> str:
    """Return what is looked at, in whole characters: a client brings half of one in by a JSON escape."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()


def _score(guesses: float) -> int:
    return sum(guesses >= step for step in _STEPS)
