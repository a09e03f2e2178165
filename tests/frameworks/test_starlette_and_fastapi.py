"""The guard around and inside Starlette and FastAPI: what their applications did before, they do now.

Wrapped (`Guard(app)`) the guard sees all that the framework answers, its 500 too. Added (`app.add_middleware(Guard)`)
it stands inside the framework's own error middleware: there it answers for exceptions itself, and steps back where the
author asked for debug pages or wrote a handler. Both are held to it here, side by side.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, File, HTTPException
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from asgi_guard import ClientAddress, Guard, GuardError, RateLimit, RequestLimits
from asgi_guard.layers.security_headers import PRESETS
from asgi_guard.testing import StrictServer, call, http_scope, lifespan, request_messages, websocket

pytestmark = pytest.mark.anyio

SECRET = "postgres://admin:hunter2@db.internal/orders"
PAGE_POLICY = PRESETS["auto"]["page"]["content-security-policy"]

log: list[str] = []


@pytest.fixture(autouse=True)
def _fresh_log() -> None:
    """What the endpoints note."""
    log.clear()


async def answer_json(request: Request) -> Response:
    """Answer as most endpoints do, with the id that the guard gave."""
    return JSONResponse({"id": request.state.request_id, "path": request.url.path})


async def answer_stream(request: Request) -> Response:
    """Answer piece by piece."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            yield b"%d" % number

    return StreamingResponse(pieces(), media_type="text/plain")


async def fail_in_the_stream(request: Request) -> Response:
    """Fail when the first piece is asked for: the start has been sent by then."""

    async def pieces() -> AsyncIterator[bytes]:
        raise RuntimeError(SECRET)
        yield b""

    return StreamingResponse(pieces())


async def take_upload(request: Request) -> Response:
    """Count the body as it comes."""
    sizes = [len(chunk) async for chunk in request.stream()]
    return JSONResponse({"sizes": sizes})


async def refuse(request: Request) -> Response:
    """Refuse in the framework's own way."""
    raise StarletteHTTPException(418, "no coffee", headers={"X-Own": "1"})


async def crash(request: Request) -> Response:
    """Fail in a way that nobody handles."""
    raise RuntimeError(SECRET)


async def fail_by_name(request: Request) -> Response:
    """Fail with an error of the guard's tree."""
    raise GuardError("No such order.", status=404, error_code="NO_ORDER")


async def work_afterwards(request: Request) -> Response:
    """Answer, then work."""

    async def work() -> None:
        log.append(request.state.request_id)

    return PlainTextResponse("done", background=BackgroundTask(work))


async def fail_afterwards(request: Request) -> Response:
    """Answer, then fail."""

    async def work() -> None:
        raise RuntimeError(SECRET)

    return PlainTextResponse("done", background=BackgroundTask(work))


async def show_state(request: Request) -> Response:
    """Tell what the lifespan prepared."""
    return JSONResponse({"pool": request.state.pool})


async def echo(session: WebSocket) -> None:
    """Send back what comes, until the client leaves or asks for trouble."""
    await session.accept()
    while (message := await session.receive())["type"] == "websocket.receive":
        if message["text"] == "crash":
            raise RuntimeError(SECRET)
        await session.send_text(message["text"])


async def crash_before_accepting(session: WebSocket) -> None:
    """Fail while the handshake waits."""
    raise RuntimeError(SECRET)


async def deny(session: WebSocket) -> None:
    """Deny the handshake with a page."""
    await session.send_denial_response(Response("no", 403, media_type="text/html"))


ENDPOINTS = {
    "/json": answer_json,
    "/stream": answer_stream,
    "/fail-in-the-stream": fail_in_the_stream,
    "/upload": take_upload,
    "/refuse": refuse,
    "/crash": crash,
    "/fail-by-name": fail_by_name,
    "/work-afterwards": work_afterwards,
    "/fail-afterwards": fail_afterwards,
    "/state": show_state,
}
SESSIONS = {"/echo": echo, "/crash-before-accepting": crash_before_accepting, "/deny": deny}


@asynccontextmanager
async def prepare(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Open something for the requests, and close it again."""
    log.append("startup")
    yield {"pool": "open"}
    log.append("shutdown")


def routes() -> list[Any]:
    """Make routes for all endpoints."""
    return [
        *[Route(path, endpoint, methods=["GET", "POST"]) for path, endpoint in ENDPOINTS.items()],
        *[WebSocketRoute(path, session) for path, session in SESSIONS.items()],
    ]


def starlette(**settings: Any) -> Starlette:
    """Make a Starlette application of all endpoints."""
    return Starlette(routes=routes(), lifespan=prepare, **settings)


def fastapi(**settings: Any) -> FastAPI:
    """Make a FastAPI application of all endpoints."""
    return FastAPI(routes=routes(), lifespan=prepare, **settings)


@pytest.fixture(params=[starlette, fastapi], ids=["starlette", "fastapi"])
def make(request: pytest.FixtureRequest) -> Any:
    """Make the application, in either framework."""
    return request.param


def wrapped(app: Any, **settings: Any) -> Any:
    """Put the guard around the application."""
    return Guard(app, **settings)


def added(app: Any, **settings: Any) -> Any:
    """Put the guard inside the application."""
    app.add_middleware(Guard, **settings)
    return app


@pytest.fixture(params=[wrapped, added], ids=["wrapped", "added"])
def guard(request: pytest.FixtureRequest) -> Any:
    """Put the guard in its place, in either way."""
    return request.param


# what went well goes on going well


async def test_an_endpoint_answers_and_knows_the_request_id(make, guard) -> None:
    """In `request.state`, as in the header; with everything else around it."""
    response = await call(guard(make()), "POST", "/json")

    assert response.status == 200
    assert response.json() == {"id": response.headers.get("x-request-id"), "path": "/json"}
    assert response.headers.get("x-content-type-options") == "nosniff"
    assert response.headers.get("ratelimit") is not None


async def test_an_endpoint_knows_who_asks_and_by_which_url_behind_a_proxy(guard) -> None:
    """So what the framework makes of it, redirects and links, leads back to the client's side of the proxy."""

    async def tell(request: Request) -> Response:
        client = request.client
        return JSONResponse({"client": client and client.host, "url": str(request.url)})

    address = ClientAddress(trusted=["10.0.0.0/8"], host=True, rewrite_scope=True)
    app = guard(
        Starlette(routes=[Route("/tell", tell)]), client_address=address, https=True, trusted_host="api.example"
    )
    headers = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "api.example",
        "Host": "10.0.0.2:8000",
    }

    through = await call(app, path="/tell", headers=headers, client=("10.0.0.1", 1))
    past = await call(app, path="/tell", headers=headers)

    assert through.json() == {"client": "203.0.113.7", "url": "https://api.example/tell"}
    assert past.status == 421


@pytest.mark.parametrize("path", ["/json", "/nowhere"])
async def test_the_frameworks_own_answers_can_be_read_by_an_allowed_origin(make, guard, path) -> None:
    """Its 404 and 405 too."""
    app = guard(make(), cors="https://shop.example")

    friend = await call(app, path=path, headers={"Origin": "https://shop.example"})
    foreign = await call(app, path=path, headers={"Origin": "https://evil.example"})

    assert friend.headers.get("access-control-allow-origin") == "https://shop.example"
    assert foreign.headers.get("access-control-allow-origin") is None
    assert "origin" in (foreign.headers.get("vary") or "").lower()


async def test_a_stream_is_passed_on_piece_by_piece(make, guard) -> None:
    """Nothing is gathered."""
    response = await call(guard(make()), "GET", "/stream")

    assert [chunk for chunk in response.chunks if chunk] == [b"0", b"1", b"2"]


async def test_an_upload_is_passed_on_piece_by_piece(make, guard) -> None:
    """As it came, to the byte."""
    response = await call(guard(make()), "POST", "/upload", chunks=[b"a" * 7, b"b", b"c" * 100])

    assert [size for size in response.json()["sizes"] if size] == [7, 1, 100]


async def test_a_websocket_echoes(make, guard) -> None:
    """With the id in the answer to the handshake."""
    async with websocket(guard(make()), "/echo") as session:
        session.send("hello")
        assert await session.receive() == "hello"
        assert session.headers.get("x-request-id") is not None


async def test_a_denial_of_the_application_carries_the_headers(make, guard) -> None:
    """It is a response like any other."""
    async with websocket(guard(make()), "/deny") as session:
        assert session.denial is not None
        assert session.denial.status == 403
        assert session.headers.get("content-security-policy") == PAGE_POLICY


async def test_head_is_answered_as_before(make, guard) -> None:
    """The framework knows how."""
    bare, guarded = await call(make(), "HEAD", "/stream"), await call(guard(make()), "HEAD", "/stream")

    assert (bare.status, bare.body) == (guarded.status, guarded.body)


async def test_the_state_of_the_lifespan_is_there(make, guard) -> None:
    """Startup and shutdown run once, and requests see what was prepared."""
    app = guard(make())

    async with lifespan(app) as state:
        response = await call(app, path="/state", state=dict(state))

    assert response.json() == {"pool": "open"}
    assert log == ["startup", "shutdown"]


async def test_a_startup_that_fails_fails(make, guard) -> None:
    """The server is told, as without the guard."""

    @asynccontextmanager
    async def broken(app: Any) -> AsyncIterator[None]:
        raise RuntimeError("no database")
        yield

    app = make()
    app.router.lifespan_context = broken

    with pytest.raises(RuntimeError, match="no database"):
        async with lifespan(guard(app)):
            pass


# errors that the framework handles


async def test_a_handled_exception_keeps_its_answer(make, guard) -> None:
    """Status, body and headers are the author's; the guard's are added."""
    bare, guarded = await call(make(), path="/refuse"), await call(guard(make()), path="/refuse")

    assert (guarded.status, guarded.body) == (bare.status, bare.body) == (418, bare.body)
    assert guarded.headers.get("x-own") == "1"
    assert guarded.headers.get("x-request-id") is not None


async def test_what_is_not_found_is_answered_by_the_framework(make, guard) -> None:
    """The guard knows no routes. FastAPI's JSON is its contract; a bare phrase is answered in the format of errors."""
    bare, guarded = await call(make(), path="/nowhere"), await call(guard(make()), path="/nowhere")

    assert guarded.status == bare.status == 404
    if bare.body == b"Not Found":
        assert guarded.json()["error"]["code"] == "NOT_FOUND"
    else:
        assert guarded.body == bare.body


async def test_a_request_that_does_not_validate_is_answered_by_fastapi(guard) -> None:
    """Its 422 is what clients know."""

    def app() -> FastAPI:
        api = FastAPI()

        @api.get("/items/{number}")
        async def item(number: int) -> int:
            return number

        @api.get("/gone")
        async def gone() -> None:
            raise HTTPException(410, {"why": "sold"})

        return api

    for path, status in (("/items/x", 422), ("/gone", 410)):
        bare, guarded = await call(app(), path=path), await call(guard(app()), path=path)
        assert (guarded.status, guarded.body) == (bare.status, bare.body) == (status, bare.body)


# errors that nobody handles


async def test_an_unhandled_exception_is_a_500_that_tells_nothing(make, guard, caplog) -> None:
    """With the id by which the log finds it, and with the headers; the server is not bothered."""
    response = await call(guard(make()), path="/crash", headers={"Accept": "text/html"})

    assert response.status == 500
    assert SECRET not in response.body.decode()
    assert "RuntimeError" not in response.body.decode()
    assert response.headers.get("x-request-id") is not None
    assert response.headers.get("x-frame-options") is not None
    assert len(caplog.records) == 1
    assert SECRET in caplog.text


async def test_added_the_guard_writes_the_500(make) -> None:
    """In the format that the client accepts, with the id in the body too."""
    response = await call(added(make()), path="/crash", headers={"Accept": "application/problem+json"})

    assert response.headers.get("content-type") == "application/problem+json"
    assert response.json()["request_id"] == response.headers.get("x-request-id")


async def test_added_the_guard_gives_an_error_of_its_tree_the_status_that_it_says(make) -> None:
    """With its code and its message."""
    response = await call(added(make()), path="/fail-by-name")

    assert (response.status, response.json()["error"]["code"]) == (404, "NO_ORDER")


async def test_wrapped_the_guard_gives_an_error_of_its_tree_the_status_that_it_says(make) -> None:
    """The 500 that the framework has sent was kept back until it raised the error."""
    response = await call(wrapped(make()), path="/fail-by-name")

    assert (response.status, response.json()["error"]["code"]) == (404, "NO_ORDER")


async def test_a_stream_that_fails_before_its_first_piece_is_a_proper_500(make, guard) -> None:
    """The start was held back; without the guard the client would get an empty 200."""
    response = await call(guard(make()), path="/fail-in-the-stream")

    assert response.status == 500
    assert response.json()["request_id"] == response.headers.get("x-request-id")


@pytest.mark.parametrize("asked_for", ["debug", "a handler for Exception", "a handler for 500"])
async def test_the_authors_word_on_errors_is_the_last(asked_for, make, guard) -> None:
    """A debug page, or a handler of the application's own: the guard steps back, and the server hears of the error."""

    async def own(request: Request, error: Exception) -> Response:
        return PlainTextResponse("our own words", 500)

    key = 500 if asked_for.endswith("500") else Exception
    settings: Any = {"debug": True} if asked_for == "debug" else {"exception_handlers": {key: own}}

    server = await StrictServer(http_scope(path="/crash"), request_messages()).serve(guard(make(**settings)))

    assert server.violation is None
    body = b"".join(message.get("body", b"") for message in server.sent).decode()
    assert server.sent[0]["status"] == 500
    assert ("our own words" in body) is (asked_for != "debug")
    assert (SECRET in body) is (asked_for == "debug")
    assert (server.error is None) is (guard is wrapped)


async def test_a_websocket_that_fails_is_closed_without_a_word(make, guard) -> None:
    """Before the accept it is denied, after it closed with 1011."""
    app = guard(make())

    async with websocket(app, "/crash-before-accepting") as session:
        assert session.denial is not None
        assert session.denial.status == 500
        assert SECRET not in session.denial.body.decode()
    async with websocket(app, "/echo") as session:
        session.send("crash")
        assert await session.receive() is None
        assert (session.close_code, session.close_reason) == (1011, "INTERNAL_ERROR")


async def test_a_websocket_that_fails_is_closed_whatever_the_author_said_of_errors(make, guard) -> None:
    """Neither debug pages nor handlers for `Exception` are asked about WebSockets."""
    for settings in ({"debug": True}, {"exception_handlers": {Exception: crash}}):
        async with websocket(guard(make(**settings)), "/echo") as session:
            session.send("crash")
            assert await session.receive() is None
            assert session.close_code == 1011


# background work


async def test_work_in_the_background_runs_after_the_answer(make, guard) -> None:
    """And still knows the request."""
    over_when_worked: list[bool] = []
    server = StrictServer(http_scope(path="/work-afterwards"), request_messages())

    class Log(list[str]):
        def append(self, text: str) -> None:
            over_when_worked.append(server.is_over)
            super().append(text)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "log", Log())
        await server.serve(guard(make()))
        assert log == [dict(server.sent[0]["headers"])[b"x-request-id"].decode()]

    server.raise_for_errors()
    assert over_when_worked == [True]


async def test_work_in_the_background_that_fails_harms_nobody(make, guard, caplog) -> None:
    """It is logged; the connection lives on."""
    response = await call(guard(make()), path="/fail-afterwards")

    assert (response.status, response.body) == (200, b"done")
    assert SECRET in caplog.text


# limits in mid-stream


class Item(BaseModel):
    """A body that FastAPI reads by itself."""

    name: str


def uploads() -> FastAPI:
    """Make an application that reads bodies in many ways."""
    api = FastAPI()

    @api.post("/model")
    async def model(item: Item) -> str:
        return item.name

    @api.post("/json")
    async def json(request: Request) -> Any:
        return await request.json()

    @api.post("/stream")
    async def stream(request: Request) -> int:
        return len([chunk async for chunk in request.stream()])

    @api.post("/bare-except")
    async def bare_except(request: Request) -> str:
        try:
            await request.body()
        except:  # noqa: E722  as some handlers are written
            return "never mind"
        return "fine"

    return api


@pytest.mark.parametrize("path", ["/model", "/json", "/stream", "/bare-except"])
async def test_a_body_that_grows_over_the_limit_is_a_413_however_it_is_read(path, guard) -> None:
    """Once, and whole; frameworks make a 400 or a 500 of an exception out of `receive`."""
    app = guard(uploads(), request_limits=RequestLimits(max_body_bytes=20))
    headers = {"Content-Type": "application/json"}

    fits = await call(app, "POST", path, headers=headers, chunks=[b'{"name":', b'"ada"}'])
    grows = await call(app, "POST", path, headers=headers, chunks=[b'{"name":', b'"ada"', b" " * 20, b"}"])

    assert fits.status == 200
    assert grows.status == 413
    assert grows.json()["error"]["code"] == "BODY_TOO_LARGE"


async def test_a_file_that_grows_over_the_limit_is_a_413(guard) -> None:
    """Also while a form is taken apart."""
    pytest.importorskip("python_multipart", reason="forms need python-multipart")
    api = FastAPI()

    @api.post("/file")
    async def file(file: Annotated[bytes, File()]) -> int:
        return len(file)

    app = guard(api, request_limits=RequestLimits(max_body_bytes=1_000))
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    fits = await call(app, "POST", "/file", headers=headers, chunks=[head, b"x" * 100, b"\r\n--b--\r\n"])
    grows = await call(app, "POST", "/file", headers=headers, chunks=[head, *[b"x" * 100] * 20, b"\r\n--b--\r\n"])

    assert (fits.status, fits.json()) == (200, 100)
    assert grows.status == 413


# dependencies


async def connection() -> AsyncIterator[str]:
    """Open something for an endpoint, and note how it was closed."""
    try:
        yield "open"
    except RuntimeError as error:
        log.append(str(error))
        raise
    finally:
        log.append("closed")


async def connection_that_breaks() -> AsyncIterator[str]:
    """Fail when it is closed."""
    yield "open"
    raise RuntimeError(SECRET)


@pytest.mark.parametrize("path", ["/fine", "/crash"])
async def test_a_dependency_is_torn_down(path, guard) -> None:
    """It sees the error of its endpoint, and no client does."""
    api = FastAPI()

    @api.get("/fine")
    async def fine(opened: Annotated[str, Depends(connection)]) -> str:
        return opened

    @api.get("/crash")
    async def fail(opened: Annotated[str, Depends(connection)]) -> str:
        raise RuntimeError(SECRET)

    response = await call(guard(api), path=path)

    assert response.status == (200 if path == "/fine" else 500)
    assert SECRET not in response.body.decode()
    assert log == (["closed"] if path == "/fine" else [SECRET, "closed"])


async def test_a_dependency_that_fails_after_the_answer_harms_nobody(guard, caplog) -> None:
    """The client has its answer; the log has the failure."""
    api = FastAPI()

    @api.get("/")
    async def fine(opened: Annotated[str, Depends(connection_that_breaks)]) -> str:
        return opened

    response = await call(guard(api))

    assert SECRET not in response.body.decode()
    assert SECRET in caplog.text


def test_a_guarded_fastapi_is_still_a_fastapi() -> None:
    """Routes can be added through the guard, and settings are read through it."""
    app = Guard(FastAPI(title="orders"))

    @app.get("/later")
    async def later() -> str:
        return "fine"

    assert app.title == "orders"
    assert "/later" in {route.path for route in app.routes}


# pages


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_pages_keep_working(path, guard) -> None:
    """They run an inline script and load one from elsewhere: `auto` has no directive that governs either."""
    response = await call(guard(FastAPI()), path=path)

    page = response.body.decode()
    assert "<script>" in page or "<script src=" in page
    policy = response.headers.get("content-security-policy") or ""
    directives = {directive.split()[0] for directive in policy.split(";")}
    assert policy == PAGE_POLICY
    assert not directives & {
        "default-src",
        "script-src",
        "script-src-elem",
        "style-src",
        "img-src",
        "connect-src",
        "sandbox",
    }
    assert "cross-origin-embedder-policy" not in dict(response.headers)


# several at once


def ids_in(response: Any) -> set[str]:
    """Return the ids that the body tells, of an endpoint or of an error."""
    return set(re.findall(r"req_[0-9a-f]{32}", response.body.decode()))


@pytest.mark.parametrize("path", ["/json", "/crash", "/fail-in-the-stream", "/refuse", "/stream"])
async def test_a_guard_around_and_one_inside_are_as_one(make, path) -> None:
    """One id, and no header twice but those of the two rate limits."""
    app = wrapped(added(make(), rate_limit="7/minute"), rate_limit="9/minute")

    response = await call(app, path=path)

    names = [name for name, _ in response.headers if not name.startswith(b"ratelimit")]
    assert len(set(names)) == len(names)
    assert ids_in(response) <= {response.headers.get("x-request-id")}


async def test_a_mounted_guard_guards_what_is_mounted(make) -> None:
    """Paths, errors and headers are those below the mount; it never sees a lifespan, and needs none."""
    app = Starlette(routes=[Mount("/api", Guard(make(), rate_limit="3/minute")), *routes()])

    inside, outside = await call(app, path="/api/stream"), await call(app, path="/stream")
    crashed = await call(app, path="/api/crash")
    last = [await call(app, path="/api/json") for _ in range(2)]

    assert inside.headers.get("x-request-id") is not None
    assert outside.headers.get("x-request-id") is None
    assert crashed.status == 500
    assert crashed.headers.get("x-request-id") is not None
    assert [response.status for response in last] == [200, 429]


@pytest.mark.parametrize("mounted", [Router(), StaticFiles(directory=".")], ids=["router", "files"])
async def test_what_a_mounted_application_has_not_is_not_found(mounted) -> None:
    """Inside an application both say so by an exception, which the application around them answers."""
    bare = Starlette(routes=[Mount("/mounted", mounted)])
    guarded = Starlette(routes=[Mount("/mounted", Guard(mounted))])

    expected, response = await call(bare, path="/mounted/nowhere"), await call(guarded, path="/mounted/nowhere")

    assert (response.status, response.body) == (expected.status, expected.body) == (404, b"Not Found")


async def test_the_author_answers_for_a_mounted_guard_what_he_has_a_handler_for() -> None:
    """By class, or by a base of it; every other exception is the guard's, and tells nothing."""

    async def raise_what_is_asked_for(request: Request) -> Response:
        raise {"own": KeyError, "other": RuntimeError}[request.path_params["which"]](SECRET)

    async def answer(request: Request, exc: Exception) -> Response:
        return PlainTextResponse("the author's word", status_code=404)

    mounted = Guard(Router([Route("/{which}", raise_what_is_asked_for)]), rate_limit=False)
    app = Starlette(routes=[Mount("/api", mounted)], exception_handlers={LookupError: answer})

    own, other = await call(app, path="/api/own"), await call(app, path="/api/other")

    assert (own.status, own.body) == (404, b"the author's word")
    assert other.status == 500
    assert SECRET.encode() not in other.body


async def test_a_guard_around_a_mounted_one_gives_the_id_to_both(make) -> None:
    """Routing between the two keeps nothing from anybody."""
    app = Guard(Starlette(routes=[Mount("/api", Guard(make(), rate_limit=False))]), rate_limit=False)

    for path in ("/api/json", "/api/fail-in-the-stream"):
        response = await call(app, path=path)
        assert response.headers.get_all("x-request-id") == list(ids_in(response))


class Tagging(BaseHTTPMiddleware):
    """Stands for the middlewares that most applications have: it looks at the state after the answer."""

    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["X-User"] = getattr(request.state, "user", "nobody")
        return response


@pytest.mark.parametrize("order", ["guard inside", "guard outside"])
async def test_a_middleware_of_the_frameworks_own_stands_beside_it(make, order) -> None:
    """Outside it still reads what the endpoint left in the state; inside it sees the id."""

    async def sign_in(request: Request) -> Response:
        request.state.user = f"ada of {request.state.request_id}"
        return PlainTextResponse("fine")

    app = make()
    app.router.routes.append(Route("/sign-in", sign_in))
    for middleware in (Tagging, Guard) if order == "guard outside" else (Guard, Tagging):
        app.add_middleware(middleware)

    response = await call(app, path="/sign-in")

    assert response.headers.get("x-user") == f"ada of {response.headers.get('x-request-id')}"


async def test_a_rate_limit_inside_the_framework_refuses_before_any_endpoint(make, guard) -> None:
    """In its own words, whatever handlers the application has."""
    app = guard(make(), rate_limit=RateLimit("1/minute"))
    await call(app, path="/work-afterwards")
    log.clear()

    response = await call(app, path="/work-afterwards")

    assert (response.status, log) == (429, [])
    assert response.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
