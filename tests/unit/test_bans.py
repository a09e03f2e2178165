"""Bans: exact to the nanosecond, bounded, and never on somebody else."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ConfigError, RequestAllowed, RequestRefused
from asgi_guard.bans import Ban, BanAfter, Bans, ClientBanned
from asgi_guard.events import RequestWouldBeRefused, hear
from asgi_guard.networks import NetworkError, parse
from asgi_guard.testing import ManualClock

NANOSECOND = 1e-9


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


@pytest.fixture
def bans(clock: ManualClock) -> Bans:
    """Bans by that clock."""
    return Bans(clock=clock)


def test_they_say_what_they_are_made_with() -> None:
    """Where settings are explained, a place in memory would tell nobody anything."""
    assert repr(Bans(max_bans=9)) == "Bans(max_bans=9, ipv6_prefix=64)"


def test_a_ban_ends_by_itself_to_the_nanosecond(bans, clock) -> None:
    """Neither before nor after."""
    bans.ban("198.51.100.7", 60, "too loud")

    clock.advance(60 - NANOSECOND)
    assert bans.is_banned("198.51.100.7")
    clock.advance(NANOSECOND)
    assert not bans.is_banned("198.51.100.7")
    assert list(bans) == []


@pytest.mark.parametrize(
    ("banned", "address", "is_banned"),
    [
        ("198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "::ffff:198.51.100.7", True),
        ("::ffff:198.51.100.7", "198.51.100.7", True),
        ("198.51.100.7", "198.51.100.8", False),
        ("198.51.100.0/24", "198.51.100.8", True),
        ("198.51.100.0/24", "198.51.101.8", False),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::/32", "2001:db8:ffff::1", True),
        ("2001:db8::/96", "2001:db8::1:0:0:1", True),
        ("0.0.0.0/0", "198.51.100.7", True),
        ("0.0.0.0/0", "2001:db8::1", False),
        ("0.0.0.0/0", "testclient", False),
        ("0.0.0.0/0", None, False),
    ],
)
def test_a_ban_is_on_an_address_or_a_network(bans, banned, address, is_banned) -> None:
    """Of IPv6 on the whole /64, in which one customer has every address."""
    bans.ban(banned, 60)

    assert bans.is_banned(address) is is_banned


def test_how_much_of_an_ipv6_address_is_one_client_can_be_said(clock) -> None:
    """Some providers give their customers a /56."""
    bans = Bans(ipv6_prefix=56, clock=clock)
    bans.ban("2001:db8::1", 60)

    assert bans.is_banned("2001:db8:0:ff::1")
    assert not bans.is_banned("2001:db8:0:100::1")


def test_bans_can_be_listed(bans, clock) -> None:
    """The one that ends first at the front, with what is left of it."""
    bans.ban("198.51.100.0/24", 120, "scanner")
    assert bans.ban("2001:db8::1", 60.5, "x" * 1_000) == Ban("2001:db8::/64", 60.5, "x" * 200)
    clock.advance(60)

    assert list(bans) == [Ban("2001:db8::/64", 0.5, "x" * 200), Ban("198.51.100.0/24", 60.0, "scanner")]


def test_a_ban_can_be_lifted(bans, clock) -> None:
    """That one, and not the network around it."""
    bans.ban("198.51.100.7", 60)
    bans.ban("198.51.100.0/24", 60)

    assert bans.unban("198.51.100.7")
    assert not bans.unban("198.51.100.7")
    assert not bans.unban("203.0.113.0/28")
    assert bans.is_banned("198.51.100.7")
    assert bans.unban("198.51.100.0/24")
    assert not bans.is_banned("198.51.100.7")


def test_a_ban_that_is_over_was_not_lifted(bans, clock) -> None:
    """Whoever lifts it learns that it did nothing."""
    bans.ban("198.51.100.7", 60)
    clock.advance(60)

    assert not bans.unban("198.51.100.7")


@pytest.mark.parametrize("seconds", [10, 1_000])
def test_the_last_word_counts(bans, clock, seconds) -> None:
    """A second ban may be longer or shorter than the first."""
    bans.ban("198.51.100.7", 60)
    bans.ban("198.51.100.7", seconds)

    clock.advance(seconds - NANOSECOND)
    assert bans.is_banned("198.51.100.7")
    clock.advance(NANOSECOND)
    assert not bans.is_banned("198.51.100.7")


def test_of_too_many_bans_the_one_that_ends_first_is_forgotten(clock) -> None:
    """What is over goes before anything that holds."""
    bans = Bans(max_bans=2, clock=clock)
    bans.ban("192.0.2.1", 10)
    bans.ban("192.0.2.2", 30)
    bans.ban("192.0.2.3", 20)
    assert [ban.network for ban in bans] == ["192.0.2.3", "192.0.2.2"]

    clock.advance(20)
    bans.ban("192.0.2.4", 5)
    assert [ban.network for ban in bans] == ["192.0.2.4", "192.0.2.2"]


def test_nothing_grows_without_bound(clock) -> None:
    """Neither with other clients nor with the same again and again."""
    bans = Bans(max_bans=10, clock=clock)

    for number in range(5_000):
        bans.ban(f"192.0.2.{number % 5}", 60)
        bans.ban(f"2001:db8:{number:x}::1", 60)
    assert len(list(bans)) == 10
    assert len(bans._by_end) <= 2 * 10 + 64


def test_a_client_that_is_banned_again_and_again_takes_one_place(clock) -> None:
    """What is remembered of its former bans goes now and then."""
    bans = Bans(max_bans=10, clock=clock)
    bans.ban("192.0.2.9", 60)

    for _ in range(5_000):
        bans.ban("192.0.2.1", 60)
    assert [ban.network for ban in bans] == ["192.0.2.9", "192.0.2.1"]
    assert len(bans._by_end) <= 2 * 10 + 64


@pytest.mark.parametrize("who", ["10.0.0.1/8", "example.com", "", "unix:", "*"])
def test_what_is_no_address_is_refused(bans, who) -> None:
    """With the remedy, as in the settings."""
    with pytest.raises(NetworkError):
        bans.ban(who, 60)


@pytest.mark.parametrize("seconds", [0, -1, 1e9, float("nan"), float("inf")])
def test_a_ban_has_an_end(bans, seconds) -> None:
    """Whoever shall never come back belongs on the block list."""
    with pytest.raises(ValueError, match="seconds must be above 0"):
        bans.ban("198.51.100.7", seconds)


@pytest.mark.parametrize("settings", [{"max_bans": 0}, {"max_bans": 10**7}, {"ipv6_prefix": 8}, {"ipv6_prefix": 129}])
def test_bounds_are_checked(settings) -> None:
    """When it is made."""
    with pytest.raises(ConfigError):
        Bans(**settings)


# against a plain model

NETWORKS = st.sampled_from(
    ["192.0.2.1", "192.0.2.2", "192.0.2.0/24", "192.0.2.0/31", "2001:db8::1", "2001:db8::2", "2001:db8::/32", "::/0"]
)
STEPS = st.lists(
    st.tuples(st.just("ban"), NETWORKS, st.sampled_from([1, 2, 5, 5, 60]))
    | st.tuples(st.just("unban"), NETWORKS, st.just(0))
    | st.tuples(st.just("wait"), st.just(""), st.sampled_from([1, 1, 2, 30])),
    max_size=30,
)
PROBES = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::9", "2001:db8:1::", "2002::1", "198.51.100.1"]


@dataclass
class Model:
    """A list of bans, each with its end, its turn and its network as the standard library has it."""

    limit: int
    now: int = 0
    turn: int = 0
    held: dict[Any, tuple[int, int]] = field(default_factory=dict)

    def holds(self, probe: str) -> bool:
        bits, number, _ = parse(probe)
        return any(bits == n.bits and number >> bits - n.prefix == n.start >> bits - n.prefix for n in self.held)

    def step(self, kind: str, network: str, seconds: int) -> None:
        self.turn += 1
        self.now += seconds if kind == "wait" else 0
        self.held = {key: end for key, end in self.held.items() if end[0] > self.now}
        if kind != "wait":
            key = parse(network)
            key = parse("2001:db8::/64") if key.prefix == 128 else key
            self.held.pop(key, None)
            if kind == "ban":
                self.held[key] = (self.now + seconds, self.turn)
                if len(self.held) > self.limit:
                    del self.held[min(self.held, key=lambda key: self.held[key])]


@given(STEPS, st.integers(1, 4))
def test_bans_are_those_of_a_plain_list(steps, limit) -> None:
    """Whatever is banned, lifted and waited for."""
    clock = ManualClock()
    bans, model = Bans(max_bans=limit, clock=clock), Model(limit)

    for kind, network, seconds in steps:
        if kind == "ban":
            bans.ban(network, seconds)
        elif kind == "unban":
            bans.unban(network)
        else:
            clock.advance(seconds)
        model.step(kind, network, seconds)
        assert [bans.is_banned(probe) for probe in PROBES] == [model.holds(probe) for probe in PROBES]
        assert {ban.network for ban in bans} == {str(key) for key in model.held}


# after too many refusals


def refused(client: str | None = "198.51.100.7", layer: str = "rate_limit") -> RequestRefused:
    """Make the event of a refusal."""
    about = {"scope_type": "http", "method": "GET", "path": "/", "client": client}
    return RequestRefused(layer=layer, status=429, code="RATE_LIMIT_EXCEEDED", reason="", **about)


def test_a_client_that_does_not_stop_is_banned(bans, clock, caplog) -> None:
    """At the last of so many refusals, for so long, and that is logged."""
    listener = BanAfter(bans, refusals=3, seconds=10, ban_seconds=100, clock=clock)

    listener(refused())
    listener(refused())
    assert not bans.is_banned("198.51.100.7")
    listener(refused())

    assert list(bans) == [Ban("198.51.100.7", 100.0, "refused 3 times by rate_limit")]
    assert "198.51.100.7 is banned for 100 seconds" in caplog.text


@pytest.mark.parametrize(("gap", "is_banned"), [(5, False), (5 - NANOSECOND, True)])
def test_refusals_count_within_a_window(bans, clock, gap, is_banned) -> None:
    """Exactly."""
    listener = BanAfter(bans, refusals=3, seconds=10, clock=clock)

    listener(refused())
    clock.advance(5)
    listener(refused())
    clock.advance(gap)
    listener(refused())

    assert bans.is_banned("198.51.100.7") is is_banned


@pytest.mark.parametrize(
    "event",
    [
        refused(layer="validation"),
        refused(client=None),
        refused(client="testclient"),
        refused(client="127.0.0.1"),
        refused(client="10.0.0.1"),
        refused(client="::1"),
        RequestAllowed(layer="rate_limit", scope_type="http", method="GET", path="/", client="198.51.100.7"),
        RequestWouldBeRefused(
            layer="rate_limit",
            scope_type="http",
            method="GET",
            path="/",
            client="198.51.100.7",
            status=429,
            code="",
            reason="",
        ),
    ],
)
def test_what_does_not_count(bans, clock, event) -> None:
    """Other layers, shadow mode, who has no address, and private addresses: that is a proxy with everybody behind."""
    listener = BanAfter(bans, refusals=2, clock=clock)

    for _ in range(5):
        listener(event)

    assert list(bans) == []
    assert listener._seen == {}


def test_whom_to_spare_can_be_said(bans, clock) -> None:
    """Where there is no proxy, private addresses are clients like others."""
    listener = BanAfter(bans, refusals=2, spared=["198.51.100.0/24"], layers=["validation"], clock=clock)

    for client in ("10.0.0.1", "198.51.100.7") * 2:
        listener(refused(client, layer="validation"))

    assert [ban.network for ban in bans] == ["10.0.0.1"]


def test_the_addresses_of_one_ipv6_network_are_one_client(bans, clock) -> None:
    """Otherwise each refusal would come from somebody new."""
    listener = BanAfter(bans, refusals=5, clock=clock)

    for number in range(5):
        listener(refused(f"2001:db8::{number}"))

    assert bans.is_banned("2001:db8::ffff")


def test_the_memory_of_refusals_is_bounded(bans, clock) -> None:
    """Whoever was refused longest ago is forgotten."""
    listener = BanAfter(bans, refusals=2, max_clients=10, clock=clock)

    for number in range(1_000):
        listener(refused(f"198.51.{number // 256}.{number % 256}"))
    assert len(listener._seen) == 10
    listener(refused("198.51.0.1"))
    listener(refused("198.51.3.231"))

    assert [ban.network for ban in bans] == ["198.51.3.231"]


def test_threads_may_see_refusals_at_the_same_time(bans, clock) -> None:
    """None of them is lost, and none stumbles over what another one forgets."""
    listener = BanAfter(bans, refusals=1_000, max_clients=2, clock=clock)
    crowded = BanAfter(bans, refusals=1_000, max_clients=2, clock=clock)

    def see(thread: int) -> None:
        for number in range(249):
            listener(refused("198.51.100.7"))
            crowded(refused(f"198.51.{thread}.{number}"))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(see, range(4))) == [None] * 4
    finally:
        sys.setswitchinterval(interval)
    assert [len(times) for times in listener._seen.values()] == [4 * 249]
    assert len(crowded._seen) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"refusals": 1},
        {"seconds": 0},
        {"ban_seconds": -1},
        {"layers": "rate_limit"},
        {"layers": []},
        {"spared": ["localhost"]},
        {"max_clients": 0},
    ],
)
def test_settings_that_cannot_work_are_refused(bans, settings) -> None:
    """When it is made."""
    with pytest.raises(ConfigError):
        BanAfter(bans, **settings)


@pytest.mark.parametrize("bans", [None, 7, ["10.0.0.1"], Bans])
def test_bans_are_made_in_a_bans_and_nothing_else(bans) -> None:
    """Anything else would fail in a listener, with the first client that earns a ban."""
    with pytest.raises(ConfigError, match="must be a Bans") as caught:
        BanAfter(bans)

    assert [problem.id for problem in caught.value.problems] == ["AG322"]


def test_a_ban_is_announced(bans) -> None:
    """To whoever hears everything of the process; the reason may have come from a client."""
    told: list[Any] = []
    end = hear(told.append)
    bans.ban("2001:db8::7", 60, "said\n\x1b[2J")
    end()
    bans.ban("198.51.100.7", 60)

    (event,) = told
    assert isinstance(event, ClientBanned)
    assert (event.network, event.seconds, event.reason) == ("2001:db8::/64", 60, "said\\n\\x1b[2J")
