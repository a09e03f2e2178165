"""Wire: the state of one request on its way, and the `send` and `receive` that the application is given.

A fused stack has to behave as the same layers nested one inside the other would. Three facts keep it so:

* `floor`: the outermost position that the response start has passed; `plan.size` while there is none, 0 once it is on
  the wire. The layer at position p may still answer while p < floor.
* `cuts`: the positions that answered, or failed, before the application was through. What the application sends still
  passes the layers inside a cut, as it would in real nesting, and ends there. `cut` is the innermost of them.
* `answered_at` and `broken_at`: the outermost of either kind; the outer of the two decides what becomes of the call.

Must never mutate the scope, the messages or the header lists that it was handed, and never run a `head` twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from asgi_guard.engine import headers as header_list
from asgi_guard.engine import override
from asgi_guard.engine.life import Deadline, Ticker, Turn, new_event, ticker
from asgi_guard.engine.override import KEY
from asgi_guard.engine.request import Request, address
from asgi_guard.engine.types import Headers, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.plan import Plan, Steps
    from asgi_guard.engine.replies import Reply

logger: logging.Logger = logging.getLogger("asgi_guard")

SWITCHING_PROTOCOLS = 101
FIRST_ERROR, FIRST_PARKED = 400, 500
MOST_REPLACED_BYTES = 65_536
"""A larger body is no error page that a framework wrote by itself."""

HEADS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""The messages with which an application starts its answer."""

ENDS = {
    "http.response.body": "more_body",
    "http.response.pathsend": "",
    "http.response.trailers": "more_trailers",
    "http.response.zerocopysend": "more_body",
    "websocket.close": "",
    "websocket.http.response.body": "more_body",
}
"""The messages that may be the last, and the key that says that they are not."""

NEVER_HELD = (
    b"text/event-stream",
    b"application/grpc",
    b"application/json-seq",
    b"application/jsonl",
    b"application/ndjson",
    b"application/x-ndjson",
    b"multipart/x-mixed-replace",
)
"""Media types whose head a client waits for before there is a body: their start is never held back."""


class Wire(Request):
    """What has passed, and in which direction; calling it is the application's `send`.

    Attributes:
        status: of the response that goes out, 101 for a WebSocket that is accepted; 0 before there is one.
        is_accepted: whether this is a WebSocket whose handshake the application accepts or has accepted.
    """

    _held: Message | None
    _intake: Receive | None
    _opening: Any
    _outer: Wire | None
    _parked: Message | None
    _overridden_outside: Any
    _ticker: Ticker
    answered_at: int
    broken: Exception | None
    broken_at: int
    cut: int
    cuts: tuple[int, ...]
    deadlines: list[Deadline] | None
    floor: int
    foreign: Exception | None
    head_size: int
    holds: bool
    is_accepted: bool
    is_expired: bool
    is_gone: bool
    over_at: int
    replied: tuple[tuple[int, int], ...]
    status: int
    turn: Turn | None

    __slots__ = (
        "_held",
        "_intake",
        "_opening",
        "_outer",
        "_overridden_outside",
        "_parked",
        "_promises_trailers",
        "_send",
        "_ticker",
        "answered_at",
        "broken",
        "broken_at",
        "cut",
        "cuts",
        "deadlines",
        "floor",
        "foreign",
        "head_size",
        "holds",
        "is_accepted",
        "is_expired",
        "is_gone",
        "outside",
        "over_at",
        "replied",
        "status",
        "turn",
    )

    def __init__(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        # One flat constructor for all three classes: it runs for every request, and each further call would show.
        self.plan = plan
        self.scope: Scope = scope
        self._origin = scope
        self.kind: str = scope["type"]
        host: Any = scope.get("app")
        self.host_app: Any = host
        self.host_handlers: Any = None if host is None else scope.get("starlette.exception_handlers")
        self.outside: Receive = receive
        self._send = send
        self.cells: dict[Layer, Any] = {}
        self.cuts = self.replied = ()
        self.holds = plan.holds
        self.cut = -1
        self.status = self.head_size = 0
        self.floor = self.over_at = self.answered_at = self.broken_at = plan.size
        self.is_peer_trusted = self.is_gone = self.is_expired = self.is_accepted = self._promises_trailers = False
        self.request_id = self._restores = self._intake = self._held = self._outer = None
        self.overrides = self._overridden_outside = self._parked = None
        self.turn = self._opening = self.foreign = self.broken = self.deadlines = None
        peer = scope.get("client")
        host = peer[0] if peer else None
        self.client = host if type(host) is str and host and ":" not in host else address(host)
        headers: Any = scope.get("headers") or ()
        is_list = headers.__class__ is list
        if is_list:
            wants, size = plan.wants, 0
            found: dict[bytes, bytes] = {}
            for name, value in headers:
                size += len(name) + len(value)
                if name in wants:
                    found.setdefault(name, value)
            self._lines, self.found = headers, found
            self.header_bytes: int = size
            self.header_count: int = len(headers)
        if not is_list or b"host" not in self.found:
            self._scan_odd(headers)
        said = scope.get(KEY)
        if said is not None:
            override.begin(self, said)  # type: ignore[arg-type]
            if said.__class__ is self.__class__:
                self._overridden_outside = said
        if plan.overridable:
            self._own()[KEY] = self
        if send.__class__ is self.__class__:
            self._nest(send)

    def _nest(self, outer: Any) -> None:
        """Take over, inside an exchange that nests this one for real, what layers share."""
        self._outer = outer
        self.holds, outer.holds = self.holds or outer.holds, False  # one of them holds: the one that hears first
        self.request_id = outer.request_id
        self.is_peer_trusted: bool = outer.is_peer_trusted
        self.client = outer.client

    @property
    def _is_cut_off(self) -> bool:
        """Tell whether nothing that the application sends can reach the wire any more."""
        return self.cut >= 0 or (self._outer is not None and self._outer._is_cut_off)  # noqa: SLF001

    @property
    def _is_deserted(self) -> bool:
        """Tell whether nobody waits for an answer any more."""
        return self.is_gone or self.cut >= 0 or (self._outer is not None and self._outer._is_deserted)  # noqa: SLF001

    @property
    def has_rescuer(self) -> bool:
        """Tell whether any layer, here or further out, could turn an exception into a reply."""
        return bool(self.plan.rescues) or (self._outer is not None and self._outer.has_rescuer)

    # The way out ------------------------------------------------------------------------------------------------------

    async def __call__(self, message: Message) -> None:  # noqa: C901  one frame a message: each further one would show
        """Be the application's `send`."""
        if self.turn is not None or self._opening is not None:
            await self._wait_for_turn()
        kind = message["type"]
        plan = self.plan
        start: Message | None = None
        follows_head = True
        if kind in HEADS:
            outgoing = self._start(message, kind)
            if outgoing is None:
                return
            message = outgoing
            follows_head = False
        elif self._held is not None:
            if self.status >= FIRST_ERROR and await self._is_taken_away(message):
                return
            start = self._let_go(self._held)
        try:
            if start is not None:
                await self._open(start)
            if follows_head and plan.outbounds and self.floor < plan.size:
                self._observe(message, plan.size - 1, self.cut + 1)
            if self.cut < 0:
                await self._send(message)
        except Exception as exc:
            if exc is not self.broken:
                self._note_foreign(exc)
            raise
        if kind in ENDS and self.over_at == plan.size and not message.get(ENDS[kind], False):
            self._end(kind)

    async def _open(self, start: Message) -> None:
        """Send the start that was held; whatever another task sends meanwhile waits, so as not to overtake it."""
        self._opening = True
        try:
            await self._send(start)
        finally:
            waiting, self._opening = self._opening, None
            if waiting is not True:
                waiting.set()

    async def _wait_for_turn(self) -> None:
        if self.turn is not None:
            await self.turn.wait()
        if self._opening is not None:
            if self._opening is True:
                self._opening = new_event()
            await self._opening.wait()

    def _start(self, message: Message, kind: str) -> Message | None:
        """Open the response: run the heads, and return the start unless it is held or ends at a cut."""
        plan = self.plan
        if self.floor < plan.size or self._held is not None:
            raise RuntimeError(f"the application sent {kind!r} after it had started its response")
        given = message.get("headers")
        headers = header_list.fresh(given or ())
        self.head_size = len(headers)
        status = message.get("status", SWITCHING_PROTOCOLS)
        if self.cut < 0:  # else a layer has answered already, and this is not what the client gets
            self.status = status
        edited = headers
        if kind == "http.response.start":
            # type, status, headers and no more: the copy is spelled out, since a general one costs more
            if given is not None and len(message) == 3:
                message = {"type": kind, "status": status, "headers": headers}
            else:
                self._promises_trailers = message.get("trailers", False)
                message = {**message, "headers": headers}
            if self.holds and not _is_streaming(headers):
                self._held = message
                self._ticker = ticker()
                self._ticker.hold(self)
                return None
        else:
            message = {**message, "headers": headers}
            self.is_accepted = kind == "websocket.accept"
            if self.is_accepted and not _accept_takes_headers(self.scope):
                edited = list(headers)
        bottom = self.cut + 1
        self._edit_start(plan.heads, edited, bottom)
        return None if bottom else message

    def _let_go(self, held: Message) -> Message | None:
        """Take a held start back: it is committed now, so the layers edit its head."""
        self._held = None
        self._ticker.release(self)
        bottom = self.cut + 1
        self._edit_start(self.plan.heads, held["headers"], bottom)
        return None if bottom else held

    async def commit_late(self) -> None:
        """Put a start on the wire that the ticker has seen held for long enough."""
        while self.turn is not None:  # a deadline's answer is on its way, and a slow client takes its time
            await self.turn.wait()
        if self._held is not None:
            async with Turn(self):
                if self._parked is not None:
                    await self.commit_parked()
                    return
                start = self._let_go(self._held)
                if start is not None:
                    await self._pass(start)

    # Errors that the application has sent, while their start is held --------------------------------------------------

    async def _is_taken_away(self, message: Message) -> bool:
        """Keep back, or replace, an error that the application sends whole; tell whether this message is dealt with."""
        if self._parked is not None:
            await self.commit_parked()
            return False
        if message["type"] != "http.response.body" or message.get("more_body", False) or not self._can_be_replaced:
            return False
        if len(message.get("body") or b"") > MOST_REPLACED_BYTES:
            return False
        self._parked = message
        if self.status < FIRST_PARKED:
            await self.commit_parked()
        return True

    @property
    def _can_be_replaced(self) -> bool:
        return bool(self.plan.replaces) or (self._outer is not None and self._outer._can_be_replaced)  # noqa: SLF001

    async def commit_parked(self, exc: Exception | None = None) -> bool:
        """Let go of a whole response that was kept back, unless a layer answers in its place; tell whether one does."""
        held, message, self._parked = self._held, self._parked, None
        if held is None or message is None:
            return False
        if await self._replaced(held, message, exc):
            return True
        start = self._let_go(held)
        if start is not None:
            await self._pass(start)
        if self.plan.outbounds and self.floor < self.plan.size:
            self._observe(message, self.plan.size - 1, self.cut + 1)
        if self.cut < 0:
            await self._pass(message)
        self._end(message["type"])
        return False

    async def _replaced(self, start: Message, body: Message, exc: Exception | None) -> bool:
        """Let the innermost layer that wants to answer do so, here or further out."""
        position = self.plan.size
        for position, hook in self.plan.replaces:
            if position <= self.cut:
                break
            try:
                reply: Reply | None = hook(self, start, body, exc)
            except Exception as failure:
                self.fail_at(position, failure)
                raise
            if reply is not None:
                await self.answer(position, reply)
                return True
        outer = self._outer
        return outer is not None and outer.cut < 0 and await outer._replaced(start, body, exc)  # noqa: SLF001

    async def answer(self, position: int, reply: Reply) -> None:
        """Answer from `position` in the application's place."""
        raise NotImplementedError

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except Exception as exc:
            self._note_foreign(exc)
            raise

    def _note_foreign(self, exc: Exception) -> None:
        """Note an exception of whoever stands outside: no layer may answer for it."""
        self.foreign = exc
        self.is_gone = self.is_gone or isinstance(exc, OSError)

    def _edit(self, headers: Headers, top: int, bottom: int) -> None:
        """Run the heads of the positions from `top` out to `bottom`."""
        position = top
        try:
            for position, hook in self.plan.heads:
                if bottom <= position <= top:
                    hook(self, headers)
        except Exception as exc:
            self.fail_at(position, exc)
            raise

    def _edit_start(self, heads: Steps, headers: Headers, bottom: int) -> None:
        """Run some heads, out to `bottom`, over the application's own start, and note how far out it got."""
        position = bottom
        try:
            for position, hook in heads:
                if position >= bottom:
                    hook(self, headers)
        except Exception as exc:
            self.fail_at(position, exc)
            self.floor = position + 1
            raise
        self.floor = bottom

    def _observe(self, message: Message, top: int, bottom: int) -> None:
        """Show a message to the outbound hooks of the positions from `top` out to `bottom`."""
        position = top
        try:
            for position, hook in self.plan.outbounds:
                if bottom <= position <= top:
                    hook(self, message)
        except Exception as exc:
            self.fail_at(position, exc)
            raise

    def _end(self, kind: str) -> None:
        """Note that this was the last message, unless there is no head yet, or trailers are to come."""
        if self._promises_trailers and kind in {"http.response.body", "http.response.zerocopysend"}:
            return
        plan = self.plan
        if self.floor < plan.size or kind == "websocket.close":
            self.over_at = self.cut + 1
            if plan.completes:
                self._complete(plan.size - 1, self.cut + 1)

    def _complete(self, top: int, bottom: int) -> None:
        for position, hook in self.plan.completes:
            if bottom <= position <= top:
                guarded(hook, self)

    def fail_at(self, position: int, exc: Exception) -> None:
        """Note that a hook failed: nothing gets past its layer any more, and only layers outside it may rescue."""
        self._note_cut(position)
        if position < self.broken_at:
            self.broken, self.broken_at = exc, position

    def _note_cut(self, position: int) -> None:
        self.cuts = (*self.cuts, position)
        self.cut = max(self.cuts)


def guarded(hook: Callable[[Any], None], wire: Any) -> None:
    """Run a hook whose failure must not keep the others from theirs."""
    try:
        hook(wire)
    except Exception:
        logger.exception("%r failed", hook)


_not_streaming: set[bytes] = set()


def _is_streaming(headers: Headers) -> bool:
    content_type = header_list.get(headers, b"content-type")
    if content_type is None or content_type in _not_streaming:
        return False
    if content_type.lower().startswith(NEVER_HELD):
        return True
    if len(content_type) <= 64:  # an application may write what a client sent into it
        if len(_not_streaming) >= 256:
            _not_streaming.clear()
        _not_streaming.add(content_type)
    return False


def _accept_takes_headers(scope: Scope) -> bool:
    """Tell whether `websocket.accept` may carry headers (ASGI WebSocket spec 2.1)."""
    asgi: Mapping[str, object] = scope.get("asgi") or {}
    version = str(asgi.get("spec_version", "2.0"))
    return version >= "2.1"
