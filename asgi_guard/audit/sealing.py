"""Sealing: what the lines of a group are, with what the log says of itself, on the chain of this process.

A line is sealed when it is written, under the lock of the file, so that it can tell what stood there; what could not
be written is taken back, and sealed anew.
Must never raise for what an entry holds: it is written as far as JSON and the bounds allow.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any, Final, NamedTuple

from asgi_guard.audit.chain import Chain, new_name
from asgi_guard.audit.entry import MAX_LINE, Entry, cut, line_of, safely_told
from asgi_guard.audit.heads import Generations, Head
from asgi_guard.audit.redact import Redactor
from asgi_guard.audit.settings import Audit, key_of
from asgi_guard.clock import Clock

CHECKPOINT_LINES: Final = 1_000
CHECKPOINT_SECONDS: Final = 60.0
EARLIER: Final = 16
"""The chains that the start of another tells of."""

_ANEW: Final = frozenset({"audit_start", "audit_checkpoint", "audit_end", "audit_torn", "audit_rotated"})
_SECOND: Final = 1_000_000_000


class Told(NamedTuple):
    """An entry that can be written.

    Attributes:
        fields: of it.
        text: the same as JSON.
    """

    fields: dict[str, Any]
    text: bytes


class Sealed(NamedTuple):
    """A line.

    Attributes:
        line: as it is written, with its line feed.
        fields: of it, with its place and its code.
        told: without them.
        before: the code of the line before.
    """

    line: bytes
    fields: dict[str, Any]
    told: Told
    before: bytes


class Sealing:
    """The lines of one chain.

    Args:
        settings: of the log.
        redactor: takes secrets out.
        clock: the time.

    Attributes:
        chain: see there.
        generations: of the file that is written.
        is_new: whether this chain has not yet written to the file that is there.
        is_first: whether nobody has.
        torn: the digests of pieces that stand at the end of the file.
        earlier: chains that came before.
    """

    def __init__(self, settings: Audit, redactor: Redactor, clock: Clock) -> None:
        self._tells_generations = settings.max_bytes is not None
        self._redactor = redactor
        self._clock = clock
        self._noted = 0
        self._noted_at = clock.monotonic_ns()
        self._stood_in = self._stood_in_before = 1
        self.chain: Chain = Chain(key_of(settings.key), new_name())
        place: dict[str, Any] = {"service": settings.service} if settings.service else {}
        place |= {"host": socket.gethostname()[:64], "pid": os.getpid(), "chain": self.chain.name}
        self._place = place
        self._place_text = line_of(place)[1:-1]
        self.generations: Generations = Generations()
        self.is_new: bool = False
        self.is_first: bool = False
        self.torn: list[str] = []
        self.earlier: list[Head] = []

    @property
    def says_all(self) -> bool:
        """Whether no line was written since the last note."""
        return self._noted == self.chain.seq

    @property
    def idle_seconds(self) -> float | None:
        """How long the thread may sleep where nothing comes; None where nothing is to be noted."""
        return None if self.says_all else CHECKPOINT_SECONDS

    @property
    def head(self) -> Head:
        """How far the chain has come."""
        return Head(self.chain.name, self.chain.seq - 1, self.chain.last.hex(), self.generations.current)

    def told(self, entry: Entry) -> Told:
        """Return an entry: without secrets, within their bounds, and so that JSON holds them."""
        with suppress(Exception):  # whatever the program has put there
            told = cut(self._redactor.fields(entry.told()))
            text = line_of(told)
            if len(text) <= MAX_LINE:
                return Told(told, text)
        told = cut(self._redactor.fields(safely_told(entry, self._clock.time())))
        return Told(told, line_of(told))

    def own(self, event: str, **facts: Any) -> Told:
        """Return what the log says of itself."""
        told = Entry(event=event, outcome="success", time=self._clock.time(), facts=facts).told()
        return Told(told, line_of(told))

    def sealed(self, group: list[Told], *, is_last: bool) -> list[Sealed]:
        """Return the lines of a group, and the fields of each, and go on from there."""
        lines: list[Sealed] = []
        self._begin(lines)
        for told in group:
            lines.append(self._line(told))
            if self.chain.seq % CHECKPOINT_LINES == 0:
                lines.append(self._line(self._checkpoint()))
        if is_last:
            lines.append(self._line(self.own("audit_end", lines=self.chain.seq)))
        elif self._is_due() and not self.says_all:
            lines.append(self._line(self._checkpoint()))
        self._stood_in_before, self._stood_in = self._stood_in, self.generations.current
        return lines

    def rotated(self) -> list[Sealed]:
        """Return the last lines of a generation."""
        lines: list[Sealed] = []
        self._begin(lines)
        lines.append(self._line(self.own("audit_rotated", generation=self.generations.current)))
        self._stood_in_before, self._stood_in = self._stood_in, self.generations.current
        return lines

    def _begin(self, lines: list[Sealed]) -> None:
        """Say what the first lines in a file say."""
        where: dict[str, Any] = {}
        if self._tells_generations and self.is_first:
            where = {"generation": self.generations.current, "first": self.generations.first}
        if self.chain.seq == 0:
            earlier = [list(head) for head in self.earlier[-EARLIER:]]
            lines.append(self._line(self.own("audit_start", **where, **({"earlier": earlier} if earlier else {}))))
        elif self.is_new:
            lines.append(self._line(self._checkpoint(**where, stood_in=self._stood_in)))
        if self.torn:
            lines.append(self._line(self.own("audit_torn", pieces=self.torn)))
            self.torn = []
        self.is_new = self.is_first = False

    def _checkpoint(self, **where: Any) -> Told:
        return self.own("audit_checkpoint", lines=self.chain.seq, before=self.chain.last.hex(), **where)

    def _line(self, told: Told) -> Sealed:
        before, seq = self.chain.last, self.chain.seq
        line = self.chain.seal(b'%b,%b,"seq":%d}' % (told.text[:-1], self._place_text, seq))
        fields = {**told.fields, **self._place, "seq": seq, "mac": self.chain.last.hex()}
        return Sealed(line, fields, told, before)

    def take_back(self, missed: list[Sealed]) -> list[Told]:
        """Go on from before lines that were not written; return those that are not made anew."""
        if missed:
            self.chain.seq, self.chain.last = missed[0].fields["seq"], missed[0].before
            self._stood_in = self._stood_in_before
        return [one.told for one in missed if one.told.fields["event"] not in _ANEW]

    def is_noted(self, *, is_last: bool) -> bool:
        """Tell whether it is to be noted now how far the chain has come; whoever asks does so."""
        is_first = self._noted == 0
        has_gone_on = self.chain.seq // CHECKPOINT_LINES > self._noted // CHECKPOINT_LINES
        if self.chain.seq == 0 or not (is_first or is_last or has_gone_on or self._is_due()):
            return False
        self._noted, self._noted_at = self.chain.seq, self._clock.monotonic_ns()
        return True

    def _is_due(self) -> bool:
        return self._clock.monotonic_ns() - self._noted_at >= CHECKPOINT_SECONDS * _SECOND
