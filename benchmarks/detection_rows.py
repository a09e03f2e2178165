"""Rows: labelled requests, read from a folder of `*.jsonl.gz` files, and made into what a server hands to an app.

A row is a JSON object: `set, id, label ("attack" or "benign"), class, where, split ("tune" or "report"), payload (none
of a recorded request), method, target (still encoded), headers (pairs), body`. Its texts are latin-1 for bytes.

Must never be written into the project: who made the rows keeps them, and rules that remember them prove nothing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from zlib import crc32

PIECE = 65_536
"""Bytes of a body in one message: what servers read at a time."""

Receive = Callable[[], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled request."""

    set: str
    id: str
    is_attack: bool
    class_: str
    where: str
    split: str
    payload: str | None
    method: str
    target: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def is_recorded(self) -> bool:
        """A whole request, and not a value that was put into one."""
        return self.where == "request"

    @property
    def is_prose(self) -> bool:
        """What developers write: sentences with code words in them."""
        return self.class_ == "benign:prose"

    @classmethod
    def of(cls, record: dict[str, Any]) -> Row:
        """Read a row."""
        return cls(
            set=record["set"],
            id=record["id"],
            is_attack=record["label"] == "attack",
            class_=record["class"],
            where=record["where"],
            split=record["split"],
            payload=record["payload"],
            method=record["method"],
            target=record["target"],
            headers=tuple(
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in record["headers"]
            ),
            body=_bytes(record["body"]),
        )

    def scope(self) -> dict[str, Any]:
        """Make a fresh scope, as uvicorn does."""
        path, _, query = self.target.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "https",
            "path": unquote(path),
            "raw_path": _bytes(path),
            "query_string": _bytes(query),
            "root_path": "",
            "headers": list(self.headers),
            "client": ("198.51.100.7", 50_000),
            "server": ("www.example.com", 443),
            "state": {},
        }

    def receive(self) -> Receive:
        """Make a fresh `receive`: the body in pieces, and then the client is gone."""
        messages = self._messages()

        async def receive() -> dict[str, Any]:
            return next(messages, {"type": "http.disconnect"})

        return receive

    def _messages(self) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self.body) or 1, PIECE):
            end = start + PIECE
            yield {"type": "http.request", "body": self.body[start:end], "more_body": end < len(self.body)}


def read(folder: Path, *, split: str, sets: Iterable[str] = ()) -> list[Row]:
    """Read the rows of a split (`both`: of each), of the sets that are named or of all, in an order that no set has."""
    wanted = frozenset(sets)
    rows = [
        row
        for file in sorted(folder.glob("*.jsonl.gz"))
        for row in _rows(file)
        if split in ("both", row.split) and (not wanted or row.set in wanted)
    ]
    return sorted(rows, key=lambda row: (crc32(row.id.encode()), row.id, row.set))


def _rows(file: Path) -> Iterator[Row]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from (Row.of(json.loads(line)) for line in lines)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
