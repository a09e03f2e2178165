"""Answer: a whole response as an object that is itself an ASGI application, as Starlette's responses are.

It is for handlers of frameworks, which send what they are given by calling it, and for nobody within the engine.
Must never be changed once it is made: one may be sent to several clients.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from asgi_guard.engine.types import AnyReceive, AnyScope, AnySend, Header


class Answer:
    """A response.

    Args:
        status: of HTTP.
        headers: raw pairs, names in lower case.
        body: the whole body.

    Attributes:
        status_code: of HTTP, by the name that frameworks have for it.
        raw_headers: as given.
        body: as given.
        background: nothing; frameworks look for it.
    """

    background: None = None

    def __init__(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        self.status_code: int = status
        self.raw_headers: list[Header] = list(headers)
        self.body: bytes = body

    @property
    def headers(self) -> dict[str, str]:
        """The headers as text, by name; a copy."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.raw_headers}

    async def __call__(self, scope: AnyScope, receive: AnyReceive, send: AnySend) -> None:  # noqa: ARG002
        """Send it, to a request or to a handshake that is denied."""
        prefix = "websocket.http" if scope["type"] == "websocket" else "http"
        is_head = scope.get("method") == "HEAD"
        body = b"" if is_head else self.body
        await send({"type": f"{prefix}.response.start", "status": self.status_code, "headers": list(self.raw_headers)})
        await send({"type": f"{prefix}.response.body", "body": body, "more_body": False})

    def __await__(self) -> Generator[Any, Any, Answer]:
        """Return it: what makes it takes no time, and some wait for it all the same."""
        return self._itself().__await__()

    async def _itself(self) -> Answer:
        return self
