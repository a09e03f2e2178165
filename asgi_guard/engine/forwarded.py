"""Forwarded: the entries that proxies add to a request, read from the right.

The rightmost entry was written by the peer itself, and each further one by whoever asked the one before: all that
stands to the left of an untrusted hop is that hop's invention. So entries are handed out one by one, the last first,
and where an entry begins is found without a look at what stands further left.
Facts: `X-Forwarded-For` has no standard and no quotes; `Forwarded` is RFC 7239 section 4. The lines of one header are
in order (RFC 9110 section 5.3). At most 32 entries and 4 KB are read, whatever was sent.
Must never guess: an entry that is not whole, or not in the grammar, has no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from asgi_guard.networks import pack, unpack

MAX_HOPS: Final = 32
MAX_BYTES: Final = 4_096

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PAIR = rb'[ \t]*+(?:%s=(?:%s|"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*+"))?+[ \t]*+' % (
    _TOKEN,
    _TOKEN,
)
_ELEMENT: Final = re.compile(rb"%s(?:;%s)*+" % (_PAIR, _PAIR))
_PAIRS: Final = re.compile(rb'(%s)=(?:(%s)|"((?:[^"\\]|\\.)*+)")' % (_TOKEN, _TOKEN), re.DOTALL)
_ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
# An element as it is met on the way from the right, its bytes reversed. A quote inside of a quoted text has a backslash
# before it, so that where a text began can be told without a look at what stands further left.
_BACKWARDS: Final = re.compile(rb'((?:[^",]|"(?:[^"]|"(?=\\))*+")*+)(,|\Z)', re.DOTALL)
_NODE: Final = re.compile(
    rb"(?:([0-9.]{7,15})(?::([0-9]{1,5}))?|\[([0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\](?::([0-9]{1,5}))?|([0-9A-Fa-f:.]{2,45}))"
)


class Hop(NamedTuple):
    """One entry of a forwarding header.

    Attributes:
        address: in its usual text; None where the entry names no address.
        port: 0 where the entry names none.
        proto: the scheme of the request that the proxy was sent; of `Forwarded` only.
        host: its host; of `Forwarded` only.
    """

    address: str | None
    port: int = 0
    proto: bytes | None = None
    host: bytes | None = None


def x_forwarded_for(lines: list[bytes]) -> Iterator[Hop]:
    """Read X-Forwarded-For, from the right."""
    for entry in entries(lines):
        yield Hop(*_node(entry.strip(b" \t")))


def is_read_before(peer: Sequence[Any] | None, lines: list[bytes]) -> bool:
    """Tell whether the server shows an entry of X-Forwarded-For as the peer: then it has found the client itself.

    Args:
        peer: `scope["client"]`: address and port; such an entry mostly has no port, which is shown as 0.
        lines: those of X-Forwarded-For.
    """
    return peer is not None and any((hop.address, hop.port) == tuple(peer[:2]) for hop in x_forwarded_for(lines))


def entries(lines: list[bytes]) -> Iterator[bytes]:
    """Give the members of a list without quoted texts, the last first; at most 32, and none beyond 4 KB."""
    room, left = MAX_BYTES, MAX_HOPS
    for line in reversed(lines):
        tail = line[-room:]
        members = tail.rsplit(b",", left)
        if len(members) > left or len(tail) < len(line):
            del members[0]  # cut, so that it may be half of an entry
        yield from reversed(members)
        room -= len(tail)
        left -= len(members)
        if room <= 0 or left <= 0:
            return


def forwarded(lines: list[bytes]) -> Iterator[Hop]:
    """Read Forwarded, from the right. A quoted text ends with its line, so that a line is read by itself."""
    room, left = MAX_BYTES, MAX_HOPS
    for line in reversed(lines):
        tail = line[-room:][::-1]
        room -= len(tail)
        position, comma = 0, b","
        while comma:
            match = _BACKWARDS.match(tail, position)
            # What begins where the header was cut is half of an element, and what has no beginning is none.
            if match is None or left <= 0 or (not match[2] and len(tail) < len(line)):
                yield Hop(None)
                return
            yield _hop(match[1][::-1])
            left -= 1
            position, comma = match.end(), match[2]
        if room <= 0:
            return


def _hop(element: bytes) -> Hop:
    """Read one element of Forwarded (RFC 7239 section 4)."""
    if not _ELEMENT.fullmatch(element):
        return Hop(None)
    found: dict[bytes, bytes] = {}
    for pair in _PAIRS.finditer(element):
        name = pair[1].lower()
        if name in found:  # "Each parameter MUST NOT occur more than once per field-value"
            return Hop(None)
        found[name] = _ESCAPED.sub(rb"\1", pair[3]) if pair[2] is None else pair[2]
    return Hop(*_node(found.get(b"for", b"")), found.get(b"proto"), found.get(b"host"))


def _node(text: bytes) -> tuple[str | None, int]:
    """Read an address, with or without brackets and a port; `unknown` and `_hidden` name none."""
    match = _NODE.fullmatch(text)
    if match is None:
        return None, 0
    packed = pack((match[1] or match[3] or match[5]).decode("ascii"))
    port = int(match[2] or match[4] or 0)
    return (None, 0) if packed is None or port > 65_535 else (unpack(packed), port)
