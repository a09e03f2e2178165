"""Bans: addresses that are shut out for a while, by somebody's word or because they would not stop.

A ban is on an address or a network; of IPv6 at least on a /64, since that is what one customer gets, and whoever has it
has 2 to the 64 addresses to come back with. It ends by itself, to the nanosecond.
Everything is bounded: of more than `max_bans` bans the one that ends first is forgotten, and `BanAfter` keeps the times
of at most `refusals` refusals for each of at most `max_clients` clients.
Must never ban what it cannot read, and must never wait: it is asked in the middle of a request.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count as count_up
from threading import Lock
from typing import Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import Event, RequestRefused, announce, printable
from asgi_guard.monitor.names import BANS
from asgi_guard.monitor.tally import count
from asgi_guard.networks import Network, NetworkError, Networks, check, pack, parse
from asgi_guard.settings import Problems

logger: logging.Logger = logging.getLogger("asgi_guard")

_SECOND: Final = 1_000_000_000
MAX_BAN_SECONDS: Final = 366 * 86_400
"""A year: the longest ban."""

MAX_REFUSALS: Final = 1_000
"""The most refusals that may precede a ban; the time of each is kept."""

_REASON_LENGTH: Final = 200

PRIVATE: Final = (
    *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"),
    *("::1", "fc00::/7", "fe80::/10"),
)
"""Addresses that no stranger on the internet comes from: proxies do."""


@dataclass(frozen=True, slots=True)
class Ban:
    """One ban, as it stood when it was listed.

    Attributes:
        network: who is banned, such as `198.51.100.7` or `2001:db8::/64`.
        seconds_left: how long it still holds.
        reason: what was given as the reason.
    """

    network: str
    seconds_left: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientBanned(Event):
    """An address or a network was shut out for a while; it belongs to no request, and their fields are empty.

    Attributes:
        network: who is banned.
        seconds: for how long.
        reason: what was given as the reason, printable.
    """

    layer: str = "ip_filter"
    scope_type: str = ""
    method: str = ""
    path: str = ""
    network: str
    seconds: float
    reason: str


class _Entry:
    __slots__ = ("network", "reason", "until")

    def __init__(self, network: Network, until: int, reason: str) -> None:
        self.network = network
        self.until = until
        self.reason = reason


_Tables = tuple[tuple[int, dict[int, _Entry]], ...]


class Bans:
    """A bounded set of temporary bans; may be shared between applications and threads.

    Args:
        max_bans: how many are kept, 1 to 1,000,000.
        ipv6_prefix: the bits of an IPv6 address that stand for one client, 16 to 128.
        clock: tells the time.

    Raises:
        ConfigError: a value is out of its bounds.
    """

    __slots__ = ("_by_end", "_clock", "_ipv6_prefix", "_lock", "_max", "_sequence", "_size", "_tables")

    def __init__(self, *, max_bans: int = 10_000, ipv6_prefix: int = 64, clock: Clock = SYSTEM_CLOCK) -> None:
        problems = Problems("Bans")
        problems.integer("max_bans", max_bans, minimum=1, maximum=1_000_000)
        problems.integer("ipv6_prefix", ipv6_prefix, minimum=16, maximum=128)
        problems.raise_if_any()
        self._max = max_bans
        self._ipv6_prefix = ipv6_prefix
        self._clock = clock
        self._lock = Lock()
        self._size = 0
        self._sequence = count_up()
        self._by_end: list[tuple[int, int, _Entry]] = []  # also of bans that were lifted or renewed since
        self._tables: dict[int, _Tables] = {4: (), 16: ()}  # by the bytes of an address: how far to shift it, and bans

    def __repr__(self) -> str:
        return f"Bans(max_bans={self._max}, ipv6_prefix={self._ipv6_prefix})"

    def ban(self, address_or_network: str, seconds: float, reason: str = "") -> Ban:
        """Shut somebody out; whoever is banned already is banned anew, for longer or for shorter.

        Args:
            address_or_network: such as `198.51.100.7` or `203.0.113.0/24`; IPv6 is widened to its /64.
            seconds: for how long, above 0 and at most a year.
            reason: for the list of bans, at most 200 characters of it.

        Raises:
            NetworkError: it is neither an address nor a network.
            ValueError: `seconds` is out of its bounds.
        """
        network = self.widened(address_or_network)
        if not 0 < seconds <= MAX_BAN_SECONDS:
            raise ValueError(f"seconds must be above 0 and at most {MAX_BAN_SECONDS}, not {seconds!r}")
        with self._lock:
            now = self._clock.monotonic_ns()
            entry = _Entry(network, now + round(seconds * _SECOND), reason[:_REASON_LENGTH])
            table, key = self._place(network)
            self._size += key not in table
            table[key] = entry
            heappush(self._by_end, (entry.until, next(self._sequence), entry))
            while self._size > self._max or (self._by_end and self._by_end[0][0] <= now):
                self._drop(heappop(self._by_end)[2])
            if len(self._by_end) > 2 * self._max + 64:
                self._by_end = [item for item in self._by_end if self._is_current(item[2])]
                heapify(self._by_end)
        count(BANS)
        announce(
            (), ClientBanned(network=str(network), seconds=seconds, reason=printable(entry.reason, _REASON_LENGTH))
        )
        return Ban(str(network), seconds, entry.reason)

    def unban(self, address_or_network: str) -> bool:
        """Lift the ban on exactly this address or network; tell whether there was one.

        Raises:
            NetworkError: it is neither an address nor a network.
        """
        network = self.widened(address_or_network)
        with self._lock:
            table, key = self._place(network)
            entry = table.get(key)
            if entry is None:
                return False
            self._drop(entry)
            return entry.until > self._clock.monotonic_ns()

    def widened(self, address_or_network: str) -> Network:
        """Return whom a ban of this address or network would be on.

        Raises:
            NetworkError: it is neither an address nor a network.
        """
        bits, start, prefix = parse(address_or_network)
        if bits == 128 and prefix > self._ipv6_prefix:
            shift = 128 - self._ipv6_prefix
            return Network(bits, start >> shift << shift, self._ipv6_prefix)
        return Network(bits, start, prefix)

    def is_banned(self, address: str | None) -> bool:
        """Tell whether an address is banned, itself or with its network; what is no address never is."""
        if not self._size or address is None:
            return False
        packed = pack(address)
        if packed is None:
            return False
        number = int.from_bytes(packed, "big")
        for shift, table in self._tables[len(packed)]:
            entry = table.get(number >> shift)
            if entry is not None and entry.until > self._clock.monotonic_ns():
                return True
        return False

    def __iter__(self) -> Iterator[Ban]:
        """List the bans that hold, the one that ends first at the front."""
        with self._lock:
            now = self._clock.monotonic_ns()
            holding = sorted(item for item in self._by_end if item[0] > now and self._is_current(item[2]))
        return iter([Ban(str(entry.network), (end - now) / _SECOND, entry.reason) for end, _, entry in holding])

    def _place(self, network: Network) -> tuple[dict[int, _Entry], int]:
        """Find the table of all bans with this prefix, and the place of this one in it."""
        shift = network.bits - network.prefix
        tables = self._tables[network.bits // 8]
        for other, table in tables:
            if other == shift:
                return table, network.start >> shift
        fresh: dict[int, _Entry] = {}
        # A new tuple: somebody may be walking over the old one.
        self._tables[network.bits // 8] = (*tables, (shift, fresh))
        return fresh, network.start >> shift

    def _is_current(self, entry: _Entry) -> bool:
        table, key = self._place(entry.network)
        return table.get(key) is entry

    def _drop(self, entry: _Entry) -> None:
        table, key = self._place(entry.network)
        if table.get(key) is entry:
            del table[key]
            self._size -= 1


class BanAfter:
    """A listener that bans clients which are refused again and again.

        bans = Bans()
        Guard(app, ip_filter=IPFilter(bans=bans), listeners=[BanAfter(bans)])

    Where clients come through a proxy, `ClientAddress` has to know it: their address would be that of the proxy, and a
    ban would shut out everybody. So private addresses are spared unless the settings say otherwise.

    Args:
        bans: where the bans go.
        refusals: how many refusals within `seconds` are too many, 2 to 1,000.
        seconds: the time in which they are counted, above 0.
        ban_seconds: how long a ban holds.
        layers: whose refusals count, such as `("rate_limit", "validation")`.
        spared: addresses and networks that are never banned.
        max_clients: of how many clients refusals are remembered, 1 to 1,000,000.
        clock: tells the time.

    Raises:
        ConfigError: a value is out of its bounds.
    """

    __slots__ = (
        "_ban_seconds",
        "_bans",
        "_clock",
        "_layers",
        "_lock",
        "_max",
        "_refusals",
        "_seen",
        "_spared",
        "_window",
    )

    def __init__(
        self,
        bans: Bans,
        *,
        refusals: int = 20,
        seconds: float = 60.0,
        ban_seconds: float = 600.0,
        layers: Collection[str] = ("rate_limit",),
        spared: Collection[str] = PRIVATE,
        max_clients: int = 10_000,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        problems = Problems("BanAfter")
        if not isinstance(bans, Bans):  # it would fail with each ban, in a listener, where nobody is told twice
            problems.add("AG322", "bans", bans, "must be a Bans", "Give it the one that IPFilter(bans=...) has.")
        problems.integer("refusals", refusals, minimum=2, maximum=MAX_REFUSALS)
        problems.number("seconds", seconds, minimum=0.001, maximum=MAX_BAN_SECONDS)
        problems.number("ban_seconds", ban_seconds, minimum=0.001, maximum=MAX_BAN_SECONDS)
        problems.sequence_of_text("layers", layers, minimum=1)
        check(problems, "spared", spared)
        problems.integer("max_clients", max_clients, minimum=1, maximum=1_000_000)
        problems.raise_if_any()
        self._bans = bans
        self._refusals = refusals
        self._window = round(seconds * _SECOND)
        self._ban_seconds = ban_seconds
        self._layers = frozenset(layers)
        self._spared = Networks(spared)
        self._max = max_clients
        self._clock = clock
        self._lock = Lock()
        self._seen: dict[Network, list[int]] = {}  # whoever was refused last stands last

    def take_over(self, previous: BanAfter) -> None:
        """Go on with what another one has seen."""
        self._seen, self._lock = previous._seen, previous._lock

    def __call__(self, event: Event) -> None:
        """Count a refusal."""
        if not isinstance(event, RequestRefused) or event.layer not in self._layers:
            return
        client = event.client
        if client is None or client in self._spared:
            return
        try:
            network = self._bans.widened(client)
        except NetworkError:
            return
        with self._lock:  # some servers have a loop for each thread
            times = self._noted(network)
        if times >= self._refusals:
            self._bans.ban(str(network), self._ban_seconds, f"refused {times} times by {event.layer}")
            logger.warning("%s is banned for %s seconds: it was refused %d times", network, self._ban_seconds, times)

    def _noted(self, network: Network) -> int:
        """Return how often somebody was refused of late; who is about to be banned begins anew afterwards."""
        now = self._clock.monotonic_ns()
        times = [at for at in self._seen.pop(network, ()) if now - at < self._window]
        times.append(now)
        if len(times) < self._refusals:
            if len(self._seen) >= self._max:
                del self._seen[next(iter(self._seen))]
            self._seen[network] = times
        return len(times)
