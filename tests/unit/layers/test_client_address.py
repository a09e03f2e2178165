"""The client address: what trusted proxies wrote is believed, from the right, and nothing that a client wrote."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

import pytest

from asgi_guard import ConfigError, Exchange, Layer, Middleware
from asgi_guard.layers.client_address import (
    ClientAddress,
    ClientAddressLayer,
    ClientAddressMiddleware,
    ForwardingIgnored,
)
from asgi_guard.testing import Expectations, call, capture_events, check_middleware, http_scope, websocket

pytestmark = pytest.mark.anyio

PROXY = "10.0.0.1"
PROXIES = ["10.0.0.0/8", "2001:db8:ffff::/48"]
FORWARDED = {"header": "forwarded"}


class Witness(Layer):
    """Remembers what the layers inside of the client address get to know."""

    client: str | None = ""
    is_peer_trusted = False

    def admit(self, exchange: Exchange) -> None:
        self.client, self.is_peer_trusted = exchange.client, exchange.is_peer_trusted


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what the application sees."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-scheme", scope["scheme"].encode())]})
        return
    hosts = b",".join(value for name, value in scope["headers"] if name == b"host")
    body = f"{scope['client']} {scope.get('scheme')} {hosts.decode()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def client_of(*lines: str, peer: Any = (PROXY, 40_000), **settings: Any) -> str | None:
    """Say who is taken for the client of a request with these lines of the forwarding header."""
    settings = {"trusted": PROXIES, **settings}
    name = settings.get("header", "x-forwarded-for")
    app = Middleware(tell, ClientAddressLayer(ClientAddress(**settings)), witness := Witness())
    await call(app, headers=[("host", "testserver"), *[(name, line) for line in lines]], client=peer)
    return witness.client


# X-Forwarded-For


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], PROXY),
        ([""], PROXY),
        (["198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        (["198.51.100.7", "10.0.0.3, 10.0.0.2"], "198.51.100.7"),
        (["203.0.113.9, 198.51.100.7, 10.0.0.3, 10.0.0.2"], "198.51.100.7"),
        (["10.0.0.9, 198.51.100.7"], "198.51.100.7"),
        (["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (["198.51.100.7:4711"], "198.51.100.7"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["[2001:db8::1]"], "2001:db8::1"),
        (["2001:DB8:0::1"], "2001:db8::1"),
        (["198.51.100.7, 2001:db8:ffff::1"], "198.51.100.7"),
        (["::ffff:198.51.100.7"], "198.51.100.7"),
        (["198.51.100.7, ::ffff:10.0.0.2"], "198.51.100.7"),
        (["\t 198.51.100.7 \t"], "198.51.100.7"),
        (["", "198.51.100.7"], "198.51.100.7"),
        ([", 198.51.100.7"], "198.51.100.7"),
        (["garbage, 198.51.100.7"], "198.51.100.7"),
    ],
)
async def test_the_first_untrusted_address_from_the_right_is_the_client(lines, client) -> None:
    """The lines in order are one list; ports, brackets and spellings do not matter."""
    assert await client_of(*lines) == client


@pytest.mark.parametrize(
    "entry",
    [
        "unknown",
        "_hidden",
        "garbage",
        "",
        "unix:",
        "198.51.100.256",
        "198.51.100.7:65536",
        "198.51.100.7:",
        "198.51.100.7 203.0.113.9",
        '"198.51.100.7"',
        "[2001:db8::1",
        "[198.51.100.7]",
        "2001:db8::1]",
        "fe80::1%eth0",
        "1.2.3.4\x00",
        "é",
    ],
)
async def test_an_entry_that_cannot_be_read_ends_the_search(entry) -> None:
    """The client is then the proxy that wrote it: whoever stands further left is hearsay."""
    assert await client_of(f"203.0.113.9, {entry}, 10.0.0.2") == "10.0.0.2"
    assert await client_of("203.0.113.9", entry) == PROXY


# who is believed


@pytest.mark.parametrize(
    ("trusted", "peer", "is_trusted"),
    [
        (["10.0.0.0/8"], ("10.0.0.1", 1), True),
        (["10.0.0.0/8"], ("::ffff:10.0.0.1", 1), True),
        (["10.0.0.0/8"], ["10.0.0.1", 1], True),
        (["10.0.0.0/8"], ("198.51.100.9", 1), False),
        (["10.0.0.0/8"], ("testclient", 1), False),
        (["10.0.0.0/8"], None, False),
        (["unix:"], None, True),
        (["unix:"], ("", "0"), True),
        (["unix:"], ("10.0.0.1", 1), False),
        (["2001:db8::/32"], ("2001:db8::1%eth0", 1), True),
        ([], ("10.0.0.1", 1), False),
    ],
)
async def test_a_peer_is_trusted_by_the_list(trusted, peer, is_trusted) -> None:
    """In any of the forms in which servers tell who it is."""
    app = Middleware(tell, ClientAddressLayer(ClientAddress(trusted=trusted)), witness := Witness())
    await call(app, headers={"X-Forwarded-For": "198.51.100.7"}, client=peer)

    assert witness.is_peer_trusted is is_trusted
    assert (witness.client == "198.51.100.7") is is_trusted


@pytest.mark.parametrize(
    ("hops", "lines", "client"),
    [
        (1, ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        (2, ["203.0.113.9, 198.51.100.7, 192.0.2.1"], "198.51.100.7"),
        (2, ["198.51.100.7", "192.0.2.1"], "198.51.100.7"),
        (3, ["198.51.100.7, 192.0.2.1"], "198.51.100.7"),
        (2, ["203.0.113.9, unknown, 192.0.2.1"], "192.0.2.1"),
        (1, [], "192.0.2.254"),
    ],
)
async def test_proxies_can_be_counted(hops, lines, client) -> None:
    """Where their addresses are not known."""
    assert await client_of(*lines, peer=("192.0.2.254", 1), trusted=(), hops=hops) == client


@pytest.mark.parametrize(
    ("line", "peer", "client"),
    [
        ("10.0.0.9, 10.0.0.3, 10.0.0.2", PROXY, "10.0.0.3"),
        ("198.51.100.7, 203.0.113.9, 10.0.0.2", PROXY, "203.0.113.9"),
        ("10.0.0.3, 198.51.100.7", PROXY, "198.51.100.7"),
        ("10.0.0.3, 10.0.0.2", "203.0.113.1", "203.0.113.1"),
    ],
)
async def test_a_list_and_a_count_must_both_hold(line, peer, client) -> None:
    """The list says who may write an entry, and the count how many entries there can be."""
    assert await client_of(line, peer=(peer, 1), hops=2) == client


async def test_only_the_header_that_was_named_is_read() -> None:
    """A proxy writes one of them, and passes on the others as the client wrote them."""
    app = Middleware(tell, ClientAddressLayer(ClientAddress(trusted=PROXIES)), witness := Witness())

    await call(app, client=(PROXY, 1), headers={"Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"})

    assert witness.client == PROXY


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["198.51.100.7"], "198.51.100.7"),
        (["203.0.113.9", "198.51.100.7"], PROXY),
        (["203.0.113.9, 198.51.100.7"], PROXY),
        (["unknown"], PROXY),
    ],
)
async def test_x_real_ip_has_one_entry(lines, client) -> None:
    """Of two, one is the client's own."""
    assert await client_of(*lines, header="x-real-ip") == client


# Forwarded


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        (["for=198.51.100.7"], "198.51.100.7"),
        (["For=198.51.100.7"], "198.51.100.7"),
        (['for="198.51.100.7"'], "198.51.100.7"),
        (['for="198.51.100.7:4711"'], "198.51.100.7"),
        (['for="[2001:db8::1]"'], "2001:db8::1"),
        (['FOR="[2001:db8::1]:4711"'], "2001:db8::1"),
        (["for=203.0.113.9, for=198.51.100.7"], "198.51.100.7"),
        (["for=203.0.113.9,for=198.51.100.7,for=10.0.0.2"], "198.51.100.7"),
        (["for=203.0.113.9", "for=198.51.100.7", "for=10.0.0.2"], "198.51.100.7"),
        (["for=198.51.100.7;proto=https;by=203.0.113.43"], "198.51.100.7"),
        (["proto=https; for=198.51.100.7"], "198.51.100.7"),
        ([";for=198.51.100.7;"], "198.51.100.7"),
        (['for=198.51.100.7;host="a,b;c=\\"d\\""'], "198.51.100.7"),
        (['for=198.51.100.7;by="\\\\"'], "198.51.100.7"),
        (['for="198.51\\.100.7"'], "198.51.100.7"),
        (['for=203.0.113.9;by="x, for=198.51.100.7'], "198.51.100.7"),
        (['for="203.0.113.9', "for=198.51.100.7"], "198.51.100.7"),
        (['for="203.0.113.9\\", for=198.51.100.7'], "198.51.100.7"),
        (["garbage, for=198.51.100.7"], "198.51.100.7"),
    ],
)
async def test_forwarded_is_read_in_its_full_grammar(lines, client) -> None:
    """Quotes, escapes, brackets, ports, case; and a quote that a client left open swallows nothing."""
    assert await client_of(*lines, **FORWARDED) == client


@pytest.mark.parametrize(
    "element",
    [
        "for=unknown",
        "for=_hidden",
        'for="_hidden:_port"',
        "proto=https",
        "",
        ";",
        "for",
        "for=",
        "for =198.51.100.7",
        "for= 198.51.100.7",
        "for=198.51.100.7:4711",
        "for=[2001:db8::1]",
        "for=2001:db8::1",
        "198.51.100.7",
        "for=198.51.100.7;for=203.0.113.9",
        "for=198.51.100.7;FOR=198.51.100.7",
        "for=198.51.100.7 for=203.0.113.9",
        'for="198.51.100.7',
        'for=198.51.100.7"',
        'for="198.51.100.7\\"',
        'for="198.51.100.7"x',
        'for="198.51.100.7\x01"',
        "for=198.51.100.7;b@d=1",
    ],
)
async def test_an_element_that_names_no_address_ends_the_search(element) -> None:
    """`unknown`, hidden, or not in the grammar."""
    assert await client_of("for=203.0.113.9", element, "for=10.0.0.2", **FORWARDED) == "10.0.0.2"
    assert await client_of(f"for=203.0.113.9, {element}", **FORWARDED) == PROXY


# bounds


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
async def test_at_most_32_entries_are_read(header) -> None:
    """The 33rd is no one's business."""
    prefix = "for=" if header == "forwarded" else ""
    entries = [f"{prefix}10.0.1.{number}" for number in range(40)]

    for lines in ([",".join(entries)], entries):
        assert await client_of(*lines, header=header) == "10.0.1.8"


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded"])
async def test_an_entry_that_the_bound_on_bytes_cuts_is_none(header) -> None:
    """Half an address is another address."""
    prefix = "for=" if header == "forwarded" else ""
    outer, inner = f"{prefix}203.0.113.199", f"{prefix}10.0.0.2"

    for length in range(4_080, 4_096 + len(outer) + 1):
        line = f"{outer},{inner.rjust(length - len(outer) - 1)}"
        assert await client_of(line, header=header) == ("203.0.113.199" if length <= 4_096 else "10.0.0.2")
    assert await client_of(f"{outer},{inner.rjust(4_096)}", header=header) == PROXY
    assert await client_of(outer, inner.rjust(4_096), header=header) == "10.0.0.2"


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("x-forwarded-for", ",".join(["10.0.0.2"] * 4_000)),
        ("forwarded", ",".join(["for=10.0.0.2"] * 4_000)),
        ("forwarded", '"' * 48_000),
        ("forwarded", '\\"' * 24_000),
        ("forwarded", 'a="' * 16_000),
        ("forwarded", ";" * 48_000),
        ("forwarded", "for=1;" * 8_000),
        ("x-forwarded-for", "," * 48_000),
    ],
)
async def test_a_long_header_costs_little(header, line) -> None:
    """48 KB of entries, quotes and backslashes: bounded work, with a wide margin for a busy machine."""
    layer = ClientAddressLayer(ClientAddress(trusted=PROXIES, header=header))
    lines = [line.encode()]

    def timed() -> int:
        start = perf_counter_ns()
        layer._origin(lines)
        return perf_counter_ns() - start

    assert min(timed() for _ in range(5)) < 3_000_000


async def test_the_memo_is_bounded() -> None:
    """By the number of headers that it keeps, and by their length."""
    layer = ClientAddressLayer(ClientAddress(trusted=PROXIES))

    for number in range(10_000):
        assert layer._origin([b"198.51.100.7, 10.0.%d.%d" % divmod(number, 256)]).address == "198.51.100.7"
    layer._memo.clear()
    layer._origin([b"10.0.0.2," * 100])

    assert layer._memo == {}


# scheme and host


@pytest.mark.parametrize(
    ("forwarded_for", "lines", "scheme"),
    [
        ("198.51.100.7", [], "http"),
        ("198.51.100.7", ["https"], "https"),
        ("198.51.100.7", ["HTTPS"], "https"),
        ("198.51.100.7", ["wss"], "https"),
        ("198.51.100.7", ["https, http"], "http"),
        ("198.51.100.7", ["https", "http"], "http"),
        ("198.51.100.7, 10.0.0.2", ["https, http"], "https"),
        ("198.51.100.7, 10.0.0.2", ["ftp, https, http"], "https"),
        ("198.51.100.7, 10.0.0.2", ["https"], "https"),
        ("198.51.100.7", ["gopher"], "http"),
        ("198.51.100.7", [""], "http"),
        ("198.51.100.7", ["https; x"], "http"),
        (None, ["https"], "https"),
    ],
)
async def test_the_scheme_is_that_which_the_client_used(forwarded_for, lines, scheme) -> None:
    """As the proxy next to the client wrote it: each may have added an entry, or passed on the one."""
    headers = [("host", "testserver"), *[("x-forwarded-proto", line) for line in lines]]
    headers += [] if forwarded_for is None else [("x-forwarded-for", forwarded_for)]

    response = await call(ClientAddressMiddleware(tell, trusted=PROXIES), headers=headers, client=(PROXY, 1))

    assert response.body.decode() == f"('{PROXY}', 1) {scheme} testserver"


async def test_the_scheme_of_a_websocket_is_wss() -> None:
    """`https` says the same of a handshake."""
    app = ClientAddressMiddleware(tell, trusted=PROXIES)

    async with websocket(app, headers={"X-Forwarded-Proto": "https"}, client=(PROXY, 1)) as session:
        assert session.headers.get("x-scheme") == "wss"


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("app.example", "app.example"),
        ("app.example:8443", "app.example:8443"),
        ("[2001:db8::1]:8443", "[2001:db8::1]:8443"),
        ("evil.example, app.example", "app.example"),
        ("a b", "testserver"),
        ("app.example/x", "testserver"),
        ("app.example@evil", "testserver"),
        ("app.example:port", "testserver"),
        ("é.example", "testserver"),
        ("", "testserver"),
    ],
)
async def test_the_host_is_restored_on_request_and_if_it_is_one(line, host) -> None:
    """By default it is left alone: many a proxy passes on what the client wrote."""
    headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Host": line}

    response = await call(ClientAddressMiddleware(tell, trusted=PROXIES, host=True), headers=headers, client=(PROXY, 1))
    assert response.body.decode().endswith(f" {host}")

    response = await call(ClientAddressMiddleware(tell, trusted=PROXIES), headers=headers, client=(PROXY, 1))
    assert response.body.decode().endswith(" testserver")


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("for=198.51.100.7;proto=https;host=app.example", "https app.example"),
        ('proto=http;host=evil, for=198.51.100.7;PROTO=https;Host="app.example:8443"', "https app.example:8443"),
        ("for=198.51.100.7;proto=https;host=app.example, for=10.0.0.2;proto=http;host=inner", "https app.example"),
        ("for=198.51.100.7, for=10.0.0.2;proto=https;host=inner", "http testserver"),
        ("for=_hidden;proto=https", "http testserver"),
    ],
)
async def test_forwarded_says_scheme_and_host_with_the_address(line, seen) -> None:
    """Those of the element that names the client, and of no header but this one."""
    headers = {"Forwarded": line, "X-Forwarded-Proto": "wss", "X-Forwarded-Host": "evil.example"}
    app = ClientAddressMiddleware(tell, trusted=PROXIES, host=True, **FORWARDED)

    assert (await call(app, headers=headers, client=(PROXY, 1))).body.decode() == f"('{PROXY}', 1) {seen}"


@pytest.mark.parametrize(("settings", "scheme"), [({"proto": False}, "http"), ({}, "https")])
async def test_an_untrusted_peer_changes_nothing(settings, scheme) -> None:
    """Nor does a trusted one where that is switched off."""
    headers = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "app.example"}

    untrusted = await call(ClientAddressMiddleware(tell, trusted=PROXIES, host=True), headers=headers)
    trusted = await call(ClientAddressMiddleware(tell, trusted=PROXIES, **settings), headers=headers, client=(PROXY, 1))

    assert untrusted.body == b"('198.51.100.7', 51234) http testserver"
    assert trusted.body.decode() == f"('{PROXY}', 1) {scheme} testserver"


@pytest.mark.parametrize(
    ("line", "seen"),
    [
        ("198.51.100.7", "('198.51.100.7', 0)"),
        ("[2001:db8::1]:4711", "('2001:db8::1', 4711)"),
        ("x", f"('{PROXY}', 1)"),
    ],
)
async def test_the_application_sees_the_client_on_request(line, seen) -> None:
    """Then with its port, where that is known; the server's own scope stays as it was."""
    app = ClientAddressMiddleware(tell, trusted=PROXIES, rewrite_scope=True)
    scope = http_scope(client=(PROXY, 1))

    response = await call(app, client=scope["client"], headers={"X-Forwarded-For": line})

    assert response.body.decode().startswith(seen)
    assert scope["client"] == (PROXY, 1)


# what is ignored


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_a_header_from_an_untrusted_peer_is_counted_and_said_once(header, caplog) -> None:
    """In the log with the setting that would trust the peer, and to the listeners each time."""
    app = ClientAddressMiddleware(tell, listeners=[events := capture_events()])

    for _ in range(3):
        await call(app, headers={header: "203.0.113.9"})

    (layer,) = app.layers
    assert isinstance(layer, ClientAddressLayer)
    assert layer.ignored == len(events) == 3
    assert {(event.header, event.client) for event in events.of(ForwardingIgnored)} == {
        (header.lower(), "198.51.100.7")
    }
    assert len(caplog.records) == 1
    assert "client_address=['198.51.100.7']" in caplog.text
    assert "ClientAddress(trusted=['198.51.100.7'])" in caplog.text


async def test_a_stranger_does_not_use_up_what_is_said_of_a_proxy(caplog) -> None:
    """Anybody can send the header first: it is said once of those far, and once of those near."""
    app = ClientAddressMiddleware(tell)

    for host in ("9.9.9.9", "11.22.33.44", PROXY, "10.0.0.2", "9.9.9.9"):
        await call(app, headers={"X-Forwarded-For": "203.0.113.9"}, client=(host, 1))

    far, near = caplog.records
    assert (far.levelname, near.levelname) == ("WARNING", "ERROR")
    assert "'9.9.9.9', which is no trusted proxy, so it was ignored. Anybody can send it." in far.getMessage()
    assert "an undeclared proxy" in near.getMessage()
    assert f"client_address=['{PROXY}']" in near.getMessage()


@pytest.mark.parametrize(("header", "peer"), [
    ("9.9.9.9", ("9.9.9.9", 0)),
    ("10.1.2.3", ["10.1.2.3", 0]),
    ("9.9.9.9:4711", ("9.9.9.9", 4711)),
    ("8.8.8.8, 9.9.9.9, 127.0.0.1", ("9.9.9.9", 0)),
])  # fmt: skip
async def test_a_header_that_the_server_has_read_is_told_as_that(header, peer, caplog) -> None:
    """The peer that it shows is the client, so nobody is told to trust it."""
    app = ClientAddressMiddleware(tell)

    for _ in range(2):
        await call(app, headers={"X-Forwarded-For": header}, client=peer)

    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "start the server with --no-proxy-headers" in record.getMessage()
    assert "write client_address=['127.0.0.1']" in record.getMessage()
    assert peer[0] not in record.getMessage()


async def test_a_peer_that_writes_its_own_address_is_a_peer(caplog) -> None:
    """It has a port, and the entry has not: so it is when the proxy's own machine asks through it."""
    await call(ClientAddressMiddleware(tell), headers={"X-Forwarded-For": "127.0.0.1"}, client=("127.0.0.1", 40_000))

    assert "an undeclared proxy: all who come through it" in caplog.text


async def test_an_empty_header_says_nothing(caplog) -> None:
    """So there is nothing to ignore."""
    app = ClientAddressMiddleware(tell)

    await call(app, headers={"X-Forwarded-For": ""}, client=(PROXY, 1))

    assert app.layers[0].ignored == 0  # type: ignore[attr-defined]
    assert caplog.records == []


async def test_a_unix_socket_is_named_as_it_would_be_trusted(caplog) -> None:
    """It has no address."""
    await call(ClientAddressMiddleware(tell), headers={"X-Forwarded-For": "203.0.113.9"}, client=None)

    assert "ClientAddress(trusted=['unix:'])" in caplog.text


async def test_without_a_forwarding_header_nothing_is_counted() -> None:
    """Nor from a trusted peer."""
    app = ClientAddressMiddleware(tell, trusted=PROXIES)

    await call(app)
    await call(app, headers={"X-Forwarded-For": "198.51.100.7"}, client=(PROXY, 1))

    assert app.layers[0].ignored == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
async def test_inside_another_the_client_stays_who_it_is(fuse) -> None:
    """The second one would take the client for a peer."""
    inner = Middleware(tell, ClientAddressLayer(ClientAddress(trusted=["192.0.2.1"])), witness := Witness())
    app = Middleware(inner, ClientAddressLayer(ClientAddress(trusted=PROXIES)), fuse=fuse)

    await call(app, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}, client=(PROXY, 1))

    assert (witness.client, witness.is_peer_trusted) == ("198.51.100.7", True)
    assert inner.layers[0].ignored == 0  # type: ignore[attr-defined]


# settings


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        ({"trusted": ["*"]}, "AG305", "hops=1"),
        ({"trusted": ["10.0.0.1", "0.0.0.0/0"]}, "AG305", "hops=1"),
        ({"trusted": {"::/0"}}, "AG305", "hops=1"),
        ({"trusted": ["10.0.0.1/8"]}, "AG301", "10.0.0.0/8"),
        ({"trusted": ["proxy.internal"]}, "AG302", "Write its addresses"),
        ({"trusted": ["fe80::1%eth0"]}, "AG303", "without its zone"),
        ({"trusted": ["unix:/run/x"]}, "AG304", '"unix:" alone'),
        ({"trusted": "10.0.0.0/8"}, "AG106", "['10.0.0.0/8']"),
        ({"hops": 0}, "AG101", ""),
        ({"hops": 33}, "AG101", ""),
        ({"hops": True}, "AG101", ""),
        ({"header": "x-client-ip"}, "AG105", ""),
        ({"header": "x-real-ip", "hops": 2}, "AG306", "x-forwarded-for"),
        ({"proto": 1}, "AG103", ""),
        ({"host": "yes"}, "AG103", ""),
        ({"rewrite_scope": None}, "AG103", ""),
    ],
)
def test_settings_that_cannot_work_do_not_start(settings, problem, remedy) -> None:
    """With the remedy."""
    with pytest.raises(ConfigError) as caught:
        ClientAddress(**settings)

    (found,) = caught.value.problems
    assert found.id == problem
    assert remedy in found.remedy


@pytest.mark.parametrize("settings", [{}, {"trusted": PROXIES, "host": True, "rewrite_scope": True}, {"hops": 1}])
async def test_it_keeps_the_rules(settings) -> None:
    """Every rule of the conformance kit that applies."""
    report = await check_middleware(
        lambda app: ClientAddressMiddleware(app, **settings), Expectations(answers_errors=False)
    )

    report.raise_for_failures()
