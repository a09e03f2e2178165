"""Keys: whom a request counts against.

A key function is given the `Exchange` of a request and returns a key, or None where its policy is not to count the
request. Plain functions, async ones and objects with `__call__` will do.
Must never believe a header that any client may write: a client that names itself gets a new limit with each new name.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final, TypeAlias, cast

from asgi_guard.engine.exchange import Exchange
from asgi_guard.limiting.store import Key
from asgi_guard.settings import Problems

KeyFunction: TypeAlias = Callable[[Exchange], Key | Awaitable[Key | None] | None]

_MAPPED: Final = bytes(10) + b"\xff\xff"  # IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), which has several spellings


def by_client(exchange: Exchange) -> Key:
    """Count by the client's address; of IPv6 the /64, since that is what one customer gets."""
    client = exchange.client
    return client if client is not None and ":" not in client else client_key(client)


def client_key(address: str | None) -> Key:
    """Return the key under which `by_client` counts an address, for `peek` and `reset`.

    Args:
        address: as `Exchange.client` has it; None for whoever comes over a Unix socket.
    """
    if address is None:
        return "unknown"
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except (OSError, ValueError):
        return address
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if packed.startswith(_MAPPED) else packed[:8]


def by_header(name: str) -> ByHeader:
    """Count by a request header, such as the id of a customer: only for headers that a gateway sets, and takes away.

    Where any client may write the header, it gets a new limit with each value that it makes up. A request without the
    header counts against its client's address: to leave it out must be no way past the limit.

    Args:
        name: the name of the header.

    Raises:
        ConfigError: this is no name of a header.
    """
    problems = Problems("by_header")
    problems.header_name("name", name)
    problems.raise_if_any()
    return ByHeader(name)


class ByHeader:
    """A key function that reads a header; see `by_header`.

    Attributes:
        wants: the header, for the one scan that serves all layers.
    """

    __slots__ = ("_name", "_prefix", "wants")

    def __init__(self, name: str) -> None:
        self._name = name.lower().encode()
        self._prefix = self._name + b":"  # else a value of eight bytes could be the /64 of somebody else
        self.wants: frozenset[bytes] = frozenset({self._name})

    def __call__(self, exchange: Exchange) -> Key:
        """Return the key of a request."""
        value = exchange.header(self._name)
        return self._prefix + value if value else by_client(exchange)

    def __repr__(self) -> str:
        return f"by_header({self._name.decode()!r})"


def is_async(function: Any) -> bool:
    """Tell whether what a function returns has to be awaited, as far as that shows before it is called."""
    while isinstance(function, partial):
        function = function.func
    return iscoroutinefunction(function) or iscoroutinefunction(getattr(cast("Any", type(function)), "__call__", None))  # noqa: B004
