"""A client of an application: requests, bodies in pieces, leaving early, cookies, the lifespan; on every loop."""

from __future__ import annotations

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from asgi_guard.testing import Client, ProtocolViolation


async def mirror(scope, receive, send):
    """Answer with what came in: the method, the query, the headers, and the body piece by piece."""
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["opened"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    headers = [(b"x-" + name, value) for name, value in scope["headers"]]
    told = [(b"x-method", scope["method"].encode()), (b"x-query", scope["query_string"])]
    told += [(b"x-raw-path", scope["raw_path"]), (b"x-opened", str("opened" in scope["state"]).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": [*told, *headers]})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        if message["body"]:
            await send({"type": "http.response.body", "body": message["body"], "more_body": True})
    await send({"type": "http.response.body"})


def answering(*headers):
    """Make an application that answers with these headers."""

    async def app(scope, receive, send):
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": dict(scope["headers"]).get(b"cookie", b"none")})

    return app


async def in_pieces(*pieces):
    """Yield pieces, after a turn of the loop each."""
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        yield piece


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "body", "kind"),
    [
        ({"json": {"a": [1]}}, b'{"a": [1]}', "application/json"),
        ({"data": {"a": "1 2", "b": ["x", "y"]}}, b"a=1+2&b=x&b=y", "application/x-www-form-urlencoded"),
        ({"body": "\u00e9"}, b"\xc3\xa9", None),
        (
            {"json": 1, "headers": {"Content-Type": "application/merge-patch+json"}},
            b"1",
            "application/merge-patch+json",
        ),
    ],
    ids=["json", "form", "text", "a type of one's own"],
)
async def test_a_body_goes_with_its_type(given, body, kind) -> None:
    """One that is named is not overwritten."""
    response = await Client(mirror).post("/", **given)

    assert (response.body, response.headers.get("x-content-type")) == (body, kind)


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["get", "head", "options", "post", "put", "patch", "delete"])
async def test_each_method_has_its_word(method) -> None:
    """And the query is written from its fields."""
    response = await getattr(Client(mirror), method)("/caf\u00e9", params={"q": "a b", "n": [1, 2]})

    assert response.headers.get("x-method") == method.upper()
    assert response.headers.get("x-query") == "q=a+b&n=1&n=2"
    assert response.headers.get("x-raw-path") == "/caf%C3%A9"


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", [[b"a", b"b", b"c"], in_pieces], ids=["a list", "an async generator"])
async def test_an_upload_comes_in_the_pieces_of_its_sender(pieces) -> None:
    """Each when it is asked for, from an iterable of either kind."""
    response = await Client(mirror).post("/", body=pieces if isinstance(pieces, list) else pieces(b"a", b"b", b"c"))

    assert response.chunks == (b"a", b"b", b"c", b"")


@pytest.mark.anyio
async def test_a_piece_is_made_when_it_is_asked_for() -> None:
    """An application that stops reading is sent no more."""
    made: list[int] = []

    async def reads_one(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 413, "headers": []})
        await send({"type": "http.response.body"})

    assert (await Client(reads_one).put("/", body=(made.append(n) or b"x" for n in range(1_000)))).status == 413
    assert made == [0]


@pytest.mark.anyio
@pytest.mark.parametrize("body", [b"", [b"a"] * 100], ids=["after the request", "in the middle of an upload"])
async def test_a_client_that_leaves_is_told_of(body) -> None:
    """What was sent until then is the answer."""
    heard: list[str] = []

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        while not heard or heard[-1] != "http.disconnect":
            heard.append((await receive())["type"])

    response = await Client(endless).post("/", body=body, disconnect_after=2)

    assert (response.status, response.body) == (200, b"first")
    assert heard.count("http.request") <= 1
    assert heard[-1] == "http.disconnect"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"disconnect_after": 0}, "at least 1, not 0"),
        ({"json": 1, "data": {}}, "give one of json, data"),
        ({"data": {}, "body": b"x"}, "give one of json, data"),
    ],
)
async def test_nonsense_is_refused_before_it_is_sent(given, problem) -> None:
    """With the argument that is wrong."""
    with pytest.raises(ValueError, match=problem):
        await Client(mirror).post("/", **given)


@pytest.mark.anyio
async def test_what_the_application_raises_is_raised_as_it_is() -> None:
    """In no group, whole or streamed; and an answer that is not whole is none."""

    async def broken(scope, receive, send):
        raise LookupError("mine")

    async def half(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    with pytest.raises(LookupError, match="mine"):
        await Client(broken).get("/")
    with pytest.raises(LookupError, match="mine"):
        async with Client(broken).stream("GET", "/"):
            pass
    with pytest.raises(ProtocolViolation):
        await Client(half).get("/")


@pytest.mark.anyio
async def test_an_answer_is_read_while_it_is_written() -> None:
    """Each piece before the application makes the next; who leaves early is told of, as a browser is."""
    made: list[bytes] = []
    told: list[str] = []
    go_on = anyio.Event()

    async def ticking(scope, receive, send):
        assert (await receive())["body"] == b'{"a": 1}'
        await send({"type": "http.response.start", "status": 201, "headers": [(b"x-a", b"1")]})
        for piece in (b"one", b"", b"two"):
            made.append(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if piece == b"one":
                await go_on.wait()
        told.append((await receive())["type"])

    async with Client(ticking).stream("POST", "/", json={"a": 1}) as answer:
        assert (answer.status, answer.headers.get("x-a")) == (201, "1")
        assert await answer.chunk() == b"one"
        assert made == [b"one"]
        go_on.set()
        assert await answer.chunk() == b"two"

    assert told == ["http.disconnect"]


@pytest.mark.anyio
async def test_a_stream_ends_where_its_body_does() -> None:
    """Read at once, piece by piece, or once more when nothing is left."""
    async with Client(mirror).stream("POST", "/", body="ab") as answer:
        assert [piece async for piece in answer] == [b"ab"]
        assert (await answer.chunk(), await answer.read()) == (None, b"")
    async with Client(mirror).stream("POST", "/", body=b"cd") as answer:
        assert await answer.read() == b"cd"


@pytest.mark.anyio
async def test_who_does_not_answer_in_time_is_given_up() -> None:
    """Whole or streamed; the application is cancelled."""
    client = Client(lambda *_: anyio.sleep_forever(), timeout_seconds=0.01)

    with pytest.raises(TimeoutError):
        await client.get("/")
    with pytest.raises(TimeoutError):
        async with client.stream("GET", "/"):
            pass


@pytest.mark.anyio
async def test_the_state_of_the_lifespan_is_that_of_each_request() -> None:
    """Within the block; without one there is no startup."""
    client = Client(mirror)
    async with client:
        within = await client.get("/")
    after = await client.get("/")

    assert [response.headers.get("x-opened") for response in (within, after)] == ["True", "False"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("session=abc; Path=/; HttpOnly; SameSite=Lax", "old=1; session=abc"),
        ('prefs={"theme": "dark"}; Path=/', 'old=1; prefs={"theme": "dark"}'),
        ('quoted="a b"', 'old=1; quoted="a b"'),
        ("a=b=c", "old=1; a=b=c"),
        ("old=2; Max-Age=60", "old=2"),
        ("old=; Path=/", "none"),
        ("old=2; max-age=0", "none"),
        ("old=2; Max-Age=-1", "none"),
        ("old=2; Max-Age=soon", "old=2"),
        ("no pair", "old=1"),
        ("=value", "old=1"),
    ],
)
async def test_cookies_are_kept_as_a_browser_keeps_them(line, sent) -> None:
    """Sent back as they came, quotes and all; Max-Age=0 and an empty value take one away."""
    client = Client(answering(("set-cookie", line)), cookies={"old": "1"})

    await client.get("/")

    assert (await Client(answering(), cookies=client.cookies).get("/")).body.decode() == sent


@pytest.mark.anyio
async def test_cookies_are_bounded_and_give_way_to_a_header_of_ones_own() -> None:
    """The last 200 are kept; what a request names itself is sent instead."""
    client = Client(answering(*(("set-cookie", f"c{n}=1") for n in range(250))))

    await client.get("/")

    assert list(client.cookies) == [f"c{n}" for n in range(50, 250)]
    assert (await client.get("/", headers={"Cookie": "mine=1"})).body == b"mine=1"


@pytest.mark.anyio
async def test_headers_and_scope_of_every_request() -> None:
    """Those of one request come before those of the client; a WebSocket has the scheme that belongs to it."""
    seen: list[tuple[str, str, object]] = []

    async def accepting(scope, receive, send):
        if scope["type"] == "websocket":
            seen.append((scope["scheme"], dict(scope["headers"])[b"cookie"].decode(), scope["client"]))
            await send({"type": "websocket.accept"})
            return
        await mirror(scope, receive, send)

    client = Client(accepting, headers={"X": "1", "Y": "1"}, cookies={"a": "b"}, scheme="https", client=("::1", 9))
    response = await client.get("/", headers={"x": "2"})
    async with client.websocket("/chat"):
        pass

    assert (response.headers.get_all("x-x"), response.headers.get_all("x-y")) == (["2"], ["1"])
    assert seen == [("wss", "a=b", ("::1", 9))]


UPLOADS = {
    "content": (b"\x00\r\n--x", ("f", "application/octet-stream", b"\x00\r\n--x")),
    "text": ("h\u00e9", ("f", "application/octet-stream", "h\u00e9".encode())),
    "named": (("a.csv", b"1,2"), ("a.csv", "application/octet-stream", b"1,2")),
    "typed": (("a.csv", "1,2", "text/csv"), ("a.csv", "text/csv", b"1,2")),
    "a name that breaks out": (('a"\r\nX: y', b""), ("a%22%0D%0AX: y", "application/octet-stream", b"")),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("upload", "expected"), UPLOADS.values(), ids=UPLOADS)
async def test_an_upload_arrives_beside_the_fields_of_its_form(upload, expected) -> None:
    """As a framework reads it, whatever is in it."""

    async def take(request: Request) -> JSONResponse:
        async with request.form() as form:
            upload = form["f"]
            found = [upload.filename, upload.content_type, (await upload.read()).hex(), form.getlist("tag")]
        return JSONResponse(found)

    client = Client(Starlette(routes=[Route("/", take, methods=["POST"])]))
    response = await client.post("/", data={"tag": ["a", "b"]}, files={"f": upload})

    name, kind, content = expected
    assert response.json() == [name, kind, content.hex(), ["a", "b"]]


@pytest.mark.anyio
@pytest.mark.parametrize("upload", [5, None, (5, b""), ("a", 5), ("a",), (), {}], ids=str)
async def test_what_is_no_upload_is_refused(upload) -> None:
    """With the field that it is in."""
    with pytest.raises(TypeError, match=r"files\['f'\] must be bytes"):
        await Client(mirror).post("/", files={"f": upload})


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("option", "remedy"),
    [
        ("jsn", "Did you mean 'json'?"),
        ("content", "Did you mean 'body'?"),
        ("follow_redirects", "No redirect is followed."),
        ("tenant", "goes into extensions"),
    ],
)
async def test_an_option_that_there_is_not_is_refused(option: str, remedy: str) -> None:
    """It would go into the scope, where nobody looks for it."""
    with pytest.raises(TypeError, match=f"there is no option '{option}'. .*{remedy.replace('?', '[?]')}"):
        await Client(mirror).get("/", **{option: "1"})
    with pytest.raises(TypeError, match="there is no option"):
        Client(mirror, **{option: "1"})
    with pytest.raises(TypeError, match="there is no option"):
        async with Client(mirror).websocket("/", **{option: "1"}):
            pass
