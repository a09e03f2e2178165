"""Extract: the values of a request, one parameter at a time, as an application would get them.

A whole query or body in one text would put the parts of an attack beside harmless ones, and would hide where they
stood. Duplicates are kept: which of them an application takes is its own affair. Each value comes with its place and
its name, and so does each name.
Must never stop at what cannot be decoded, and never give out more than the limits say without raising.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from typing import Final, NamedTuple

from asgi_guard.inspection.decode import PIECE, percent, percent_slowly
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.linked import is_linked, may_name_session
from asgi_guard.inspection.rule import Place


class Value(NamedTuple):
    """One text of a request.

    Attributes:
        place: where it stood.
        name: what it is called there; empty for what has no name.
        text: the text.
    """

    place: Place
    name: str
    text: str

    @property
    def is_cut(self) -> tuple[bool, bool]:
        """Whether more of it stood before this text, and whether more comes behind."""
        return False, False


class Part(Value):
    """A text that was cut out of a longer one.

    Attributes:
        has_begun: whether more of it stood before.
        goes_on: whether more comes behind.
    """

    has_begun: bool = False
    goes_on: bool = False

    @property
    def is_cut(self) -> tuple[bool, bool]:
        """Both."""
        return self.has_begun, self.goes_on


BREATH: Final = Value("body", "", "")
"""Is no value: whoever takes values apart gives it out where that takes long, so that others may run in between."""

HARMLESS: Final = frozenset(
    b"""accept accept-charset accept-encoding accept-language accept-ranges access-control-request-headers
    access-control-request-method age alt-used authorization cache-control connection content-disposition
    content-encoding content-language content-length content-location content-security-policy content-type date dnt
    downlink ect etag expect expires forwarded from host http2-settings if-match if-modified-since if-none-match
    if-range if-unmodified-since keep-alive last-modified max-forwards origin pragma priority proxy-authorization
    proxy-connection range rtt save-data te trailer transfer-encoding upgrade upgrade-insecure-requests via warning
    x-requested-with""".split()
)
"""Headers of the standards, whose values applications do not take for input; all that begin with `sec-` as well."""

_COOKIE, _REFERER, _USER_AGENT, _AUTHORIZATION = b"cookie", b"referer", b"user-agent", b"authorization"
_LOOKED_UP: Final = re.compile(rb"\$\{|\(\) ?\{")
_QUOTED: Final = re.compile(rb"['\"<>`]|[$%#]\{|\(\) ?\{|\.\.[/\\]")
_BROKEN: Final = re.compile(rb"['<>`]|[$%#]\{|\(\) ?\{|\.\.[/\\]|;[^/]{0,200}/")
_TOLD: Final[tuple[bytes, ...]] = (b"user-agent", b"referer", b"host", b"origin", b"accept-language", b"accept")
_PARSED: Final[tuple[bytes, ...]] = (b"content-type", b"content-disposition", b"forwarded", b"if-none-match")
_UNUSUAL: Final[Mapping[bytes, re.Pattern[bytes]]] = {
    **dict.fromkeys(_TOLD, _QUOTED),
    **dict.fromkeys(_PARSED, _BROKEN),
}
"""What an ordinary value does not have, of those headers that are put into queries, pages, names and logs."""

_ESCAPED: Final = re.compile(r"%|\.\.|//")
_BASIC: Final = re.compile(r"(?i)basic +([a-z0-9+/_-]{4,4096}={0,2})\s*\Z")


_PAIR: Final = re.compile(r"(\w{1,32})=(?=.)", re.ASCII | re.DOTALL)
"""The beginning of a pair whose sign was encoded as well: who decodes twice reads a value behind it."""


def head(path: bytes, query: bytes, headers: Collection[tuple[bytes, bytes]], limits: Limits) -> Iterator[Value]:
    """Give out the values of a request's head; a limit that is crossed ends the query or the line that does so.

    Args:
        path: as it was sent.
        query: without its question mark.
        headers: names and values.
        limits: how many fields there may be.

    Raises:
        CrossedError: there are more.
    """
    beginning = iter((Value("path", "", text(path)),))
    parameters = pairs(text(query), "query", limits) if query else ()
    if query and may_name_session(query) and is_linked(headers):
        parameters = _linked(parameters)
    return chain(beginning, parameters, chain.from_iterable(_line(name, value, limits) for name, value in headers))


def _linked(parameters: Iterable[Value]) -> Iterator[Value]:
    """Give out parameters, and their names once more, with their sign, as what another site chose."""
    for value in parameters:
        yield value
        if value.place == "name":
            yield Value("linked", value.name, f"{value.text}=")


def _line(name: bytes, value: bytes, limits: Limits) -> Iterator[Value]:
    """Give out the values of a header line."""
    name = name.lower()
    if name == _USER_AGENT:
        yield Value("user_agent", "user-agent", text(value))
    elif name == _COOKIE:
        yield from cookies(text(value), limits)
    elif name == _REFERER:
        address, _, query = text(value).partition("?")
        yield from _path(address)
        yield from pairs(query, "referer", limits)
    elif name == _AUTHORIZATION:
        yield from _credentials(text(value))
    elif name not in HARMLESS and not name.startswith(b"sec-"):
        yield Value("header", text(name), text(value))
        return
    # Look-ups of logs and old shells are attacks in any header; some headers are also put into queries and pages.
    if _UNUSUAL.get(name, _LOOKED_UP).search(value):
        yield Value("header", text(name), text(value))


def _path(address: str) -> Iterator[Value]:
    """Give out the path of an address, where there is more in it than names."""
    path = address.partition("://")[2].partition("/")[2]
    if _ESCAPED.search(path):
        yield Value("header", "referer", f"/{path}")


def _credentials(line: str) -> Iterator[Value]:
    """Give out who says to be who, and by which password (RFC 7617)."""
    match = _BASIC.match(line)
    if match is None:
        return
    with suppress(ValueError):
        name, _, password = text(b64decode(f"{match[1]}==", b"+/")).partition(":")
        yield Value("header", "authorization", name)
        yield Value("header", "authorization", password)


def text(octets: bytes) -> str:
    """Decode octets; what is no UTF-8 is shown as such, and hides nothing that is."""
    return octets.decode(errors="replace")


def pairs(encoded: str, place: Place, limits: Limits) -> Iterator[Value]:
    """Give out the parameters of a query or a form (WHATWG URL, `application/x-www-form-urlencoded`).

    Raises:
        CrossedError: there are too many.
    """
    for field in _fields(encoded, "&", limits):
        if not field:
            continue
        name, equals, value = field.partition("=")
        name = percent(name) if len(name) <= PIECE else (yield from percent_slowly(name, BREATH))
        if not equals:
            yield Value(place, "", name)
            if (inner := _PAIR.match(name)) is not None:
                yield Value(place, inner[1], name[inner.end() :])
            continue
        yield Value("name", name, name)
        if value:
            value = percent(value) if len(value) <= PIECE else (yield from percent_slowly(value, BREATH))
            yield Value(place, name, value)


def cookies(line: str, limits: Limits) -> Iterator[Value]:
    """Give out the cookies of a header line (RFC 6265 section 4.2.1).

    Raises:
        CrossedError: there are too many.
    """
    for cookie in _fields(line, ";", limits):
        name, equals, value = cookie.strip().partition("=")
        if equals:
            yield Value("name", name, name)
        yield Value("cookie", name if equals else "", value if equals else name)


def _fields(line: str, between: str, limits: Limits) -> Iterator[str]:
    """Split a line: what is within the limit is looked at, however much more there is."""
    *fields, rest = line.split(between, limits.fields)
    yield from fields
    if len(fields) == limits.fields:
        raise CrossedError("fields", 400)
    yield rest
