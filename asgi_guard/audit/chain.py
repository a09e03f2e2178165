"""Chain: what binds each line to all lines before it, so that none can be changed, left out, added or moved.

Each line ends in a code over the line and the code of the line before (keyed BLAKE2b, RFC 7693). Who does not have the
key can compute none. Without a key anybody can: then a change shows only against a copy of a checkpoint.
A process has a chain of its own, so that workers need not wait for each other; chains share a file.
Must never depend on a clock, on the order of files, or on what another process does.
"""

from __future__ import annotations

import json
import secrets
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

SIZE: Final = 32
"""The bytes of a code."""

NOTHING: Final = bytes(SIZE)
"""The code before the first."""

_PERSON: Final = b"asgi_guard.audit"
_SEAL: Final = b',"mac":"'
_BEGINS: Final = b'{"v":'
_LONGEST_PIECE: Final = 131_072
_END: Final = b'"}'
_SEALED: Final = len(_SEAL) + 2 * SIZE + len(_END)


def new_name() -> str:
    """Return the name of a chain, which no other has."""
    return secrets.token_hex(8)


def code_of(payload: bytes, before: bytes, key: bytes) -> bytes:
    """Return the code of a line.

    Args:
        payload: the line as it is without its code.
        before: the code of the line before.
        key: at most 64 bytes; empty where there is none.
    """
    return blake2b(before + payload, digest_size=SIZE, key=key, person=_PERSON).digest()


class Chain:
    """The chain of this process.

    Args:
        key: at most 64 bytes; empty where there is none.
        name: of the chain.

    Attributes:
        name: see above.
        seq: the number of the next line, from 0.
        last: the code of the last line.
    """

    __slots__ = ("_key", "last", "name", "seq")

    def __init__(self, key: bytes, name: str) -> None:
        self._key = key
        self.name: str = name
        self.seq: int = 0
        self.last: bytes = NOTHING

    def seal(self, payload: bytes) -> bytes:
        """Return a line with its code, and a line feed, and go on from there.

        Args:
            payload: a JSON object in ASCII.
        """
        self.last = code_of(payload, self.last, self._key)
        self.seq += 1
        return payload[:-1] + _SEAL + self.last.hex().encode() + _END + b"\n"


def opened(line: bytes) -> tuple[bytes, bytes] | None:
    """Return a line without its code, and the code; None where it has none.

    Args:
        line: without the line feed.
    """
    sealed = line[-_SEALED:]
    code = sealed[len(_SEAL) : -len(_END)]
    if not (sealed.startswith(_SEAL) and sealed.endswith(_END) and code.islower() | code.isdigit()):
        return None
    try:
        return line[:-_SEALED] + b"}", bytes.fromhex(code.decode("ascii"))
    except ValueError:
        return None


def is_torn(piece: bytes) -> bool:
    """Tell whether a piece may be the beginning of a line that was not written to its end.

    What is complete is no such piece, whoever wrote it: it lacks its code.
    """
    if not piece or len(piece) > _LONGEST_PIECE or not piece.startswith(_BEGINS[: len(piece)]):
        return False
    try:
        json.loads(piece)
    except ValueError:
        return True
    except RecursionError:
        return False
    return False


def digest_of(piece: bytes) -> str:
    """Return by what a piece is known."""
    return blake2b(piece, digest_size=16, person=_PERSON).hexdigest()


def is_sound(payload: bytes, code: bytes, before: bytes, key: bytes) -> bool:
    """Tell whether a code is that of a line."""
    return compare_digest(code, code_of(payload, before, key))
