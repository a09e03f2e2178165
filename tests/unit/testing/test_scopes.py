"""Scopes as servers make them."""

from __future__ import annotations

import pytest

from asgi_guard.testing import (
    ABSENT,
    HEADER_FORMS,
    ODD_HANDSHAKES,
    ODD_SCOPES,
    http_scope,
    lifespan_scope,
    request_messages,
    websocket_scope,
)
from asgi_guard.testing.scopes import raw_headers


def test_an_ordinary_request_has_every_key_of_the_specification() -> None:
    """HTTP specification 2.3, as most servers speak it."""
    scope = http_scope("POST", "/a?b=c")

    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/a",
        "raw_path": b"/a",
        "query_string": b"b=c",
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"user-agent", b"asgi-guard-testing")],
        "client": ("198.51.100.7", 51234),
        "server": ("127.0.0.1", 8000),
        "state": {},
        "extensions": {},
    }


def test_a_handshake_has_its_own_keys() -> None:
    """No method, and the extension for denial responses unless it is left out."""
    assert "method" not in websocket_scope()
    assert websocket_scope()["scheme"] == "ws"
    assert websocket_scope()["subprotocols"] == []
    assert "websocket.http.response" in websocket_scope()["extensions"]
    assert websocket_scope(can_deny=False)["extensions"] == {}


def test_any_key_can_be_another_or_none() -> None:
    """ABSENT leaves it out, which is not the same as None."""
    for make in (http_scope, websocket_scope, lifespan_scope):
        assert make(state={"a": 1}, mystery=2)["state"] == {"a": 1}
        assert make(state=None)["state"] is None
        assert "state" not in make(state=ABSENT)


def test_no_two_scopes_share_anything() -> None:
    """Else one test would change another's."""
    for make in (http_scope, websocket_scope, lifespan_scope):
        first, second = make(), make()
        shared = [key for key, value in first.items() if isinstance(value, dict | list) and value is second[key]]
        assert shared == []


@pytest.mark.parametrize("keys", ODD_SCOPES.values(), ids=ODD_SCOPES)
def test_every_odd_scope_is_odd(keys) -> None:
    """It differs from the ordinary one."""
    assert http_scope(**keys) != http_scope()


@pytest.mark.parametrize("keys", ODD_HANDSHAKES.values(), ids=ODD_HANDSHAKES)
def test_every_odd_handshake_is_odd(keys) -> None:
    """It differs from the ordinary one."""
    assert websocket_scope(**keys) != websocket_scope()


@pytest.mark.parametrize("form", HEADER_FORMS.values(), ids=HEADER_FORMS)
def test_every_form_of_headers_holds_the_same(form) -> None:
    """But for the case of names."""
    pairs = [(b"host", b"a"), (b"cookie", b"b"), (b"cookie", b"c")]

    assert [(name.lower(), value) for name, value in form(pairs)] == pairs


BODIES = [
    ((), [(b"", False)]),
    ((b"",), [(b"", False)]),
    ((b"a",), [(b"a", False)]),
    ((b"a", b"", b"b"), [(b"a", True), (b"", True), (b"b", False)]),
]


@pytest.mark.parametrize(("chunks", "expected"), BODIES)
def test_a_body_comes_in_messages(chunks, expected) -> None:
    """One for each chunk, and one where there is none."""
    messages = request_messages(*chunks)

    assert [(message["body"], message["more_body"]) for message in messages] == expected
    assert {message["type"] for message in messages} == {"http.request"}


def test_headers_may_be_written_as_one_likes() -> None:
    """A mapping, or pairs of str or bytes; on the wire they are bytes, names in lower case."""
    expected = [(b"x-a", b"caf\xe9")]

    for headers in ({"X-A": "café"}, [("X-A", "café")], ((b"X-A", b"caf\xe9"),), iter([("x-a", b"caf\xe9")])):
        assert raw_headers(headers) == expected
