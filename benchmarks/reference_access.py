"""Reference, access: who asks, from where and for what, as middlewares of which each is written by hand.

Each does what is asked of it and no more: addresses are looked up by bisection and remembered, the usual request takes
the shortest way, and `send` is wrapped only where a header has to be added.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import collapse_addresses, ip_address, ip_network

from reference_answers import CLOSE, answer, error, varied
from scenarios import App

HOST = re.compile(rb"([a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?)\.?(?::([0-9]{1,5}))?|(\[[0-9a-f:.]{2,45}\])")
MAX_HOPS = 32
PREFLIGHT = (b"Origin", b"Access-Control-Request-Method", b"Access-Control-Request-Headers")
SAFELISTED = (b"GET", b"HEAD", b"POST")


class Addresses:
    """A set of addresses, as sorted ranges."""

    def __init__(self, networks: Iterable[str]) -> None:
        self.ranges: dict[int, tuple[list[int], list[int]]] = {}
        parsed = [ip_network(text) for text in networks]
        for version in (4, 6):
            ranges = list(collapse_addresses(network for network in parsed if network.version == version))
            first, last = [int(one.network_address) for one in ranges], [int(one.broadcast_address) for one in ranges]
            self.ranges[version] = first, last
        self.has = lru_cache(8_192)(self._has)

    def _has(self, text: str) -> bool | None:
        """Tell whether an address is in the set; None for what is none."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        address = getattr(address, "ipv4_mapped", None) or address
        first, last = self.ranges[address.version]
        position = bisect_right(first, int(address)) - 1
        return position >= 0 and int(address) <= last[position]


class ClientAddress:
    """Believes what trusted proxies say of the client: entries are read from the right, while trusted ones wrote them.

    The client is put into the scope, where every other middleware looks for it.
    """

    def __init__(self, app: App, trusted: Iterable[str]) -> None:
        self.app = app
        self.trusts = Addresses(trusted).has

    async def __call__(self, scope, receive, send):
        client = scope.get("client")
        if scope["type"] == "http" and client and self.trusts(client[0]):
            lines = []
            proto = b""
            for name, value in scope["headers"]:
                if name == b"x-forwarded-for":
                    lines.append(value)
                elif name == b"x-forwarded-proto":
                    proto = value
            if lines:
                scope = {**scope, "client": (self._client(b",".join(lines)) or client[0], 0)}
            if proto in {b"http", b"https"}:
                scope = {**scope, "scheme": proto.decode()}
        await self.app(scope, receive, send)

    def _client(self, line: bytes) -> str | None:
        found = None
        for entry in reversed(line.decode("latin-1").split(",")[-MAX_HOPS:]):
            address = entry.strip()[:64]  # what is longer is no address, and not worth remembering
            is_trusted = self.trusts(address)
            if is_trusted is None:
                break
            found = address
            if not is_trusted:
                break
        return found


class TrustedHost:
    """Answers for its own hosts only."""

    MALFORMED = error("validation", "MALFORMED_HOST", "The request does not name one well-formed host.")
    UNTRUSTED = error("validation", "UNTRUSTED_HOST", "This server does not answer for the host of the request.")

    def __init__(self, app: App, hosts: Iterable[str]) -> None:
        self.app = app
        self.exact = {host.encode() for host in hosts if not host.startswith("*.")}
        self.suffixes = tuple(host[1:].encode() for host in hosts if host.startswith("*."))

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and hosts[0] in self.exact:  # as it nearly always is
            await self.app(scope, receive, send)
            return
        found = HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
        if found is None:
            await answer(scope, send, 400, self.MALFORMED, last=CLOSE)
            return
        name, port, literal = found.groups()
        host = name or literal
        has_default_port = port in {None, b"443" if scope["scheme"] == "https" else b"80"}
        if has_default_port and (host in self.exact or host.endswith(self.suffixes)):
            await self.app(scope, receive, send)
        else:
            await answer(scope, send, 421, self.UNTRUSTED)


class HTTPS:
    """Redirects what came in the clear, or refuses it."""

    REQUIRED = error("authorization", "HTTPS_REQUIRED", "Use HTTPS.")

    def __init__(self, app: App, mode: str) -> None:
        self.app = app
        self.redirects = mode == "redirect"

    async def __call__(self, scope, receive, send):
        is_secure = scope["type"] != "http" or scope["scheme"] == "https"
        if is_secure or scope["path"].startswith("/.well-known/acme-challenge/"):
            await self.app(scope, receive, send)
        elif self.redirects:
            await self._redirect(scope, send)
        else:
            await answer(scope, send, 403, self.REQUIRED)

    async def _redirect(self, scope, send):
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")  # one of ours, as others saw
        query = scope["query_string"]
        location = b"https://%s%s" % (host.partition(b":")[0], scope["raw_path"]) + (b"?" + query if query else b"")
        headers = [(b"location", location), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 308, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class IPFilter:
    """Refuses by address."""

    TEXT = "Requests from this address are refused."
    BLOCKED = error("authorization", "ADDRESS_BLOCKED", TEXT, severity="medium")
    NOT_ALLOWED = error("authorization", "ADDRESS_NOT_ALLOWED", TEXT, severity="medium")

    def __init__(self, app: App, allow: Iterable[str] | None = None, block: Iterable[str] = ()) -> None:
        self.app = app
        self.allows = None if allow is None else Addresses(allow).has
        self.blocks = Addresses(block).has

    async def __call__(self, scope, receive, send):
        client = scope.get("client")
        host = client[0] if client else ""
        if scope["type"] == "http" and self.blocks(host):
            await answer(scope, send, 403, self.BLOCKED)
        elif scope["type"] == "http" and self.allows is not None and not self.allows(host):
            await answer(scope, send, 403, self.NOT_ALLOWED)
        else:
            await self.app(scope, receive, send)


class FetchMetadata:
    """Lets other sites' pages link here, and no more."""

    FRIENDS = (None, b"same-origin", b"same-site", b"none")
    NAMES = (b"Sec-Fetch-Dest", b"Sec-Fetch-Mode", b"Sec-Fetch-Site")
    REFUSED = error(
        "authorization", "CROSS_SITE_REQUEST", "Pages of other sites may link here, and no more.", severity="medium"
    )

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_varied(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": varied(message["headers"], *self.NAMES)}
            await send(message)

        told = dict(scope["headers"])
        if told.get(b"sec-fetch-site") in self.FRIENDS or _is_navigation(scope, told):
            await self.app(scope, receive, send_varied)
        else:
            await answer(scope, send_varied, 403, self.REFUSED)


def _is_navigation(scope, told) -> bool:
    is_link = told.get(b"sec-fetch-mode") == b"navigate" and told.get(b"sec-fetch-dest") in {None, b"document"}
    return is_link and scope["method"] == "GET"


class CORS:
    """Lets pages of the origins in a list read the answers; what the application says of it itself is left alone."""

    REFUSED = error("authorization", "CORS_PREFLIGHT_REFUSED", "The cross-origin request is not allowed.")

    def __init__(self, app: App, origins: Iterable[str], methods: Iterable[str], headers: Iterable[str]) -> None:
        self.app = app
        self.told = {origin.encode(): ((b"access-control-allow-origin", origin.encode()),) for origin in origins}
        self.methods = {method.encode() for method in methods}.union(SAFELISTED)
        self.headers = {name.lower().encode() for name in headers}

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked = dict(scope["headers"])
        origin = asked.get(b"origin")
        names = PREFLIGHT if scope["method"] == "OPTIONS" else PREFLIGHT[:1]
        told = self.told.get(origin, ())

        async def send_told(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": varied([*message["headers"], *told], *names)}
            await send(message)

        method = asked.get(b"access-control-request-method")
        if scope["method"] != "OPTIONS" or origin is None or method is None:
            await self.app(scope, receive, send_told)
            return
        wanted = asked.get(b"access-control-request-headers", b"")[:4_096]
        wanted = [name for name in (part.strip().lower() for part in wanted.split(b",")) if name]
        if told and method in self.methods and self.headers.issuperset(wanted):
            told = (*told, *self._granted(method, wanted))
            await send_told({"type": "http.response.start", "status": 204, "headers": []})
            await send_told({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            told = ()
            await answer(scope, send_told, 403, self.REFUSED)

    def _granted(self, method, wanted):
        if method not in SAFELISTED:
            yield b"access-control-allow-methods", method
        if wanted:
            yield b"access-control-allow-headers", b",".join(wanted)
        yield b"access-control-max-age", b"600"
