"""Events: what the validation found, for whoever listens.

Must never hold what a value was: only where it stood, and which rules it matched.
"""

from __future__ import annotations

from dataclasses import dataclass

from asgi_guard.events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFound(Event):
    """A value of the request is an attack; of one request, the first 16 and the first that is refused are told.

    Attributes:
        attack: the class, such as `sqli`.
        rules: the ids of the rules that matched, the gravest first, at most 16.
        place: where the value stood, such as `query`.
        name: of the parameter, the cookie, the header or the key, at most 64 characters; empty for a name itself, and
            for one with characters that no name has, since it may be the attack.
        score: what the rules add up to.
        is_refused: whether the request is; otherwise it was let pass.
        excerpt: a part of the value, redacted, at most 80 characters; empty unless the settings ask for it.
    """

    attack: str
    rules: tuple[str, ...]
    place: str
    name: str
    score: int
    is_refused: bool
    excerpt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCrossed(Event):
    """A request goes on beyond what is looked at.

    Attributes:
        limit: which limit it crossed, such as `body_bytes`.
        is_refused: whether it is; otherwise the rest was let pass.
    """

    limit: str
    is_refused: bool
