"""Transports: httpx that cannot be led into the own network; every hop is checked, and connects to what was checked.

    httpx.Client(transport=SafeTransport(), follow_redirects=True)
    httpx.AsyncClient(transport=AsyncSafeTransport(), follow_redirects=True)

The client asks its transport for each request, a redirect being one more, and the transport looks each host up itself,
at the place where the connection is made: there is no moment between check and use in which the DNS could change its
mind. TLS and the `Host` header keep the name. Only public names of httpcore are used: what an update renames then
fails aloud, and does not leave a check out.
Must never use a proxy, since that would look the name up again, nor a Unix socket.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import httpcore
import httpx

from asgi_guard.sanitize.resolve import AsyncResolver, Resolver, addresses_of, addresses_of_async, system_resolver
from asgi_guard.sanitize.urls import DEFAULT_POLICY, URLPolicy, parse_url

_TRIES: Final = 3
"""The addresses of a host that are tried, one after the other, each for as long as the client waits to connect."""

_FIELD: Final = "url"


class SafeTransport(httpx.BaseTransport):
    """A transport for `httpx.Client` that only reaches the public internet, through every redirect.

    A request that is refused raises `SanitizeError`, with the reasons of `resolve_url`.

    Args:
        policy: which URLs are taken.
        resolver: looks hosts up, in a thread.
        verify: whether certificates are checked, or the context by which they are.
        http2: whether HTTP/2 may be spoken; needs `httpx[http2]`.
        limits: how many connections are kept.
    """

    def __init__(
        self,
        policy: URLPolicy = DEFAULT_POLICY,
        *,
        resolver: Resolver = system_resolver,
        verify: bool | ssl.SSLContext = True,
        http2: bool = False,
        limits: httpx.Limits | None = None,
    ) -> None:
        self._policy = policy
        self._pool = httpcore.ConnectionPool(
            **_options(verify, http2, limits), network_backend=_Backend(policy, resolver)
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, where it may be sent.

        Raises:
            SanitizeError: it may not.
            httpx.TransportError: it was not answered.
        """
        parse_url(str(request.url), self._policy, _FIELD)
        with _told_as_httpx():
            response = self._pool.handle_request(_request(request))
        return _response(response, _Stream(response))

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class AsyncSafeTransport(httpx.AsyncBaseTransport):
    """A transport for `httpx.AsyncClient` that only reaches the public internet, through every redirect.

    A request that is refused raises `SanitizeError`, with the reasons of `resolve_url_async`.

    Args:
        policy: which URLs are taken.
        resolver: looks hosts up; None asks the system, in a thread.
        verify: whether certificates are checked, or the context by which they are.
        http2: whether HTTP/2 may be spoken; needs `httpx[http2]`.
        limits: how many connections are kept.
    """

    def __init__(
        self,
        policy: URLPolicy = DEFAULT_POLICY,
        *,
        resolver: AsyncResolver | None = None,
        verify: bool | ssl.SSLContext = True,
        http2: bool = False,
        limits: httpx.Limits | None = None,
    ) -> None:
        self._policy = policy
        self._pool = httpcore.AsyncConnectionPool(
            **_options(verify, http2, limits), network_backend=_AsyncBackend(policy, resolver)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, where it may be sent.

        Raises:
            SanitizeError: it may not.
            httpx.TransportError: it was not answered.
        """
        parse_url(str(request.url), self._policy, _FIELD)
        with _told_as_httpx():
            response = await self._pool.handle_async_request(_request(request))
        return _response(response, _AsyncStream(response))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


class _Backend(httpcore.NetworkBackend):
    """Makes connections to addresses that were checked, and to nothing else."""

    def __init__(self, policy: URLPolicy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.NetworkStream:
        addresses = addresses_of(host, port, self._policy, self._resolver, _FIELD)
        *others, last = addresses[:_TRIES]
        for address in others:
            try:
                return self._sockets.connect_tcp(address, port, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._sockets.connect_tcp(last, port, *args, **options)


class _AsyncBackend(httpcore.AsyncNetworkBackend):
    """Makes connections to addresses that were checked, and to nothing else."""

    def __init__(self, policy: URLPolicy, resolver: AsyncResolver | None) -> None:
        self._policy = policy
        self._resolver = resolver
        self._sockets = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())  # on trio too

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        addresses = await addresses_of_async(host, port, self._policy, self._resolver, _FIELD)
        *others, last = addresses[:_TRIES]
        for address in others:
            try:
                return await self._sockets.connect_tcp(address, port, *args, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._sockets.connect_tcp(last, port, *args, **options)


class _Stream(httpx.SyncByteStream):
    """The body of an answer, whose errors are those of httpx."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _told_as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


class _AsyncStream(httpx.AsyncByteStream):
    """The body of an answer, whose errors are those of httpx."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _told_as_httpx():
            async for piece in self._response.aiter_stream():
                yield piece

    async def aclose(self) -> None:
        await self._response.aclose()


def _options(verify: bool | ssl.SSLContext, http2: bool, limits: httpx.Limits | None) -> dict[str, Any]:
    limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20)
    return {
        "ssl_context": httpx.create_ssl_context(verify=verify),
        "max_connections": limits.max_connections,
        "max_keepalive_connections": limits.max_keepalive_connections,
        "keepalive_expiry": limits.keepalive_expiry,
        "http2": http2,
    }


def _request(request: httpx.Request) -> httpcore.Request:
    url = httpcore.URL(
        scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
    )
    return httpcore.Request(
        request.method, url, headers=request.headers.raw, content=request.stream, extensions=request.extensions
    )


def _response(response: httpcore.Response, stream: httpx.SyncByteStream | httpx.AsyncByteStream) -> httpx.Response:
    extensions = cast("dict[str, Any]", response.extensions)  # type: ignore[redundant-cast,unused-ignore]
    return httpx.Response(response.status, headers=response.headers, stream=stream, extensions=extensions)


@contextmanager
def _told_as_httpx() -> Generator[None]:
    """Raise an error of httpcore as the one of httpx, which has the same name."""
    try:
        yield
    except Exception as error:
        known = getattr(httpx, type(error).__name__, None) if type(error).__module__.startswith("httpcore") else None
        if known is None:
            raise
        raise known(str(error)) from error
