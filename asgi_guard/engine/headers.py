"""The algebra of raw header pairs: find, remove, merge Vary, and copy what an application has written.

Facts: names are compared as lower-case bytes (ASGI HTTP spec, "headers"); `Set-Cookie` lines are never joined
(RFC 6265 section 3); `Vary` is a list whose members are compared without case, and `*` swallows all others (RFC 9110
section 12.5.5). What changes a list changes it in place; the engine hands out fresh lists only.
Must never decode a value, and must never let CR, LF or NUL into one: that is response splitting.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, cast

from asgi_guard.engine.types import Header, Headers


def get(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def remove(headers: Headers, name: bytes) -> None:
    """Drop every line of `name`."""
    headers[:] = [pair for pair in headers if pair[0] != name]


def merge_vary(headers: Headers, *names: bytes, lines: list[Header] | None = None) -> None:
    """Add field names to `Vary`, without repeating one, without touching a `*`, on one line.

    Args:
        headers: where.
        names: which.
        lines: the lines of `Vary` that are there, for who has looked already.
    """
    if lines is None:
        lines = [pair for pair in headers if pair[0] == b"vary"]
    value = lines[0][1] if len(lines) == 1 else b",".join([line for _, line in lines])
    # What is longer is not worth remembering: an application may write what a client has sent.
    merged = (_merged if len(value) <= _USUAL_BYTES else _merged.__wrapped__)(value, names)
    if merged is not None:
        for line in lines:
            headers.remove(line)
        headers.append(merged)


@lru_cache(256)
def _merged(value: bytes, names: tuple[bytes, ...]) -> Header | None:
    """Return the line that `Vary` becomes; None where it can stay as it is."""
    present = [member.strip() for member in value.split(b",") if member.strip()]
    if b"*" in present:
        return None
    known = {member.lower() for member in present}
    missing = [name for name in names if name.lower() not in known]
    return (b"vary", b", ".join([*present, *missing])) if missing else None


def is_unsafe(value: bytes) -> bool:
    """Tell whether a value (or several, joined) holds CR, LF or NUL."""
    return b"\n" in value or b"\r" in value or b"\0" in value


NEVER_HELD: Final = (
    b"text/event-stream",
    b"application/grpc",
    b"application/json-seq",
    b"application/jsonl",
    b"application/ndjson",
    b"application/x-ndjson",
    b"multipart/x-mixed-replace",
)
"""Media types whose head a client waits for before there is a body: their start is never held back."""

_USUAL_PAIRS, _USUAL_BYTES = 1_024, 96
usual: Final[set[Header]] = set()
"""Pairs that were found sound, and to announce no stream: most responses are made of the same few."""


def announces_stream(headers: Headers) -> bool:
    """Tell whether the response is of a media type whose start must not be held back."""
    content_type = get(headers, b"content-type")
    return content_type is not None and content_type.lower().startswith(NEVER_HELD)


def fresh(headers: Iterable[Iterable[bytes]]) -> Headers:
    """Copy an application's response headers: a new list of sound pairs with lower-case names.

    Args:
        headers: any iterable of pairs, as the ASGI spec allows: lists, tuples, generators.

    Raises:
        ValueError: a name or a value holds CR, LF or NUL.
    """
    pairs: Headers = (
        [(name, value) for name, value in headers] if headers.__class__ is not list else cast("Headers", headers)
    )
    try:
        return [pair if pair in usual else _sound(pair) for pair in pairs]
    except TypeError:  # pairs that are lists have no hash
        return [_sound((name, value)) for name, value in pairs]


def _sound(pair: Header) -> Header:
    name, value = bytes(pair[0]), bytes(pair[1])  # a bytearray has no hash
    if is_unsafe(name) or is_unsafe(value):
        raise ValueError(f"the response header {name!r} holds CR, LF or NUL: that would split the response")
    sound = (name.lower(), value)
    is_worth_keeping = sound == pair and len(name) + len(value) <= _USUAL_BYTES and name != b"set-cookie"
    # Bounded, since an application may answer with what a client sent; and never a secret.
    if is_worth_keeping and not announces_stream([sound]):
        if len(usual) >= _USUAL_PAIRS:
            usual.clear()
        usual.add(sound)
    return sound
