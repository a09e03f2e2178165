"""Layer: the hooks that a protection may fill in.

Rule 1: a layer holds settings, never a request. What belongs to one request stands in `exchange.cells[self]`.
Rule 2: a layer never touches `send` or `receive`; it answers with a `Reply`, or edits a fresh header list.
Rule 3: the engine collects, once, only the hooks that a class fills in; an empty hook costs nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from asgi_guard.engine.types import Headers, Message
from asgi_guard.events import Listener

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.replies import Reply

LookAhead = Callable[[], Awaitable[Message | None]]
"""What a `body` hook reads with: the next message, or None at the end, on disconnect, or at the declared bound."""

HOOKS = ("admit", "admit_async", "inbound", "body", "head", "outbound", "rescue", "replace", "complete", "finish")


class Layer:
    """One protection. Fill in any of the hooks; each runs only for layers whose turn to admit had come.

    Attributes:
        name: how events, `explain()` and metrics call it.
        settings: what it was made of, for `explain()`.
        decides: whether its letting a request pass is worth an event.
        wants: lower-case names of the request headers that it reads for every request: one scan serves all layers. Any
            other header can be read too, by a scan of its own.
        listeners: who is told what this layer decided; empty by default.
        hears: a listener of this layer's own: a guard tells it what all of its layers decide.
        hears_of: the names of the parts that this listener waits for; a guard refuses names that it has no part of.
        body_types: media types (lower case, no parameters) for which `body` runs; `*/*` is every one.
        body_look_ahead_bytes: how much `body` may read ahead before the application gets its first message.
        admit_deadline_seconds: how long `admit_async` may wait before it counts as failed with `TimeoutError`; None
            when the layer bounds its own wait.
        overridable: the fields of its settings that one request may override; see `override`.
        is_aside: whether what it answers is no request of the application's, such as a probe: telemetry leaves it out.
        aggregate: where all layers of its stack count; a layer of telemetry has one.
        counts_in: that aggregate, as this layer was given it; None where there is none.
        holds_start: keep the response start back until the first body message, at most 50 ms, so that an exception
            between the two is still a proper error; event streams, NDJSON and gRPC are never held.
    """

    name: ClassVar[str] = "layer"
    settings: object = None
    decides: ClassVar[bool] = True
    is_aside: ClassVar[bool] = False
    wants: frozenset[bytes] = frozenset()
    listeners: tuple[Listener, ...] = ()
    hears: Listener | None = None
    hears_of: Sequence[str] = ()
    body_types: frozenset[bytes] = frozenset()
    body_look_ahead_bytes: int = 65_536
    admit_deadline_seconds: float | None = 1.0
    overridable: frozenset[str] = frozenset()
    aggregate: Any = None
    counts_in: Any = None
    holds_start: bool = False

    def admit(self, exchange: Exchange) -> Reply | None:
        """Decide before the application runs, the body untouched; a reply refuses."""

    async def admit_async(self, exchange: Exchange) -> Reply | None:
        """Decide as `admit` does, where the decision must wait for something."""

    def inbound(self, exchange: Exchange, message: Message) -> Reply | None:
        """See each message that the application is about to receive; a reply refuses in mid-stream."""

    async def body(self, exchange: Exchange, receive: LookAhead) -> Reply | None:
        """Look at the body before the application gets it; what was read is handed on unchanged."""

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Edit the headers of the response (or of a WebSocket accept), once, when its head is committed."""

    def outbound(self, exchange: Exchange, message: Message) -> None:
        """See each message that follows the head; it must not be changed."""

    def rescue(self, exchange: Exchange, exc: Exception) -> Reply | None:
        """Turn an exception into a reply while nothing is on the wire; None lets it pass."""

    def replace(self, exchange: Exchange, start: Message, body: Message, exc: Exception | None) -> Reply | None:
        """Answer in place of an error that the application has sent, whole, while its start was held.

        It is asked when the response is let go, for statuses from 400. One from 500 on is kept until the application is
        through, as its start is, since frameworks answer for an exception before they raise it.

        Args:
            exchange: the request.
            start: the start, whose headers no layer has edited yet.
            body: the one message of the body.
            exc: what the application has raised afterwards; None where it has not, or not yet.

        Returns:
            What to answer instead; None leaves the response as it is.
        """

    def complete(self, exchange: Exchange) -> None:
        """Run once, after the last byte was sent and before the application's background work."""

    def finish(self, exchange: Exchange) -> None:
        """Run exactly once, when the call ends, whatever happened: release what was taken."""

    def stands_among(self, parts: Callable[[], Mapping[str, str]]) -> None:
        """Know the settings of the guard that this is a part of, written out; called again when they change."""

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:
        """Check, and take over, what `scope["asgi_guard"]` says of this layer for one request.

        It runs before `admit` where whoever stands outside has said it, and at once where the application says it.
        `exchange.overrides` has the fields from then on; every name in them is in `overridable`.

        Raises:
            ConfigError: a value is wrong.
        """

    def take_over(self, previous: Layer) -> None:
        """Go on with what the layer that stood in this place has counted: the guard was reconfigured."""

    def leave(self) -> None:
        """Know that this layer is no more: the guard was reconfigured, and its part is off."""

    def wraps(self, app: Any) -> None:
        """Know the application that the stack stands around; it is told when a stack is assembled."""

    def count_in(self, aggregate: Any) -> None:
        """Take the handles of what this layer counts from an aggregate of `asgi_guard.monitor`.

        It is asked when a stack is assembled that has one, so it may be asked several times.
        """
        self.counts_in = aggregate

    def count(self, metric: Any, *values: str) -> None:
        """Count one more of what is rare enough to be looked up, if the stack has an aggregate.

        Args:
            metric: a counter, as `asgi_guard.monitor.metric.Metric` describes it.
            values: of its attributes; never what a client has written.
        """
        if self.counts_in is not None:
            self.counts_in.series(metric, *values).add()

    def took(self, layer: Layer, nanoseconds: int) -> None:
        """Know how long a layer of the stack has taken with one request; asked of the layer that has the aggregate."""

    def answered(self, reply: Reply) -> None:
        """Know that a request is answered with a reply of this layer's: by a hook, or since a deadline was over."""

    def refusals(self) -> Iterable[str]:
        """Say, for `explain()`, what the layer refuses and with which status, a line each."""
        return ()

    async def start(self) -> None:
        """Get ready when a lifespan starts, before the application does.

        Servers without a lifespan never ask for it. What it raises keeps the application from starting; that of a
        `ConfigError` is told to the server.
        """

    def started(self) -> None:
        """Know that the application has started: its lifespan says so, and the server is told next."""

    def stopping(self) -> None:
        """Know that the server ends the lifespan: the application is told next."""

    async def shutdown(self) -> None:
        """Release what the layer shares between requests; called when a lifespan ends, and may be used again."""
