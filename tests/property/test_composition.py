"""Fusing is invisible: a fused stack does what the same layers do when each is a middleware of its own.

Random stacks of scripted layers stand around random applications and random servers. Each layer may refuse, raise,
rescue, hold the start or look into the body, in any of its hooks; the same layer may stand in a stack twice; somebody
outside, or the application, may override what it does for this request. The stack is run once fused and once nested for
real (`fuse=False`), and all that can be seen must be equal: the messages on the wire, how the call ended, what the
application saw, and for each layer the hooks that ran and in which order.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply

Trace = list[tuple[str, str]]
PASS, REFUSE, RAISE = "pass", "refuse", "raise"


class LayerError(Exception):
    """What a scripted hook raises."""


class AppError(Exception):
    """What a scripted application raises."""


@dataclass(frozen=True)
class Script:
    """What one layer does in each hook; None leaves the hook out."""

    admit: str | None = None
    admit_async: str | None = None
    inbound: tuple[int, str] | None = None
    body: tuple[int, str] | None = None
    head: str | None = None
    outbound: tuple[int, str] | None = None
    rescue: str | None = None
    replace: str | None = None
    complete: str | None = None
    finish: str | None = None
    holds_start: bool = False
    override: str = PASS


class Scripted(Layer):
    """A layer that carries out a script and notes, in a shared trace, each hook that ran."""

    admit_deadline_seconds = None
    body_types = frozenset({b"text/plain"})
    body_look_ahead_bytes = 6
    overridable = frozenset({"mark"})

    def __init__(self, label: str, script: Script, trace: Trace) -> None:
        self.label = self.name = label
        self.script = script
        self.trace = trace
        self.holds_start = script.holds_start
        for hook in (
            "admit",
            "admit_async",
            "inbound",
            "body",
            "head",
            "outbound",
            "rescue",
            "replace",
            "complete",
            "finish",
        ):
            if getattr(script, hook) is not None:
                setattr(self, hook, getattr(self, f"_{hook}"))

    def _act(self, hook: str, action: str, detail: object = "") -> Reply | None:
        self.trace.append((self.label, f"{hook} {detail}".strip()))
        if action == RAISE:
            raise LayerError(f"{self.label} {hook}")
        if action == REFUSE:
            return Reply(
                430, headers=[(b"x-refused-by", self.label.encode())], body=hook.encode(), content_type=b"text/plain"
            )
        return None

    def _counted(self, exchange: Exchange, hook: str, step: tuple[int, str], detail: object) -> Reply | None:
        counts = exchange.cells.setdefault(self, Counter())
        counts[hook] += 1
        return self._act(hook, step[1] if counts[hook] == step[0] else PASS, detail)

    def override(self, exchange: Exchange, fields: Any) -> None:
        self._act("override", self.script.override, fields)

    def _admit(self, exchange: Exchange) -> Reply | None:
        return self._act("admit", self.script.admit)

    async def _admit_async(self, exchange: Exchange) -> Reply | None:
        await anyio.lowlevel.checkpoint()
        return self._act("admit_async", self.script.admit_async)

    def _inbound(self, exchange: Exchange, message: Any) -> Reply | None:
        return self._counted(exchange, "inbound", self.script.inbound, message["type"])

    async def _body(self, exchange: Exchange, receive: Any) -> Reply | None:
        count, action = self.script.body
        seen = [await receive() for _ in range(count)]
        return self._act("body", action, [message and message.get("body") for message in seen])

    def _head(self, exchange: Exchange, headers: Any) -> None:
        headers.append((b"x-seen-by", self.label.encode()))
        self._act("head", self.script.head, len(headers))

    def _outbound(self, exchange: Exchange, message: Any) -> None:
        self._counted(exchange, "outbound", self.script.outbound, message["type"])

    def _rescue(self, exchange: Exchange, exc: Exception) -> Reply | None:
        return self._act("rescue", self.script.rescue, repr(exc))

    def _replace(self, exchange: Exchange, start: Any, body: Any, exc: Exception | None) -> Reply | None:
        return self._act("replace", self.script.replace, (start["status"], body.get("body"), repr(exc)))

    def _complete(self, exchange: Exchange) -> None:
        self._act("complete", self.script.complete)

    def _finish(self, exchange: Exchange) -> None:
        self._act("finish", self.script.finish)


@dataclass
class World:
    """One run: what the server saw, how the call ended, what the layers did."""

    kind: str
    incoming: list[Any]
    fails_at: int | None
    can_deny: bool
    said: Any
    trace: Trace = field(default_factory=list)
    wire: list[Any] = field(default_factory=list)
    seen_by_app: list[Any] = field(default_factory=list)
    ending: str = ""
    twice: frozenset[str] = frozenset()

    def by_layer(self) -> dict[str, list[str]]:
        """Sort the trace by layer: what each did, in its own order; a layer that stands there twice has two, mixed."""
        by_layer: dict[str, list[str]] = {}
        for label, hook in self.trace:
            by_layer.setdefault(label, []).append(hook)
        return {label: sorted(hooks) if label in self.twice else hooks for label, hooks in by_layer.items()}

    def scope(self) -> dict[str, Any]:
        """Make a scope, with as little in it as a server may send."""
        scope = {
            "type": self.kind,
            "path": "/",
            "headers": [(b"host", b"a"), (b"content-type", b"text/plain; charset=utf-8")],
            **({} if self.said is None else {"asgi_guard": self.said}),
        }
        if self.kind == "http":
            return {**scope, "method": "POST", "http_version": "1.1"}
        extensions = {"websocket.http.response": {}} if self.can_deny else {}
        return {**scope, "extensions": extensions, "asgi": {"version": "3.0", "spec_version": "2.3"}}

    async def receive(self) -> Any:
        """Be the server's receive: the script, then disconnects for ever."""
        if self.incoming:
            return self.incoming.pop(0)
        return {"type": "http.disconnect"} if self.kind == "http" else {"type": "websocket.disconnect", "code": 1005}

    async def send(self, message: Any) -> None:
        """Be the server's send: note the message, or fail as a server does whose client has left."""
        if self.fails_at is not None and len(self.wire) >= self.fails_at:
            raise OSError("the client has left")
        headers = message.get("headers")
        self.wire.append({**message, "headers": list(headers)} if headers is not None else dict(message))


def application(world: World, steps: list[tuple[str, Any]], swallows: bool) -> Callable[..., Awaitable[None]]:
    """Make an application of a script; one that `swallows` goes on after an exception out of send or receive."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for name, argument in steps:
            if name == "raise":
                raise AppError(argument)
            if name == "cancel":
                raise asyncio.CancelledError(argument)
            try:
                if name == "say":
                    scope["asgi_guard"][argument[0]] = argument[1]
                elif name == "receive":
                    world.seen_by_app.append(await receive())
                else:
                    await send(dict(argument))
            except Exception as exc:
                world.seen_by_app.append(repr(exc))
                if not swallows:
                    raise

    return app


async def run(
    world: World, scripts: list[Script], order: list[int], app_steps: Any, swallows: bool, *, fuse: bool
) -> None:
    """Build the stack, fused or nested, and let one request through."""
    uses = Counter(f"layer{number % len(scripts)}" for number in order)
    world.twice = frozenset(label for label, count in uses.items() if count > 1)
    layers = [Scripted(f"layer{number}", script, world.trace) for number, script in enumerate(scripts)]
    app: Any = application(world, app_steps, swallows)
    for number in reversed(order):
        app = Middleware(app, layers[number % len(layers)], fuse=fuse)
    try:
        await app(world.scope(), world.receive, world.send)
        world.ending = "returned"
    except BaseException as exc:  # noqa: BLE001  how it ends is what is compared
        world.ending = f"{type(exc).__name__}: {exc}"


actions = st.sampled_from([PASS] * 6 + [REFUSE, RAISE])
quiet = st.sampled_from([PASS] * 6 + [RAISE])
counted = st.tuples(st.integers(1, 3), actions)
scripts = st.builds(
    Script,
    admit=st.none() | actions,
    admit_async=st.none() | actions,
    inbound=st.none() | counted,
    body=st.none() | st.none() | counted,
    head=st.none() | quiet,
    outbound=st.none() | st.tuples(st.integers(1, 3), quiet),
    rescue=st.none() | st.sampled_from([PASS, REFUSE, REFUSE, RAISE]),
    replace=st.none() | actions,
    complete=st.none() | quiet,
    finish=st.none() | quiet,
    holds_start=st.sampled_from([False, False, True]),
    override=quiet,
)
calm_scripts = st.builds(
    Script,
    head=st.none() | quiet,
    outbound=st.none() | st.tuples(st.integers(1, 3), quiet),
    rescue=st.none() | st.sampled_from([PASS, REFUSE]),
    replace=st.none() | actions,
    holds_start=st.booleans(),
)
labels = st.sampled_from(["layer0", "layer1", "layer2", "layer3", "nobody"])
said = st.sampled_from([False, False, {"mark": 1}, {"other": 1}, True])
start = {"type": "http.response.start", "status": 200, "headers": [(b"X-App", b"1")]}
http_steps = st.lists(
    st.sampled_from(
        [
            ("receive", None),
            ("receive", None),
            ("send", start),
            ("send", start),
            (
                "send",
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]},
            ),
            ("send", {"type": "http.response.start", "status": 201, "trailers": True}),
            ("send", {"type": "http.response.start", "status": 404, "headers": []}),
            ("send", {"type": "http.response.start", "status": 500, "headers": []}),
            ("send", {"type": "http.response.start", "status": 500, "headers": []}),
            ("send", {"type": "http.response.early_hint", "links": []}),
            ("send", {"type": "http.response.body", "body": b"part", "more_body": True}),
            ("send", {"type": "http.response.body", "body": b"last"}),
            ("send", {"type": "http.response.body", "body": b"last"}),
            ("send", {"type": "http.response.trailers", "headers": []}),
            ("send", {"type": "http.response.pathsend", "path": "/x"}),
            ("raise", "app"),
            ("cancel", "app"),
        ]
    )
    | st.tuples(st.just("say"), st.tuples(labels, said)),
    max_size=7,
)
error_steps = st.builds(
    lambda status, rest: [("send", {"type": "http.response.start", "status": status, "headers": []}), *rest],
    st.sampled_from([404, 500, 500]),
    st.lists(
        st.sampled_from(
            [
                ("send", {"type": "http.response.body", "body": b"part", "more_body": True}),
                ("send", {"type": "http.response.body", "body": b"last"}),
                ("send", {"type": "http.response.body", "body": b"last"}),
                ("send", {"type": "http.response.trailers", "headers": []}),
                ("send", start),
                ("receive", None),
                ("raise", "app"),
            ]
        ),
        max_size=6,
    ),
)
websocket_steps = st.lists(
    st.sampled_from(
        [
            ("receive", None),
            ("receive", None),
            ("send", {"type": "websocket.accept"}),
            ("send", {"type": "websocket.accept", "headers": [(b"x-app", b"1")]}),
            ("send", {"type": "websocket.send", "text": "hello"}),
            ("send", {"type": "websocket.close", "code": 1000}),
            ("send", {"type": "websocket.http.response.start", "status": 403, "headers": []}),
            ("send", {"type": "websocket.http.response.body", "body": b"no"}),
            ("raise", "app"),
            ("cancel", "app"),
        ]
    )
    | st.tuples(st.just("say"), st.tuples(labels, said)),
    max_size=7,
)
http_incoming = st.lists(
    st.builds(
        lambda body, more: {"type": "http.request", "body": body, "more_body": more},
        st.sampled_from([b"", b"abc", b"abcdefgh"]),
        st.booleans(),
    ),
    max_size=4,
)
websocket_incoming = st.lists(st.just({"type": "websocket.receive", "text": "hi"}), max_size=3).map(
    lambda messages: [{"type": "websocket.connect"}, *messages]
)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a stack, an application and a server."""
    kind, steps, layers = draw(
        st.sampled_from(
            [
                ("http", http_steps, scripts),
                ("http", http_steps, scripts),
                ("http", error_steps, calm_scripts),
                ("websocket", websocket_steps, scripts),
            ]
        )
    )
    stack = draw(st.lists(layers, min_size=1, max_size=4))
    return {
        "kind": kind,
        "scripts": stack,
        "order": draw(st.lists(st.integers(0, 5), min_size=1, max_size=5)),
        "steps": draw(steps),
        "incoming": draw(http_incoming if kind == "http" else websocket_incoming),
        "swallows": draw(st.booleans()),
        "fails_at": draw(st.none() | st.none() | st.integers(0, 3)),
        "can_deny": draw(st.booleans()),
        "said": draw(st.none() | st.dictionaries(labels, said, max_size=3) | st.just(5)),
    }


def play(case: dict[str, Any], *, fuse: bool) -> World:
    """Run a case from beginning to end."""
    world = World(
        case["kind"], [dict(message) for message in case["incoming"]], case["fails_at"], case["can_deny"], case["said"]
    )
    asyncio.run(run(world, case["scripts"], case["order"], case["steps"], case["swallows"], fuse=fuse))
    return world


@given(cases())
def test_a_fused_stack_is_the_nested_stack(case: dict[str, Any]) -> None:
    """Wire, ending, what the application saw and what each layer did are the same, fused and nested."""
    fused, nested = play(case, fuse=True), play(case, fuse=False)

    assert fused.wire == nested.wire
    assert fused.ending == nested.ending
    assert fused.seen_by_app == nested.seen_by_app
    assert fused.by_layer() == nested.by_layer()


EXPECTED = {"LayerError", "AppError", "CancelledError", "OSError", "ConfigError", "RuntimeError", "returned"}
"""How a call may end: with what somebody's script has raised, or, for the last but one, with a rule that it broke."""


@given(cases())
def test_nothing_fails_but_what_somebody_lets_fail(case: dict[str, Any]) -> None:
    """Two stacks that break down in the same way are equal as well: here they may not."""
    world = play(case, fuse=True)
    raised = [seen for seen in world.seen_by_app if isinstance(seen, str)]

    assert {re.split("[:(]", end)[0] for end in [world.ending, *raised]} <= EXPECTED


@given(cases())
def test_every_layer_that_was_entered_is_finished_exactly_once(case: dict[str, Any]) -> None:
    """`finish` runs once for each turn to admit, and never for a layer that had none."""
    every = [Script(**{**vars(script), "admit": script.admit or PASS, "finish": PASS}) for script in case["scripts"]]
    world = play({**case, "scripts": every, "said": None}, fuse=True)

    entered = Counter(label for label, hook in world.trace if hook == "admit")
    finished = Counter(label for label, hook in world.trace if hook == "finish")
    assert finished == entered


@given(cases(), labels)
def test_a_layer_that_is_left_out_does_nothing(case: dict[str, Any], label: str) -> None:
    """Whatever happens, no hook of it runs; the wire is that of a stack without it, or of the rest of its layers."""
    world = play({**case, "said": {label: False}}, fuse=True)

    assert label not in world.by_layer()


@given(cases())
def test_the_wire_never_carries_two_starts(case: dict[str, Any]) -> None:
    """Whatever layers and application do, a server sees one start at most, and nothing before it but hints."""
    heads = [
        message
        for message in play(case, fuse=True).wire
        if message["type"] in {"http.response.start", "websocket.http.response.start"}
    ]

    assert len(heads) <= 1


@pytest.mark.parametrize("fuse", [True, False])
def test_the_property_can_fail(fuse: bool) -> None:
    """The harness itself tells stacks apart: a head that refuses to run is seen on the wire."""
    case = {
        "kind": "http",
        "scripts": [Script(head=PASS)],
        "order": [0],
        "steps": [("send", start), ("send", {"type": "http.response.body"})],
        "incoming": [],
        "swallows": False,
        "fails_at": None,
        "can_deny": False,
        "said": None,
    }
    world = play(case, fuse=fuse)

    assert world.wire[0]["headers"] == [(b"x-app", b"1"), (b"x-seen-by", b"layer0")]
