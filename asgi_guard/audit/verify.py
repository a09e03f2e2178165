"""Verify: whether a log is as it was written, and where it first is not.

Every line is read once, in the order of the files; each chain is followed by itself, however the lines of workers are
mixed. What the heads say (how far each chain had come, in a file of its own, or in a copy of it elsewhere) shows what
was cut off.
Found are: a line that was changed, moved, repeated or put in; a line that is missing between two others; and an end
that is missing, up to the last checkpoint. Not found is what stood behind the last checkpoint of a chain and was cut
off whole: a process that was killed leaves the same. Without a key nothing is found that was made with care.
Must never keep more of a log in memory than one line, and a few fields for each chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from asgi_guard.audit.chain import NOTHING, is_sound, opened

Fault: TypeAlias = Literal["changed", "missing", "cut off", "heads"]

MAX_LINE: Final = 1_048_576
"""The bytes of a line; a longer one is none of ours."""

_BEGINS: Final = b'{"v":'


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong with a log, or with one chain of it.

    Attributes:
        fault: `changed` is a line that is not as it was written, `missing` lines between two others, `cut off` lines at
            the end of a chain, `heads` a line of the heads that is not as it was written.
        file: where.
        line: which line of it, from 1; 0 for the end.
        chain: of whose lines, where that is known.
        message: one sentence.
    """

    fault: Fault
    file: str
    line: int
    chain: str
    message: str


@dataclass(slots=True)
class Verdict:
    """What was found.

    Attributes:
        lines: how many lines are as they were written.
        chains: how many chains there are.
        findings: what is wrong, in the order in which it was found; at most 100.
        open_ended: chains whose process wrote no end: it runs, or was killed.
        torn: pieces of lines, as a killed machine leaves them behind; each chain goes on, or ends, without them.
    """

    lines: int = 0
    chains: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    open_ended: list[str] = field(default_factory=list[str])
    torn: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


class _Line(NamedTuple):
    file: str
    number: int
    payload: bytes
    code: bytes
    chain: str
    seq: int
    event: str


@dataclass(slots=True)
class _State:
    seq: int
    code: bytes
    has_ended: bool = False
    is_broken: bool = False


@dataclass(slots=True)
class _Torn:
    file: str
    line: int
    piece: bytes


_MOST: Final = 100
_MAX_CHAINS: Final = 100_000


def verify(
    files: Iterable[Path], *, key: bytes = b"", heads: Iterable[Path] = (), from_the_middle: bool = False
) -> Verdict:
    """Verify a log.

    Args:
        files: in the order in which they were written, the oldest first.
        key: what the lines were sealed with; empty where there was no key.
        heads: the files with the checkpoints.
        from_the_middle: take it that files before these were removed: a chain may begin with a checkpoint then.

    Raises:
        OSError: a file cannot be read.
    """
    return _Verifier(key, from_the_middle=from_the_middle).run(list(files), list(heads))


class _Verifier:
    def __init__(self, key: bytes, *, from_the_middle: bool) -> None:
        self._key = key
        self._from_the_middle = from_the_middle
        self._verdict = Verdict()
        self._chains: dict[str, _State] = {}
        self._torn: list[_Torn] = []
        self._is_torn = False  # whether the last line was a piece of one
        self._heads: dict[str, dict[int, str]] = {}

    def run(self, files: list[Path], heads: list[Path]) -> Verdict:
        for path in heads:
            self._read_heads(path)
        for path in files:
            for number, line, is_whole in _lines(path):
                pieces = len(self._torn)
                self._line(str(path), number, line)
                if not is_whole and len(self._torn) == pieces:
                    what = "It ends without the line feed that it was written with."
                    self._find("changed", _place(str(path), number), what)
        if self._is_torn:  # as the last thing that there is
            self._verdict.torn += 1
            self._torn.pop()
        last = str(files[-1]) if files else ""
        for name, expected in self._heads.items():
            for seq in expected:  # those that were met are gone
                self._not_met(name, seq, last)
        for torn in self._torn:
            self._find_torn(torn)
        verdict = self._verdict
        verdict.chains = len(self._chains)
        verdict.open_ended = [name for name, state in self._chains.items() if not state.has_ended]
        return verdict

    def _read_heads(self, path: Path) -> None:
        for number, line, _ in _lines(path):
            head = _head(line, self._key)
            if head is None:
                what = "It is not as it was written, or the key is another."
                self._find("heads", _place(str(path), number), what)
            elif len(self._heads) < _MAX_CHAINS:
                chain, seq, code = head
                self._heads.setdefault(chain, {})[seq] = code

    def _line(self, file: str, number: int, line: bytes) -> None:
        read = _read(file, number, line)
        if read is None:
            begins = line.rfind(_BEGINS)
            if begins > 0:  # the line of another process, behind what a killed one has left
                self._torn_piece(file, number, line[:begins])
                self._line(file, number, line[begins:])
            else:
                self._torn_piece(file, number, line)
            return
        self._settle_torn(line, begins_chain=read.seq == 0)
        state = self._chains.get(read.chain) or self._begun(read)
        if state is not None and not state.is_broken:
            self._follow(state, read)

    def _begun(self, read: _Line) -> _State | None:
        """Begin with a chain: with its first line, or with a checkpoint, which tells the code before it."""
        if len(self._chains) >= _MAX_CHAINS:
            self._find("changed", read, f"There are more than {_MAX_CHAINS:,} chains.")
            return None
        if read.seq > 0 and self._from_the_middle:
            if read.event != "audit_checkpoint":  # what stands before the first one cannot be told
                return None
            state = self._chains[read.chain] = _State(read.seq - 1, _before(read.payload))
            known = self._heads.get(read.chain, {})
            for early in [head for head in known if head < read.seq]:
                del known[early]
            return state
        state = self._chains[read.chain] = _State(-1, NOTHING)
        return state

    def _follow(self, state: _State, read: _Line) -> None:
        """Hold a line against the one before it."""
        if read.seq > state.seq + 1:
            what = f"Lines {state.seq + 1:,} to {read.seq - 1:,} of the chain are missing before it."
            self._break(state, "missing", read, what)
        elif read.seq <= state.seq:
            self._break(state, "changed", read, f"Line {read.seq:,} of the chain stands here a second time.")
        elif state.has_ended:
            self._break(state, "changed", read, "It stands behind the end of its chain.")
        elif not is_sound(read.payload, read.code, state.code, self._key):
            self._break(state, "changed", read, "It is not as it was written, or the key is another.")
        else:
            state.seq, state.code, state.has_ended = read.seq, read.code, read.event == "audit_end"
            self._verdict.lines += 1
            noted = self._heads.get(read.chain, {}).pop(read.seq, "")
            if noted not in {"", read.code.hex()}:
                self._break(state, "changed", read, "A checkpoint was noted for another line in its place.")

    def _break(self, state: _State, fault: Fault, read: _Line, message: str) -> None:
        """Say the first thing that is wrong with a chain; what follows says nothing more."""
        state.is_broken = True
        self._find(fault, read, message)

    def _not_met(self, chain: str, seq: int, file: str) -> None:
        state = self._chains.get(chain)
        end = _place(file, 0, chain)
        if state is None and not self._from_the_middle:
            self._chains[chain] = state = _State(-1, NOTHING)
        if state is not None and not state.is_broken:
            what = f"The chain had come to line {seq:,}, and here it ends with line {state.seq:,}."
            self._break(state, "cut off", end, what if state.seq >= 0 else "The whole chain is missing.")

    def _torn_piece(self, file: str, number: int, piece: bytes) -> None:
        self._torn.append(_Torn(file, number, piece))
        self._is_torn = piece.startswith(_BEGINS[: len(piece)]) and len(piece) > 0
        if len(self._torn) > _MOST:
            self._find_torn(self._torn.pop(0))

    def _settle_torn(self, line: bytes, *, begins_chain: bool) -> None:
        """Forget the piece that a killed process has left before this one began, and those that stand here whole."""
        if not self._torn:
            return
        before = len(self._torn)
        if begins_chain and self._is_torn:
            self._torn.pop()
        self._torn = [torn for torn in self._torn if not torn.piece or not line.startswith(torn.piece)]
        self._verdict.torn += before - len(self._torn)
        self._is_torn = False

    def _find_torn(self, torn: _Torn) -> None:
        place = _place(torn.file, torn.line)
        self._find("changed", place, "It is no line of an audit log, nor a torn one.")

    def _find(self, fault: Fault, read: _Line, message: str) -> None:
        if len(self._verdict.findings) < _MOST:
            self._verdict.findings.append(Finding(fault, read.file, read.number, read.chain, message))


def _read(file: str, number: int, line: bytes) -> _Line | None:
    """Read a line; None where it is none of ours."""
    found = opened(line)
    if found is None:
        return None
    payload, code = found
    try:
        told = json.loads(payload)
        chain, seq, event = told["chain"], told["seq"], told["event"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_ours = isinstance(chain, str) and type(seq) is int and seq >= 0 and isinstance(event, str)
    return _Line(file, number, payload, code, chain[:64], seq, event) if is_ours else None


def _head(line: bytes, key: bytes) -> tuple[str, int, str] | None:
    """Read a line of the heads: the chain, the number and the code of a line; None where it is none of ours."""
    payload, _, seal = line.rpartition(b',"seal":"')
    payload += b"}"
    try:
        code = bytes.fromhex(seal.removesuffix(b'"}').decode("ascii"))
        head = json.loads(payload)
        chain, seq, of_line = head["chain"], head["seq"], head["mac"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_ours = isinstance(chain, str) and type(seq) is int and isinstance(of_line, str)
    return (chain, seq, of_line) if is_ours and is_sound(payload, code, NOTHING, key) else None


def _place(file: str, number: int, chain: str = "") -> _Line:
    return _Line(file, number, b"", NOTHING, chain, 0, "")


def _before(checkpoint: bytes) -> bytes:
    """Return the code of the line before a checkpoint, as it says."""
    try:
        before = bytes.fromhex(json.loads(checkpoint)["facts"]["before"])
    except (ValueError, KeyError, TypeError):
        return NOTHING
    return before if len(before) == len(NOTHING) else NOTHING


def _lines(path: Path) -> Iterator[tuple[int, bytes, bool]]:
    """Give out the number of each line, the line, and whether it has an end; of one that is too long, its beginning."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(MAX_LINE)):
                pass
            yield number, line.removesuffix(b"\n"), bool(rest)
