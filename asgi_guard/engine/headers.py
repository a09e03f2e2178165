"""The algebra of raw header pairs: find, set, set-default, remove, append, merge Vary.

Facts: names are compared as lower-case bytes (ASGI HTTP spec, "headers"); `Set-Cookie` lines are never joined
(RFC 6265 section 3); `Vary` is a list whose members are compared without case, and `*` swallows all others (RFC 9110
section 12.5.5). Every function edits the list it is given in place; the engine hands out fresh lists only.
Must never decode a value, and must never let CR, LF or NUL into one: that is response splitting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from asgi_guard.engine.types import Header, Headers

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


def get(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of `name` (lower case), or None."""
    for key, value in headers:
        if key == name:
            return value
    return None


def get_all(headers: Headers, name: bytes) -> list[bytes]:
    """Return every value of `name` (lower case), in order."""
    return [value for key, value in headers if key == name]


def remove(headers: Headers, name: bytes) -> None:
    """Drop every line of `name`."""
    headers[:] = [pair for pair in headers if pair[0] != name]


def put(headers: Headers, name: bytes, value: bytes) -> None:
    """Make `value` the only value of `name`.

    Raises:
        ValueError: the name is not a lower-case token, or the value holds CR, LF or NUL.
    """
    check(name, value)
    remove(headers, name)
    headers.append((name, value))


def set_default(headers: Headers, name: bytes, value: bytes) -> None:
    """Add `name` unless a line of it is there: the application's own header wins.

    Raises:
        ValueError: as `put`.
    """
    if get(headers, name) is None:
        append(headers, name, value)


def append(headers: Headers, name: bytes, value: bytes) -> None:
    """Add one more line.

    Raises:
        ValueError: as `put`.
    """
    check(name, value)
    headers.append((name, value))


def merge_vary(headers: Headers, *names: bytes) -> None:
    """Add field names to `Vary`, without repeating one, without touching a `*`, on one line."""
    lines = get_all(headers, b"vary")
    present = [member.strip() for line in lines for member in line.split(b",") if member.strip()]
    if b"*" in present:
        return
    known = {member.lower() for member in present}
    missing = [name for name in names if name.lower() not in known]
    if missing:
        remove(headers, b"vary")
        headers.append((b"vary", b", ".join([*present, *missing])))


def check(name: bytes, value: bytes) -> None:
    """Refuse a pair that no server should put on the wire.

    Raises:
        ValueError: the name is not a lower-case token (RFC 9110 section 5.1), or the value holds CR, LF or NUL.
    """
    if not _TOKEN.fullmatch(name):
        message = f"header name {name!r} is not a lower-case token (RFC 9110 section 5.1)"
        raise ValueError(message)
    if is_unsafe(value):
        message = f"the value of header {name!r} holds CR, LF or NUL: that would split the response"
        raise ValueError(message)


def is_unsafe(value: bytes) -> bool:
    """Tell whether a value (or several, joined) holds CR, LF or NUL."""
    return b"\n" in value or b"\r" in value or b"\0" in value


_KNOWN_PAIRS, _KNOWN_BYTES = 1_024, 96
_known: set[Header] = set()
"""Pairs that were looked at and found sound: most responses are made of the same few."""


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
    known = _known
    try:
        if known.issuperset(pairs):  # as it nearly always is: no loop of our own
            return pairs[:]
        return [pair if pair in known else _sound(pair) for pair in pairs]
    except TypeError:  # pairs that are lists have no hash
        return [_sound((name, value)) for name, value in pairs]


def _sound(pair: Header) -> Header:
    name, value = bytes(pair[0]), bytes(pair[1])  # a bytearray has no hash
    if is_unsafe(name) or is_unsafe(value):
        raise ValueError(f"the response header {name!r} holds CR, LF or NUL: that would split the response")
    sound = (name.lower(), value)
    is_worth_keeping = sound == pair and len(name) + len(value) <= _KNOWN_BYTES and name != b"set-cookie"
    if is_worth_keeping:  # bounded, since an application may answer with what a client sent; and never a secret
        if len(_known) >= _KNOWN_PAIRS:
            _known.clear()
        _known.add(sound)
    return sound
