"""Link: HTTP/1.1 to one server, as loads and attacks need it: each request stands alone, and goes nowhere else.

Rule 1: it connects to the address that was checked; the name is only told, in `Host` and in TLS, whose certificates are
checked by it. No redirect is followed and no proxy is asked.
Rule 2: nothing is carried from one request to the next: cookies that the server sets are dropped.
Rule 3: of an answer no more is kept than was asked for; it is read to its end, and never decompressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from asgi_guard.errors.exceptions import MissingExtraError

if TYPE_CHECKING:
    import httpx


class Link:
    """A client of one server.

    Args:
        what: what it is for, as the beginning of a sentence.
        name: the URL as it was given, whose host is told.
        url: the same with the address that is connected to.
        timeout_seconds: how long each step of a request may take.
        connections: how many at most.
    """

    def __init__(self, what: str, name: str, url: str, timeout_seconds: float, connections: int) -> None:
        self._what = what
        self._name = name
        self._url = url
        self._timeout = timeout_seconds
        self._connections = connections

    async def open(self) -> None:
        """Open it, in a thread, since it reads certificates, and see whether anybody listens.

        Raises:
            MissingExtraError: httpx is not installed.
            OSError: nobody listens there.
        """
        self._client = await anyio.to_thread.run_sync(self._made)
        place = urlsplit(self._url)
        try:
            with anyio.fail_after(self._timeout):
                stream = await anyio.connect_tcp(
                    place.hostname or "", place.port or (443 if place.scheme == "https" else 80)
                )
            await stream.aclose()
        except OSError as error:  # TimeoutError is one
            await self.close()
            raise ConnectionError(f"nobody listens at {self._name}") from error

    def _made(self) -> httpx.AsyncClient:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError(self._what, "httpx") from None
        given = urlsplit(self._name)
        self._extensions: dict[str, Any] = {"sni_hostname": given.hostname} if given.scheme == "https" else {}
        return httpx.AsyncClient(
            base_url=self._url.rstrip("/"),
            limits=httpx.Limits(max_connections=self._connections, max_keepalive_connections=self._connections),
            timeout=self._timeout,
            follow_redirects=False,
            headers={"host": given.netloc, "accept-encoding": "identity"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, kept_bytes: int
    ) -> tuple[httpx.Response, bytes]:
        """Ask, and return the answer and the beginning of its body, once all of it has come.

        Args:
            method: of HTTP.
            path: with the query.
            headers: its own.
            body: what is sent.
            kept_bytes: how much of the answer's body is kept.
        """
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        kept = bytearray()
        async with self._client.stream(method, path, headers=raw, content=body, extensions=self._extensions) as answer:
            async for piece in answer.aiter_raw():
                kept += piece[: kept_bytes - len(kept)]
        return answer, bytes(kept)
