"""Procfs: how a small file of the kernel's is read, and the tables of numbers in such files.

Standard: proc(5). Must never raise because of what a file holds, or that there is none, and never read more of it than
its bound: a mount table may have a hundred thousand lines.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MOST: Final = 65_536
"""The bytes that are read of a file, by default."""


def read(path: Path, most: int = MOST) -> str | None:
    """Return what stands in a file, its first `most` bytes; None where it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            said = b""
            # The kernel hands out a long file page by page, whatever is asked for.
            while len(said) < most and (more := file.read(most - len(said))):
                said += more
    except (OSError, ValueError):
        return None
    return os.fsdecode(said)


def number(text: str | None) -> int | None:
    """Read one number, 0 or more; None where there is none, as where the kernel says `max` or -1."""
    word = (text or "").strip()
    return int(word) if word.isdecimal() else None


def table(text: str | None) -> dict[str, int]:
    """Read lines of a name and a number, such as `oom_kill 3` or `MemTotal:  16384 kB`; other lines are passed over."""
    pairs = [line.split()[:2] for line in (text or "").splitlines()]
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
