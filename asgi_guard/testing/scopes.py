"""Scopes: what servers hand to an application, the ordinary ones and the odd ones that were measured on real servers.

Rule 1: every call makes a fresh scope; no two tests share a dict or a list.
Rule 2: a scope is ordinary until it is told otherwise, so that a test shows only what it is about.
Facts: ASGI 3.0, HTTP and WebSocket specification 2.5. The odd values come from uvicorn, hypercorn, granian, daphne and
gunicorn; a middleware that stumbles over one of them is down on that server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, cast

from asgi_guard.engine.types import Header, Headers, Message, Scope

HeadersArgument: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""Headers as a test writes them: a mapping, or pairs of str or bytes."""

ABSENT: Final[Any] = object()
"""As the value of a key: the key is left out of the scope, as a server leaves it out."""

DEFAULT_HEADERS: Final[tuple[Header, ...]] = ((b"host", b"testserver"), (b"user-agent", b"asgi-guard-testing"))
"""The headers of a request that names none."""


def http_scope(method: str = "GET", path: str = "/", **keys: Any) -> Scope:
    """Make the scope of one HTTP request.

    Args:
        method: the request method; a server upper-cases it, and most do not.
        path: the path, with the query after a `?` where there is one.
        **keys: any key of the scope, in place of the ordinary value; `ABSENT` leaves it out.
    """
    return _changed({"type": "http", "method": method, "scheme": "http", **_common(path, "2.3")}, keys)


def websocket_scope(path: str = "/", *, can_deny: bool = True, **keys: Any) -> Scope:
    """Make the scope of one WebSocket handshake.

    Args:
        path: the path, with the query after a `?` where there is one.
        can_deny: whether the server advertises the extension for denial responses.
        **keys: as for `http_scope`.
    """
    extensions: dict[str, Any] = {"websocket.http.response": {}} if can_deny else {}
    own: dict[str, Any] = {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": extensions}
    return _changed({**_common(path, "2.3"), **own}, keys)


def lifespan_scope(**keys: Any) -> Scope:
    """Make the scope of a lifespan.

    Args:
        **keys: as for `http_scope`.
    """
    return _changed({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}, keys)


def request_messages(*chunks: bytes) -> list[Message]:
    """Make the messages in which a body comes in these chunks; without any, the one message of an empty body."""
    last = len(chunks) - 1
    return [
        {"type": "http.request", "body": chunk, "more_body": number < last} for number, chunk in enumerate(chunks)
    ] or [{"type": "http.request", "body": b"", "more_body": False}]


def raw_headers(headers: HeadersArgument) -> Headers:
    """Write headers as a server does: a list of byte pairs, names in lower case."""
    pairs: Any = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    return [(_bytes(name).lower(), _bytes(value)) for name, value in pairs]


ODD_SCOPES: Final[Mapping[str, Mapping[str, Any]]] = {
    ## who asks
    "no client": {"client": ABSENT},
    "client None, as behind a Unix socket": {"client": None},
    "client of two empty strings, as behind a Unix socket": {"client": ("", "0")},
    "client as a list": {"client": ["198.51.100.7", 51234]},
    "port as a string": {"client": ("198.51.100.7", "51234")},
    "client in mapped IPv6": {"client": ("::ffff:198.51.100.7", 51234)},
    "client with an IPv6 zone": {"client": ("fe80::1%eth0", 51234)},
    "client that is no address": {"client": ("testclient", 50000)},
    ## what is left out
    "no server": {"server": ABSENT},
    "server as a Unix socket": {"server": ("/run/app.sock", None)},
    "no scheme": {"scheme": ABSENT},
    "no root_path": {"root_path": ABSENT},
    "no raw_path": {"raw_path": ABSENT},
    "no state": {"state": ABSENT},
    "no extensions": {"extensions": ABSENT},
    "extensions None": {"extensions": None},
    "no asgi.spec_version": {"asgi": {"version": "3.0"}},
    ## versions of HTTP
    "HTTP 1": {"http_version": "1"},
    "HTTP 1.0": {"http_version": "1.0"},
    "HTTP 2": {"http_version": "2"},
    "HTTP 3": {"http_version": "3"},
}
"""Changes to a scope, by what is odd about it: `http_scope(**ODD_SCOPES["no state"])`."""

ODD_HANDSHAKES: Final[Mapping[str, Mapping[str, Any]]] = {
    "no extensions": {"extensions": ABSENT},
    "extensions None": {"extensions": None},
    "no subprotocols": {"subprotocols": ABSENT},
    "as daphne sends it": {"scheme": ABSENT, "http_version": ABSENT, "state": ABSENT, "extensions": ABSENT},
    "client None, as behind a Unix socket": {"client": None},
}
"""Changes to the scope of a WebSocket handshake, by what is odd about it."""

HEADER_FORMS: Final[Mapping[str, Callable[[Headers], Any]]] = {
    "list of tuples": list,
    "tuple of tuples": tuple,
    "list of lists": lambda pairs: [[name, value] for name, value in pairs],
    "generator": lambda pairs: (pair for pair in pairs),
    "names in mixed case": lambda pairs: [(name.title(), value) for name, value in pairs],
}
"""The containers in which servers hand over headers, by what they are."""


def _common(path: str, spec_version: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("198.51.100.7", 51234),
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": list(DEFAULT_HEADERS),
        "state": {},
        "extensions": {},
    }


def _changed(scope: dict[str, Any], keys: Mapping[str, Any]) -> Scope:
    return {key: value for key, value in {**scope, **keys}.items() if value is not ABSENT}


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text
