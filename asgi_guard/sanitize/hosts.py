"""Hosts: what a host in a URL means, said in one way only; and which addresses the public internet has.

Two readers of one URL must see one host: `http://0x7f.1/` is a name to some and 127.0.0.1 to others, and between them
lies the attack. So names are made ASCII (UTS #46, IDNA 2008) before anything else, full-width digits and all; then what
ends in a number is an IPv4 address in its one usual form, or refused.
Source: the IANA registries of special-purpose addresses (RFC 6890), read here and not from `ipaddress`, whose answers
changed with CVE-2024-4032. An IPv6 address that carries an IPv4 one leads to that: ::ffff:0:0/96 and NAT64 are judged
by what they carry; 6to4, Teredo and ISATAP are never needed, and refused.
Must never look a name up.
"""

from __future__ import annotations

import re
from typing import Final

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.networks import Networks, pack, unpack
from asgi_guard.sanitize.errors import SanitizeError

MAX_HOST: Final = 253
"""The characters of a host name (RFC 1035 section 2.3.4)."""

_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_FOUR: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")

_UNICAST: Final = Networks(["2000::/3"])
"""All that IANA has given out of IPv6."""

_SPECIAL: Final = Networks(
    [
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' own
        "127.0.0.0/8",
        "168.63.129.16",  # the host of a machine in Azure, which tells secrets to whoever asks
        "169.254.0.0/16",  # link-local, with the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",  # of protocols
        "192.0.2.0/24",  # documentation, as the other two below
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # of protocols, with Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation
    ]
)
_NAT64: Final = bytes.fromhex("0064ff9b0000000000000000")
_ISATAP: Final = (bytes.fromhex("00005efe"), bytes.fromhex("02005efe"))


def clean_host(host: str, field: str) -> str:
    """Return the one usual form of a host as a URL has it: a name, four numbers, or `[IPv6]`.

    Args:
        host: without user and port.
        field: what to call it in an error.

    Raises:
        SanitizeError: `bad_host`, `odd_address` or `zone`.
        MissingExtraError: it is not ASCII, and `idna` is not installed.
    """
    if host.startswith("["):
        return f"[{_six(host, field)}]"
    name = _ascii(host, field).lower().removesuffix(".")
    if _NUMBER.fullmatch(name):
        if _FOUR.fullmatch(name) and pack(name) is not None:  # some systems' `inet_pton` takes leading zeros
            return name
        raise SanitizeError(field, "odd_address")
    if len(name) > MAX_HOST or _NAME.fullmatch(name) is None:
        raise SanitizeError(field, "bad_host")
    return name


def is_public(address: str, allowed: Networks) -> bool:
    """Tell whether an address is one of the public internet, or one that is allowed besides.

    Args:
        address: IPv4 or IPv6, without brackets.
        allowed: those that may be used although they are not public.
    """
    packed = None if "%" in address else pack(address)
    if packed is None:
        return False
    address = unpack(packed)  # IPv4 where it was mapped to IPv6
    if address in allowed:
        return True
    if len(packed) == 16:
        if packed.startswith(_NAT64):
            return is_public(unpack(packed[12:]), allowed)
        if address not in _UNICAST or packed[8:12] in _ISATAP:
            return False
    return address not in _SPECIAL


def _six(host: str, field: str) -> str:
    address = host[1:-1]
    if "%" in address:
        raise SanitizeError(field, "zone")
    packed = pack(address) if host.endswith("]") and ":" in address else None
    if packed is None:
        raise SanitizeError(field, "bad_host")
    return unpack(packed) if len(packed) == 16 else f"::ffff:{unpack(packed)}"


def _ascii(host: str, field: str) -> str:
    """Return a name in ASCII, as the DNS has it."""
    if not host or len(host) > MAX_HOST + 1:
        raise SanitizeError(field, "bad_host")
    if host.isascii():
        return host
    try:
        import idna
    except ImportError:
        raise MissingExtraError("A host name that is not ASCII", "sanitize") from None
    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError:  # which `IDNAError` is
        raise SanitizeError(field, "bad_host") from None
