"""The client of the demo: requests over real sockets, and every byte that came back.

h11 checks both sides: it writes what the rows ask for and reads strictly, so that a response that was cut off shows.
Must never wait for longer than the time that is left.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

import h11

_PATIENCE_SECONDS: Final = 3.0
_READ_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client saw of one response.

    Attributes:
        status: HTTP status.
        headers: by lower-case name; lines of the same name are joined.
        body: the body, as far as it came.
        received: every byte that came over the connection so far.
        is_whole: whether the response came to its proper end.
        spread_seconds: the time between the first and the last part of the body.
        is_invited: whether the server asked for the body (100 Continue).
        sent_bytes: how much of the request's body was sent.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    received: bytes = b""
    is_whole: bool = True
    spread_seconds: float = 0.0
    is_invited: bool = False
    sent_bytes: int = 0

    @property
    def json(self) -> Any:
        """The body read as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Site:
    """A server under observation, and the time until which the observation has to be over."""

    host: str
    port: int
    until: float

    @property
    def url(self) -> str:
        """Where a person finds it."""
        return f"http://{self.authority}"

    @property
    def authority(self) -> str:
        """Its value for `Host`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def ask(self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Answer:
        """Send one request over a connection of its own, and read the answer."""
        with Wire(self) as wire:
            wire.request(method, target, headers)
            return wire.answer(body)


class Wire:
    """One connection.

    Args:
        site: whom to connect to.

    Raises:
        OSError: nobody answers there, or not in time.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._socket = socket.create_connection((site.host, site.port), self._time_left())
        self._http = h11.Connection(h11.CLIENT)
        self._received = bytearray()
        self._sent_bytes = 0

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def request(self, method: str, target: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send the head of a request."""
        self._write(h11.Request(method=method, target=target, headers=[("host", self._site.authority), *headers]))

    def send(self, data: bytes) -> None:
        """Send a part of the body."""
        self._write(h11.Data(data=data))
        self._sent_bytes += len(data)

    def send_raw(self, data: bytes) -> None:
        """Send bytes that are not HTTP."""
        self._socket.settimeout(self._time_left())
        self._socket.sendall(data)

    def is_answered(self) -> bool:
        """Tell, without waiting, whether anything came back."""
        self._socket.settimeout(0)
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False

    def invitation(self) -> h11.InformationalResponse | None:
        """Wait for the answer to a head with `Expect: 100-continue`; None when it is no invitation."""
        event = self._read()
        return event if isinstance(event, h11.InformationalResponse) else None
