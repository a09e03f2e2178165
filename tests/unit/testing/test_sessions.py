"""Conversations: a WebSocket and a lifespan, step by step."""

from __future__ import annotations

import anyio
import pytest

from asgi_guard.testing import ProtocolViolation, lifespan, websocket


async def echo(scope, receive, send):
    """Accept, send everything back, and close when told to."""
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": "echo", "headers": [(b"x-a", b"1")]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4000, "reason": "as you wish"})
        else:
            await send({**message, "type": "websocket.send"})
    ended.append(message["code"])


ended: list[int] = []


@pytest.mark.anyio
async def test_text_and_bytes_go_both_ways() -> None:
    """And when the block ends, the client leaves and the application ends."""
    ended.clear()

    async with websocket(echo, "/chat", headers={"X-B": "1"}) as session:
        assert session.accepted["subprotocol"] == "echo"
        assert session.headers.get("x-a") == "1"
        session.send("hello")
        session.send(b"\x00")
        assert [await session.receive(), await session.receive()] == ["hello", b"\x00"]
        assert session.close_code is None

    assert ended == [1000]


@pytest.mark.anyio
async def test_the_application_may_close() -> None:
    """Its code and reason are kept."""
    async with websocket(echo) as session:
        session.send("close")
        assert await session.receive() is None
        assert (session.close_code, session.close_reason) == (4000, "as you wish")


@pytest.mark.anyio
async def test_the_application_may_refuse() -> None:
    """By closing before the accept, or with a whole response where the server can."""

    async def closes(scope, receive, send):
        await send({"type": "websocket.close"})

    async def denies(scope, receive, send):
        headers = [(b"www-authenticate", b"Bearer")]
        await send({"type": "websocket.http.response.start", "status": 401, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": b"who ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"are you?"})

    async with websocket(closes) as session:
        assert (session.accepted, session.close_code, session.denial) == (None, 1000, None)
        assert session.headers == ()
    async with websocket(denies) as session:
        assert (session.denial.status, session.denial.body) == (401, b"who are you?")
        assert session.headers.get("www-authenticate") == "Bearer"
    with pytest.raises(ProtocolViolation, match="not known here"):
        async with websocket(denies, can_deny=False):
            pass


@pytest.mark.anyio
async def test_what_the_application_raises_is_raised_as_it_is() -> None:
    """Before the accept, while the test waits for it, or in the end."""
    error = LookupError()

    async def before(scope, receive, send):
        raise error

    async def after(scope, receive, send):
        await send({"type": "websocket.accept"})
        raise error

    async def in_the_end(scope, receive, send):
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        raise error

    for app in (before, after, in_the_end):
        with pytest.raises(LookupError) as caught:
            async with websocket(app):
                pass
        assert caught.value is error
    with pytest.raises(LookupError) as caught:
        async with websocket(after) as session:
            await session.receive()
    assert caught.value is error


@pytest.mark.anyio
async def test_what_the_test_raises_is_raised_as_it_is() -> None:
    """A failed assertion is no exception group, and the application does not outlive it."""
    cancelled = []

    async def waits(scope, receive, send):
        await send({"type": "websocket.accept"})
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(1)
            raise

    with pytest.raises(AssertionError, match="in the test"):
        async with websocket(waits):
            raise AssertionError("in the test")
    assert cancelled == [1]


@pytest.mark.anyio
async def test_an_application_that_does_not_end_is_given_up() -> None:
    """Or does not answer."""

    async def hangs(scope, receive, send):
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        async with websocket(hangs, timeout_seconds=0.01):
            pass
    with pytest.raises(TimeoutError):
        async with websocket(hangs, timeout_seconds=0.01) as session:
            await session.receive()


@pytest.mark.anyio
async def test_a_session_can_be_cancelled() -> None:
    """From outside, like everything."""
    with anyio.CancelScope() as scope:
        async with websocket(echo):
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught


@pytest.mark.anyio
async def test_an_application_that_has_ended_says_nothing_more() -> None:
    """Waiting for it is an error of the test, not a hang."""

    async def accepts(scope, receive, send):
        await send({"type": "websocket.accept"})

    with pytest.raises(ProtocolViolation, match="says nothing more"):
        async with websocket(accepts) as session:
            await session.receive()


# Lifespans ------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_lifespan_starts_up_and_shuts_down() -> None:
    """The state that the application filled is handed out in between."""
    phases = []

    async def app(scope, receive, send):
        for phase in ("startup", "shutdown"):
            phases.append((await receive())["type"])
            scope["state"]["pool"] = phase
            await send({"type": f"lifespan.{phase}.complete"})

    async with lifespan(app) as state:
        assert state == {"pool": "startup"}
        assert phases == ["lifespan.startup"]
    assert phases == ["lifespan.startup", "lifespan.shutdown"]


@pytest.mark.anyio
@pytest.mark.parametrize("phase", ["startup", "shutdown"])
async def test_a_lifespan_that_fails_says_why(phase) -> None:
    """In either phase."""

    async def app(scope, receive, send):
        await receive()
        if phase == "shutdown":
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": f"lifespan.{phase}.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match=f"the {phase} failed: no database"):
        async with lifespan(app):
            pass


@pytest.mark.anyio
async def test_an_application_without_a_lifespan_raises() -> None:
    """Its own exception."""

    async def app(scope, receive, send):
        raise NotImplementedError(scope["type"])

    with pytest.raises(NotImplementedError, match="lifespan"):
        async with lifespan(app):
            pass
