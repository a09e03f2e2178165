"""Origins: the patterns in which settings name them, and whether the one that a browser sends is among them.

| pattern                   | origins                                                                |
|---------------------------|------------------------------------------------------------------------|
| `https://example.com`     | this one                                                               |
| `https://*.example.com`   | every subdomain at any depth, not the domain itself                    |
| `https://example.com:*`   | every port, the default one included                                   |
| `https://*.example.com:*` | both                                                                   |

Facts: an origin is serialised in lower-case ASCII, without a default port, path or trailing slash (HTML, "origin").
Must never match by a regular expression that somebody wrote: `https://.*example.com` lets evilexample.com in, and some
take seconds to fail. Matching takes time linear in at most 330 bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from asgi_guard.web.mistakes import MistakeError, words

MAX_ORIGIN_BYTES: Final = 330
"""Scheme of 64, host of 253, port of 5, and what stands between them."""

_SCHEME: Final = r"[a-z][a-z0-9+.-]{0,63}+"
_NAME: Final = r"(?=[^:]{1,253}(?::|\Z))(?:[a-z0-9_-]{1,63}+\.)*+[a-z0-9_-]{1,63}+"
_ORIGIN: Final = re.compile(rf"({_SCHEME})://({_NAME}|\[[0-9a-f:.]{{2,45}}+\])(?::([1-9][0-9]{{0,4}}+))?".encode())
_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ws": "80", "wss": "443"}

# Domains under which anybody can have one; the whole list has 10,000 and changes every week. Beside these, every single
# label is one, and so are com.xx, co.xx and the like under each country.
_PUBLIC_SUFFIXES: Final = words(
    """
    amazonaws.com appspot.com azurestaticapps.net azurewebsites.net blogspot.com cloudapp.net cloudfront.net deno.dev
    firebaseapp.com fly.dev github.io gitlab.io glitch.me herokuapp.com hf.space myshopify.com netlify.app ngrok.app
    ngrok.io ngrok-free.app ngrok-free.dev onrender.com pages.dev pythonanywhere.com railway.app readthedocs.io repl.co
    replit.app replit.dev run.app s3.amazonaws.com streamlit.app surge.sh trycloudflare.com vercel.app web.app
    workers.dev
    """
)
_SECOND_LEVEL: Final = words("ac co com edu go gob gouv gov ltd me mil ne net nom or org plc sch")


@dataclass(frozen=True, slots=True)
class OriginPattern:
    """One pattern, read.

    Attributes:
        scheme: such as `https`.
        host: name or address, an IPv6 one in brackets, without the `*.`.
        port: its digits; `*` for any; None for the default one.
        has_subdomains: whether the subdomains of the host are meant, not the host.
    """

    scheme: str
    host: str
    port: str | None
    has_subdomains: bool

    @property
    def is_insecure(self) -> bool:
        """Tell whether whoever sits on the network between can speak in its name."""
        if self.scheme == "https" or self.host == "localhost":
            return False
        return self.host != "[::1]" and not (self.host.startswith("127.") and self.host.replace(".", "").isdigit())

    @property
    def is_public(self) -> bool:
        """Tell whether anybody can have a subdomain of the host."""
        labels = self.host.split(".")
        if not self.has_subdomains or labels == ["localhost"]:
            return False
        is_under_country = len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL
        return len(labels) == 1 or is_under_country or ".".join(labels) in _PUBLIC_SUFFIXES


def parse_origin(text: str) -> OriginPattern:
    """Read a pattern.

    Raises:
        MistakeError: it is none, or none that a browser could ever send.
    """
    if text == "null":
        remedy = "Every sandboxed frame sends it, on any site: name the origins that you mean."
        raise MistakeError("AG341", "must not be the null origin", remedy)
    scheme, separator, rest = text.partition("://")
    if not separator or re.fullmatch(_SCHEME, scheme, re.IGNORECASE | re.ASCII) is None or scheme == "file":
        raise _malformed("Begin it with https:// and the host.")
    if text != text.lower():
        raise _malformed(f"Write it in lower case, as browsers do: {text.lower()!r}.")
    if mark := next((mark for mark in "/?#@\\" if mark in rest), None):
        remedy = "Leave out the user name." if mark == "@" else f"Leave out what comes from the {mark!r} on."
        raise _malformed(remedy)
    host, port = _split_port(rest)
    if port is not None and port == _DEFAULT_PORTS.get(scheme):
        remedy = f"Leave it out, as browsers do: '{scheme}://{host}'."
        raise MistakeError("AG342", "must not name the default port", remedy)
    has_subdomains = host.startswith("*.")
    host = host.removeprefix("*.")
    if "*" in host or "*" in scheme:
        remedy = "A `*` stands for all before the first dot (https://*.example.com), or for the port."
        raise MistakeError("AG343", "must have no wildcard but the left-most label and the port", remedy)
    _check_host(host, has_subdomains=has_subdomains)
    return OriginPattern(scheme, host, port, has_subdomains)


def _malformed(remedy: str) -> MistakeError:
    return MistakeError("AG340", "must be an origin, scheme://host or scheme://host:port", remedy)


def _split_port(authority: str) -> tuple[str, str | None]:
    end = authority.find("]") + 1 if authority.startswith("[") else 0
    colon = authority.find(":", end)
    if colon < 0:
        return authority, None
    host, port = authority[:colon], authority[colon + 1 :]
    if port != "*" and (re.fullmatch("[1-9][0-9]{0,4}", port) is None or int(port) > 65_535):
        raise _malformed("A port is 1 to 65535, or `*` for any.")
    return host, port


def _check_host(host: str, *, has_subdomains: bool) -> None:
    last = host.rpartition(".")[2]
    if not host.startswith("[") and not last[:1].isdigit():
        if re.fullmatch(_NAME, host) is None:
            raise _malformed(
                "A host is labels of a-z, 0-9, '-' and '_', with dots between them; others are written in Punycode."
            )
        return
    from ipaddress import AddressValueError, IPv4Address, IPv6Address

    try:
        canonical = f"[{IPv6Address(host[1:-1])}]" if host[:1] + host[-1:] == "[]" else str(IPv4Address(host))
    except AddressValueError:
        canonical = ""
    if has_subdomains or host != canonical or "%" in host:
        remedy = (
            f"Write it as browsers do: '{canonical}'." if canonical else "Give an address without wildcard or zone."
        )
        raise MistakeError("AG344", "must have an address in its shortest form, or a name", remedy)


class Origins:
    """The origins that some patterns stand for.

    Attributes:
        exact: those that are named as they are.
    """

    __slots__ = ("_any_port", "_suffixes", "exact")

    def __init__(self, patterns: Iterable[OriginPattern]) -> None:
        exact: set[bytes] = set()
        any_port: set[tuple[bytes, bytes]] = set()
        suffixes: dict[tuple[bytes, bytes | None], tuple[bytes, ...]] = {}
        for pattern in patterns:
            scheme, host = pattern.scheme.encode(), pattern.host.encode()
            port = None if pattern.port is None else pattern.port.encode()
            if pattern.has_subdomains:
                suffixes[scheme, port] = (*suffixes.get((scheme, port), ()), b"." + host)
            elif port == b"*":
                any_port.add((scheme, host))
            else:
                exact.add(b"%s://%s" % (scheme, host) if port is None else b"%s://%s:%s" % (scheme, host, port))
        self.exact: frozenset[bytes] = frozenset(exact)
        self._any_port = frozenset(any_port)
        self._suffixes = suffixes

    def __contains__(self, origin: bytes) -> bool:
        """Tell whether an `Origin` header names one of them."""
        if origin in self.exact:
            return True
        found = split_origin(origin)
        if found is None:
            return False
        scheme, host, port = found
        suffixes = self._suffixes
        return (scheme, host) in self._any_port or host.endswith(
            suffixes.get((scheme, port), ()) + suffixes.get((scheme, b"*"), ())
        )


def split_origin(origin: bytes) -> tuple[bytes, bytes, bytes | None] | None:
    """Return scheme, host and port of an `Origin` header; None where it is not a serialised origin, such as `null`."""
    found = _ORIGIN.fullmatch(origin) if len(origin) <= MAX_ORIGIN_BYTES else None
    if found is None:
        return None
    scheme, host, port = found.groups()
    return None if port is not None and int(port) > 65_535 else (scheme, host, port)


def is_same_host(origin: bytes, host: bytes | None, *, is_secure: bool) -> bool:
    """Tell whether an origin is the very host that was asked, as a page on it sends.

    The scheme is compared only where the request is known to have come over TLS: behind a proxy that ends TLS it may
    look plain, while the reverse is a page that anyone on the network may have written.
    """
    found = split_origin(origin)
    if found is None or not host:
        return False
    scheme, name, port = found
    if scheme != b"https" and (is_secure or scheme != b"http"):
        return False
    default = b":443" if scheme == b"https" else b":80"
    return host.lower().removesuffix(default) == (name if port is None else b"%s:%s" % (name, port))
