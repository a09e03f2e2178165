r"""URLs: one from outside, read strictly and written in the one usual way, so that no two readers see two hosts.

Standard: RFC 3986. Where browsers are lenient (WHATWG URL) an attacker is at home, so what they repair is refused:
backslashes, blanks, controls, `http:/host`, a second `@`, a `%` that stands for nothing.
Must never look a name up: a clean URL may lead anywhere, so what fetches it asks `resolve_url`, or is `SafeTransport`.

| id    | rule that was broken                                                          |
|-------|-------------------------------------------------------------------------------|
| AG940 | a scheme that has a host, such as `https`; none that runs code or reads files |
| AG941 | ports are numbers from 1 to 65535                                             |
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import quote

from asgi_guard.networks import Networks, check
from asgi_guard.sanitize.errors import SanitizeError, checked_text
from asgi_guard.sanitize.hosts import clean_host
from asgi_guard.settings import Problems

_DEFAULT_PORTS: Final = {"ftp": 21, "http": 80, "https": 443, "ws": 80, "wss": 443}
_DANGEROUS: Final = frozenset({"about", "blob", "data", "file", "filesystem", "javascript", "vbscript", "view-source"})
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]{0,31}")
_NAMED: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}):")
_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]{0,5}))?")
_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\\s]|%(?![0-9A-Fa-f]{2})")
_ESCAPED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN: Final = re.compile(r"#?[A-Za-z0-9/?:@!$&'()*+,;=._~-]*")
_SAFE: Final = "/?:@!$&'()*+,;=-._~%"


@dataclass(frozen=True, slots=True, kw_only=True)
class URLPolicy:
    """Which URLs are taken.

    Args:
        schemes: those that are allowed, such as `["https"]`.
        ports: those that are allowed; None allows every one.
        allowed: addresses and networks that may be fetched from though they are not public, such as `["10.2.0.0/16"]`.
        max_length: the characters of a URL, clean or not, 16 to 65,536.
        timeout_seconds: how long the search for the addresses of a host may take, 0.05 to 60.

    Raises:
        ConfigError: a value is wrong.
    """

    schemes: Collection[str] = ("http", "https")
    ports: Collection[int] | None = None
    allowed: Collection[str] = ()
    max_length: int = 2_048
    timeout_seconds: float = 5.0
    networks: Networks = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems("URLPolicy")
        if problems.sequence_of_text("schemes", self.schemes, minimum=1):
            for index, scheme in enumerate(self.schemes):
                if _SCHEME.fullmatch(scheme) is None or scheme in _DANGEROUS:
                    rule = "must be a scheme that has a host, in lower case"
                    problems.add("AG940", f"schemes[{index}]", scheme, rule, 'Write "https", say.')
        if self.ports is not None and not _are_ports(self.ports):
            rule = "must be numbers from 1 to 65535, or None for every port"
            problems.add("AG941", "ports", self.ports, rule, "Write [80, 443], say.")
        problems.integer("max_length", self.max_length, minimum=16, maximum=65_536)
        problems.number("timeout_seconds", self.timeout_seconds, minimum=0.05, maximum=60)
        sound = check(problems, "allowed", self.allowed)
        problems.raise_if_any()
        object.__setattr__(self, "networks", Networks(self.allowed if sound else ()))


DEFAULT_POLICY: Final = URLPolicy()


@dataclass(frozen=True, slots=True)
class CleanURL:
    """A clean URL and its parts.

    Attributes:
        url: the whole.
        scheme: in lower case.
        host: as the DNS has it; an IPv6 address is without brackets.
        port: that of the scheme where the URL has none; 0 where the scheme has none either.
    """

    url: str
    scheme: str
    host: str
    port: int


def clean_url(value: object, policy: URLPolicy = DEFAULT_POLICY, *, field: str = "url") -> str:
    """Return a URL in its one usual form: for links, and to compare; not yet to fetch.

    Scheme and host are in lower case and the host in ASCII; the port of the scheme is left out, dot segments are
    resolved, and what is not ASCII is percent-encoded as UTF-8.

    Args:
        value: what was given; absolute, such as `https://example.com/`.
        policy: which URLs are taken.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_text`, `not_unicode`, `too_long`, `bad_url`, `scheme`, `credentials`, `bad_host`,
            `odd_address`, `zone` or `port`.
        MissingExtraError: the host is not ASCII, and the extra `sanitize` is not installed.
    """
    return parse_url(value, policy, field).url


def parse_url(value: object, policy: URLPolicy, field: str) -> CleanURL:
    """Clean a URL, and return its parts too.

    Raises:
        SanitizeError: see `clean_url`.
        MissingExtraError: see `clean_url`.
    """
    text = checked_text(value, field, policy.max_length)
    found = _PARTS.fullmatch(text)
    if _FORBIDDEN.search(text) or found is None:
        named = _NAMED.match(text)
        is_known = named is None or named[1].lower() in policy.schemes
        raise SanitizeError(field, "bad_url" if is_known else "scheme")
    scheme = found["scheme"].lower()
    if scheme not in policy.schemes:
        raise SanitizeError(field, "scheme")
    if "@" in found["authority"]:  # https://example.com@attacker.example/
        raise SanitizeError(field, "credentials")
    authority = _AUTHORITY.fullmatch(found["authority"])
    if authority is None:
        raise SanitizeError(field, "bad_host")
    host = clean_host(authority["host"], field)
    usual = _DEFAULT_PORTS.get(scheme, 0)
    port = int(authority["port"] or usual)
    if (authority["port"] and not 0 < port < 65_536) or (policy.ports is not None and port not in policy.ports):
        raise SanitizeError(field, "port")
    rest = _encoded(_without_dots(found["path"])) + _encoded(found["query"] or "") + _encoded(found["fragment"] or "")
    url = f"{scheme}://{host}{'' if port == usual else f':{port}'}{rest}"
    if len(url) > policy.max_length:
        raise SanitizeError(field, "too_long")
    return CleanURL(url, scheme, host.strip("[]"), port)


def _encoded(part: str) -> str:
    """Percent-encode what may not stand in a URL, and write escapes in capitals."""
    if _PLAIN.fullmatch(part):
        return part
    first, rest = part[:1], part[1:]  # the mark that a query or a fragment begins with
    return first + _ESCAPED.sub(lambda escape: escape[0].upper(), quote(rest, safe=_SAFE))


def _without_dots(path: str) -> str:
    """Resolve the dot segments of a path, escaped or not (RFC 3986 section 5.2.4); an empty path is `/`."""
    if "/." not in path and "%" not in path:
        return path or "/"
    kept: list[str] = []
    plain = ""
    segments = path.split("/")[1:]
    for segment in segments:
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE) if "%" in segment else segment
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(segment)
    if plain in {".", ".."}:  # it named a directory
        kept.append("")
    return "/" + "/".join(kept)


def _are_ports(ports: Any) -> bool:
    if not isinstance(ports, list | tuple | set | frozenset | range):
        return False
    given = cast("Collection[object]", ports)
    return all(isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65_536 for port in given)
