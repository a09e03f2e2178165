"""Networks: a set of addresses that is exact, and that says what is wrong with what it was given."""

from __future__ import annotations

import ipaddress
from time import perf_counter_ns

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.networks import Network, NetworkError, Networks, check, is_private, pack, parse, unpack
from asgi_guard.settings import Problems


@pytest.mark.parametrize(
    ("networks", "address", "is_member"),
    [
        (["198.51.100.7"], "198.51.100.7", True),
        (["198.51.100.7"], "198.51.100.8", False),
        (["198.51.100.0/24"], "198.51.100.255", True),
        (["198.51.100.0/24"], "198.51.101.0", False),
        (["198.51.100.0/24"], "::ffff:198.51.100.7", True),
        (["198.51.100.0/24"], "0:0:0:0:0:ffff:c633:6407", True),
        (["::ffff:198.51.100.0/120"], "198.51.100.7", True),
        (["::ffff:198.51.100.7"], "198.51.100.7", True),
        (["0.0.0.0/0"], "255.255.255.255", True),
        (["0.0.0.0/0"], "::1", False),
        (["::/0"], "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", True),
        (["::/0"], "198.51.100.7", False),
        (["::/0"], "::ffff:198.51.100.7", False),
        (["2001:DB8::/32"], "2001:db8:ffff::1", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["unix:"], None, True),
        (["198.51.100.7"], None, False),
        (["unix:"], "198.51.100.7", False),
        (["unix:"], "unix:", False),
        (["0.0.0.0/0", "::/0"], "testclient", False),
        (["0.0.0.0/0", "::/0"], "", False),
        (["0.0.0.0/0", "::/0"], "198.51.100.7\0", False),
        (["0.0.0.0/0", "::/0"], "1" * 1_000_000, False),
        (["0.0.0.0/0", "::/0"], "\udc80", False),
        ([], "198.51.100.7", False),
    ],
)
def test_an_address_is_a_member_or_not(networks, address, is_member) -> None:
    """Asked twice, since the second answer is remembered."""
    members = Networks(networks)

    assert [address in members, address in members] == [is_member, is_member]


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ("10.0.0.1/8", "AG301", "Write '10.0.0.0/8' for the network, or '10.0.0.1' for the one address."),
        ("2001:db8::1/32", "AG301", "Write '2001:db8::/32'"),
        ("::ffff:10.0.0.1/90", "AG301", "Write "),
        ("app.example.com", "AG302", "Write its addresses."),
        ("localhost", "AG302", "Write its addresses."),
        ("db_1:6379", "AG302", "Write its addresses."),
        ("https://example.com", "AG302", "Write its addresses."),
        ("fe80::1%eth0", "AG303", "Write it without its zone: 'fe80::1'."),
        ("unix:", "AG304", 'Write "unix:" alone where Unix sockets are trusted'),
        ("unix:/run/app.sock", "AG304", 'Write "unix:" alone where Unix sockets are trusted'),
        ("*", "AG300", 'For every address, write "0.0.0.0/0" and "::/0".'),
        ("10.0.0.0/33", "AG300", "Write the number of its leading bits, 0 to 32, after the slash."),
        ("10.0.0.0/", "AG300", "Write the number of its leading bits, 0 to 32, after the slash."),
        ("10.0.0.0/255.0.0.0", "AG300", "Write the number of its leading bits, 0 to 32, after the slash."),
        ("10.0.0.0/-1", "AG300", "Write the number of its leading bits, 0 to 32, after the slash."),
        ("10.0.0.0/٨", "AG300", "Write the number of its leading bits, 0 to 32, after the slash."),
        ("::/129", "AG300", "Write the number of its leading bits, 0 to 128, after the slash."),
        ("10.0.0", "AG300", "without brackets or a port"),
        ("10.0.0.256", "AG300", "without brackets or a port"),
        ("010.0.0.1", "AG300", "without brackets or a port"),
        ("10.0.0.1:80", "AG300", "without brackets or a port"),
        ("[::1]", "AG300", "without brackets or a port"),
        (" 10.0.0.1", "AG300", "without brackets or a port"),
        ("", "AG300", "without brackets or a port"),
    ],
)
def test_what_is_no_network_is_told_with_its_remedy(text, problem, remedy) -> None:
    """A typo that matches nothing is a block list that blocks nobody."""
    with pytest.raises(NetworkError) as caught:
        parse(text)

    assert caught.value.id == problem
    assert remedy in caught.value.remedy


def test_every_problem_of_a_list_is_noted_with_its_place() -> None:
    """All of them at once."""
    problems = Problems("IPFilter")

    assert not check(problems, "block", ["10.0.0.1/8", "198.51.100.7", "localhost", "unix:"])
    assert [(problem.id, problem.field) for problem in problems.found] == [
        ("AG301", "IPFilter.block[0]"),
        ("AG302", "IPFilter.block[2]"),
        ("AG304", "IPFilter.block[3]"),
    ]


@pytest.mark.parametrize(
    ("given_as", "options", "problem"),
    [("10.0.0.0/8", {}, "AG106"), (None, {}, "AG106"), ([], {"minimum": 1}, "AG106"), ([7], {}, "AG104")],
)
def test_what_is_no_list_of_texts_is_noted(given_as, options, problem) -> None:
    """A bare string would be a list of its characters."""
    problems = Problems("IPFilter")

    assert not check(problems, "block", given_as, **options)
    assert [found.id for found in problems.found] == [problem]


def test_unix_is_a_member_where_it_is_allowed() -> None:
    """Elsewhere it would be a rule that never applies."""
    problems = Problems("ClientAddress")

    assert check(problems, "trusted", ["unix:", "10.0.0.0/8"], unix=True)
    assert problems.found == ()


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.0/24", "198.51.100.0/24"),
        ("2001:DB8:0::/32", "2001:db8::/32"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_network_is_shown_as_people_write_it(text, same) -> None:
    """RFC 5952."""
    assert str(parse(text)) == same
    assert parse(same) == parse(text)


def test_a_network_is_numbers() -> None:
    """Which a look-up compares."""
    assert parse("10.0.0.0/8") == Network(bits=32, start=10 << 24, prefix=8)


@pytest.mark.parametrize(("texts", "has_members"), [([], False), (["::1"], True), (["unix:"], True)])
def test_a_set_without_members_is_false(texts, has_members) -> None:
    """As any collection."""
    assert bool(Networks(texts)) is has_members


def test_the_memo_is_bounded() -> None:
    """An attacker has 2 to the 64 addresses of its own."""
    members = Networks(["2001:db8::/32", "unix:"])

    for number in range(20_000):
        assert f"2001:db8::{number:x}" in members
    assert len(members._memo) <= 8_192
    assert None in members


def test_a_look_up_costs_the_same_in_a_hundred_thousand_networks() -> None:
    """One bisection; `any(ip in net ...)` takes 17 ms. The bound has a wide margin for a busy machine."""
    texts = [f"{1 + n // 65_536}.{n // 256 % 256}.{n % 256}.0/25" for n in range(100_000)]
    members = Networks(texts)
    probes = [f"{1 + n % 4}.{n * 7 % 256}.{n * 13 % 256}.{n * 31 % 256}" for n in range(8_000)]

    best = min(_timed(members, probes) for _ in range(3))

    assert best / len(probes) < 10_000


def _timed(members: Networks, probes: list[str]) -> int:
    members._memo = {}
    start = perf_counter_ns()
    for probe in probes:
        probe in members  # noqa: B015  only its cost counts
    return perf_counter_ns() - start


# against the standard library

FOUR = st.integers(0, 2**32 - 1) | st.integers(0, 15).map(lambda n: (10 << 24) + n)
SIX = st.integers(0, 2**128 - 1) | st.integers(0, 15).map(lambda n: (0x20010DB8 << 96) + n)
addresses = FOUR.map(ipaddress.IPv4Address) | SIX.map(ipaddress.IPv6Address)


@st.composite
def networks(draw):
    """Draw a network: of either kind, any prefix, some of them close together."""
    address = draw(addresses)
    return ipaddress.ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False)


def unmapped(address):
    """Take an IPv4-mapped address for the IPv4 address that it is."""
    return getattr(address, "ipv4_mapped", None) or address


@given(st.lists(networks(), max_size=12), st.lists(addresses, max_size=12))
def test_membership_is_that_of_the_standard_library(listed, probes) -> None:
    """On random addresses, and on the edges of every network."""
    members = Networks(map(str, listed))
    edges = [edge for net in listed for edge in (net[0], net[-1])]
    near = [edge + step for edge in edges for step in (-1, 1) if 0 <= int(edge) + step < 2**edge.max_prefixlen]

    for probe in [*probes, *edges, *near]:
        address = unmapped(probe)
        mapped = [net for net in listed if net.version == 6 and net.prefixlen >= 96 and net[0].ipv4_mapped]
        plain = [net for net in listed if net not in mapped]
        as_four = [ipaddress.ip_network((unmapped(net[0]), net.prefixlen - 96)) for net in mapped]
        assert (str(probe) in members) == any(address in net for net in [*plain, *as_four])


@given(addresses)
def test_packing_is_that_of_the_standard_library(address) -> None:
    """In both directions."""
    packed = pack(str(address))

    assert packed == unmapped(address).packed
    assert ipaddress.ip_address(unpack(packed)) == unmapped(address)


@given(st.text(max_size=60))
def test_any_other_text_is_refused_where_the_standard_library_refuses_it(text) -> None:
    """And nothing else is ever raised."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        with pytest.raises(NetworkError):
            parse(text)
    assert (text in Networks()) is False


@pytest.mark.parametrize(
    ("client", "private"),
    [
        (None, True),
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("100.64.0.1", True),
        ("169.254.1.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("11.22.33.44", False),
        ("2600::1", False),
        ("testclient", False),
    ],
)
def test_a_peer_that_nobody_on_the_internet_can_be_is_near(client, private) -> None:
    """A Unix socket too; what is no address is not known to be."""
    assert is_private(client) is private
