"""IP filter: who may ask at all, by address.

Two lists and a set of bans: who is banned or on the block list is refused, and, where there is an allow list, everybody
who is not on it. The address is the client's as the layers further out have found it, IPv4-mapped IPv6 unmapped. The
lists may be replaced while the application runs, both at once. A refusal is 403 (RFC 9110 section 15.5.4).
Must never take a request for allowed because its address is not known.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG320 | an allow list has members: an empty one would refuse everybody           |
| AG321 | a path begins with a slash, and is no pattern                            |
| AG322 | bans are kept in a `Bans`                                                |
| AG323 | a ban follows one limit on refusals, of 2 to 1,000                       |

AG300 to AG304 are those of `asgi_guard.networks`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, TypedDict, Unpack

from asgi_guard.bans import MAX_BAN_SECONDS, MAX_REFUSALS, BanAfter, Bans
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.limiting.rate import parse_rate
from asgi_guard.monitor.names import IP_FILTER_REQUESTS
from asgi_guard.monitor.tally import uncounted
from asgi_guard.networks import Networks, check
from asgi_guard.settings import Problems, build

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Series


class Lists(NamedTuple):
    """Both lists, read.

    Attributes:
        allow: who may ask; None is everybody.
        block: who may not.
    """

    allow: Networks | None
    block: Networks


@dataclass(frozen=True, slots=True, kw_only=True)
class IPFilter:
    """Settings of the IP filter.

    Attributes:
        allow: addresses, networks and `"unix:"` that may ask, and nobody else; None allows everybody.
        block: those that may not, even where they are allowed.
        bans: temporary bans, to which may be added at any time; None for none but those of `ban_after`.
        ban_after: ban who is refused this often, such as `"20/minute"`; in a guard only, since one layer alone does not
            hear of the others' refusals. None, the default, bans nobody. See `BanAfter`, which this stands for.
        ban_seconds: how long such a ban holds, at most a year.
        ban_layers: whose refusals count, by the names of their parts.
        paths: the paths to which the lists apply, with all that is below them; none are all. Bans apply everywhere.

    Raises:
        ConfigError: a field is wrong.
    """

    allow: Sequence[str] | None = None
    block: Sequence[str] = ()
    bans: Bans | None = None
    ban_after: str | None = None
    ban_seconds: float = 600.0
    ban_layers: Sequence[str] = ("rate_limit",)
    paths: Sequence[str] = ()
    lists: Lists = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = Problems("IPFilter")
        _check(problems, self.allow, self.block)
        if self.bans is not None and not isinstance(self.bans, Bans):
            problems.add("AG322", "bans", self.bans, "must be a Bans", "Write bans=Bans(), and keep it to add to it.")
        if self.ban_after is not None:
            self._check_ban_after(problems, self.ban_after)
        problems.number("ban_seconds", self.ban_seconds, minimum=0.001, maximum=MAX_BAN_SECONDS)
        problems.sequence_of_text("ban_layers", self.ban_layers, minimum=1)
        check_prefixes(problems, "paths", self.paths, "AG321")
        problems.raise_if_any()
        self._set(self.allow, self.block)

    def _check_ban_after(self, problems: Problems, ban_after: object) -> None:
        try:
            limits = parse_rate(ban_after) if isinstance(ban_after, str) else ()
        except ValueError as error:
            problems.add("AG323", "ban_after", ban_after, "must be a rate", str(error))
        else:
            if len(limits) != 1 or not 2 <= limits[0].amount <= MAX_REFUSALS:
                rule = f"must be one rate, of 2 to {MAX_REFUSALS:,} refusals"
                problems.add("AG323", "ban_after", ban_after, rule, 'Write "20/minute", say.')

    def replace(self, *, allow: Sequence[str] | None = None, block: Sequence[str] = ()) -> None:
        """Put other lists in the place of both, at once, for every application that has these settings.

        A list that is left out is empty afterwards. Reading 100,000 networks takes a fifth of a second: do that in
        another thread where requests are served meanwhile.

        Args:
            allow: as in the constructor.
            block: as in the constructor.

        Raises:
            ConfigError: a list is wrong; nothing has changed then.
        """
        problems = Problems("IPFilter")
        _check(problems, allow, block)
        problems.raise_if_any()
        self._set(allow, block)

    def _set(self, allow: Sequence[str] | None, block: Sequence[str]) -> None:
        lists = Lists(None if allow is None else Networks(allow), Networks(block))
        for name, value in {"lists": lists, "allow": allow, "block": block}.items():
            object.__setattr__(self, name, value)


def _check(problems: Problems, allow: Sequence[str] | None, block: Sequence[str]) -> None:
    if allow is not None and check(problems, "allow", allow, unix=True) and not allow:
        remedy = "Name who may ask, or write None to allow everybody."
        problems.add("AG320", "allow", allow, "must not be empty: everybody would be refused", remedy)
    check(problems, "block", block, unix=True)


class IPFilterFields(TypedDict, total=False):
    """The fields of `IPFilter`, for keyword arguments."""

    allow: Sequence[str] | None
    block: Sequence[str]
    bans: Bans | None
    ban_after: str | None
    ban_seconds: float
    ban_layers: Sequence[str]
    paths: Sequence[str]


class IPFilterLayer(Layer):
    """Refuses by address."""

    name: ClassVar[str] = "ip_filter"

    def __init__(self, settings: IPFilter) -> None:
        self.settings: object = settings
        self._settings = settings
        self._bans = settings.bans
        self._counts: Mapping[Reply, Series] | None = None
        self._allowed: Callable[[], None] = uncounted
        self._paths = Prefixes(settings.paths) if settings.paths else None
        if settings.ban_after is not None:
            self._bans = settings.bans or Bans()
            self.hears_of: Sequence[str] = settings.ban_layers
            self.hears: Listener | None = self._ban_after(settings.ban_after, self._bans)

    def _ban_after(self, rate: str, bans: Bans) -> BanAfter:
        settings = self._settings
        (limit,) = parse_rate(rate)
        return BanAfter(
            bans,
            refusals=limit.amount,
            seconds=limit.seconds,
            ban_seconds=settings.ban_seconds,
            layers=settings.ban_layers,
        )

    def count_in(self, aggregate: Any) -> None:
        """Count requests by what becomes of them."""
        self._counts = {reply: aggregate.series(IP_FILTER_REQUESTS, result) for reply, result in _RESULTS.items()}
        self._allowed = aggregate.series(IP_FILTER_REQUESTS, "allowed").add

    def take_over(self, previous: Layer) -> None:
        """Keep the bans of its own, and what was seen of refusals."""
        if not isinstance(previous, IPFilterLayer) or self._settings.ban_after is None:
            return
        if self._settings.bans is None and previous._bans is not None:  # noqa: SLF001
            self._bans = previous._bans  # noqa: SLF001
            self.hears = self._ban_after(self._settings.ban_after, self._bans)
        if isinstance(self.hears, BanAfter) and isinstance(previous.hears, BanAfter):
            self.hears.take_over(previous.hears)

    def admit(self, exchange: Exchange) -> Reply | None:
        """Judge the client by its address."""
        client = exchange.client
        if self._bans is not None and self._bans.is_banned(client):
            return _BANNED
        if self._paths is not None and not self._paths.touch(exchange.scope):
            return self._allowed()
        allow, block = self._settings.lists
        if client in block:
            return _BLOCKED
        return self._allowed() if allow is None or client in allow else _NOT_ALLOWED

    def answered(self, reply: Reply) -> None:
        """Count a refusal."""
        if self._counts is not None:
            self._counts[reply].add()

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        settings = self._settings
        where = f" under {', '.join(settings.paths)}" if settings.paths else ""
        if self._bans is not None:
            why = settings.ban_after and f", as after {settings.ban_after} refusals by {', '.join(settings.ban_layers)}"
            yield f"403 for clients that are banned{why or ''}"
        if settings.block:
            yield f"403 for {len(settings.block)} blocked addresses and networks{where}"
        if settings.allow is not None:
            yield f"403 for all but {len(settings.allow)} addresses and networks{where}"


def _refusal(code: str) -> Reply:
    fault = Fault(
        status=403,
        code=code,
        message="Requests from this address are refused.",
        category=ErrorCategory.AUTHORIZATION,
        severity=ErrorSeverity.MEDIUM,
    )
    return Reply.refusal(fault)


_BANNED = _refusal("ADDRESS_BANNED")
_BLOCKED = _refusal("ADDRESS_BLOCKED")
_NOT_ALLOWED = _refusal("ADDRESS_NOT_ALLOWED")
_RESULTS: Final = {_BANNED: "banned", _BLOCKED: "blocked", _NOT_ALLOWED: "not_allowed"}


class IPFilterMiddleware(Middleware):
    """Refuse requests by the client's address.

    Args:
        app: the application to wrap.
        settings: an `IPFilter`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `IPFilter`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: IPFilter | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[IPFilterFields],
    ) -> None:
        super().__init__(app, IPFilterLayer(build(IPFilter, settings, fields)), listeners=listeners)
