"""Scan: which rules the values of a request match.

Most values end after one look: nothing in them can be decoded, and no rule's literal is there; short ones are looked at
together. The others are decoded to a fixed point, and each text on the way is looked at plainly and in each view that
changes it. A long value is looked at in windows that overlap, so that no single step takes long: the steps are those
of a generator, and whoever drives it may let others run in between.
Must never skip a part of a value, and never take longer for a value than its length is worth.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Final

from asgi_guard.inspection.decode import (
    BASE64_LEVELS,
    MIN_BASE64,
    PIECE,
    ROUNDS,
    TRANSFORMS,
    decode,
    decode_slowly,
    fold,
    is_encoded,
    is_odd,
    unbase64,
)
from asgi_guard.inspection.engines import CUT, Engine, has_re2, matcher
from asgi_guard.inspection.extract import BREATH, Value
from asgi_guard.inspection.json_body import BLANK, inner_values
from asgi_guard.inspection.padding import is_padded, unpad, unpad_slowly
from asgi_guard.inspection.rule import LEVELS, VIEWS, Place, Rule, View
from asgi_guard.inspection.rules import WORDS, load
from asgi_guard.inspection.verdict import Finding, excerpt

WINDOW: Final = 4_096
"""The characters of a value that are looked at in one step."""

OVERLAP: Final = 512
"""Those of them that the next step sees as well: an attack of that length is never cut in two."""

_ALONE: Final = {view: frozenset((view,)) for view in VIEWS}
_PLAIN: Final = frozenset(VIEWS)  # where no view changes a text, it is the same in each
_SHORT: Final = 256
_MEMO_SIZE: Final = 4_096
_EDGES: Final = "\t\n\v\f\r ;"
"""What stands around a value and means nothing to a shell, a database or whoever trims what a client sends."""

_AT_EDGES: Final = frozenset(_EDGES)
_BEGINS_JSON: Final = frozenset('{["')


class Scanner:
    """Looks for rules in values.

    Args:
        rules: which.
        engine: `re2` or `re`; None takes the better one that is there.
        excerpts: whether findings carry a part of the value, redacted.
        skips_words: whether short words and numbers are not looked at, but for `WORDS`: none of the rules that come
            with this is about another one, and most values are.

    Attributes:
        engine: which one it is.
        scanned: the characters that were looked at so far, in all views: what the work is proportional to.
    """

    def __init__(
        self, rules: Iterable[Rule], engine: Engine | None = None, *, excerpts: bool = False, skips_words: bool = False
    ) -> None:
        self._excerpts = excerpts
        self._longest_word = MIN_BASE64 if skips_words else 0
        self._rules = tuple(rules)
        self.engine: Engine = engine or ("re2" if has_re2() else "re")
        self._matcher = matcher(self._rules, self.engine)
        self._among: dict[tuple[Place, frozenset[View]], int] = {}
        self._clean: set[tuple[Place, str]] = set()  # short values with nothing in them: the same ones come again
        self.scanned: int = 0

    def prepare(self) -> None:
        """Compile all rules, which takes a tenth of a second; otherwise each is when it is first tried."""
        self._matcher.prepare()

    def scan(self, values: Iterable[Value]) -> Iterator[list[Finding] | None]:
        """Look at values; give out the findings of each in which there are some, and None where others may run.

        Args:
            values: they are asked for one at a time, so that what they cost is spread as well.
        """
        return self._scan(values, ROUNDS)

    def _scan(self, values: Iterable[Value], opens: int) -> Iterator[list[Finding] | None]:
        """Look at values, and `opens` times at those of the JSON inside of one."""
        together: list[Value] = []
        size = 0
        clean = self._clean
        for value in values:
            if value is BREATH:
                self.scanned += PIECE
                yield None
                continue
            place, text = value.place, value.text
            length = len(text)
            if (length < self._longest_word and text.isalnum() and text.isascii() and text.lower() not in WORDS) or (
                place,
                text,
            ) in clean:
                continue  # a short word or a number, which no rule is about; or what was looked at before
            if length > _SHORT or value.__class__ is not Value:
                yield from self._scan_alone(value, opens)
                continue
            together.append(value)
            size += length
            if size >= WINDOW:
                yield from self._scan_together(together, opens)
                together, size = [], 0
                yield None
        if together:
            yield from self._scan_together(together, opens)

    def is_clean(self, place: Place, text: str) -> bool:
        """Tell whether nothing is in a short and plain value; any other takes a longer look."""
        if (place, text) in self._clean:
            return True
        if len(text) > _SHORT or not _is_plain(text) or self._find(fold(text), place, _PLAIN):
            return False
        self._remember((Value(place, "", text),))
        return True

    def _scan_together(self, values: list[Value], opens: int) -> Iterator[list[Finding] | None]:
        """Look at short values: once at those that are plain, at each of the others in all that it may become."""
        for value in values:
            place, text = value.place, value.text
            if not _is_plain(text):
                yield from self._scan_alone(value, opens)
            elif found := self._find(fold(text), place, _PLAIN):
                yield [self._finding(index, "plain", value) for index in found]
            else:
                self._remember((value,))

    def _scan_alone(self, value: Value, opens: int) -> Iterator[list[Finding] | None]:
        found: dict[int, View] = {}
        documents: list[str] = []
        for _ in self._look(value, found, documents):
            yield None
        if found:
            yield [self._finding(index, view, value) for index, view in sorted(found.items())]
        if documents:  # what is not opened here may be where it comes again
            if opens and not any(value.is_cut):
                yield from self._scan(inner_values(value, documents), opens - 1)
        elif not found and len(value.text) <= _SHORT and not any(value.is_cut):
            self._remember((value,))

    def _finding(self, index: int, view: View, value: Value) -> Finding:
        rule = self._rules[index]
        return Finding(rule, view, value.place, value.name, excerpt(value.text, rule) if self._excerpts else "")

    def _remember(self, values: Iterable[Value]) -> None:
        if len(self._clean) >= _MEMO_SIZE:
            self._clean.clear()
        self._clean.update([(value.place, value.text) for value in values])

    # One value --------------------------------------------------------------------------------------------------------

    def _look(self, value: Value, found: dict[int, View], documents: list[str]) -> Generator[None]:
        """Look at each text that this one may become; fill in the rules that match, by their index, with the view.

        Those that begin like JSON are put among the documents.
        """
        texts = [value.text]
        seen = {value.text}
        levels = BASE64_LEVELS
        for _ in range(ROUNDS + 1):
            following: list[str] = []
            for each in texts:
                yield from self._look_at_windows(each, value, found)
                trimmed = each.strip(_EDGES)
                if trimmed != each and len(trimmed) <= _SHORT and not any(value.is_cut):
                    yield from self._look_at_windows(trimmed, value, found)
                if '"' in each and each.lstrip(BLANK)[:1] in _BEGINS_JSON:
                    documents.append(each)
                inside = unbase64(each) if levels else ()
                if inside:
                    levels -= 1
                    following += inside
                if is_encoded(each):
                    following.append(
                        decode(each) if len(each) <= WINDOW else (yield from self._counted(decode_slowly(each)))
                    )
            texts = [each for each in following if each not in seen]
            if not texts:
                return
            seen.update(texts)

    def _counted(self, steps: Generator[None, None, str]) -> Generator[None, None, str]:
        """Count what is decoded as what is looked at: it takes its time as well, and others may run in between."""
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return str(end.value)
            self.scanned += PIECE
            yield

    def _look_at_windows(self, text: str, value: Value, found: dict[int, View]) -> Generator[None]:
        """Look at a text that a value became, and at what it is without padding; cuts stand where a window ends."""
        begun, goes_on = value.is_cut
        unpadded = text
        if len(text) > WINDOW:
            unpadded = yield from self._counted(unpad_slowly(text))
        elif is_padded(text):
            unpadded = unpad(text)
        for each in (text,) if unpadded == text else (text, unpadded):
            size = len(each)
            for start in range(0, max(size - OVERLAP, 1), WINDOW - OVERLAP) if size > WINDOW else (0,):
                end = start + WINDOW
                cuts = CUT * (begun or start > 0), CUT * (goes_on or end < size)
                yield from self._look_at_views(each[start:end], value.place, found, cuts)
                yield

    def _look_at_views(self, text: str, place: Place, found: dict[int, View], cuts: tuple[str, str]) -> Generator[None]:
        """Look at a text plainly, then in each view that changes it; `cuts` stand where a window cuts it."""
        before, after = cuts
        plain = fold(text)
        changed: dict[View, str] = {}
        if is_odd(plain):
            for view, transform in TRANSFORMS.items():
                seen = transform(plain)
                if seen != plain:
                    changed[view] = seen
        for index in self._find(f"{before}{plain}{after}", place, _PLAIN.difference(changed), found):
            found.setdefault(index, next(view for view in self._rules[index].views if view not in changed))
        for view, seen in changed.items():
            yield
            for index in self._find(f"{before}{seen}{after}", place, _ALONE[view], found):
                found.setdefault(index, view)

    def _find(self, text: str, place: Place, views: frozenset[View], found: Iterable[int] = ()) -> list[int]:
        """Return the rules of a place that are in a text, among those that look at it in one of these views.

        What was found in the value already is not looked for again: else who sends all attacks at once pays least.
        """
        among = self._among.get((place, views))
        if among is None:
            asked = [place in rule.places and not views.isdisjoint(rule.views) for rule in self._rules]
            among = self._among[place, views] = sum(is_asked << index for index, is_asked in enumerate(asked))
        self.scanned += len(text)
        for index in found:
            among &= ~(1 << index)
        return self._matcher.find(text, among)


def _is_plain(text: str) -> bool:
    """Tell whether a text is only what it reads as: nothing decodes it, and no view changes it."""
    is_more = is_odd(text) or is_padded(text) or text[-1:] in _AT_EDGES or text[:1] in _AT_EDGES or unbase64(text)
    return not is_more


_scanners: dict[tuple[int, Engine | None], Scanner] = {}


def scanner(level: int, engine: Engine | None = None) -> Scanner:
    """Return a scanner with all the rules of a level; it is made once."""
    key = level, engine
    if key not in _scanners:
        _scanners[key] = Scanner([rule for rule in load() if rule.level <= level], engine, skips_words=True)
    return _scanners[key]


def changes(text: str) -> tuple[str, ...]:
    """Name what a text is changed by before it is looked at: decodings, and the views of what comes out of them."""
    decoded = text
    for _ in range(ROUNDS):
        decoded = decode("\n".join(unbase64(decoded)) or decoded)
    plain = fold(decoded)
    names = {"base64": bool(unbase64(text)), "decoded": decoded != text}
    names |= {view: transform(plain) != plain for view, transform in TRANSFORMS.items()}
    return tuple(name for name, is_changed in names.items() if is_changed)


def inspect_value(
    text: str, place: Place = "query", level: int = LEVELS[-1], engine: Engine | None = None
) -> list[Finding]:
    """Return what all rules of a level find in one value: to try a rule out.

    Args:
        text: the value as the application would get it, decoded once where a query or a form has it.
        place: where it stands.
        level: 1 to 3.
        engine: `re2` or `re`; by default the better one that is there.
    """
    value = Value(place, "", text)
    return [finding for findings in scanner(level, engine).scan([value]) for finding in findings or ()]
