"""Fetch metadata: other sites' pages may link here, and no more.

Browsers say of each request who started it and what for (W3C Fetch Metadata Request Headers), and no page can change
that. The resource isolation policy (web.dev/fetch-metadata) follows from it: whatever another site's page starts is
refused with 403, against CSRF, XSSI, timing attacks and cross-site WebSockets, but for plain navigations, by which
people come here. Clients that send none of these headers are no such browsers, and pass; so do requests over plain
http, on which browsers leave them out.
Every answer that depends on the headers says so in `Vary`, so that no cache hands one site's answer to another.
Must never take a value that it does not know for a harmless one.

| id    | rule that was broken                          |
|-------|-----------------------------------------------|
| AG330 | a path begins with a slash, and is no pattern |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict, Unpack

from asgi_guard.engine import headers as header_list
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Headers
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build

_VARY: Final = (b"Sec-Fetch-Dest", b"Sec-Fetch-Mode", b"Sec-Fetch-Site")
_VARY_LINE: Final = (b"vary", b", ".join(_VARY))
# A top-level page. A frame is one as well (`iframe`), in which another site shows this one; browsers that name no
# destination are older than this header.
_DOCUMENTS: Final = frozenset({None, b"document"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchMetadata:
    """Settings of the resource isolation policy.

    Attributes:
        same_site: let pages of the same site pass: other hosts of one's own domain, all of which must then be trusted.
        exempt_paths: what other sites' pages may load, with all that is below it: public images, APIs with CORS.
        shadow: only tell the listeners what would be refused.

    Raises:
        ConfigError: a field is wrong.
    """

    same_site: bool = True
    exempt_paths: Sequence[str] = ()
    shadow: bool = False

    def __post_init__(self) -> None:
        problems = Problems("FetchMetadata")
        problems.boolean("same_site", self.same_site)
        problems.boolean("shadow", self.shadow)
        check_prefixes(problems, "exempt_paths", self.exempt_paths, "AG330")
        problems.raise_if_any()


class FetchMetadataFields(TypedDict, total=False):
    """The fields of `FetchMetadata`, for keyword arguments."""

    same_site: bool
    exempt_paths: Sequence[str]
    shadow: bool


class FetchMetadataLayer(Layer):
    """Refuses what other sites' pages start."""

    name: ClassVar[str] = "fetch_metadata"
    wants: frozenset[bytes] = frozenset(name.lower() for name in _VARY)

    def __init__(self, settings: FetchMetadata) -> None:
        self.settings: object = settings
        self._settings = settings
        self._friends = frozenset({None, b"same-origin", b"none", *([b"same-site"] if settings.same_site else [])})
        self._exempt = Prefixes(settings.exempt_paths) if settings.exempt_paths else None

    def admit(self, exchange: Exchange) -> Reply | None:
        """Judge who started the request, and what for."""
        if exchange.found.get(b"sec-fetch-site") in self._friends:
            return None
        if _is_navigation(exchange) or self._exempts(exchange):
            return None
        if self._settings.shadow:
            exchange.would_refuse(self, _CROSS_SITE)
            return None
        return _CROSS_SITE

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Say on what the answer depends."""
        if self._settings.shadow or exchange.is_accepted or self._exempts(exchange):
            return
        if header_list.get(headers, b"vary") is None:
            headers.append(_VARY_LINE)
        else:
            header_list.merge_vary(headers, *_VARY)

    def _exempts(self, exchange: Exchange) -> bool:
        return self._exempt is not None and self._exempt.cover(exchange.scope)

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        verb = "403 would be answered (shadow)" if self._settings.shadow else "403"
        who = "another site" if self._settings.same_site else "another origin"
        exempt = f" and what is under {', '.join(self._settings.exempt_paths)}" if self._exempt is not None else ""
        return (f"{verb} for what a page of {who} starts, except GET navigations{exempt}",)


def _is_navigation(exchange: Exchange) -> bool:
    """Tell whether somebody follows a link: GET, since a form that is posted from elsewhere is CSRF."""
    return (
        exchange.header(b"sec-fetch-mode") == b"navigate"
        and exchange.header(b"sec-fetch-dest") in _DOCUMENTS
        and exchange.kind == "http"
        and exchange.method == "GET"
    )


_CROSS_SITE = Reply.refusal(
    Fault(
        status=403,
        code="CROSS_SITE_REQUEST",
        message="Pages of other sites may link here, and no more.",
        category=ErrorCategory.AUTHORIZATION,
        severity=ErrorSeverity.MEDIUM,
    )
)


class FetchMetadataMiddleware(Middleware):
    """Refuse what other sites' pages start, but for links.

    Args:
        app: the application to wrap.
        settings: a `FetchMetadata`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `FetchMetadata`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: FetchMetadata | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[FetchMetadataFields],
    ) -> None:
        super().__init__(app, FetchMetadataLayer(build(FetchMetadata, settings, fields)), listeners=listeners)
