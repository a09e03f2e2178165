"""ASGI types: permissive at the public door, precise behind it.

Rule 1: what users hand in or call (`app`, `Middleware.__call__`) is typed with the `Any...` names, so that an app typed
by Starlette, asgiref, Hypercorn or Litestar is accepted by every type checker.
Rule 2: everything behind the door uses the precise names.
This file must never import anything but typing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

AnyScope: TypeAlias = Any
AnyReceive: TypeAlias = Any
AnySend: TypeAlias = Any
ASGIApp: TypeAlias = Callable[[AnyScope, AnyReceive, AnySend], Awaitable[None]]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

Header: TypeAlias = tuple[bytes, bytes]
Headers: TypeAlias = list[Header]
"""Raw pairs, names in lower case. A list handed to a `head` hook is fresh and may be edited in place."""
