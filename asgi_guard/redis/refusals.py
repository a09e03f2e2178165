"""Refusals: what a server answers to whom it will never serve as things stand, such as a wrong password.

No pause helps, unlike with an outage: somebody has to mend something, and is told what.
Must never hand on what the server repeats of what it was sent: a password may be in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

MOST_SHOWN: Final = 200
"""The characters of an answer that are told."""

_REMEDIES: Final[Mapping[str, str]] = {
    "invalid username-password": "Mend the user and the password in the URL.",
    "invalid password": "Mend the password in the URL.",
    "authentication required": "Put the user and the password into the URL.",
    "without any password configured": "Leave the password out of the URL, or set it on the server.",
    "no permissions": "Give the user the rights that the README names, by ACL SETUSER.",
    "db index": "Name a database in the URL that the server has.",
    "unknown command": "It is older than Redis 6.2, has that command taken away, or is no sentinel.",
    "cluster support disabled": "Write redis:// for a server that stands alone.",
    "movederror": "Write redis+cluster:// for a cluster.",
    "certificate verify failed": "Name who has signed its certificate: rediss://...?ssl_ca_certs=/path.",
}
"""What to do, by what stands in the answer or is the name of its class."""


class Refusal(NamedTuple):
    """What a server will not do.

    Attributes:
        text: its own words.
        remedy: what to do, as a sentence.
    """

    text: str
    remedy: str


def refusal_of(error: BaseException) -> Refusal | None:
    """Return what the server has refused; None where it may serve another time.

    Args:
        error: what redis-py has raised; the server's answer may be the cause of it.
    """
    for cause in _causes(error):
        text = str(cause)
        known = f"{type(cause).__name__}: {text}".lower()
        for words, remedy in _REMEDIES.items():
            if words in known:
                said = text.partition(", with args")[0].rstrip(".")[:MOST_SHOWN]
                return Refusal("".join(filter(str.isprintable, said)), remedy)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give what it was at first, then what was made of it."""
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
    yield error
