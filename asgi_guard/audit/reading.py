"""Reading: the lines of a log, as `verify` and `show` read them, whoever has written them.

Must never keep more of a file in memory than one line of 1 MiB.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from asgi_guard.audit.chain import NOTHING, opened
from asgi_guard.audit.file import generations

MAX_LINE: Final = 1_048_576
"""The bytes of a line; a longer one is none of ours."""

_LONGEST: Final = 64
_TELLS: Final = frozenset({"audit_start", "audit_checkpoint", "audit_rotated", "audit_torn"})


class Line(NamedTuple):
    """A line that has a code.

    Attributes:
        file: where.
        number: which line of it, from 1.
        payload: the line without its code.
        code: the code.
        chain: of which chain.
        seq: which line of it, from 0.
        event: the name of the event.
        facts: those of what the log says of itself; else none.
        time: when it was written, as it says.
        place: the host, and before it the service and an `@` where there is one.
    """

    file: str
    number: int
    payload: bytes = b""
    code: bytes = NOTHING
    chain: str = ""
    seq: int = 0
    event: str = ""
    facts: dict[str, Any] = {}  # noqa: RUF012  never written to
    time: str = ""
    place: str = ""


def read(file: str, number: int, line: bytes) -> Line | None:
    """Read a line; None where it is none of ours."""
    found = opened(line)
    if found is None:
        return None
    payload, code = found
    try:
        told = json.loads(payload)
        chain, seq, event = told["chain"], told["seq"], told["event"]
        facts = told.get("facts") if event in _TELLS else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not (isinstance(chain, str) and type(seq) is int and seq >= 0 and isinstance(event, str)):
        return None
    named = cast("dict[str, Any]", facts) if isinstance(facts, dict) else {}
    time, host, service = (str(told.get(name, ""))[:_LONGEST] for name in ("time", "host", "service"))
    place = f"{service}@{host}" if service else host
    return Line(file, number, payload, code, chain[:64], seq, event, named, time, place)


def lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Give out the number of each line, the line, and whether it has an end; of one that is too long, its beginning.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE)):
                pass
            yield number, line.removesuffix(b"\n"), bool(rest)


def with_generations(paths: Iterable[Path]) -> list[Path]:
    """Return the files of a log, the oldest first: with the older generations beside each, unless one was given."""
    given = list(paths)
    named = {path.absolute() for path in given}
    found: list[Path] = []
    for path in given:
        older = generations(path)
        if not any(one.absolute() in named for one in older.values()):
            found += [older[number] for number in sorted(older, reverse=True)]
            if older and not path.exists():
                continue  # the youngest is gone, which the last of the others tells
        found.append(path)
    return found


def place_told(path: Path) -> tuple[int, int] | None:
    """Return which generation a file says that it is, and which is the oldest that is kept; None where it does not."""
    for number, line, _ in lines(path):
        found = read(str(path), number, line)
        return None if found is None else place_of(found)
    return None


def place_of(line: Line) -> tuple[int, int] | None:
    """Return which generation a line says that it begins, and which is the oldest that is kept."""
    generation, first = line.facts.get("generation"), line.facts.get("first")
    return (generation, first) if type(generation) is int and type(first) is int else None
