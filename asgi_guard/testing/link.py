"""Link: HTTP/1.1 to one server, as loads and attacks need it: each request stands alone, and goes nowhere else.

Rule 1: it connects to the address that was checked; the name is only told, in `Host` and in TLS, whose certificates are
checked by it. No redirect is followed and no proxy is asked.
Rule 2: nothing is carried from one request to the next but the connection; no cookie is kept.
Rule 3: of an answer no more is kept than was asked for; it is read to its end, and never decompressed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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

    There are as many connections as requests at once. Each is a transport of its own: a pool of httpx looks through all
    of its connections for each request, which was half of what a request cost.
    """

    def __init__(self, what: str, name: str, url: str, timeout_seconds: float) -> None:
        self._what = what
        self._name = name
        self._url = url
        self._timeout = timeout_seconds
        self._free: list[httpx.AsyncHTTPTransport] = []

    async def open(self) -> None:
        """Open it, in a thread, since it reads certificates, and see whether anybody listens.

        Raises:
            MissingExtraError: httpx is not installed.
            OSError: nobody listens there.
        """
        await anyio.to_thread.run_sync(self._prepare)
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

    def _prepare(self) -> None:
        try:
            import httpx
        except ImportError:
            raise MissingExtraError(self._what, "httpx") from None
        given = urlsplit(self._name)
        self._headers = [(b"host", given.netloc.encode("idna")), (b"accept-encoding", b"identity")]
        self._extensions: dict[str, Any] = {
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), self._timeout),
            **({"sni_hostname": given.hostname} if given.scheme == "https" else {}),
        }
        self._request = httpx.Request
        certificates = httpx.create_ssl_context(trust_env=False)
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        self._connect = partial(httpx.AsyncHTTPTransport, verify=certificates, limits=one, trust_env=False)

    async def close(self) -> None:
        """Close the connections."""
        while self._free:
            await self._free.pop().aclose()

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, kept_bytes: int
    ) -> tuple[httpx.Response, bytes]:
        """Ask, and return the answer and the beginning of its body, once all of it has come.

        Args:
            method: of HTTP.
            path: with the query.
            headers: its own; one of a name that is sent anyway takes its place.
            body: what is sent.
            kept_bytes: how much of the answer's body is kept.
        """
        own = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        given = {name for name, _ in own}
        lines = [*(line for line in self._headers if line[0] not in given), *own]
        url = f"{self._url.rstrip('/')}{path}"
        request = self._request(method, url, headers=lines, content=body, extensions=self._extensions)
        transport = self._free.pop() if self._free else self._connect()
        try:
            answer = await transport.handle_async_request(request)
            kept = bytearray()
            try:
                async for piece in answer.aiter_raw():
                    kept += piece[: kept_bytes - len(kept)]
            finally:
                await answer.aclose()
        finally:
            self._free.append(transport)
        return answer, bytes(kept)
