"""What the servers serve to show their errors: applications that fail at every moment, behind the guard."""

from __future__ import annotations

from typing import Any

from failing import SECRET, fail, in_starlette

from asgi_guard import AuthorizationError, DatabaseError, ErrorEnvelope, Guard

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
PIECE = {"type": "http.response.body", "body": b"the first part", "more_body": True}
END = {"type": "http.response.body", "body": b"fine"}
CLOSES = {"/1011": RuntimeError, "/1013": DatabaseError, "/1008": AuthorizationError}
STEPS: dict[str, tuple[Any, ...]] = {
    "/fine": (START, END),
    "/before": (RuntimeError,),
    "/at-the-start": (START, RuntimeError),
    "/in-the-body": (START, PIECE, RuntimeError),
    "/afterwards": (START, END, RuntimeError),
    "/silent": (),
    "/half": (START,),
    "/handshake": (RuntimeError,),
    **{path: ({"type": "websocket.accept"}, error) for path, error in CLOSES.items()},
}
"""By path: the messages that are sent, and the exception that is raised."""

starlette = in_starlette(lets_through=True)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Follow the steps of the path; below `/starlette` the framework fails."""
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    if scope["path"].startswith("/starlette/"):
        await starlette({**scope, "path": scope["path"].removeprefix("/starlette")}, receive, send)
        return
    await receive()
    for step in STEPS[scope["path"]]:
        if isinstance(step, type):
            raise step(SECRET)
        await send(step)


async def live(receive: Any, send: Any) -> None:
    """Start and stop."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def broken(scope: Any, receive: Any, send: Any) -> None:
    """Fail at the start; serve whoever asks in spite of it."""
    if scope["type"] == "lifespan":
        await receive()
        fail("unexpected")
    await app(scope, receive, send)


guarded = Guard(app, rate_limit=False)
lax = Guard(broken, rate_limit=False)
strict = Guard(broken, rate_limit=False, error_envelope=ErrorEnvelope(strict_lifespan=True))
