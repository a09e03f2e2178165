"""One request, in one line."""

from __future__ import annotations

import json

import anyio
import pytest

from asgi_guard.testing import ABSENT, ProtocolViolation, RawHeaders, call


async def echo(scope, receive, send):
    """Answer with what came in, each chunk as it comes."""
    told = {key: scope.get(key) for key in ("method", "path", "client")}
    told["query"] = scope["query_string"].decode()
    told["headers"] = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(told).encode(), "more_body": True})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


@pytest.mark.anyio
async def test_a_request_in_one_line() -> None:
    """An ordinary one, with what the test says of it."""
    response = await call(echo, "POST", "/items?q=1", headers={"X-A": "1"}, client=None)

    assert response.status == 201
    assert response.json() == {
        "method": "POST",
        "path": "/items",
        "query": "q=1",
        "client": None,
        "headers": [["host", "testserver"], ["user-agent", "asgi-guard-testing"], ["x-a", "1"]],
    }


@pytest.mark.anyio
async def test_a_host_of_ones_own_is_the_only_one() -> None:
    """No second is added."""
    response = await call(echo, headers=[("Host", "b.example")])

    assert response.json()["headers"] == [["host", "b.example"]]


@pytest.mark.anyio
async def test_a_body_may_come_in_pieces() -> None:
    """And goes out as the application sends it."""
    response = await call(echo, chunks=[b"one", b"two", b""])

    assert response.chunks[1:] == (b"one", b"two", b"")
    assert response.body == b"".join(response.chunks)
    assert (await call(echo, body=b"whole")).chunks[1:] == (b"whole",)
    assert (await call(echo, incoming=[{"type": "http.request"}])).chunks[1:] == (b"",)


@pytest.mark.anyio
async def test_headers_are_read_as_they_were_sent() -> None:
    """Bytes for bytes, str for str; in any case; every line."""
    response = await call(echo)

    assert response.headers.get("Content-Type") == "application/json"
    assert response.headers.get(b"content-type") == b"application/json"
    assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert response.headers.get("missing") is None
    assert (b"set-cookie", b"b=2") in response.headers
    assert RawHeaders([(b"X-Odd", b"caf\xe9")]).get("x-odd") == "café"


@pytest.mark.anyio
async def test_head_has_no_body() -> None:
    """What an application sends is dropped, as servers do; it is still among the messages."""

    async def hello(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})

    response = await call(hello, "HEAD")

    assert (response.body, response.chunks) == (b"", (b"hello",))
    assert [message["type"] for message in response.messages] == ["http.response.start", "http.response.body"]


@pytest.mark.anyio
async def test_trailers_are_read() -> None:
    """All of them, in order."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "trailers": True})
        await send({"type": "http.response.body"})
        await send({"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"b", b"2")]})

    response = await call(app, extensions={"http.response.trailers": {}})

    assert response.trailers == ((b"a", b"1"), (b"b", b"2"))


@pytest.mark.anyio
async def test_what_the_application_raises_is_raised() -> None:
    """As it is."""
    error = LookupError()

    async def fails(scope, receive, send):
        raise error

    with pytest.raises(LookupError) as caught:
        await call(fails)
    assert caught.value is error


@pytest.mark.anyio
async def test_half_a_response_is_an_error() -> None:
    """Unless the client has left: nobody reads the rest."""

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})

    async def none(scope, receive, send):
        await receive()

    with pytest.raises(ProtocolViolation, match="without an end"):
        await call(half)
    with pytest.raises(ProtocolViolation, match="without an end"):
        await call(none)
    assert (await call(half, afterwards="disconnect")).status == 200
    with pytest.raises(ProtocolViolation, match="no response"):
        await call(none, afterwards="disconnect")


@pytest.mark.anyio
async def test_an_application_has_its_time() -> None:
    """And no more."""

    async def hangs(scope, receive, send):
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await call(hangs, timeout_seconds=0)


@pytest.mark.anyio
async def test_a_key_can_be_left_out() -> None:
    """As some server leaves it out."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200 + len({"client", "state"} & scope.keys())})
        await send({"type": "http.response.body"})

    assert (await call(app, client=ABSENT, state=ABSENT)).status == 200
