"""The client of the demo: requests over real sockets, and every byte that came back.

h11 speaks HTTP here: it sends what the standard does not forbid, hostile or not, and reads strictly, so that a response
that was cut off shows.
Must never wait for longer than the time that is left.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, Self, cast

import h11

EXPECT: Final = ("Expect", "100-continue")
"""The header of a client that would like to be told whether its body is wanted before it sends it."""

_PATIENCE_SECONDS: Final = 5.0
_READ_BYTES: Final = 65_536
_UPGRADE: Final = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),  # RFC 6455 section 1.3
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client saw of one response.

    Attributes:
        status: HTTP status; 100 where the client did not accept the invitation to send its body.
        headers: by lower-case name; of several lines the last one.
        body: the body, as far as it came.
        received: every byte that came over the connection so far.
        is_whole: whether the response came to its proper end.
        spread_seconds: the time between the first and the last part of the body.
        sent_bytes: how much of the request's body was sent.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    received: bytes = b""
    is_whole: bool = True
    spread_seconds: float = 0.0
    sent_bytes: int = 0

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object in the body; an empty one where there is none."""
        try:
            content = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


@dataclass(frozen=True, slots=True)
class Site:
    """A server under observation.

    Attributes:
        host: its address.
        port: its port.
        until: the monotonic time, in seconds, at which the observation has to be over.
    """

    host: str
    port: int
    until: float

    @property
    def authority(self) -> str:
        """Its value for `Host`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self) -> Wire:
        """Open a connection."""
        return Wire(self)

    def ask(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: Iterable[bytes] | None = ()
    ) -> Answer:
        """Ask once, over a connection of its own; see `Wire.ask`."""
        with self.connect() as wire:
            return wire.ask(method, target, headers, body)


class Wire:
    """One connection, which may carry several requests, one after the other.

    Args:
        site: whom to connect to.

    Raises:
        OSError: nobody answers there, or not in time.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._http = h11.Connection(h11.CLIENT)
        self._received = bytearray()
        self._socket = socket.create_connection((site.host, site.port), timeout=self._time_left())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(
        self, method: str, target: str, headers: Iterable[tuple[str, str]] = (), body: Iterable[bytes] | None = ()
    ) -> Answer:
        """Send a request and read the answer.

        The body goes out part by part until it ends, or until the server has answered. With `EXPECT` among the headers
        the client waits for the invitation first; without a body (None) it does not accept it.

        Raises:
            OSError: the connection broke, or the time was up.
            h11.RemoteProtocolError: what came back is not HTTP.
        """
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        headers = [("Host", self._site.authority), *headers]
        self._send(h11.Request(method=method, target=target, headers=headers))
        event = self._next_event() if EXPECT in headers else None
        sent_bytes = 0
        if body is not None and not isinstance(event, h11.Response):
            sent_bytes = self._upload(body)
            event = self._next_event()
        if not isinstance(event, h11.Response | h11.InformationalResponse):
            raise ConnectionError("the server closed the connection without an answer")
        named = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        content, times, is_whole = self._download() if isinstance(event, h11.Response) else (b"", [0.0], True)
        return Answer(
            status=event.status_code,
            headers=named,
            body=content,
            received=bytes(self._received),
            is_whole=is_whole,
            spread_seconds=times[-1] - times[0],
            sent_bytes=sent_bytes,
        )

    def echo(self, path: str, text: str) -> Answer:
        """Open a WebSocket, send a text of at most 125 bytes, and take what comes back for the body."""
        answer = self.ask("GET", path, _UPGRADE)
        if answer.status != 101:
            return answer
        data = text.encode()
        # RFC 6455 section 5.2: a final text frame, masked; a mask of zeros leaves the data as they are.
        self._socket.sendall(bytes([0x81, 0x80 | len(data), 0, 0, 0, 0]) + data)
        early, _ = self._http.trailing_data
        frame = early + self._socket.recv(_READ_BYTES)
        self._socket.sendall(bytes([0x88, 0x80, 0, 0, 0, 0]))
        return Answer(status=101, headers=answer.headers, body=frame[2:], received=answer.received + frame)

    def _upload(self, parts: Iterable[bytes]) -> int:
        sent_bytes = 0
        try:
            for part in parts:
                if self._is_answered():
                    return sent_bytes
                self._send(h11.Data(data=part))
                sent_bytes += len(part)
            self._send(h11.EndOfMessage())
        except ConnectionError:  # the server has hung up; what it said before is still to be read
            pass
        return sent_bytes

    def _is_answered(self) -> bool:
        self._socket.settimeout(0)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        return True

    def _download(self) -> tuple[bytes, list[float], bool]:
        body, times, is_whole = bytearray(), list[float](), True
        try:
            while isinstance(event := self._next_event(), h11.Data):
                body += event.data
                times.append(monotonic())
        except (h11.RemoteProtocolError, ConnectionError):
            is_whole = False
        return bytes(body), times or [0.0], is_whole

    def _send(self, event: h11.Event) -> None:
        self._socket.settimeout(self._time_left())
        self._socket.sendall(self._http.send(event) or b"")

    def _next_event(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            self._socket.settimeout(self._time_left())
            data = self._socket.recv(_READ_BYTES)
            self._received += data
            self._http.receive_data(data)

    def _time_left(self) -> float:
        seconds = min(_PATIENCE_SECONDS, self._site.until - monotonic())
        if seconds <= 0:
            raise TimeoutError("the time for all requests is up")
        return seconds
