"""Origins: reading what a client sent takes bounded time, and yields what could have been an origin."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.web.mistakes import MistakeError
from asgi_guard.web.origins import MAX_ORIGIN_BYTES, Origins, is_same_host, parse_origin, split_origin

hosts = st.from_regex(r"[a-z0-9][a-z0-9-]{0,5}(\.[a-z][a-z0-9-]{0,5}){1,3}", fullmatch=True)
ports = st.one_of(st.none(), st.integers(1, 65_535).map(str))
schemes = st.sampled_from(["https", "http", "app"])


def serialised(scheme: str, host: str, port: str | None) -> str:
    """Write an origin as a browser does, without its default port."""
    is_default = (scheme, port) in {("https", "443"), ("http", "80")}
    return f"{scheme}://{host}" if port is None or is_default else f"{scheme}://{host}:{port}"


@given(schemes, hosts, ports)
def test_every_origin_is_a_pattern_for_itself_alone(scheme, host, port) -> None:
    """It is read back as it was written."""
    origin = serialised(scheme, host, port)

    origins = Origins([parse_origin(origin)])

    assert origin.encode() in origins
    assert f"x{origin}".encode() not in origins
    assert f"{origin}x".encode() not in origins
    assert split_origin(origin.encode()) is not None


@pytest.mark.long
@given(schemes, hosts, ports, hosts)
def test_a_wildcard_is_for_whole_labels(scheme, host, port, below) -> None:
    """`evilexample.com` is no subdomain of `example.com`."""
    origins = Origins([parse_origin(serialised(scheme, f"*.{host}", port))])

    assert serialised(scheme, f"{below}.{host}", port).encode() in origins
    assert serialised(scheme, f"evil{host}", port).encode() not in origins
    assert serialised(scheme, host, port).encode() not in origins
    assert serialised(scheme, f"{host}.evil.example", port).encode() not in origins


@given(st.text(max_size=40))
def test_a_text_is_a_pattern_or_a_mistake_with_an_id(text) -> None:
    """Nothing else is raised."""
    found = None
    try:
        parse_origin(text)
    except MistakeError as mistake:
        found = mistake

    assert found is None or (re.fullmatch(r"AG34\d", found.id) and found.remedy.endswith((".", "?")))


@pytest.mark.parametrize(
    "text", ["https://r\u00e9sum\u00e9.example", "http\u017f://a.example", "https://\u212a.example"]
)
def test_a_pattern_is_ascii(text) -> None:
    """Nor what only looks like it when case is forgotten."""
    with pytest.raises(MistakeError, match="must be an origin"):
        parse_origin(text)


@pytest.mark.parametrize("unit", ["a.", "a", "-", "a.-", "..", ":", "a:", "[", "[:"])
def test_a_hostile_origin_takes_no_time(unit) -> None:
    """No part of the pattern can be tried again, and what is too long is not looked at."""
    for length in (MAX_ORIGIN_BYTES, 60_000):
        origin = f"https://{unit * length}"[:length].encode() + b"!"
        for _ in range(1_000):
            split_origin(origin)
        assert split_origin(origin) is None


def test_the_host_that_was_asked_is_recognised() -> None:
    """With its default port written out or not."""
    assert is_same_host(b"https://a.example", b"a.example:443", is_secure=True)
    assert is_same_host(b"http://a.example:8000", b"A.example:8000", is_secure=False)
    assert not is_same_host(b"https://a.example", None, is_secure=True)
    assert not is_same_host(b"null", b"null", is_secure=True)
