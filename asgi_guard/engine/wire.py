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

from types import MethodType
from typing import TYPE_CHECKING, Any

from asgi_guard.engine import headers as header_list
from asgi_guard.engine.headers import usual
from asgi_guard.engine.life import Deadline, Ticker, Turn, guarded, new_event, ticker
from asgi_guard.engine.messages import ENDS, HEADS, SWITCHING_PROTOCOLS, accept_takes_headers
from asgi_guard.engine.override import KEY, begin
from asgi_guard.engine.request import Request, address
from asgi_guard.engine.types import Headers, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.plan import Plan

FIRST_ERROR = 400


class Wire(Request):
    """What has passed, and in which direction; its `send` is the application's.

    Attributes:
        failure: the exception that ended the call, whoever answers for it; None before there is one.
        status: of the response that goes out, 101 for a WebSocket that is accepted; 0 before there is one.
        is_accepted: whether this is a WebSocket whose handshake the application accepts or has accepted.
        is_admitted: whether all layers have let the request pass, and the application was called.
        is_inside: whether another guard stands around this one.
        inner: the exchange of the guard further in that was called last, whatever stands between; None without one.
    """

    client: str | None
    found: dict[bytes, bytes]
    header_bytes: int
    header_count: int
    host_app: Any
    inner: Wire | None
    is_peer_trusted: bool
    overrides: dict[str, Any] | None
    request_id: str | None
    scope: Scope
    _held: Message | None
    _intake: Receive | None
    _opening: Any
    _outer: Wire | None
    _parked: tuple[Message, ...] | None
    _overridden_outside: Any
    _ticker: Ticker
    answered_at: int
    broken: Exception | None
    broken_at: int
    cut: int
    cuts: tuple[int, ...]
    deadlines: list[Deadline] | None
    floor: int
    failure: Exception | None
    foreign: Exception | None
    head_size: int
    holds: bool
    is_accepted: bool
    is_admitted: bool
    is_expired: bool
    is_gone: bool
    is_inside: bool
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
        "failure",
        "floor",
        "foreign",
        "head_size",
        "holds",
        "inner",
        "is_accepted",
        "is_admitted",
        "is_expired",
        "is_gone",
        "is_inside",
        "outside",
        "over_at",
        "replied",
        "status",
        "turn",
    )

    if TYPE_CHECKING:  # what `parking` has; a class between this one and the exchange

        async def commit_late(self) -> None: ...

        async def _is_taken_away(self, message: Message) -> bool: ...

    def __init__(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        # One flat constructor for all three classes: it runs for every request, and each further call would show.
        self.plan = plan
        self.scope = self._origin = scope
        self.kind: str = scope["type"]
        self.host_app = host = scope.get("app")
        self.host_handlers: Any = None if host is None else scope.get("starlette.exception_handlers")
        self.outside: Receive = receive
        self._send = send
        self.cells: dict[Layer, Any] = {}
        self.cuts = self.replied = ()
        self.holds = plan.holds
        self.cut = -1
        self.status = self.head_size = 0
        self.floor = self.over_at = self.answered_at = self.broken_at = plan.size
        self.is_peer_trusted = self.is_gone = self.is_expired = self.is_accepted = False
        self.is_admitted = self.is_inside = self._promises_trailers = self._has_repeated = False
        self.request_id = self._restores = self._intake = self._held = self._outer = None
        self.overrides = self._overridden_outside = self._parked = None
        self.turn = self._opening = self.foreign = self.broken = self.deadlines = self.failure = self.inner = None
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
                    if name in found:
                        self._has_repeated = True
                    else:
                        found[name] = value
            self._lines, self.found = headers, found
            self.header_bytes, self.header_count = size, len(headers)
        if not is_list or b"host" not in self.found:
            self._scan_odd(headers)
        said = scope.get(KEY)
        if said is not None:
            begin(self, said)  # type: ignore[arg-type]
            if said.__class__ is self.__class__:
                self._overridden_outside = said
                self.is_inside = True
                said.inner = self
        if plan.overridable:
            self.scope = {**self.scope, KEY: self}
        outside: Any = send
        if send.__class__ is MethodType and outside.__self__.__class__ is self.__class__:
            self._nest(outside.__self__)

    def _nest(self, outer: Any) -> None:
        """Take over, inside an exchange that nests this one for real, what layers share."""
        self._outer = outer
        self.is_inside = True
        outer.inner = self
        self.holds, outer.holds = self.holds or outer.holds, False  # one of them holds: the one that hears first
        self.request_id = outer.request_id
        self.is_peer_trusted: bool = outer.is_peer_trusted
        self.client = outer.client

    def forget_inner(self) -> None:
        """Forget the guard further in: it has ended."""
        self.inner = None

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

    async def send(self, message: Message) -> None:  # noqa: C901, PLR0912  one frame a message: further ones would show
        """Be the application's `send`."""
        if self.turn is not None or self._opening is not None:
            await self._wait_for_turn()
        kind = message["type"]
        plan = self.plan
        start: Message | None = None
        is_head = kind in HEADS
        if is_head:
            outgoing = self._start(message, kind)
            if outgoing is None:
                return
            message = outgoing
        elif self._held is not None:
            if self.status >= FIRST_ERROR and await self._is_taken_away(message):
                return
            start = None if self._held is None else self._let_go(self._held)
        try:
            if start is not None:  # whatever another task sends meanwhile waits, so as not to overtake it
                self._opening = True
                try:
                    await self._send(start)
                finally:
                    waiting, self._opening = self._opening, None
                    if waiting is not True:
                        waiting.set()
            if not is_head and plan.outbounds and self.floor < plan.size:
                self._observe(message, plan.size - 1, self.cut + 1)
            if self.cut < 0:
                await self._send(message)
        except Exception as exc:
            if exc is not self.broken:
                self._note_foreign(exc)
            raise
        if kind in ENDS and self.over_at == plan.size and not message.get(ENDS[kind], False):
            self._end(kind)

    async def _wait_for_turn(self) -> None:
        if self.turn is not None:
            await self.turn.wait()
        if self._opening is not None:
            if self._opening is True:
                self._opening = new_event()
            await self._opening.wait()

    def _start(self, message: Message, kind: str) -> Message | None:
        """Open the response: run the heads, and return the start unless it is held or ends at a cut."""
        if self.floor < self.plan.size or self._held is not None:
            raise RuntimeError(f"the application sent {kind!r} after it had started its response")
        given: Any = message.get("headers")
        try:
            is_usual = given.__class__ is list and usual.issuperset(given)
        except TypeError:  # pairs that are lists have no hash
            is_usual = False
        headers: Headers = given[:] if is_usual else header_list.fresh(given or ())
        self.head_size = len(headers)
        status = message.get("status", SWITCHING_PROTOCOLS)
        if self.cut < 0:  # else a layer has answered already, and this is not what the client gets
            self.status = status
        if kind == "http.response.start":
            # type, status, headers and no more: the copy is spelled out, since a general one costs more
            if given is not None and len(message) == 3:
                message = {"type": kind, "status": status, "headers": headers}
            else:
                self._promises_trailers = message.get("trailers", False)
                message = {**message, "headers": headers}
            if self.holds and (is_usual or not header_list.announces_stream(headers)):
                self._held = message
                self._ticker = ticker()
                self._ticker.hold(self, self.deadlines[0] if self.deadlines else None)
                return None
        else:
            message = {**message, "headers": headers}
            self.is_accepted = kind == "websocket.accept"
            if self.is_accepted and not accept_takes_headers(self.scope):
                headers = [*headers]
        return self._commit(message, headers)

    def _let_go(self, held: Message) -> Message | None:
        """Take a held start back: it is committed now, so the layers edit its head."""
        self._held = None
        self._ticker.release(self)
        return self._commit(held, held["headers"])

    def _commit(self, start: Message, headers: Headers) -> Message | None:
        """Run the heads over the application's own start, out to a cut; return it unless it ends there."""
        bottom = position = self.cut + 1
        try:
            for position, hook in self.plan.heads:
                if position >= bottom:
                    hook(self, headers)
        except Exception as exc:
            self.fail_at(position, exc)
            self.floor = position + 1
            raise
        self.floor = bottom
        return None if bottom else start

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
