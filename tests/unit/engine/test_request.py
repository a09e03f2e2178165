"""What a layer learns of a request, and what it may make the application see."""

from __future__ import annotations

from copy import deepcopy

import pytest

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.plan import Plan
from asgi_guard.testing import (
    ABSENT,
    HEADER_FORMS,
    ODD_HANDSHAKES,
    ODD_SCOPES,
    StrictServer,
    http_scope,
    websocket_scope,
)


async def never(*_):
    """Be a receive and a send that nobody calls."""
    raise AssertionError("nobody receives or sends here")


def request_of(**keys) -> Exchange:
    """Make the exchange of a request with these keys in its scope."""
    return Exchange(Plan(()), http_scope(**keys), never, never)


CLIENTS = [
    (("198.51.100.7", 51234), "198.51.100.7"),
    (["198.51.100.7", 51234], "198.51.100.7"),
    (("198.51.100.7", "51234"), "198.51.100.7"),
    (("::ffff:198.51.100.7", 51234), "198.51.100.7"),
    (("::FFFF:198.51.100.7", 51234), "198.51.100.7"),
    (("2001:DB8::1", 51234), "2001:db8::1"),
    (("::ffff:c633:6407", 51234), "::ffff:c633:6407"),
    (("fe80::1%eth0", 51234), "fe80::1"),
    (("testclient", 50000), "testclient"),
    (("", "0"), None),
    ((None, None), None),
    ([], None),
    (None, None),
    (ABSENT, None),
]


@pytest.mark.parametrize(("client", "address"), CLIENTS)
def test_the_client_is_an_address_whatever_the_server_says(client, address) -> None:
    """Mapped IPv6 is unmapped, a zone cut off: lists of addresses would not apply. A Unix socket has no client."""
    request = request_of(client=client)

    assert request.client == address
    assert request.client == address


SCHEMES = [
    ("http", "https", "https", True),
    ("http", "http", "http", False),
    ("http", ABSENT, "http", False),
    ("http", "", "http", False),
    ("websocket", "wss", "wss", True),
    ("websocket", ABSENT, "ws", False),
]


@pytest.mark.parametrize(("kind", "given", "scheme", "is_secure"), SCHEMES)
def test_the_scheme_is_the_plain_one_unless_the_server_says_more(kind, given, scheme, is_secure) -> None:
    """A server that leaves it out does not make a request secure."""
    request = request_of(type=kind, scheme=given)

    assert (request.scheme, request.is_secure) == (scheme, is_secure)


def test_method_and_path_have_defaults() -> None:
    """A WebSocket handshake is a GET, and nothing is raised for a scope with less in it than the standard asks."""
    request = Exchange(Plan(()), {"type": "websocket"}, never, never)

    assert (request.method, request.path) == ("GET", "")


def test_a_path_in_the_log_is_one_short_line() -> None:
    """A line break would let a client write log lines of its own, and a long path fill the disk."""
    assert request_of(path="/a\nERROR forged\x1b[2J").log_path == "/a\\nERROR forged\\x1b[2J"
    assert len(request_of(path="/" + "x" * 10_000).log_path) == 256


@pytest.mark.parametrize("scope", [*ODD_SCOPES.values(), {"headers": ABSENT}, {"headers": None}])
def test_no_odd_scope_is_an_error(scope) -> None:
    """Whatever a server leaves out or says in another way, all facts can be asked for."""
    request = request_of(**scope)

    facts = (request.method, request.path, request.log_path, request.scheme, request.client, request.header(b"host"))
    assert len(facts) == 6
    assert request.header_count == len(request.header_lines(b"host")) + len(request.header_lines(b"user-agent"))


@pytest.mark.parametrize("keys", ODD_HANDSHAKES.values())
def test_no_odd_handshake_is_an_error(keys) -> None:
    """The same for WebSockets, whose scopes have even less in them on one server."""
    request = Exchange(Plan(()), websocket_scope(**keys), never, never)

    assert request.kind == "websocket"
    assert request.scheme == "ws"


# Headers --------------------------------------------------------------------------------------------------------------

LINES = [(b"host", b"a.example"), (b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2")]


@pytest.mark.parametrize("form", HEADER_FORMS.values(), ids=HEADER_FORMS)
def test_headers_are_found_in_any_container_and_case(form) -> None:
    """The first line's value, every line, and what they come to."""
    request = request_of(headers=form(LINES))

    assert request.header(b"host") == b"a.example"
    assert request.header(b"cookie") == b"a=1"
    assert request.header(b"missing") is None
    assert request.header_lines(b"cookie") == [b"a=1", b"b=2"]
    assert request.header_count == 4
    assert request.header_bytes == sum(len(name) + len(value) for name, value in LINES)
    assert request.longest_header_line == len(b"host" + b"a.example")


def test_headers_without_repetition_are_measured_alike() -> None:
    """There is a short cut for the usual case, which must not measure anything else."""
    request = request_of(headers=LINES[:3])

    assert request.header(b"cookie") == b"a=1"
    assert request.header_bytes == sum(len(name) + len(value) for name, value in LINES[:3])
    assert request_of(headers=[]).longest_header_line == 0


@pytest.mark.anyio
async def test_the_application_reads_a_generator_of_headers_too() -> None:
    """It can be read only once, so the application is given the list that was made of it."""
    seen = []

    async def app(scope, receive, send):
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    scope = http_scope(headers=(pair for pair in LINES))
    await StrictServer(scope).serve(Middleware(app, Layer()))

    assert seen == LINES


# What the application sees --------------------------------------------------------------------------------------------


def test_setters_work_on_one_copy() -> None:
    """The caller's scope stays as it was; every setter writes to the same copy."""
    scope = http_scope(headers=list(LINES))
    before = deepcopy(scope)
    request = Exchange(Plan(()), scope, never, never)

    assert request.scope is scope
    request.set_client("203.0.113.9", 4711)
    copy = request.scope
    request.set_scheme("https")
    request.set_host(b"b.example")
    request.set_header(b"cookie", b"c=3")

    assert request.scope is copy
    assert scope == before
    assert (copy["client"], copy["scheme"]) == (("203.0.113.9", 4711), "https")
    assert copy["headers"] == [(b"accept", b"*/*"), (b"host", b"b.example"), (b"cookie", b"c=3")]


def test_what_was_set_is_what_layers_read() -> None:
    """A layer further in decides on what the one before it made of the request."""
    request = request_of(headers=[(b"Host", b"a.example"), (b"Cookie", b"a=1")])
    assert request.client == "198.51.100.7"

    request.set_client("::ffff:203.0.113.9")
    request.set_scheme("https")
    request.set_host(b"b.example")

    assert request.client == "203.0.113.9"
    assert request.is_secure
    assert request.header(b"host") == b"b.example"
    assert request.header(b"cookie") == b"a=1"
    assert request.header_count == 2


def test_a_header_may_be_set_where_there_are_none() -> None:
    """A scope without the key gets a list of its own."""
    request = request_of(headers=ABSENT)

    request.set_header(b"x-a", b"1")

    assert request.scope["headers"] == [(b"x-a", b"1")]
    assert request.header(b"x-a") == b"1"


def test_state_is_shared_and_given_back() -> None:
    """What the application leaves in it stays visible outside; what was set for the call is taken out, last first."""
    state = {"kept": 1, "replaced": 2}
    request = request_of(state=state)

    request.set_state("replaced", 3)
    request.set_state("replaced", 4)
    request.set_state("new", 5)
    assert request.scope["state"] is state
    assert state == {"kept": 1, "replaced": 4, "new": 5}
    state["by the application"] = 6
    request.restore_state()

    assert state == {"kept": 1, "replaced": 2, "by the application": 6}


def test_what_somebody_else_took_out_is_no_error() -> None:
    """An application may clear its state."""
    request = request_of(state={})
    request.set_state("new", 1)

    request.scope["state"].clear()
    request.restore_state()

    assert request.scope["state"] == {}


def test_a_state_is_made_where_the_server_has_none() -> None:
    """In the copy only."""
    scope = http_scope(state=ABSENT)
    request = Exchange(Plan(()), scope, never, never)

    request.set_state("a", 1)
    request.set_state("b", 2)

    assert request.scope["state"] == {"a": 1, "b": 2}
    assert "state" not in scope


IDS = [
    ("own", {"request_id": "theirs"}, "own"),
    (None, {"request_id": "theirs"}, "theirs"),
    (None, {"request_id": 7}, "7"),
    (None, {"request_id": None}, None),
    (None, {}, None),
    (None, None, None),
    (None, ABSENT, None),
]


@pytest.mark.parametrize(("own", "state", "known"), IDS)
def test_the_id_is_known_also_where_somebody_else_stands_between(own, state, known) -> None:
    """Its own first; else the one that a guard further out has left in the state, as text."""
    request = request_of(state=state)
    request.request_id = own

    assert request.known_id == known


def test_a_request_has_one_name_in_the_log() -> None:
    """Method, path and id: what a client wrote is escaped and cut, so that it neither ends nor fills the line."""
    plain = request_of(method="POST", path="/x", state={"request_id": "abc"})
    hostile = request_of(method="GET\r\n" + "X" * 1_000, path="/\n" + "y" * 10_000)

    assert plain.log_name == "POST /x (request id abc)"
    assert hostile.log_name.startswith("GET\\r\\nXXX")
    assert "\n" not in hostile.log_name
    assert len(hostile.log_name) < 400


def test_the_framework_around_is_the_one_on_entry() -> None:
    """An application that is mounted further in writes its own `app` into the scope."""
    assert request_of(app="outside").host_app == "outside"
    assert request_of().host_app is None
