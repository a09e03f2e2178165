"""Networks: sets of addresses, read once with every problem told, and asked millions of times.

A set is two flat lists of boundaries, one for IPv4 and one for IPv6: an address is a member where an odd number of
boundaries lies at or below it. So a look-up is one bisection, whatever the number of networks, and a memo answers for
an address that was asked before.
IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) is IPv4 here, in the set as in the question: a server that listens on `::`
gives `::ffff:198.51.100.7` for a client that stands in `198.51.100.0/24`. So `::/0` is every IPv6 address, and no IPv4.
Must never look up a name, and never take a text for something that it may not have meant.

| id    | rule that was broken                                                           |
|-------|--------------------------------------------------------------------------------|
| AG300 | an address, or a network in CIDR notation (RFC 4632 section 3.1)                |
| AG301 | a network has no host bits set                                                 |
| AG302 | an address, not a host name                                                    |
| AG303 | no zone (RFC 4007 section 11): it means something on one machine only          |
| AG304 | `unix:`, where Unix sockets are meant, and only there                          |
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Final, NamedTuple, cast

from asgi_guard.settings import Problems

UNIX: Final = "unix:"
"""The member that stands for whoever comes over a Unix socket, and has no address."""

_MAPPED: Final = bytes(10) + b"\xff\xff"
_MAPPED_BITS: Final = 96
_LENGTH: Final = re.compile(r"[0-9]{1,3}")
_NAME: Final = re.compile(r"[a-z0-9_.-]*[a-z][a-z0-9_.-]*(:[0-9]+)?", re.IGNORECASE)
_MEMO_SIZE: Final = 8_192
_MEMO_LENGTH: Final = 45  # of the longest address; what is longer is none, and is not kept


class NetworkError(ValueError):
    """A text is neither an address nor a network.

    Attributes:
        id: the stable id of the rule that was broken.
        rule: what is allowed, as the rest of a sentence that begins with what was given.
        remedy: what to do, as a sentence.
    """

    def __init__(self, problem_id: str, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}")
        self.id = problem_id
        self.rule = rule
        self.remedy = remedy


class Network(NamedTuple):
    """A range of addresses.

    Attributes:
        bits: how long its addresses are: 32 or 128.
        start: its first address, as a number.
        prefix: how many leading bits its addresses have in common.
    """

    bits: int
    start: int
    prefix: int

    def __str__(self) -> str:
        address = unpack(self.start.to_bytes(self.bits // 8, "big"))
        return address if self.prefix == self.bits else f"{address}/{self.prefix}"


def pack(address: str) -> bytes | None:
    """Return the 4 or 16 bytes of an address, without its zone; None for what is no address."""
    try:
        if ":" not in address:
            return inet_pton(AF_INET, address)
        packed = inet_pton(AF_INET6, address.partition("%")[0])
    except (OSError, ValueError):
        return None
    return packed[12:] if packed.startswith(_MAPPED) else packed


def unpack(packed: bytes) -> str:
    """Return the one usual text of an address (RFC 5952)."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def is_private(client: str | None) -> bool:
    """Tell whether a peer is near: at an address that nobody on the internet has, or, None, on a Unix socket."""
    try:
        return client is None or not ip_address(client).is_global
    except ValueError:
        return False


def is_loopback(client: str | None) -> bool:
    """Tell whether a peer is on this machine: at a loopback address, or, None, on a Unix socket."""
    try:
        return client is None or ip_address(client).is_loopback
    except ValueError:
        return False


def parse(text: str) -> Network:
    """Read an address or a network.

    Raises:
        NetworkError: it is neither; says why, and what to write instead.
    """
    host, slash, length = text.partition("/")
    if "%" in host:  # some systems' `inet_pton` takes it
        raise _diagnosis(text)
    try:
        packed = inet_pton(AF_INET6 if ":" in host else AF_INET, host)
    except (OSError, ValueError):
        raise _diagnosis(text) from None
    bits, start = len(packed) * 8, int.from_bytes(packed, "big")
    prefix = bits
    if slash:
        prefix = int(length) if _LENGTH.fullmatch(length) else bits + 1
        if prefix > bits:
            remedy = f"Write the number of its leading bits, 0 to {bits}, after the slash."
            raise NetworkError("AG300", "must be an address or a network", remedy)
    host_bits = bits - prefix
    sound = start >> host_bits << host_bits
    if sound != start:
        remedy = f"Write {str(Network(bits, sound, prefix))!r} for the network, or {host!r} for the one address."
        raise NetworkError("AG301", "must have no bits set after its prefix", remedy)
    if prefix >= _MAPPED_BITS and packed.startswith(_MAPPED):
        return Network(32, start & 0xFFFF_FFFF, prefix - _MAPPED_BITS)
    return Network(bits, start, prefix)


def check(problems: Problems, field: str, texts: object, *, unix: bool = False, minimum: int = 0) -> bool:
    """Check for a list of addresses and networks, and note what is wrong with each.

    Args:
        problems: where it is noted.
        field: the field's name.
        texts: what was given.
        unix: whether `"unix:"` may be one of them.
        minimum: how many there must be.
    """
    if not problems.sequence_of_text(field, texts, minimum=minimum):
        return False
    sound = True
    for index, text in enumerate(cast("Iterable[str]", texts)):
        if unix and text == UNIX:
            continue
        try:
            parse(text)
        except NetworkError as error:
            sound = problems.add(error.id, f"{field}[{index}]", text, error.rule, error.remedy)
    return sound


class Networks:
    """A set of addresses: `"198.51.100.7" in Networks(["198.51.100.0/24"])`.

    The address None is that of a client without one, behind a Unix socket: a member where `"unix:"` is. What is no
    address is no member.

    Args:
        texts: addresses, networks in CIDR notation, and `"unix:"`.

    Raises:
        NetworkError: one of them is none of these.
    """

    __slots__ = ("_four", "_has_unix", "_memo", "_six")

    def __init__(self, texts: Iterable[str] = ()) -> None:
        ranges: dict[int, list[tuple[int, int]]] = {32: [], 128: []}
        self._has_unix = False
        for text in texts:
            if text == UNIX:
                self._has_unix = True
            else:
                bits, start, prefix = parse(text)
                ranges[bits].append((start, start + (1 << bits - prefix)))
        # Side by side in memory: a look-up in a list of numbers would wait for each of them.
        self._four = array("Q", _boundaries(ranges[32]))
        self._six = _boundaries(ranges[128])
        self._memo: dict[str | None, bool] = {None: self._has_unix}

    def __contains__(self, address: str | None) -> bool:
        known = self._memo.get(address)
        return self._look_up(address or "") if known is None else known

    def __bool__(self) -> bool:
        return bool(self._four or self._six or self._has_unix)

    def _look_up(self, address: str) -> bool:
        packed = pack(address) if len(address) <= 2 * _MEMO_LENGTH else None
        if packed is None:
            return False
        boundaries: Sequence[int] = self._four if len(packed) == 4 else self._six
        is_member = bisect_right(boundaries, int.from_bytes(packed, "big")) & 1 == 1
        if len(address) <= _MEMO_LENGTH:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo = {None: self._has_unix}
            self._memo[address] = is_member
        return is_member


def _boundaries(ranges: list[tuple[int, int]]) -> list[int]:
    """Make of ranges, which may overlap or touch, the places at which membership changes."""
    boundaries: list[int] = []
    for start, end in sorted(ranges):
        if not boundaries or start > boundaries[-1]:
            boundaries += (start, end)
        elif end > boundaries[-1]:
            boundaries[-1] = end
    return boundaries


def _diagnosis(text: str) -> NetworkError:
    """Find out what somebody meant who wrote this."""
    host = text.partition("/")[0]
    if text.startswith(UNIX):
        remedy = 'Write "unix:" alone where Unix sockets are trusted, and leave it out elsewhere.'
        return NetworkError("AG304", "must be an address or a network, and a Unix socket has none", remedy)
    if "%" in host:
        remedy = f"Write it without its zone: {host.partition('%')[0]!r}."
        return NetworkError("AG303", "must have no zone, which means something on one machine only", remedy)
    if _NAME.fullmatch(host) or "://" in text:
        return NetworkError("AG302", "must be an address, and a name is never looked up", "Write its addresses.")
    remedy = 'Write it as in "198.51.100.7", "198.51.100.0/24" or "2001:db8::/32", without brackets or a port.'
    if text == "*":
        remedy = 'For every address, write "0.0.0.0/0" and "::/0".'
    return NetworkError("AG300", "must be an address or a network", remedy)
