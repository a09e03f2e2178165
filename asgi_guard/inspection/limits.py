"""Limits: how much of one request is looked at, and what it means that there is more.

What lies beyond a limit is refused, or streamed on and told, as the settings say; it is never left out in silence, or
padding would carry an attack past the validator.
Must never be crossed by a request that no attacker has sized: the defaults are many times what applications use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HEAD_BYTES: Final = 65_536
"""Of the path, the query and all headers together: more than most servers take."""


class CrossedError(Exception):
    """A limit was crossed.

    Args:
        limit: the field of `Limits`, or what could not be read.
        status: the HTTP status that says so.

    Attributes:
        is_only_told: whether it is of a class of attack that the settings only detect.
    """

    def __init__(self, limit: str, status: int = 413) -> None:
        super().__init__(limit)
        self.limit: str = limit
        self.status: int = status
        self.is_only_told: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of one request is looked at.

    Attributes:
        body_bytes: of a body, and of what a Content-Encoding inflates to.
        fields: parameters of a query or a form, cookies, headers.
        depth: how deep JSON, XML and GraphQL may be nested.
        leaves: texts and names of a JSON or XML document.
        parts: of a multipart body.
        aliases: in one GraphQL document.
    """

    body_bytes: int = 262_144
    fields: int = 1_000
    depth: int = 32
    leaves: int = 16_384
    parts: int = 100
    aliases: int = 50
