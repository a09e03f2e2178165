"""Endpoints: health, metrics, summary and dashboard, answered in the application's place, to those who may see them.

Whoever shows the token (RFC 6750 section 2.1), asks from a listed address or, where that is allowed, from this very
machine sees everything. Anybody else learns from the health paths that it works or does not, and finds nothing at the
others: such a request goes on to the application. So does one that shows a wrong token, since an answer of any kind
would say that there is something to be found.
Must never trust an address as local that a proxy may have forwarded for, never compare a token in a time that tells
how much of it was right, and never show it.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG820 | a token is 16 to 512 characters of `A-Z a-z 0-9 - . _ ~ + /`             |
| AG821 | a path begins with a slash and does not end with one                     |
| AG822 | each endpoint has a path of its own                                      |
| AG823 | checks are at most 100 `HealthCheck`s, each with a name of its own       |

AG300 to AG304 are those of `asgi_guard.networks`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypedDict, Unpack, cast

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import below
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.request import Request
from asgi_guard.engine.types import ASGIApp, Message
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.monitor.health import MAX_CHECKS, Health, HealthCheck, Warnings
from asgi_guard.monitor.health_reply import bare, full, query_of
from asgi_guard.monitor.health_report import Report
from asgi_guard.networks import check
from asgi_guard.settings import HIDDEN, Problems, build
from asgi_guard.telemetry.exposition import exposed, exposition_of, note_closed
from asgi_guard.watch.pages import Pages
from asgi_guard.web.viewers import Unseen, Viewers

Page = Callable[[Request], Awaitable[Reply | None]]
"""Answers at a path of its own, or leaves it to the application; asked by GET and HEAD of those who may see everything,
and by nobody else."""

Exposition = Callable[[bytes], Awaitable[tuple[bytes, bytes]]]
"""Gives the media type and the text of all metrics, for what a client accepts."""

_MAKE_ONE: Final = "Make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]{16,512}")
_PATH: Final = re.compile(r"(/[^/?#\s]+)+")
_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_NO_PAGES: Final[Mapping[str, Page]] = MappingProxyType({})


class _Token(str):
    """A token that does not show itself where settings are shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Settings of the endpoints.

    Attributes:
        token: whoever shows it, as `Authorization: Bearer ...`, sees everything: 16 to 512 characters of
            `A-Z a-z 0-9 - . _ ~ + /`. None lets nobody in by a token.
        allowed: the addresses and networks, and `"unix:"`, whose clients see everything.
        local: whether clients on this machine do. It is for development: a proxy on the same machine that does not say
            for whom it asks would let everybody in. None is False, but True under `asgi-guard run` and `demo`.
        prefix: what all of the paths begin with, such as `/internal`.
        health: the path of all there is to say: whether the checks pass, and what there is to warn of. None, here as
            with the others, switches it off.
        livez: the path that says that the process answers, and asks for nothing else.
        readyz: the path that says whether requests should be sent here: as `health`, and not before the application
            has started or once it is about to stop.
        metrics: the path of the metrics.
        summary: the path of the summary of the last hour, as JSON.
        dashboard: the path of a page that shows it.
        challenge: whether a browser that opens the dashboard is asked for the token (HTTP Basic, any user name). It
            tells everybody that there is something to be seen; without it the path is the application's for them.
        app_wins: whether the application is asked first, and these only where it says 404. Probes then pass whatever
            stands in between, such as a rate limit.
        checks: what the application depends on, at most 100.

    Raises:
        ConfigError: a field is wrong.
    """

    token: str | None = None
    allowed: Sequence[str] = ()
    local: bool | None = None
    prefix: str = ""
    health: str | None = "/health"
    livez: str | None = "/livez"
    readyz: str | None = "/readyz"
    metrics: str | None = "/metrics"
    summary: str | None = "/performance/summary"
    dashboard: str | None = "/performance"
    challenge: bool = False
    app_wins: bool = False
    checks: Sequence[HealthCheck] = ()

    def __post_init__(self) -> None:
        problems = Problems("Endpoints", secrets=("token",))
        token: object = self.token
        if token is not None and not (isinstance(token, str) and _TOKEN.fullmatch(token)):
            rule = "must be 16 to 512 characters of A-Z a-z 0-9 - . _ ~ + /"
            problems.add("AG820", "token", token, rule, _MAKE_ONE)
        check(problems, "allowed", self.allowed, unix=True)
        if self.local is not None:
            problems.boolean("local", self.local)
        problems.boolean("app_wins", self.app_wins)
        problems.boolean("challenge", self.challenge)
        if self.prefix != "":
            _check_path(problems, "prefix", self.prefix)
        paths = {name: getattr(self, name) for name in _NAMES if getattr(self, name) is not None}
        times = Counter(path for name, path in paths.items() if _check_path(problems, name, path))
        for path in [path for path, number in times.items() if number > 1]:
            names = " and ".join(name for name in paths if paths[name] == path)
            problems.add("AG822", names, path, "must not be the same", "Give each another path, or None.")
        _check_checks(problems, self.checks)
        problems.raise_if_any()
        if self.token is not None:
            object.__setattr__(self, "token", _Token(self.token))


_NAMES: Final = ("health", "livez", "readyz", "metrics", "summary", "dashboard")


def _check_path(problems: Problems, name: str, path: object) -> bool:
    if isinstance(path, str) and len(path) <= 256 and _PATH.fullmatch(path):
        return True
    rule = "must be a path that begins with a slash and does not end with one"
    return problems.add("AG821", name, path, rule, f'Write "/{name}", say.')


def _check_checks(problems: Problems, checks: object) -> None:
    rule, remedy = "must be a list of HealthCheck", 'Write checks=[HealthCheck("database", ping)].'
    if not isinstance(checks, list | tuple):
        problems.add("AG823", "checks", checks, rule, remedy)
        return
    given = cast("Sequence[object]", checks)
    if len(given) > MAX_CHECKS:
        problems.add("AG823", "checks", len(given), f"must be at most {MAX_CHECKS}", "Ask about several in one.")
    names: set[str] = set()
    for index, one in enumerate(given[:MAX_CHECKS]):
        field = f"checks[{index}]"
        if not isinstance(one, HealthCheck):
            problems.add("AG823", field, one, "must be a HealthCheck", remedy)
        elif one.name in names:
            problems.add("AG823", field, one.name, "must have a name of its own", "Rename one of them.")
        else:
            names.add(one.name)


class EndpointsFields(TypedDict, total=False):
    """The fields of `Endpoints`, for keyword arguments."""

    token: str | None
    allowed: Sequence[str]
    local: bool | None
    prefix: str
    health: str | None
    livez: str | None
    readyz: str | None
    metrics: str | None
    summary: str | None
    dashboard: str | None
    challenge: bool
    app_wins: bool
    checks: Sequence[HealthCheck]


class EndpointsLayer(Layer):
    """Answers at the paths of the endpoints.

    Args:
        settings: where they are, and who may see them.
        exposition: what is found at the path of the metrics; by default all that the stack counts, and nothing where
            it has no telemetry.
        pages: what is found at further paths, which begin with the prefix as well.
        health: the checks and the state of the application; by default made of the checks in the settings.

    Attributes:
        health: as given, or made. Whoever learns that the application is about to stop may say so:
            `layer.health.state = "draining"`.
    """

    name: ClassVar[str] = "endpoints"
    decides: ClassVar[bool] = False
    is_aside: ClassVar[bool] = True
    admit_deadline_seconds: float | None = None  # each check has its own

    def __init__(
        self,
        settings: Endpoints,
        *,
        exposition: Exposition | None = None,
        pages: Mapping[str, Page] = _NO_PAGES,
        health: Health | None = None,
    ) -> None:
        self.settings: object = settings
        self.health: Health = health or Health(settings.checks, warnings=[self._warnings])
        self.holds_start: bool = settings.app_wins
        self._app_wins = settings.app_wins
        self._viewers = Viewers(settings.token, settings.allowed, is_local_allowed=bool(settings.local))
        own: dict[str | None, Callable[[Exchange, bool], Awaitable[Reply | None]]] = {
            path: _closed(page) for path, page in pages.items()
        }
        own |= {settings.health: self._health, settings.livez: self._livez, settings.readyz: self._readyz}
        own.pop(None, None)
        self._at = {f"{settings.prefix}{path}": answer for path, answer in own.items()}
        self._unseen = None if settings.token or settings.allowed or settings.local else Unseen()
        self._metrics = None if settings.metrics is None else settings.prefix + settings.metrics
        self._exposition = exposition
        self._endpoints = settings
        self._pages: Pages | None = None
        self._stands_among: Callable[[], Mapping[str, str]] | None = None
        if exposition is not None:
            self._expose(exposition)

    def _expose(self, exposition: Exposition) -> None:
        if self._metrics is not None:
            page = _closed(exposed(exposition))
            self._at |= {self._metrics: page, f"{self._metrics}/": page}

    def count_in(self, aggregate: Any) -> None:
        """Show what the stack counts, where nothing else is to be shown, and what there is to say of it."""
        self.counts_in = aggregate
        if self._exposition is None:
            self._expose(exposition_of(aggregate))
        prefix, summary, dashboard = (getattr(self._endpoints, name) for name in ("prefix", "summary", "dashboard"))
        summary_path, dashboard_path = summary and prefix + summary, dashboard and prefix + dashboard
        self._pages = Pages(aggregate, summary_path, dashboard_path, self._is_watched)
        asked = _CHALLENGE if self._endpoints.challenge and self._endpoints.token is not None else None
        if dashboard is not None:
            self._at[prefix + dashboard] = _closed(self._pages.dashboard, asked)
        if summary is not None:  # unasked, a browser sends a password to the folder alone that it was asked for
            is_beside = dashboard is None or summary.startswith(dashboard[: dashboard.rindex("/") + 1])
            self._at[prefix + summary] = _closed(self._pages.summary, None if is_beside else asked)

    def stands_among(self, parts: Callable[[], Mapping[str, str]]) -> None:
        """Know whether the guard has a monitor: what another of this process watches is not to be seen here."""
        self._stands_among = parts

    def _is_watched(self) -> bool:
        return self._stands_among is None or "monitor" in self._stands_among()

    def _warnings(self) -> Sequence[str]:
        return [] if self._pages is None else self._pages.warnings()

    async def admit_async(self, exchange: Exchange) -> Reply | None:
        """Answer where this is the path of an endpoint, to whom it is there."""
        scope = exchange.scope
        root = scope.get("root_path")
        path = scope.get("path", "")
        answer = self._at.get(below(path, root) if root else path)
        if answer is None or exchange.kind != "http":
            return None
        may_see = self._viewers.include(exchange)
        if exchange.method in {"GET", "HEAD"}:
            reply = await answer(exchange, may_see)
            if reply is None and self._unseen is not None:
                self._unseen.ask(exchange, path)
        else:
            reply = _NOT_ALLOWED if may_see else None
        if self._app_wins:
            exchange.cells[self] = reply
            return None
        return reply

    def replace(self, exchange: Exchange, start: Message, body: Message, exc: Exception | None) -> Reply | None:  # noqa: ARG002
        """Answer where the application was asked first, and has nothing there."""
        reply: Reply | None = exchange.cells.get(self)
        return reply if start["status"] == 404 else None

    # What there is to see -----------------------------------------------------------------------------------------

    async def _health(self, exchange: Exchange, may_see: bool) -> Reply:
        return await self._reported(exchange, may_see, is_readiness=False)

    async def _readyz(self, exchange: Exchange, may_see: bool) -> Reply:
        return await self._reported(exchange, may_see, is_readiness=True)

    async def _livez(self, exchange: Exchange, may_see: bool) -> Reply:
        return full(exchange, Report()) if may_see else bare(exchange, Report())

    async def _reported(self, exchange: Exchange, may_see: bool, *, is_readiness: bool) -> Reply:
        if not may_see:  # nor may a stranger choose among the checks: the status would tell which of them fails
            return bare(exchange, await self.health.report(is_readiness=is_readiness))
        asked = query_of(exchange)
        exclude, tags = asked.get("exclude", ()), asked.get("tag", ())
        return full(exchange, await self.health.report(exclude=exclude, tags=tags, is_readiness=is_readiness))

    # The life of the application ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Be not ready until the application has started."""
        if self._unseen is not None and self.counts_in is not None:
            note_closed(self.counts_in)
        self.health.state = "starting"

    def started(self) -> None:
        """Take requests, also where a lifespan before this one has ended."""
        self.health.state = "ready"

    def stopping(self) -> None:
        """Take no more requests."""
        self.health.state = "draining"

    async def shutdown(self) -> None:
        """Take requests where the application knows no lifespan: it has never started, and is served all the same."""
        if self.health.state == "starting":
            self.health.state = "ready"

    def take_over(self, previous: Layer) -> None:
        """Go on in the state in which the application is."""
        if isinstance(previous, EndpointsLayer):
            self.health.state = previous.health.state


def _closed(page: Page, refusal: Reply | None = None) -> Callable[[Exchange, bool], Awaitable[Reply | None]]:
    """Make a page that is not there for strangers, or is refused to them."""

    async def answer(exchange: Exchange, may_see: bool) -> Reply | None:
        return await page(exchange) if may_see else refusal

    return answer


_CHALLENGE: Final = Reply.refusal(
    Fault(
        status=401,
        code="TOKEN_REQUIRED",
        message="The token is required.",
        category=ErrorCategory.AUTHENTICATION,
        severity=ErrorSeverity.LOW,
    ),
    headers=[(b"www-authenticate", b'Basic realm="asgi_guard", charset="UTF-8"'), *_NO_STORE],
)

_NOT_ALLOWED: Final = Reply.refusal(
    Fault(
        status=405,
        code="METHOD_NOT_ALLOWED",
        message="This can be read, and nothing else.",
        category=ErrorCategory.VALIDATION,
        severity=ErrorSeverity.LOW,
    ),
    headers=[(b"allow", b"GET, HEAD")],
)


class EndpointsMiddleware(Middleware):
    """Answer at the paths of health and metrics.

    Args:
        app: the application to wrap.
        settings: an `Endpoints`; or its fields as keywords.
        exposition: what is found at the path of the metrics; by default all that the stack counts, and nothing where
            it has no telemetry.
        pages: what is found at further paths.
        warnings: what health has to warn of besides its checks.
        listeners: told what the layer answers.
        fields: see `Endpoints`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Endpoints | None = None,
        *,
        exposition: Exposition | None = None,
        pages: Mapping[str, Page] = _NO_PAGES,
        warnings: Iterable[Warnings] = (),
        listeners: Iterable[Listener] = (),
        **fields: Unpack[EndpointsFields],
    ) -> None:
        built = build(Endpoints, settings, fields)
        health = Health(built.checks, warnings=warnings)
        layer = EndpointsLayer(built, exposition=exposition, pages=pages, health=health)
        super().__init__(app, layer, listeners=listeners)
