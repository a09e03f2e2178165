"""Heads: how far each chain of a log has come, noted beside it, so that what is cut off or gone shows.

One sealed line for each chain, and one for the generations of the file; the whole is replaced at once, under the lock
of the log. Lines that cannot be read, such as those of an earlier key, stay as they are: `verify` says what they are.
Rule 1: it holds the newest 1,000 chains at most, whoever writes to it; older ones are told of in the log itself.
Rule 2: nothing in it is believed without its seal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from asgi_guard.audit.chain import NOTHING, code_of, is_sound
from asgi_guard.audit.file import is_ours, refused

HEADS: Final = ".heads"
"""What the name of the file has appended that holds the notes."""

MOST: Final = 1_000
"""The chains that are noted, the newest."""

_LONGEST: Final = 512
_FLAGS: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NONBLOCK: Final = getattr(os, "O_NONBLOCK", 0)


class Head(NamedTuple):
    """How far one chain has come.

    Attributes:
        chain: its name.
        seq: the number of its last line.
        mac: the code of it, in hexadecimal digits.
        generation: of the file that this line stands in.
    """

    chain: str
    seq: int
    mac: str
    generation: int


class Generations(NamedTuple):
    """Which generations of the file there are.

    Attributes:
        current: the one that is written, from 1.
        first: the oldest that was not removed.
    """

    current: int = 1
    first: int = 1


@dataclass(slots=True)
class Notes:
    """What stands in the heads.

    Attributes:
        heads: by the name of the chain, the newest last.
        generations: of the file.
        others: the lines that could not be read.
    """

    heads: dict[str, Head] = field(default_factory=dict[str, Head])
    generations: Generations = field(default_factory=Generations)
    others: list[bytes] = field(default_factory=list[bytes])


class Heads:
    """The notes beside one log.

    Args:
        path: of the log.
        key: of the log.
        fsync: whether they are safe from a failure of the machine when they are written.

    Raises:
        ConfigError: there is a file that is not this user's alone.
    """

    def __init__(self, path: str, key: bytes, *, fsync: bool) -> None:
        self._path = Path(path + HEADS)
        self._new = Path(path + HEADS + ".new")
        self._key = key
        self._fsync = fsync
        with suppress(FileNotFoundError):
            if not is_ours(self._path.lstat()):
                raise refused(self._path, "Choose another, or take it from the others: chmod 600.")

    def read(self) -> Notes:
        """Return what stands there; nothing where it cannot be read."""
        notes = Notes()
        try:
            descriptor = os.open(self._path, os.O_RDONLY | _FLAGS | _NONBLOCK)
        except OSError:
            return notes
        with os.fdopen(descriptor, "rb") as file:
            if not is_ours(os.fstat(descriptor)):
                return notes
            text = file.read(4 * MOST * _LONGEST)
        for line in text.splitlines()[-2 * MOST :]:
            note = read_note(line, (self._key,))
            if isinstance(note, Head):
                notes.heads.pop(note.chain, None)  # so that the newest stands last
                notes.heads[note.chain] = note
            elif note is not None:
                notes.generations = note
            elif len(line) <= _LONGEST:
                notes.others.append(line)
        return notes

    def write(self, notes: Notes) -> None:
        """Replace what stands there, as a whole.

        Raises:
            OSError: it cannot be written; what stood there stands there still.
        """
        heads = [head for head in notes.heads.values() if head.generation >= notes.generations.first]
        lines = [*notes.others[-MOST:], *map(self._sealed, heads[-MOST:])]
        if notes.generations.current > 1:
            told = notes.generations
            lines.append(self._seal({"generation": told.current, "first": told.first}))
        with suppress(FileNotFoundError):
            self._new.unlink()
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            if self._fsync:
                os.fsync(descriptor)
        self._new.replace(self._path)

    def _sealed(self, head: Head) -> bytes:
        return self._seal({"chain": head.chain, "seq": head.seq, "mac": head.mac, "generation": head.generation})

    def _seal(self, told: dict[str, Any]) -> bytes:
        payload = json.dumps(told, separators=(",", ":")).encode()
        return payload[:-1] + f',"seal":"{code_of(payload, NOTHING, self._key).hex()}"}}'.encode()


def read_note(line: bytes, keys: Iterable[bytes]) -> Head | Generations | None:
    """Read a line of the heads; None where it is none, or was sealed with another key."""
    payload, _, seal = line.rpartition(b',"seal":"')
    payload += b"}"
    try:
        code = bytes.fromhex(seal.removesuffix(b'"}').decode("ascii"))
        told: dict[str, Any] = json.loads(payload)
        if not any(is_sound(payload, code, NOTHING, key) for key in keys):
            return None
        if "first" in told:
            return Generations(int(told["generation"]), int(told["first"]))
        return head_of([told["chain"], told["seq"], told["mac"], told.get("generation", 1)])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def head_of(told: Any) -> Head | None:
    """Return a head from a list of its fields; None where it is none."""
    try:
        chain, seq, mac, generation = told
    except (ValueError, TypeError):
        return None
    is_one = isinstance(chain, str) and type(seq) is int and isinstance(mac, str) and type(generation) is int
    return Head(chain[:64], seq, mac, generation) if is_one else None
