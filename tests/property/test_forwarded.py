"""Forwarding headers: whatever a client writes, the address that is found is the one that a trusted proxy wrote.

A chain of proxies is drawn, each with its address, and what each appends to the header. The client sends anything at
all before that, in any number of lines. Who is found must depend on the chain alone.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from asgi_guard.engine.forwarded import forwarded, x_forwarded_for
from asgi_guard.layers.client_address import ClientAddress, ClientAddressLayer

TRUSTED = ["10.0.0.0/8", "2001:db8:ffff::/48"]
PROXY_ADDRESSES = st.sampled_from(["10.0.0.1", "10.255.0.9", "2001:db8:ffff::7"])
CLIENTS = st.sampled_from(["198.51.100.7", "203.0.113.200", "2001:db8::1", "fe80::1"])
PORTS = st.none() | st.integers(0, 65_535)
JUNK = st.lists(
    st.sampled_from([b"for=", b'"', b"\\", b",", b";", b" ", b"10.0.0.1", b"1.2.3.4", b"=", b"by=", b"\xff", b"[::1]"])
    | st.binary(max_size=4),
    max_size=12,
).map(b"".join)
QUOTED = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
OTHER_PAIRS = st.lists(
    st.sampled_from(["by", "proto", "host", "ext"]).flatmap(
        lambda name: (st.sampled_from(["https", "_x"]) | QUOTED).map(lambda value: f"{name}={value}")
    ),
    unique_by=lambda pair: pair.partition("=")[0],
    max_size=3,
)
BLANKS = st.sampled_from(["", " ", "\t", "  "])
LAYERS = {
    header: ClientAddressLayer(ClientAddress(trusted=TRUSTED, header=header))
    for header in ("x-forwarded-for", "forwarded")
}


@st.composite
def plain_entry(draw: Any, addresses: Any) -> tuple[str, bytes]:
    """Draw an entry of X-Forwarded-For, and the address in it."""
    address, port = draw(addresses), draw(PORTS)
    text = address if port is None else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return address, f"{draw(BLANKS)}{text}{draw(BLANKS)}".encode()


@st.composite
def element(draw: Any, addresses: Any) -> tuple[str, bytes]:
    """Draw an element of Forwarded, and the address in it."""
    address, port = draw(addresses), draw(PORTS)
    node = f"[{address}]" if ":" in address else address
    node += "" if port is None else f":{port}"
    text = node if ":" not in node and draw(st.booleans()) else f'"{node}"'
    name = draw(st.sampled_from(["for", "For", "FOR"]))
    pairs = draw(st.permutations([f"{name}={text}", *draw(OTHER_PAIRS)]))
    return address, f"{draw(BLANKS)}{';'.join(pairs)}{draw(BLANKS)}".encode()


@st.composite
def chains(draw: Any, entry: Any) -> tuple[str, list[bytes]]:
    """Draw the client, and the lines that the proxies wrote: the client's address first."""
    client, first = draw(entry(CLIENTS))
    rest = [text for _, text in draw(st.lists(entry(PROXY_ADDRESSES), max_size=4))]
    lines = [first]
    for text in rest:
        if draw(st.booleans()):
            lines[-1] += b"," + text
        else:
            lines.append(text)
    return client, lines


def found(header: str, client_lines: list[bytes], lines: list[bytes], *, joined: bool) -> str | None:
    """Say who is found when the first proxy appends to the client's line, or adds a line of its own."""
    if joined and client_lines:
        *before, last = client_lines
        lines = [*before, last + b"," + lines[0], *lines[1:]]
    else:
        lines = [*client_lines, *lines]
    return LAYERS[header]._origin(lines).address


@given(chain=chains(plain_entry), junk=st.lists(JUNK, max_size=3), joined=st.booleans())
@example(chain=("198.51.100.7", [b"198.51.100.7"]), junk=[b"1.2.3.4, 10.0.0.1"], joined=True)
def test_nothing_left_of_the_client_matters_in_x_forwarded_for(chain, junk, joined) -> None:
    """Neither in its own line nor before that of the proxies."""
    client, lines = chain

    assert found("x-forwarded-for", junk, lines, joined=joined) == client


@given(chain=chains(element), junk=st.lists(JUNK, max_size=3), joined=st.booleans())
@example(chain=("198.51.100.7", [b"for=198.51.100.7"]), junk=[b'for=1.2.3.4;by="'], joined=True)
@example(chain=("198.51.100.7", [b'for="198.51.100.7"']), junk=[b'for=1.2.3.4;by="\\'], joined=True)
@example(chain=("198.51.100.7", [b'for=198.51.100.7;by="\\\\"']), junk=[b'"'], joined=True)
def test_nothing_left_of_the_client_matters_in_forwarded(chain, junk, joined) -> None:
    """Nor does a quote that the client opened and left to the proxies to close."""
    client, lines = chain

    assert found("forwarded", junk, lines, joined=joined) == client


@given(st.lists(JUNK | st.binary(max_size=60), max_size=5))
def test_anything_at_all_is_read_without_an_error(lines) -> None:
    """At most 32 entries of it."""
    assert len(list(x_forwarded_for(lines))) <= 32
    assert len(list(forwarded(lines))) <= 33
