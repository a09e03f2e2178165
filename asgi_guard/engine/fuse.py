"""Fuse: the middleware. Wrapping another one makes both a single object with one frame, one header scan, one `send`.

`A(B(C(app)))` flattens when it is built: the outer takes over the inner's layers and calls the application itself. The
result is the same as nesting, to the byte; `fuse=False` nests for real, which is what the property test compares with.
Must never start anything in a constructor, and must leave scope types and messages that it does not know untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import AsyncExitStack, contextmanager
from inspect import iscoroutinefunction
from threading import RLock
from typing import Any
from weakref import WeakSet

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.layer import HOOKS, Layer
from asgi_guard.engine.life import logger
from asgi_guard.engine.override import KEY
from asgi_guard.engine.plan import Plan, can_fuse
from asgi_guard.engine.timing import plans
from asgi_guard.engine.types import AnyReceive, AnyScope, AnySend, ASGIApp
from asgi_guard.errors.exceptions import ConfigError, MissingExtraError
from asgi_guard.events import Listener, check_listeners
from asgi_guard.settings import Problems

restructuring: RLock = RLock()
"""Held while layers are changed, since several threads may, and what is fused changes together."""


class Middleware:
    """An ASGI application that runs layers around another one.

    Args:
        app: the application to wrap: an ASGI 3 callable, or another `Middleware`, which is fused with this one.
        layers: the layers, outermost first.
        fuse: False nests for real, one frame for each middleware.
        listeners: told what these layers decide; see `asgi_guard.events`.

    Raises:
        ConfigError: the application or a listener cannot be called, a listener is async, or a layer is none, or has an
            async function where the engine does not wait.
    """

    def __init__(self, app: ASGIApp, *layers: Layer, fuse: bool = True, listeners: Iterable[Listener] = ()) -> None:
        problems = Problems(type(self).__name__)
        heard_by = check_door(problems, app, listeners)
        _check_layers(problems, layers)
        problems.raise_if_any()
        self.app: Any = app
        for layer in layers if heard_by else ():
            layer.listeners = (*layer.listeners, *heard_by)
        self._own_layers: tuple[Layer, ...] = layers
        self._may_fuse = fuse and isinstance(app, Middleware) and type(app).__call__ is Middleware.__call__
        self._fused_into: WeakSet[Middleware] = WeakSet()
        self._times_disabled = 0
        self._left: list[Layer] = []
        with restructuring:
            self._assemble()
        if isinstance(app, Middleware) and self._may_fuse:
            app._fused_into.add(self)  # noqa: SLF001

    def _assemble(self) -> None:
        """Collect the layers as they are now, here and in whatever this one is fused into.

        A request that is on its way keeps the plan that it began with; the next one gets the new one.
        """
        layers = () if self._times_disabled else self._own_layers
        target = self.app
        if self._may_fuse and can_fuse(layers, self.app.layers):
            layers += self.app.layers
            target = self.app._target  # noqa: SLF001
        self.layers: tuple[Layer, ...] = layers
        self._target: ASGIApp = target
        aggregate = next((layer.aggregate for layer in layers if layer.aggregate is not None), None)
        for layer in layers if aggregate is not None else ():
            layer.count_in(aggregate)
        for layer in layers:
            layer.wraps(target)
        self._plan = Plan(layers)
        self._plans = plans(self._plan)
        for outer in tuple(self._fused_into):
            outer._assemble()  # noqa: SLF001

    def _replace_layers(self, layers: Iterable[Layer], left: Iterable[Layer] = ()) -> None:
        """Go on with other layers, from the next request on.

        Args:
            layers: those.
            left: others that nobody has taken over from; what they have opened is released when the lifespan ends.
        """
        with restructuring:
            self._own_layers = tuple(layers)
            self._left += [layer for layer in left if _has_own(layer, "shutdown")]
            self._assemble()

    def _all_left(self) -> list[Layer]:
        """Return those that have left, here or in what is fused with this one."""
        return self._left if self._target is self.app else [*self._left, *self.app._all_left()]  # noqa: SLF001

    @contextmanager
    def disabled(self) -> Generator[None]:
        """Let requests pass as if this middleware was not there: for tests.

        It holds for all tasks and threads until the block is left; blocks may overlap. What is fused around or inside
        keeps its protection.
        """
        self._disable(1)
        try:
            yield
        finally:
            self._disable(-1)

    def _disable(self, times: int) -> None:
        with restructuring:
            self._times_disabled += times
            self._assemble()

    async def __call__(self, scope: AnyScope, receive: AnyReceive, send: AnySend) -> None:
        """Serve one scope (ASGI 3)."""
        kind = scope["type"]
        if kind not in {"http", "websocket"} or not self._plan.size:
            await self._serve_other(scope, receive, send)
            return
        exchange = Exchange(next(self._plans), scope, receive, send)
        plan = exchange.plan
        size = plan.size
        origin = 0
        try:
            try:
                for origin, hook, waits in plan.admits:
                    reply = await hook(exchange) if waits else hook(exchange)
                    if reply is not None:
                        await exchange.refuse(origin, reply)
                        return
                origin = size
                exchange.is_admitted = True
                if plan.listened:
                    exchange.tell_allowed()
                await self._target(exchange.scope, exchange.receive, exchange.send)
            except Exception as exc:  # noqa: BLE001  the exchange decides, and raises what is not its own
                await exchange.fail(exc, origin)
            else:
                if exchange.over_at or exchange.turn is not None or exchange.broken is not None:
                    await exchange.settle()
        except BaseException as exc:
            if not exchange.owns_cancellation(exc):
                raise
        finally:
            exchange.finish(origin + 1 if origin < size else size)

    async def _serve_other(self, scope: AnyScope, receive: AnyReceive, send: AnySend) -> None:
        """Relay what no layer sees; a lifespan lets the layers get ready, and release what they share when it ends."""
        if self._times_disabled and scope["type"] in {"http", "websocket"}:
            scope = {KEY: {}, **scope}  # what the application says of layers goes nowhere
        is_lifespan = scope["type"] == "lifespan"
        is_strict = is_lifespan and any(getattr(layer, "strict_lifespan", False) for layer in self.layers)
        starting = [layer for layer in self.layers if is_lifespan and _has_own(layer, "start")]
        if is_lifespan and any(map(_watches, self.layers)):
            receive, send = _watched(self, receive, send)
        ending = _Ending(lambda: (*self._all_left(), *self.layers), send) if is_lifespan else None
        if ending is not None and any(_has_own(layer, "shutdown") for layer in self.layers):
            send = ending.send
        try:
            if starting:
                receive = await _started(starting, receive, send)
                if receive is None:
                    return
            if is_strict:
                await _start_or_fail(self._target, scope, receive, send)
            else:
                await self._target(scope, receive, send)
        finally:
            if ending is not None:
                await ending.come()

    def __getattr__(self, name: str) -> Any:
        """Look up what the middleware has not on the wrapped application: `Guard(FastAPI()).get` works."""
        if name.startswith("__") or "app" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.app, name)


class _Ending:
    """The end of a lifespan: layers release what they share once the application has shut down.

    The server is told afterwards: some cancel whatever is still under way when they know that all is over.
    """

    def __init__(self, layers: Callable[[], Iterable[Layer]], send: AnySend) -> None:
        self._layers = layers
        self._send = send
        self._has_come = False

    async def send(self, message: Any) -> None:
        if message["type"].startswith("lifespan.shutdown."):
            await self.come()
        await self._send(message)

    async def come(self) -> None:
        if not self._has_come:
            self._has_come = True
            async with AsyncExitStack() as stack:  # also if it is cancelled: each of them has something to release
                for layer in self._layers():
                    stack.push_async_callback(_shut_down, layer)


async def _shut_down(layer: Layer) -> None:
    try:
        await layer.shutdown()
    except Exception:  # noqa: BLE001  logged; the other layers have theirs to release
        logger.exception("%s could not shut down", layer.name)


def _has_own(layer: Layer, hook: str) -> bool:
    return getattr(getattr(layer, hook), "__func__", None) is not getattr(Layer, hook)


def _watches(layer: Layer) -> bool:
    return _has_own(layer, "started") or _has_own(layer, "stopping")


def _watched(middleware: Middleware, receive: AnyReceive, send: AnySend) -> tuple[AnyReceive, AnySend]:
    """Let the layers of that time know when the application has started, and when it is asked to end."""

    async def listen() -> Any:
        message = await receive()
        if message["type"] == "lifespan.shutdown":
            for layer in middleware.layers:
                layer.stopping()
        return message

    async def say(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            for layer in middleware.layers:
                layer.started()
        await send(message)

    return listen, say


async def _started(layers: Iterable[Layer], receive: AnyReceive, send: AnySend) -> AnyReceive | None:
    """Let layers get ready at the first message of a lifespan.

    Returns:
        What gives the application that message and all others; None where it must not run, and the server knows.
    """
    messages = [await receive()]
    for layer in layers:
        try:
            await layer.start()
        except Exception as exc:  # noqa: BLE001  the server is told, and does not serve what cannot work
            is_clear = isinstance(exc, ConfigError | MissingExtraError)  # it says what to do: no traceback says more
            what = str(exc) if is_clear else f"{type(exc).__name__}; the log says more"
            text = f"{layer.name} could not start: {what}"
            logger.error("%s", text, exc_info=None if is_clear else exc)
            await send({"type": "lifespan.startup.failed", "message": text})
            return None

    async def listen() -> Any:
        return messages.pop() if messages else await receive()

    return listen


async def _start_or_fail(app: ASGIApp, scope: AnyScope, receive: AnyReceive, send: AnySend) -> None:
    """Run a lifespan; say of an application that raises at its start that it has failed to start.

    Servers take the exception itself for an application that knows no lifespan, and serve it half started.
    """
    heard, said = set[str](), set[str]()

    async def listen() -> Any:
        message = await receive()
        heard.add(message["type"])
        return message

    async def say(message: Any) -> None:
        said.add(message["type"])
        await send(message)

    try:
        await app(scope, listen, say)
    except Exception as exc:
        if "lifespan.startup" not in heard:
            kind = type(exc).__name__
            logger.warning("the application raised %s before it asked for its startup: it knows no lifespan", kind)
        if "lifespan.startup" not in heard or said:
            raise
        logger.exception("the application failed to start")
        text = f"the application failed to start: {type(exc).__name__}; the log says more"
        await send({"type": "lifespan.startup.failed", "message": text})


def check_door(problems: Problems, app: object, listeners: Iterable[Any]) -> tuple[Listener, ...]:
    """Check what every middleware takes, and return the listeners.

    Args:
        problems: where what is wrong is noted, AG222 and AG223 besides the ids of `Problems`.
        app: what is to be wrapped.
        listeners: who is to be told; a function alone is no list.
    """
    problems.callable("app", app)
    return check_listeners(problems, listeners)


def _check_layers(problems: Problems, layers: Iterable[Any]) -> None:
    for index, layer in enumerate(layers):
        field = f"layers[{index}]"
        if not isinstance(layer, Layer):
            remedy = (
                "Write it with parentheses." if isinstance(layer, type) else "Give an instance of a Layer's subclass."
            )
            problems.add("AG224", field, layer, "must be a layer", remedy)
            continue
        for hook in HOOKS:
            if hook not in {"admit_async", "body"} and iscoroutinefunction(getattr(layer, hook)):
                remedy = "Use `admit_async` where it has to wait." if hook == "admit" else "Make it a plain function."
                problems.add("AG225", f"{field}.{hook}", layer, "must not be async: it would never be awaited", remedy)
