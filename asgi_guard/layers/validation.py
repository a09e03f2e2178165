"""Validation: requests that carry an attack are refused before the application sees them.

The head is looked at before the application runs; a body when the application first asks for it, up to a bound, and
then the same messages are handed on, byte for byte. A multipart body of any length is looked at as it streams, its
files left alone, and so is a text of which nobody knows the type. What nobody parses is never read ahead. WebSocket
handshakes are looked at like a GET, and messages on request.
What is refused is said in events, by rule, class and place; the client learns neither, and nobody the payload.
Must never change a message, never keep one back once it was looked at, and never take the loop for itself: a long body
is looked at in steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer, LookAhead
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Message
from asgi_guard.events import Listener, notify
from asgi_guard.inspection.events import AttackFound, LimitCrossed
from asgi_guard.inspection.limits import HEAD_BYTES, CrossedError
from asgi_guard.inspection.log import RefusalLog, told_name
from asgi_guard.inspection.refusals import OF_LIMIT, of_attack
from asgi_guard.inspection.settings import MODES, Validation, ValidationFields
from asgi_guard.monitor.names import VALIDATION_FINDINGS, VALIDATION_LIMITS
from asgi_guard.settings import Problems, build

if TYPE_CHECKING:  # loaded when a lifespan begins, or with the first request
    from asgi_guard.inspection.body import Kind
    from asgi_guard.inspection.extract import Value
    from asgi_guard.inspection.inspector import Inspector
    from asgi_guard.inspection.multipart import MultipartReader
    from asgi_guard.inspection.policy import Judgement
    from asgi_guard.inspection.text_body import TextReader

_ACTIONS: Final = ("logged", "blocked")

_BREATH: Final = 4_096
"""The characters that are looked at before others may run: well under a millisecond."""

_UNDECIDED: Final = 8
"""The bytes that are kept of a body while it cannot be told what it begins like: a character, in any encoding."""

_MAX_EVENTS: Final = 16
"""Of one look, and one more where it is the first to refuse."""


class _Own:
    """What one request has of its own: the mode, and the reader of a body that streams on."""

    __slots__ = ("mode", "reader")

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.reader: MultipartReader | TextReader | None = None


class ValidationLayer(Layer):
    """Refuses attacks."""

    name: ClassVar[str] = "validation"
    wants: frozenset[bytes] = frozenset({b"content-type", b"content-encoding", b"content-length"})
    body_types: frozenset[bytes] = frozenset({b"*/*"})
    admit_deadline_seconds: float | None = None  # it waits for nothing: it lets others run
    overridable: frozenset[str] = frozenset({"mode"})

    def __init__(self, settings: Validation, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings: object = settings
        self._settings = settings
        self._limits = settings.limits
        self.body_look_ahead_bytes: int = self._limits.body_bytes + 1
        self._made: Inspector | None = None
        self._attack = of_attack(settings.status)
        self._log = RefusalLog(clock)

    async def start(self) -> None:
        """Compile the rules, which takes a tenth of a second, before there is a request to wait for it."""
        self._prepare().scanner.prepare()

    def take_over(self, previous: Layer) -> None:
        """Go on with its log, and get ready in the thread that reconfigures, where it was ready."""
        if not isinstance(previous, ValidationLayer):
            return
        self._log = previous._log  # noqa: SLF001
        if previous._made is not None:  # noqa: SLF001
            self._prepare().scanner.prepare()

    @property
    def _inspector(self) -> Inspector:
        """What looks, made when the first request comes, if no lifespan came before it."""
        return self._made or self._prepare()

    def _prepare(self) -> Inspector:
        if self._made is None:
            from asgi_guard.inspection.inspector import Inspector

            self._made = Inspector(self._settings)
        return self._made

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:
        """Take over the mode for one request."""
        problems = Problems('scope["asgi_guard"].validation')
        problems.choice("mode", fields["mode"], MODES)
        problems.raise_if_any()
        self._own(exchange).mode = fields["mode"]

    def _own(self, exchange: Exchange) -> _Own:
        own: _Own | None = exchange.cells.get(self)
        if own is None:
            own = exchange.cells[self] = _Own(self._settings.mode)
        return own

    # What is looked at ------------------------------------------------------------------------------------------------

    async def admit_async(self, exchange: Exchange) -> Reply | None:
        """Look at the head of the request."""
        scope = exchange.scope
        path: bytes = scope.get("raw_path") or scope.get("path", "").encode("utf-8", "surrogatepass")
        query: bytes = scope.get("query_string") or b""
        headers = scope.get("headers") or ()
        inspector = self._inspector
        try:
            if inspector.is_clean(path, query, headers):
                return None
        except TypeError:  # pairs that are lists have no hash
            headers = [(name, value) for name, value in headers]
        if len(path) + len(query) + exchange.header_bytes > HEAD_BYTES:
            refusal = self._crossed(exchange, CrossedError("head_bytes"))
            if refusal is not None:
                return refusal
        found = inspector.found
        reply = await self._look_slowly(exchange, inspector.head(path, query, headers))
        if inspector.found == found and reply is None:
            inspector.remember(query, headers)
        return reply

    async def body(self, exchange: Exchange, receive: LookAhead) -> Reply | None:
        """Look at the body before the application gets it."""
        content_type = exchange.header(b"content-type") or b""
        encoding = self._inspector.encoding_of(exchange.header_lines(b"content-encoding"))
        if len(set(exchange.header_lines(b"content-type"))) > 1:  # the application may read it as the other type
            refusal = self._crossed(exchange, CrossedError("content_type", 400))
            if refusal is not None:
                return refusal
        kind = self._inspector.kind_of(content_type)
        if kind == "multipart" and not encoding:
            return await self._look_at_parts(exchange, content_type, receive)
        if kind == "other" and not encoding:
            return await self._look_at_other(exchange, content_type, receive)
        if kind != "other" and self._is_declared_too_large(exchange):
            return self._crossed(exchange, _TOO_LARGE)
        body = await self._read(exchange, receive, [], is_whole=False)
        return await self._look_at_whole(exchange, body, kind, encoding)

    async def _look_at_other(self, exchange: Exchange, content_type: bytes, receive: LookAhead) -> Reply | None:
        """Look at a body of a type that says nothing: what it begins like says more."""
        begun, is_whole, begins_like = await self._begin(receive, content_type)
        is_parsed = begins_like in {"json", "xml"}
        method: str = exchange.scope.get("method", "")
        if begins_like == "text" or (is_parsed and self._inspector.is_chunk(method, content_type)):
            return await self._look_at_text(exchange, begun, is_whole=is_whole)
        if not is_parsed:
            return None
        body = await self._read(exchange, receive, begun, is_whole=is_whole)
        if body and len(body) > self._limits.body_bytes and not self._inspector.may_be_document(body):
            return await self._look_at_text(exchange, [body], is_whole=False)
        return await self._look_at_whole(exchange, body, "other")

    async def _look_at_whole(
        self, exchange: Exchange, body: bytes | None, kind: Kind, encoding: bytes = b""
    ) -> Reply | None:
        """Look at what was read of a body: all of it, or more than is looked at."""
        content_type = exchange.header(b"content-type") or b""
        if body and kind == "other" and self._inspector.is_for_the_application(body, content_type, encoding):
            return None
        if body is None or len(body) > self._limits.body_bytes:
            refusal = self._crossed(exchange, _TOO_LARGE)
            if refusal is not None:
                return refusal
        try:
            values = self._inspector.body(body or b"", kind, content_type, encoding)
        except CrossedError as crossed:
            return self._crossed(exchange, crossed)
        return await self._look_slowly(exchange, values)

    async def _begin(self, receive: LookAhead, content_type: bytes) -> tuple[list[bytes], bool, Kind | None]:
        """Read until it can be told what a body begins like; its first message does, unless it is blank."""
        pieces: list[bytes] = []
        beginning = b""
        is_whole, begins_like = False, None
        while begins_like is None and not is_whole and (message := await receive()) is not None:
            pieces.append(message.get("body") or b"")
            is_whole = not message.get("more_body", False)
            beginning = beginning[-_UNDECIDED:] + pieces[-1]
            begins_like = self._inspector.sniff(beginning, content_type)
        return pieces, is_whole, begins_like

    async def _read(
        self, exchange: Exchange, receive: LookAhead, begun: list[bytes], *, is_whole: bool
    ) -> bytes | None:
        """Read the rest of a body ahead, to the bound; nothing of one whose client has left.

        None is a body of more messages than are read ahead: empty ones, which no client needs.
        """
        size = sum(map(len, begun))
        while not is_whole and (message := await receive()) is not None:
            begun.append(message.get("body") or b"")
            size += len(begun[-1])
            is_whole = not message.get("more_body", False)
        if is_whole or size > self._limits.body_bytes:
            return b"".join(begun)
        return b"" if exchange.is_gone else None

    async def _look_at_text(self, exchange: Exchange, begun: list[bytes], *, is_whole: bool) -> Reply | None:
        """Look at the beginning of a text; at the rest of it as it streams."""
        reader = self._inspector.text()
        message = {"body": b"".join(begun), "more_body": not is_whole}
        reply = await self._look_slowly(exchange, self._streamed(exchange, reader, message))
        self._own(exchange).reader = reader
        return reply

    def _is_declared_too_large(self, exchange: Exchange) -> bool:
        declared = exchange.header(b"content-length") or b""
        return (
            declared.isdigit() and int(declared[:20]) > self._limits.body_bytes and self._settings.on_limit == "refuse"
        )

    async def _look_at_parts(self, exchange: Exchange, content_type: bytes, receive: LookAhead) -> Reply | None:
        """Look at the parts of a multipart body as they come; those beyond what is read ahead as they stream."""
        try:
            reader = self._inspector.parts(content_type)
        except CrossedError as crossed:
            return self._crossed(exchange, crossed)
        while (message := await receive()) is not None:
            reply = await self._look_slowly(exchange, self._streamed(exchange, reader, message))
            if reply is not None or not message.get("more_body", False):
                return reply
        self._own(exchange).reader = reader
        return None

    def inbound(self, exchange: Exchange, message: Message) -> Reply | None:
        """Look at what streams in after the body was looked at, and at the messages of a WebSocket."""
        if exchange.kind == "http":
            own: _Own | None = exchange.cells.get(self)
            if own is None or own.reader is None or message["type"] != "http.request":
                return None
            values = self._streamed(exchange, own.reader, message)
        elif self._settings.websocket_messages and message.get("text"):
            said = message["text"]
            if len(said) > self._limits.body_bytes:
                refusal = self._crossed(exchange, _TOO_LARGE)
                if refusal is not None:
                    return refusal
                said = said[: self._limits.body_bytes]
            values = self._inspector.body(said.encode(errors="replace"), "text", b"")
        else:
            return None
        return next(filter(None, self._look(exchange, values)), None)

    def _streamed(self, exchange: Exchange, reader: MultipartReader | TextReader, message: Message) -> Iterator[Value]:
        """Give out what a message of a body brings; more of a text than is looked at is only told."""
        was_beyond = reader.is_beyond
        yield from reader.feed(message.get("body") or b"")
        if not message.get("more_body", False):
            yield from reader.close()
        if reader.is_beyond and not was_beyond:
            self._tell_crossed(exchange, "body_bytes", is_refused=False)

    # How it is looked at ----------------------------------------------------------------------------------------------

    async def _look_slowly(self, exchange: Exchange, values: Iterable[Value]) -> Reply | None:
        """Look at values, and let others run in between."""
        scanner = self._inspector.scanner
        rested_at = scanner.scanned
        for reply in self._look(exchange, values):
            if reply is not None:
                return reply
            if scanner.scanned - rested_at >= _BREATH:
                from anyio.lowlevel import checkpoint  # now, not with the first import of the package

                await checkpoint()
                rested_at = scanner.scanned
        return None

    def _look(self, exchange: Exchange, values: Iterable[Value]) -> Iterator[Reply | None]:
        """Look at values; give out the answer where one is an attack or a limit, and None where others may run."""
        told = 0
        would_refuse = False
        for seen in self._inspector.look(values, exchange.scope):
            if seen is None:
                yield None
                continue
            is_news = self._would_refuse(seen) and not would_refuse
            if told >= _MAX_EVENTS and not (is_news or self._refuses(exchange, seen)):
                yield None  # no more is told, but what is only told must hide nothing that stands behind it
                continue
            told += 1
            would_refuse |= is_news
            yield self._crossed(exchange, seen) if isinstance(seen, CrossedError) else self._tell(exchange, seen)

    def _refuses(self, exchange: Exchange, seen: Judgement | CrossedError) -> bool:
        return self._would_refuse(seen) and self._mode(exchange) == "block"

    def _would_refuse(self, seen: Judgement | CrossedError) -> bool:
        """Tell whether this is refused where the mode is to block."""
        if isinstance(seen, CrossedError):
            return self._settings.on_limit == "refuse" and not seen.is_only_told
        return seen.blocks

    def _tell(self, exchange: Exchange, judgement: Judgement) -> Reply | None:
        is_refused = self._refuses(exchange, judgement)
        gravest = judgement.findings[0]
        self.count(VALIDATION_FINDINGS, gravest.rule.attack, gravest.place, _ACTIONS[is_refused])
        if self.listeners:
            event = AttackFound(
                **exchange.about(self),
                attack=gravest.rule.attack,
                rules=tuple(finding.rule.id for finding in judgement.findings[:16]),
                place=gravest.place,
                name="" if gravest.place == "name" else told_name(gravest.name),
                score=judgement.score,
                is_refused=is_refused,
                excerpt=gravest.excerpt,
            )
            notify(self.listeners, event)
        if judgement.blocks:
            self._log.attack(judgement, exchange.known_id, is_refused=is_refused)
            if not is_refused:
                exchange.would_refuse(self, self._attack)
        return self._attack if is_refused else None

    def _crossed(self, exchange: Exchange, crossed: CrossedError) -> Reply | None:
        """Refuse what goes on beyond a limit, or only tell."""
        reply = OF_LIMIT[crossed.status]
        is_refused = self._refuses(exchange, crossed)
        self._tell_crossed(exchange, crossed.limit, is_refused=is_refused)
        if self._would_refuse(crossed):
            self._log.limit(crossed.limit, exchange.known_id, is_refused=is_refused)
            if not is_refused:
                exchange.would_refuse(self, reply)
        return reply if is_refused else None

    def _tell_crossed(self, exchange: Exchange, limit: str, *, is_refused: bool) -> None:
        self.count(VALIDATION_LIMITS, limit, _ACTIONS[is_refused])
        if self.listeners:
            notify(self.listeners, LimitCrossed(**exchange.about(self), limit=limit, is_refused=is_refused))

    def _mode(self, exchange: Exchange) -> str:
        own: _Own | None = exchange.cells.get(self)
        return self._settings.mode if own is None else own.mode

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        settings = self._settings
        if settings.mode == "detect":
            return ("nothing: attacks and crossed limits are told to the listeners",)
        not_blocked = "".join(
            f", {attack}: {action}" for attack, action in settings.attacks.items() if action != "block"
        )
        attacks = f"{settings.status} for attacks, as the rules of level {settings.level} tell them{not_blocked}"
        if settings.on_limit == "flag":
            return (attacks,)
        size = f"413 for more than {self._limits.body_bytes:,} bytes of a body that is parsed, files apart"
        return (attacks, size, "400 for one that is nested too deep, and 415 for one whose encoding cannot be undone")


_TOO_LARGE: Final = CrossedError("body_bytes")


class ValidationMiddleware(Middleware):
    """Refuse requests that carry an attack.

    Args:
        app: the application to wrap.
        settings: a `Validation`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `Validation`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Validation | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[ValidationFields],
    ) -> None:
        super().__init__(app, ValidationLayer(build(Validation, settings, fields)), listeners=listeners)
