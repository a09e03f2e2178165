"""Inspector: everything that looks at a request, made of settings when the first request comes.

Must never be imported where a guard is only built: the rules, and what reads bodies, take longer to load than all else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from asgi_guard.engine.types import Scope
from asgi_guard.inspection import body as bodies
from asgi_guard.inspection.extract import Value, head, text
from asgi_guard.inspection.graphql import STEP, check_document
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.linked import may_name_session
from asgi_guard.inspection.multipart import MultipartReader
from asgi_guard.inspection.policy import Judgement, Policy
from asgi_guard.inspection.rules import ATTACKS, load
from asgi_guard.inspection.scan import Scanner, scanner
from asgi_guard.inspection.settings import Validation
from asgi_guard.inspection.text_body import TextReader

_DOCUMENT: Final = "query"  # where GraphQL over HTTP has it
_MEMO_SIZE: Final = 4_096
_MEMO_LENGTH: Final = 256
_MEMO_QUERY: Final = 2_048


class Inspector:
    """Looks at what settings say.

    Args:
        settings: of the validation.

    Attributes:
        limits: how much is looked at.
        scanner: what looks.
        found: in how many values something was found so far, whatever it came to.
    """

    __slots__ = ("_graphql", "_known_fields", "_known_lines", "_policy", "found", "limits", "scanner")

    def __init__(self, settings: Validation) -> None:
        self.limits: Limits = settings.limits
        self.scanner: Scanner = _scanner(settings)
        self.found: int = 0
        self._known_fields: set[bytes] = set()
        self._known_lines: set[tuple[bytes, bytes]] = set()
        self._graphql = settings.attacks.get("graphql", "block")
        self._policy = Policy(settings.level, settings.attacks, settings.exclude)

    def kind_of(self, content_type: bytes) -> bodies.Kind:
        """Return how a body of this type is read; see `body.kind_of`."""
        return bodies.kind_of(content_type)

    def sniff(self, beginning: bytes, content_type: bytes = b"") -> bodies.Kind | None:
        """Return how a body is read that begins like this; see `body.sniff`."""
        return bodies.sniff(beginning, content_type)

    def encoding_of(self, lines: Iterable[bytes]) -> bytes:
        """Return how a body is encoded; see `body.encoding_of`."""
        return bodies.encoding_of(lines)

    def head(self, path: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Iterator[Value]:
        """Give out the values of a head (see `extract.head`), but for lines that were looked at: they come again."""
        return head(path, query, headers if may_name_session(query) else self._unknown(headers), self.limits)

    def _unknown(self, headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        known = self._known_lines
        return [line for line in headers if line not in known]

    def is_clean(self, path: bytes, query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Tell quickly whether nothing is in a head whose headers and parameters were all looked at before.

        Every value is judged by itself, so they may have come in other requests. False only says: look.
        """
        if query:
            fields = query.split(b"&") if len(query) <= _MEMO_QUERY else ()
            if not 0 < len(fields) <= self.limits.fields or not self._known_fields.issuperset(fields):
                return False
        return (
            self._known_lines.issuperset(headers)
            and len(path) <= _MEMO_LENGTH
            and self.scanner.is_clean("path", text(path))
        )

    def remember(self, query: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Note that nothing was found in this query and in these headers."""
        for known in (self._known_fields, self._known_lines):
            if len(known) >= _MEMO_SIZE:
                known.clear()
        if query and len(query) <= _MEMO_QUERY and not may_name_session(query):  # that depends on who links to it
            self._known_fields.update([field for field in query.split(b"&") if len(field) <= _MEMO_LENGTH])
        lines = self._unknown(headers)
        self._known_lines.update([line for line in lines if len(line[1]) <= _MEMO_LENGTH >= len(line[0])])

    def is_chunk(self, method: str, content_type: bytes) -> bool:
        """Tell whether a body is a piece of an upload; see `body.is_chunk`."""
        return bodies.is_chunk(method, content_type)

    def is_for_the_application(self, body: bytes, content_type: bytes, encoding: bytes) -> bool:
        """Tell whether nothing but the application reads this: a file of which no parser would take anything.

        Args:
            body: as much of it as was read, as it was sent.
            content_type: of the request.
            encoding: its Content-Encoding; what cannot be undone here is opaque.
        """
        if not bodies.is_file(content_type):
            return False
        if encoding:
            return bodies.sniff(bodies.beginning(body, encoding), content_type) not in {"json", "xml"}
        return bodies.is_binary(body)

    def may_be_document(self, body: bytes) -> bool:
        """Tell whether this may be the beginning of what a parser takes; see `body.may_be_document`."""
        return bodies.may_be_document(body)

    def body(self, body: bytes, kind: bodies.Kind, content_type: bytes, encoding: bytes = b"") -> Iterator[Value]:
        """Give out the values of a whole body.

        Raises:
            CrossedError: a limit.
        """
        if encoding and body:
            body = bodies.inflate(body, encoding, self.limits)
        return bodies.values(body, kind, content_type, self.limits) if body.strip() else iter(())

    def parts(self, content_type: bytes) -> MultipartReader:
        """Begin to read a multipart body.

        Raises:
            CrossedError: it has no boundary.
        """
        return MultipartReader(content_type, self.limits)

    def text(self) -> TextReader:
        """Begin to read a body that is looked at as a text while it streams."""
        return TextReader(self.limits)

    def look(self, values: Iterable[Value], scope: Scope) -> Iterator[Judgement | CrossedError | None]:
        """Look at values: give out what an attack comes to, the limit that was crossed, and None where others may run.

        Args:
            values: of the request.
            scope: of the request, for what is excluded.
        """
        following = iter(values)
        is_more = True
        while is_more:  # what crossed a limit is at its end, but not what stands beside it
            crossed: list[CrossedError] = []
            documents: list[str] = []
            try:
                for findings in self.scanner.scan(self._noted(following, documents, crossed)):
                    yield from self._count(documents)
                    self.found += findings is not None
                    yield None if findings is None else self._policy.judge(findings, scope)
            except CrossedError as error:  # in JSON inside of a value
                crossed.append(error)
            yield from self._count(documents)
            self.found += len(crossed)  # what was not looked at is not harmless
            yield from crossed
            is_more = bool(crossed)

    def _noted(self, values: Iterable[Value], documents: list[str], crossed: list[CrossedError]) -> Iterator[Value]:
        """Hand values on until a limit is crossed, and note those that may be GraphQL."""
        try:
            for value in values:
                yield value
                if value.name == _DOCUMENT and "{" in value.text and self._graphql != "off":
                    documents.append(value.text)
        except CrossedError as error:
            crossed.append(error)

    def _count(self, documents: list[str]) -> Iterator[CrossedError | None]:
        """Count what documents ask for; give out the limits that are crossed, and None where others may run."""
        for document in documents:
            try:
                for _ in check_document(document, self.limits):
                    self.scanner.scanned += STEP
                    yield None
            except CrossedError as crossed:
                crossed.is_only_told = self._graphql == "detect"
                self.found += 1
                yield crossed
        documents.clear()


def _scanner(settings: Validation) -> Scanner:
    off = {attack for attack, action in settings.attacks.items() if action == "off"}
    if not (off or settings.rules or settings.excerpts):
        return scanner(settings.level, settings.engine)
    rules = [*load(attack for attack in ATTACKS if attack not in off)]
    rules += [rule for rule in settings.rules if rule.attack not in off]
    return Scanner(
        [rule for rule in rules if rule.level <= settings.level],
        settings.engine,
        excerpts=settings.excerpts,
        skips_words=not settings.rules,
    )
