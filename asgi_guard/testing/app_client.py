"""Client: what a browser is to an application, in a test: requests, streams, WebSockets, cookies, lifespan.

    async with Client(app) as client:                       # within the lifespan; without `async with`, without it
        response = await client.post("/items", json={"name": "tea"})
        async with client.stream("GET", "/events") as events: first = await events.chunk()
        async with client.websocket("/chat") as chat: chat.send("hello")

Rule 1: the application runs on the caller's loop, asyncio or trio, under the strict server; nothing is mocked.
Rule 2: it never changes what the application said, and what the application raised is raised as it is.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

from anyio import fail_after

from asgi_guard.engine.types import ASGIApp, Headers, Message, Scope
from asgi_guard.settings import did_you_mean
from asgi_guard.testing.bodies import Content, Upload, content_of
from asgi_guard.testing.client import RawHeaders, Response, with_host
from asgi_guard.testing.scopes import HeadersArgument, http_scope, raw_headers, request_messages
from asgi_guard.testing.server import StrictServer
from asgi_guard.testing.sessions import Conversation, WebSocketSession, beside, lifespan, websocket

_SCOPE_KEYS: Final = frozenset(
    {
        "asgi",
        "client",
        "extensions",
        "http_version",
        "method",
        "path",
        "query_string",
        "raw_path",
        "root_path",
        "scheme",
        "server",
        "state",
        "subprotocols",
    }
)
"""Of the ASGI specification."""

_ELSEWHERE: Final = {
    "allow_redirects": "No redirect is followed.",
    "base_url": "The path is all that there is; scheme= and headers={'host': ...} say the rest.",
    "content": "Did you mean 'body'?",
    "cookies": "Cookies are the client's: client.cookies['name'] = 'value'.",
    "follow_redirects": "No redirect is followed.",
    "timeout": "Did you mean 'timeout_seconds', of the client?",
}
"""What it is called, or done, here that other clients have as an option."""

MAX_COOKIES: Final = 200
"""How many cookies a client keeps; the oldest go."""

_PATH_SAFE: Final = "/?&=%:@!$'()*+,;-._~#[]"


class Client:
    """A client of one application, that keeps cookies from one request to the next.

    Args:
        app: the application.
        headers: headers of every request, under those of the request itself.
        cookies: the cookies to begin with.
        timeout_seconds: how long each answer may take, and startup and shutdown each.
        **scope: keys of every scope: `client=("203.0.113.7", 50000)`, `server`, `scheme="https"`, `root_path`,
            `http_version`, `raw_path`, `query_string`, `extensions`, `state`, `asgi`; others in `extensions`.

    Attributes:
        cookies: the cookies that it sends, by name. A `Set-Cookie` adds one, or removes it by `Max-Age=0` or an empty
            value; the path and the domain of a cookie are not looked at: there is one application.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        headers: HeadersArgument = (),
        cookies: Mapping[str, str] | None = None,
        timeout_seconds: float = 5.0,
        **scope: Any,
    ) -> None:
        self.app: ASGIApp = app
        self.cookies: dict[str, str] = dict(cookies or {})
        self._headers = raw_headers(headers)
        self._timeout_seconds = timeout_seconds
        self._scope = _checked(scope)
        self._state: Mapping[str, Any] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._state = await self._open.enter_async_context(lifespan(self.app, timeout_seconds=self._timeout_seconds))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        self._state = {}
        return await self._open.__aexit__(kind, exc, traceback)

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: HeadersArgument = (),
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Upload] | None = None,
        body: Content = b"",
        disconnect_after: int | None = None,
        **scope: Any,
    ) -> Response:
        """Send a request, and wait for the whole answer.

        Args:
            method: the request method.
            path: the path, with the query after a `?` where there is one.
            params: a query, instead of one in the path.
            headers: further headers of this request.
            json: a body, sent as JSON.
            data: the fields of a form, sent URL-encoded, or beside the uploads.
            files: uploads by the name of their field: the content, `(name, content)` or `(name, content, type)`.
            body: the body itself: in one piece, or in pieces that are handed over as the application asks for them.
            disconnect_after: leave after so many messages of the answer, its start counted; what was sent until then is
                returned. At least 1.
            **scope: further keys of the scope, as those of the client.

        Raises:
            TypeError: there is no such option, or an upload is none.
            ValueError: `disconnect_after` is less than 1, or more than one of `json`, a form and `body` is given.
            ProtocolViolation: a strict server refuses what was sent, or the answer is missing or not whole.
            TimeoutError: the application took too long.
            Exception: what the application raised.
        """
        if disconnect_after is not None and disconnect_after < 1:
            raise ValueError(f"disconnect_after must be at least 1, not {disconnect_after}")
        content, kind = content_of(json, data, files, body)
        request = self._request(method, path, params, headers, kind, scope)
        server: _Leaving

        async def count(_message: Message) -> None:
            if len(server.sent) + 1 == disconnect_after:
                server.leave()

        if isinstance(content, bytes):
            server = _Leaving(request, request_messages(content), on_send=count)
        else:
            server = _Uploading(request, content, on_send=count)
        await server.serve(self.app, timeout_seconds=self._timeout_seconds)
        server.raise_for_errors()
        if disconnect_after is None:
            server.raise_unless_over()
        response = Response.of(server.sent[:disconnect_after], is_head=method == "HEAD")
        self._keep_cookies(response.headers)
        return response

    async def get(self, path: str, **options: Any) -> Response:
        """Send a GET; the options are those of `request`."""
        return await self.request("GET", path, **options)

    async def head(self, path: str, **options: Any) -> Response:
        """Send a HEAD; the options are those of `request`."""
        return await self.request("HEAD", path, **options)

    async def options(self, path: str, **options: Any) -> Response:
        """Send an OPTIONS; the options are those of `request`."""
        return await self.request("OPTIONS", path, **options)

    async def post(self, path: str, **options: Any) -> Response:
        """Send a POST; the options are those of `request`."""
        return await self.request("POST", path, **options)

    async def put(self, path: str, **options: Any) -> Response:
        """Send a PUT; the options are those of `request`."""
        return await self.request("PUT", path, **options)

    async def patch(self, path: str, **options: Any) -> Response:
        """Send a PATCH; the options are those of `request`."""
        return await self.request("PATCH", path, **options)

    async def delete(self, path: str, **options: Any) -> Response:
        """Send a DELETE; the options are those of `request`."""
        return await self.request("DELETE", path, **options)

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        headers: HeadersArgument = (),
        json: Any = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, Upload] | None = None,
        body: bytes | str = b"",
        **scope: Any,
    ) -> AsyncGenerator[StreamedResponse, None]:
        """Send a request, and read its answer as it comes; at the end of the block the client leaves.

        The arguments are those of `request`.

        Raises:
            TimeoutError: a message, or the end after the client has left, took too long.
            Exception: what the application raised.
        """
        content, kind = content_of(json, data, files, body)
        request = self._request(method, path, params, headers, kind, scope)
        async with beside(self.app, request, self._timeout_seconds, StreamedResponse) as answer:
            for message in request_messages(*([content] if isinstance(content, bytes) else list[bytes]())):
                answer.tell(message)
            await answer.begin()
            self._keep_cookies(answer.headers)
            yield answer
            if not answer.server.is_over:
                answer.tell({"type": "http.disconnect"})

    def websocket(
        self, path: str = "/", *, headers: HeadersArgument = (), subprotocols: Iterable[str] = (), **scope: Any
    ) -> AbstractAsyncContextManager[WebSocketSession]:
        """Open a WebSocket, with the cookies and the state of this client; see `asgi_guard.testing.websocket`.

        Args:
            path: the path, with the query after a `?` where there is one.
            headers: further headers of the handshake.
            subprotocols: what the client offers, in order.
            **scope: further keys of the scope.
        """
        keys = {
            "subprotocols": [*subprotocols],
            "state": dict(self._state),
            **_as_websocket(self._scope),
            **_checked(scope),
        }
        every = self._every_header(headers, "")
        return websocket(self.app, path, headers=every, timeout_seconds=self._timeout_seconds, **keys)

    def _request(  # noqa: PLR0917  of one call each
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        headers: HeadersArgument,
        kind: str,
        scope: Mapping[str, Any],
    ) -> Scope:
        if params is not None:
            path = f"{path}?{urlencode(params, doseq=True)}"
        plain = path.partition("?")[0]
        keys = {
            "raw_path": quote(plain, safe=_PATH_SAFE).encode(),
            "state": dict(self._state),
            **self._scope,
            **_checked(scope),
        }
        return http_scope(method, path, headers=with_host(self._every_header(headers, kind)), **keys)

    def _every_header(self, headers: HeadersArgument, kind: str) -> Headers:
        own = raw_headers(headers)
        named = {name for name, _ in own}
        pairs = [(name, value) for name, value in self._headers if name not in named] + own
        if kind and b"content-type" not in named:
            pairs.append((b"content-type", kind.encode()))
        if self.cookies and b"cookie" not in named:
            pairs.append((b"cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()).encode()))
        return pairs

    def _keep_cookies(self, headers: RawHeaders) -> None:
        """Read `Set-Cookie` as browsers do (RFC 6265, 5.2): a value is sent back as it came, quotes and all."""
        for line in headers.get_all("set-cookie"):
            pair, *attributes = line.split(";")
            name, equals, value = (part.strip() for part in pair.partition("="))
            if not equals or not name:
                continue
            self.cookies.pop(name, None)
            if value and not any(map(_is_over, attributes)):
                self.cookies[name] = value
        while len(self.cookies) > MAX_COOKIES:
            del self.cookies[next(iter(self.cookies))]


class StreamedResponse(Conversation):
    """An answer that is read while it is written.

    Attributes:
        status: the HTTP status.
        headers: the raw header lines.
    """

    status: int = 0
    headers: RawHeaders = RawHeaders()
    _is_read: bool = False

    async def begin(self) -> None:
        """Wait for the start of the answer."""
        start = await self.hear()
        self.status, self.headers = start["status"], RawHeaders(start.get("headers", ()))

    async def chunk(self) -> bytes | None:
        """Wait for the next piece of the body that is not empty; None at its end."""
        while not self._is_read:
            message = await self.hear()
            self._is_read = not message.get("more_body", False)
            if body := message.get("body", b""):
                return bytes(body)
        return None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self.chunk()) is not None:
            yield chunk

    async def read(self) -> bytes:
        """Wait for the rest of the body."""
        with fail_after(self._timeout_seconds):
            return b"".join([chunk async for chunk in self])


class _Leaving(StrictServer):
    """A server whose client may leave; what it has not sent until then does not come any more."""

    has_left: bool = False

    def leave(self) -> None:
        self.has_left = True
        self.push({"type": "http.disconnect"})


class _Uploading(_Leaving):
    """A server whose client sends its body piece by piece, each when the application asks for it."""

    def __init__(self, scope: Scope, pieces: Iterable[bytes] | AsyncIterable[bytes], **options: Any) -> None:
        super().__init__(scope, **options)
        self._pieces = aiter(pieces if isinstance(pieces, AsyncIterable) else _one_by_one(pieces))
        self._is_uploaded = False

    async def receive(self) -> Message:
        if self._is_uploaded or self.is_over or self.has_left:
            return await super().receive()
        self.received += 1
        try:
            return {"type": "http.request", "body": await anext(self._pieces), "more_body": True}
        except StopAsyncIteration:
            self._is_uploaded = True
            return {"type": "http.request", "body": b"", "more_body": False}


async def _one_by_one(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _checked(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Refuse what is no key of a scope: an option that is written wrongly, or of another client, would do nothing."""
    for name in scope:
        if name not in _SCOPE_KEYS:
            known = [*_SCOPE_KEYS, "params", "headers", "json", "data", "files", "body", "timeout_seconds"]
            guess = _ELSEWHERE.get(name) or did_you_mean(name, known)
            remedy = guess or "What an application finds in its scope besides goes into extensions."
            raise TypeError(f"there is no option {name!r}. {remedy}")
    return scope


def _as_websocket(scope: Mapping[str, Any]) -> dict[str, Any]:
    schemes = {"http": "ws", "https": "wss"}
    return {key: schemes.get(value, value) if key == "scheme" else value for key, value in scope.items()}


def _is_over(attribute: str) -> bool:
    """Whether a cookie is to be gone at once: `Max-Age` of 0 or less."""
    name, _, seconds = (part.strip() for part in attribute.partition("="))
    digits = seconds.removeprefix("-")
    if name.lower() != "max-age" or not (digits.isascii() and digits.isdigit()):
        return False
    return seconds.startswith("-") or not digits.strip("0")
