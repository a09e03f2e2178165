"""Verify: whether a log is as it was written, and where it first is not.

Every line is read once, in the order of the files; each chain is followed by itself, however the lines of workers are
mixed. What the heads say (how far each chain had come, in a file of its own, or in a copy of it elsewhere), and what
the start of each chain tells of those before it, shows what was cut off, or is gone.
Found are: a line that was changed, moved, repeated or put in; a line that is missing between two others; an end that
is missing, up to the last note; a chain, or a generation of the file, that is gone. Not found is what stood behind the
last note of a chain and was cut off whole: a process that was killed leaves the same; nor that files and notes are
older copies of themselves, or those of another log with the same key. So it is told whose lines these are and how old
the last one is, and which chains no note knows. Without a key nothing is found that was made with care.
Must never keep more of a log in memory than one line, and a few fields for each chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast

from asgi_guard.audit.chain import NOTHING, digest_of, is_sound, is_torn
from asgi_guard.audit.heads import MOST, Generations, Head, head_of, read_note
from asgi_guard.audit.reading import Line, lines, place_of, place_told, read

Fault: TypeAlias = Literal["changed", "missing", "cut off", "heads", "key"]

LOST_AT_MOST: Final = 100
"""The entries that one torn line stands for at most: the group that was being written."""

_BEGINS: Final = b'{"v":'
_MOST: Final = 100
_MAX_CHAINS: Final = 100_000


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing that is wrong with a log, or with one chain of it.

    Attributes:
        fault: `changed` is a line that is not as it was written, `missing` lines between two others, `cut off` lines at
            the end of a chain, or all of it, `heads` a line of the heads that is not as it was written, `key` a key
            that is not the one of the log.
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
        lost_at_most: the entries that went with these pieces, besides what waited in the memory of a killed process.
        unverified: lines before the first checkpoint of a chain whose beginning was removed: nothing vouches for them.
        unnoted: chains that neither the notes nor the start of a later chain know: they stood in another log with the
            same key, or their notes were removed; none where there are no notes, or as many as are kept.
        places: who has written the lines, as `service@host`; at most 100.
        last: the time of the last line, as it says.
    """

    lines: int = 0
    chains: int = 0
    findings: list[Finding] = field(default_factory=list[Finding])
    open_ended: list[str] = field(default_factory=list[str])
    torn: int = 0
    lost_at_most: int = 0
    unverified: int = 0
    unnoted: list[str] = field(default_factory=list[str])
    places: list[str] = field(default_factory=list[str])
    last: str = ""

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    @property
    def is_wrong_key(self) -> bool:
        """Whether the key is not the one of the log."""
        return any(found.fault == "key" for found in self.findings)


@dataclass(slots=True)
class _State:
    seq: int
    code: bytes
    key: bytes | None = None
    has_ended: bool = False
    is_broken: bool = False
    unvouched: Line | None = None


@dataclass(slots=True)
class _Torn:
    file: str
    line: int
    piece: bytes


def verify(
    files: Iterable[Path],
    *,
    key: bytes | Sequence[bytes] = b"",
    heads: Iterable[Path] = (),
    from_the_middle: bool = False,
) -> Verdict:
    """Verify a log.

    Args:
        files: in the order in which they were written, the oldest first.
        key: what the lines were sealed with; empty where there was no key; several where it was changed.
        heads: the files with the notes.
        from_the_middle: take it that files before these were removed: a chain may begin with a checkpoint then.

    Raises:
        OSError: a file cannot be read.
    """
    keys = (key,) if isinstance(key, bytes) else tuple(key) or (b"",)
    return _Verifier(keys, from_the_middle=from_the_middle).run(list(files), list(heads))


class _Verifier:
    def __init__(self, keys: tuple[bytes, ...], *, from_the_middle: bool) -> None:
        self._keys = keys
        self._is_excused = from_the_middle
        self._from_the_middle = from_the_middle
        self._first = 1  # the oldest generation that was kept
        self._generation = 0  # the last that has begun
        self._rotated = 0  # the last that has ended
        self._verdict = Verdict()
        self._chains: dict[str, _State] = {}
        self._torn: list[_Torn] = []
        self._heads: dict[str, dict[int, str]] = {}
        self._noted: set[str] = set()
        self._has_all_notes = False
        self._fits = self._fits_not = 0  # how often a key of ours has sealed something

    def run(self, files: list[Path], heads: list[Path]) -> Verdict:
        last = str(files[-1]) if files else ""
        told = [place for place in map(place_told, files) if place is not None]
        if told:
            self._first = max(1, min(told[-1][1], told[-1][0]))
            self._from_the_middle |= self._first > 1
        for path in heads:
            self._read_heads(path)
        self._has_all_notes = 0 < len(self._noted) < MOST
        for path in files:
            self._file(path)
        for torn in self._torn:
            self._find_torn(torn)
        self._end_generations(last)
        self._end_chains(last)
        verdict = self._verdict
        if self._fits_not and not self._fits:
            what = "This key is not the one of the log" if any(self._keys) else "The log has a key, and none was given"
            verdict.findings[:] = [Finding("key", last, 0, "", f"{what}, or nothing of it is as it was written.")]
        return verdict

    def _end_chains(self, last: str) -> None:
        for state in self._chains.values():
            if state.unvouched is not None and not state.is_broken:
                what = "It begins in the middle of a chain, for whose lines no checkpoint vouches."
                self._break(state, "changed", state.unvouched, what)
        for name, expected in self._heads.items():
            for seq in expected:  # those that were met are gone
                self._not_met(name, seq, last)
        verdict = self._verdict
        verdict.chains = len(self._chains)
        if self._has_all_notes:
            verdict.unnoted = [name for name in self._chains if name not in self._noted]
        verdict.open_ended = [name for name, state in self._chains.items() if not state.has_ended]
        verdict.lost_at_most = verdict.torn * LOST_AT_MOST

    def _file(self, path: Path) -> None:
        for number, line, is_whole in lines(path):
            pieces = len(self._torn)
            self._line(str(path), number, line)
            if is_whole:
                continue
            if len(self._torn) == pieces:
                what = "It ends without the line feed that it was written with."
                self._find("changed", Line(str(path), number), what)
            elif is_torn(self._torn[-1].piece):  # as the last thing that there is
                self._torn.pop()
                self._verdict.torn += 1

    def _read_heads(self, path: Path) -> None:
        for number, line, _ in lines(path):
            note = read_note(line, self._keys)
            if note is None:
                self._fits_not += 1
                what = "It is not as it was written, or the key is another."
                self._find("heads", Line(str(path), number), what)
                continue
            self._fits += 1
            if isinstance(note, Generations):
                self._rotated = max(self._rotated, note.current - 1)
            else:
                self._expect(note)

    def _expect(self, head: Head) -> None:
        """Know that a chain has come so far."""
        if len(self._noted) < _MAX_CHAINS:
            self._noted.add(head.chain)
        state = self._chains.get(head.chain)
        is_to_come = (state is None or state.seq < head.seq) and head.generation >= self._first
        if is_to_come and len(self._heads) < _MAX_CHAINS:
            self._heads.setdefault(head.chain, {})[head.seq] = head.mac

    def _line(self, file: str, number: int, line: bytes) -> None:
        found = read(file, number, line)
        if found is None:
            begins = line.rfind(_BEGINS)
            if begins > 0:  # the line of another process, behind what a killed one has left
                self._torn_piece(file, number, line[:begins])
                self._line(file, number, line[begins:])
            else:
                self._torn_piece(file, number, line)
            return
        self._torn_written_again(line)
        state = self._chains.get(found.chain) or self._begun(found)
        if state is None:
            return
        if not state.is_broken:
            self._follow(state, found)
        elif not self._fits:  # the first line was changed, or the key is another: the next ones say which
            if found.seq == state.seq + 1:
                self._seals(state, found, state.code)
            state.seq, state.code = found.seq, found.code

    def _begun(self, found: Line) -> _State | None:
        """Begin with a chain: with its first line, or with one of the middle, which a checkpoint has to vouch for."""
        if len(self._chains) >= _MAX_CHAINS:
            self._find("changed", found, f"There are more than {_MAX_CHAINS:,} chains.")
            return None
        if found.seq == 0 or not self._from_the_middle:
            state = self._chains[found.chain] = _State(-1, NOTHING)
            return state
        known = self._heads.get(found.chain, {})
        for early in [seq for seq in known if seq < found.seq]:
            del known[early]
        if found.event != "audit_checkpoint":
            self._verdict.unverified += 1
            self._chains[found.chain] = _State(found.seq, found.code, unvouched=found)
            return None
        state = self._chains[found.chain] = _State(found.seq - 1, _before(found))
        stood_in = found.facts.get("stood_in")
        if not self._is_excused and not (type(stood_in) is int and stood_in < self._first):
            what = f"Lines 0 to {found.seq - 1:,} of the chain are missing before it."
            self._find("missing", found, what)
        return state

    def _follow(self, state: _State, found: Line) -> None:
        """Hold a line against the one before it."""
        if found.seq > state.seq + 1:
            what = f"Lines {state.seq + 1:,} to {found.seq - 1:,} of the chain are missing before it."
            self._break(state, "missing", found, what)
        elif found.seq <= state.seq:
            self._break(state, "changed", found, f"Line {found.seq:,} of the chain stands here a second time.")
        elif state.has_ended:
            self._break(state, "changed", found, "It stands behind the end of its chain.")
        elif not self._seals(state, found, state.code):
            self._break(state, "changed", found, "It is not as it was written, or the key is another.")
        else:
            state.seq, state.code, state.has_ended = found.seq, found.code, found.event == "audit_end"
            self._verdict.lines += 1
            self._verdict.last = max(self._verdict.last, found.time)
            if found.place not in self._verdict.places and len(self._verdict.places) < _MOST:
                self._verdict.places.append(found.place)
            self._listen(state, found)
            noted = self._heads.get(found.chain, {}).pop(found.seq, "")
            if noted not in {"", found.code.hex()}:
                self._break(state, "changed", found, "A checkpoint was noted for another line in its place.")

    def _seals(self, state: _State, found: Line, before: bytes) -> bool:
        """Tell whether a line has its code, by the key of its chain."""
        for key in self._keys if state.key is None else (state.key,):
            if is_sound(found.payload, found.code, before, key):
                state.key = key
                self._fits += 1
                return True
        self._fits_not += 1
        return False

    def _listen(self, state: _State, found: Line) -> None:
        """Take what the log says of itself, now that it is known to be its own word."""
        if not found.facts:
            return
        if found.event == "audit_checkpoint":
            state.unvouched = None
        place = place_of(found)
        if place is not None:
            self._begin_generation(place[0], found)
        facts = found.facts
        if found.event == "audit_rotated" and type(facts.get("generation")) is int:
            self._rotated = max(self._rotated, facts["generation"])
        elif found.event == "audit_torn" and isinstance(facts.get("pieces"), list):
            known = set(map(str, cast("list[object]", facts["pieces"])))
            self._settle([torn for torn in self._torn if digest_of(torn.piece) in known])
        elif found.event == "audit_start" and isinstance(facts.get("earlier"), list):
            for told in cast("list[object]", facts["earlier"]):
                head = head_of(told)
                if head is not None and not self._is_excused:
                    self._expect(head)

    def _begin_generation(self, generation: int, found: Line) -> None:
        expected = self._generation + 1 if self._generation else self._first
        if generation != expected and not (self._is_excused and not self._generation):
            which = f"{expected:,} to {generation - 1:,}" if generation > expected else f"before {generation:,}"
            self._find("missing", found, f"Generations {which} of the file are missing before it.")
        self._generation = generation

    def _end_generations(self, last: str) -> None:
        if self._rotated and self._rotated >= self._generation:
            what = f"Generation {self._rotated + 1:,} of the file, which came next, is missing."
            self._find("cut off", Line(last, 0), what)

    def _break(self, state: _State, fault: Fault, found: Line, message: str) -> None:
        """Say the first thing that is wrong with a chain; what follows says nothing more."""
        state.is_broken = True
        self._find(fault, found, message)

    def _not_met(self, chain: str, seq: int, file: str) -> None:
        state = self._chains.get(chain)
        if state is None and not self._is_excused:
            self._chains[chain] = state = _State(-1, NOTHING)
        if state is not None and not state.is_broken:
            what = f"The chain had come to line {seq:,}, and here it ends with line {state.seq:,}."
            what = what if state.seq >= 0 else "The whole chain is missing."
            self._break(state, "cut off", Line(file, 0, chain=chain), what)

    def _torn_piece(self, file: str, number: int, piece: bytes) -> None:
        torn = _Torn(file, number, piece)
        self._torn.append(torn)
        if len(self._torn) > _MOST:
            self._find_torn(self._torn.pop(0))

    def _torn_written_again(self, line: bytes) -> None:
        """Forget the pieces that stand here whole."""
        if self._torn:
            self._settle([torn for torn in self._torn if line.startswith(torn.piece)])

    def _settle(self, known: list[_Torn]) -> None:
        """Forget pieces that are accounted for; what is complete, and has no code, never is."""
        for torn in known:
            if is_torn(torn.piece):
                self._torn.remove(torn)
                self._verdict.torn += 1

    def _find_torn(self, torn: _Torn) -> None:
        self._find("changed", Line(torn.file, torn.line), "It is no line of an audit log, nor a torn one.")

    def _find(self, fault: Fault, found: Line, message: str) -> None:
        if len(self._verdict.findings) < _MOST:
            self._verdict.findings.append(Finding(fault, found.file, found.number, found.chain, message))


def _before(checkpoint: Line) -> bytes:
    """Return the code of the line before a checkpoint, as it says."""
    try:
        before = bytes.fromhex(checkpoint.facts["before"])
    except (ValueError, KeyError, TypeError):
        return NOTHING
    return before if len(before) == len(NOTHING) else NOTHING
