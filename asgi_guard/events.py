"""Events: what the guard did, told to whoever listens.

A layer says that something happened; it does not say it to someone. Logging, the audit log, telemetry and alerts are
listeners. Names are in the past tense, since an event can no longer be prevented.

Rule 1: an event is data, frozen, and everything in it that a client wrote is cut to a bound, and printable ASCII.
Rule 2: a listener is called in the middle of a request: it must be quick, must not block, and is not awaited.
Rule 3: a listener that raises harms neither the request nor the other listeners.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from asgi_guard.settings import Problems

_logger: Final = logging.getLogger("asgi_guard.events")

BOUNDS: Final[Mapping[str, int]] = {"method": 32, "path": 256, "client": 64, "request_id": 128}
"""The characters kept of each field that a client may have written: its log lines are not sized by an attacker."""

WHOLE: Final = 8_192
"""The characters of a path that are looked through for secrets: of one that was cut before, half would be shown."""


def printable(text: str, most: int) -> str:
    """Return the beginning of what a client wrote so that no terminal and no log obeys it (CWE-117).

    Args:
        text: as it was sent; where it is all printable ASCII, it stays as it is, backslashes too.
        most: the characters that are kept.
    """
    text = text[:most]
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")[:most]


class _Uncut:
    """What an event knows of its path besides: no field, so that whoever prints an event prints no more."""

    __slots__ = ("_whole",)
    _whole: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(_Uncut):
    """Something that happened to one request or handshake.

    Attributes:
        layer: the name of the layer that tells it.
        scope_type: `http` or `websocket`.
        method: the request method, at most 32 characters; empty for a WebSocket.
        path: the path of the request, at most 256 characters.
        client: the client's address as far as it is known and trusted, at most 64 characters.
        request_id: the id of the request, at most 128 characters.
    """

    layer: str
    scope_type: str
    method: str
    path: str
    client: str | None = None
    request_id: str | None = None

    def __post_init__(self) -> None:
        if len(self.path) > BOUNDS["path"]:
            object.__setattr__(self, "_whole", printable(self.path, WHOLE))
        for name, bound in BOUNDS.items():
            text = getattr(self, name)
            if text is not None:
                object.__setattr__(self, name, printable(text, bound))

    @property
    def whole_path(self) -> str:
        """The path, at most 8,192 characters of it: to be cut when secrets were looked for, and not before.

        An event that has travelled to another process knows no more than `path`.
        """
        return getattr(self, "_whole", self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAllowed(Event):
    """A layer let the request pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal(Event):
    """What both kinds of refusal tell.

    Attributes:
        status: the HTTP status of the answer.
        code: the stable name of what went wrong, such as `RATE_LIMIT_EXCEEDED`.
        reason: one sentence for a person.
        details: further facts, such as which policy was violated; bounded by the layer that tells them.
    """

    status: int
    code: str
    reason: str
    details: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(_Refusal):
    """A layer answered instead of the application."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestWouldBeRefused(_Refusal):
    """A layer in shadow mode let the request pass, and would have refused it otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorAnswered(Event):
    """An exception that nobody handled was turned into a reply.

    Attributes:
        exception: the name of its class; never its text, which may hold secrets.
        status: the HTTP status of the reply.
        code: the stable name of what went wrong.
        details: the facts of an error of ours, whether the client is told them or not; bounded, and those whose name
            sounds like a secret are hidden.
    """

    exception: str
    status: int
    code: str
    details: Mapping[str, object] = field(default_factory=dict[str, object])


Listener: TypeAlias = Callable[[Event], None]
"""Anything that can be called with an event; plain functions only, since nobody awaits it."""


def check_listeners(problems: Problems, listeners: Iterable[Any]) -> tuple[Listener, ...]:
    """Check who is to be told, and return them.

    Args:
        problems: where what is wrong is noted, as AG222 and AG223.
        listeners: a list of functions; a function alone is no list.
    """
    if isinstance(listeners, str) or not hasattr(listeners, "__iter__"):
        problems.add("AG223", "listeners", listeners, "must be a list of functions", "Put it in brackets.")
        return ()
    heard_by = tuple(listeners)
    for index, listener in enumerate(heard_by):
        field = f"listeners[{index}]"
        if problems.callable(field, listener) and _is_async(listener):
            remedy = "Make it a plain function; start a task from it where it has to wait."
            problems.add("AG222", field, listener, "must not be async: it would never be awaited", remedy)
    return heard_by


def _is_async(listener: Any) -> bool:
    return iscoroutinefunction(listener) or iscoroutinefunction(type(listener).__call__)


_everywhere: Final[list[Listener]] = []


def hear(listener: Listener) -> Callable[[], None]:
    """Have a listener told of what happens in this process outside of any request: circuits, recoveries and bans.

    Args:
        listener: told once of each event, however often it is given here and where the event begins.

    Returns:
        What ends it.
    """
    _everywhere.append(listener)

    def end() -> None:
        if listener in _everywhere:
            _everywhere.remove(listener)

    return end


def announce(listeners: Iterable[Listener], event: Event) -> None:
    """Tell of what belongs to no request: its own listeners, and those that hear everything of this process."""
    notify({id(listener): listener for listener in (*listeners, *_everywhere)}.values(), event)


def notify(listeners: Iterable[Listener], event: Event) -> None:
    """Call each listener with the event, in order.

    One that raises is logged with its traceback, once, and is called again for the next event. What is not an
    `Exception`, such as a cancellation, goes through.
    """
    for listener in listeners:
        try:
            listener(event)
        except Exception:
            if _fails_for_the_first_time(listener):
                _logger.exception("The listener %r failed on %s; this is said once.", listener, type(event).__name__)


_REPORTED_BOUND: Final = 64
_reported: dict[int, Listener] = {}  # holds the listener itself, so that its id is not given to another one


def _fails_for_the_first_time(listener: Listener) -> bool:
    if id(listener) in _reported:
        return False
    if len(_reported) >= _REPORTED_BOUND:  # an application that makes a listener for each request must not leak
        _reported.pop(next(iter(_reported)), None)
    _reported[id(listener)] = listener
    return True
