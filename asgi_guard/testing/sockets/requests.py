"""Requests and responses over a socket: what comes through a server, a middleware and back."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

from asgi_guard.testing.sockets.application import CHUNK, DOWNLOAD_CHUNKS, ENDLESS_CHUNKS
from asgi_guard.testing.sockets.connection import Answer, BrokenOffError
from asgi_guard.testing.sockets.rule import SocketRule, expect, fresh, socket_rule
from asgi_guard.testing.sockets.servers import Served

_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_SECRET = b"a secret of the application"


# The way in -----------------------------------------------------------------------------------------------------------


@socket_rule(801)
def _repeated_headers_reach_the_application(served: Served) -> None:
    """A proxy chain writes line by line: joined or re-ordered, the lines lie."""
    lines = b"X-Forwarded-By: 2\r\nCookie: a=1\r\nX-Forwarded-By: 1\r\nX-Forwarded-By: 2\r\n"
    told = served.ask("GET", "/scope", lines).json()
    values = [value for name, value in told["headers"] if name == "x-forwarded-by"]
    expect(values == ["2", "1", "2"], f"the application saw {told['headers']}")


@socket_rule(802)
def _the_lifespan_and_its_state_reach_the_application(served: Served) -> None:
    """Without its lifespan an application has no database; without its state, what it put there is lost."""
    told = served.ask("GET", "/scope").json()
    expect(told["lifespan"] == ["lifespan.startup"], f"the application received {told['lifespan']}")
    expect(told["state"] == "kept", f"the state has {told['state']!r}")


@socket_rule(803)
def _odd_requests_do_no_harm(served: Served) -> None:
    """Whatever anybody may send is served or refused: an error of the server's is a page that somebody can break."""
    for request in _ODD_REQUESTS:
        with served.connection() as connection:
            connection.send(request.replace(b"\n", b"\r\n" + served.headers, 1).replace(b"\r\r\n", b"\r\n"))
            try:
                status = connection.response().status
            except (BrokenOffError, ConnectionError):
                continue  # refused without a word
        expect(status < 500, f"{request[:60]!r} was answered with {status}")


_ODD_REQUESTS = (
    b"GET /hello HTTP/1.0\n\r\n",
    b"GET /hello HTTP/1.1\nConnection: close\r\n\r\n",
    b"GET /hello HTTP/1.1\nHost:\r\nConnection: close\r\n\r\n",
    b"GET /hello HTTP/1.1\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    b"GET /hello HTTP/1.1\nHost: a/b@c\r\nConnection: close\r\n\r\n",
    b"GET http://other.example/hello HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"GET /hello?%00=%ff HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"GET //a/../%00%0a HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"FOO /hello HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"get /hello HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"OPTIONS * HTTP/1.1\nHost: testserver\r\nConnection: close\r\n\r\n",
    b"GET /hello HTTP/1.1\nHost: testserver\r\nX-Request-ID: a\x01b\xff\r\nConnection: close\r\n\r\n",
    b"GET /hello HTTP/1.1\nHost: testserver\r\nX_Forwarded_For: 1\r\nForwarded: ;;=\r\nConnection: close\r\n\r\n",
    b"POST /upload HTTP/1.1\nHost: testserver\r\nContent-Length: 1_0\r\nConnection: close\r\n\r\n0123456789",
    b"POST /upload HTTP/1.1\nHost: testserver\r\nContent-Length: abc\r\nConnection: close\r\n\r\n",
)


@socket_rule(804)
def _an_upload_arrives_whole(served: Served) -> None:
    """Every byte, however it is cut."""
    body = CHUNK * 8
    chunked = b"".join(_chunk(body[start : start + 9_999]) for start in range(0, len(body), 9_999)) + b"0\r\n\r\n"
    with served.connection() as connection:
        connection.send(served.request("POST", "/upload", body=body))
        whole = connection.response()
        connection.send(served.request("POST", "/upload", _CHUNKED) + chunked)
        pieces = connection.response()
    for answer in (whole, pieces):
        expect(answer.status == 200, f"status {answer.status}")
        expect(answer.json()["digest"] == sha256(body).hexdigest(), f"the application read {answer.json()}")


@socket_rule(805)
def _an_upload_reaches_the_application_as_it_comes(served: Served) -> None:
    """What is held until the end costs the memory of the whole, and a conversation never begins."""
    with served.connection() as connection:
        connection.send(served.request("POST", "/echo", _CHUNKED))
        for number, data in enumerate((b"one", b"two", b"three")):
            connection.send(_chunk(data))
            if not number:
                connection.head()
            got = b""
            while len(got) < len(data) and (piece := connection.chunk()):
                got += piece
            expect(got == data, f"of {data!r} came {got!r}")
        connection.send(_chunk(b""))
        expect(connection.chunk() == b"", "the response does not end with the request")


@socket_rule(806)
def _half_an_upload_is_not_a_whole_one(served: Served) -> None:
    """Half a file that looks whole is stored, or paid for."""
    query = fresh()
    with served.connection() as connection:
        connection.send(served.request("POST", f"/upload?{query}", _CHUNKED) + _chunk(b"half"))
        served.eventually(lambda: len(served.seen(query)) > 1)
        connection.leave()
    served.eventually(lambda: ["http.disconnect", False] in served.seen(query))
    notes = served.seen(query)
    expect(["http.request", False] not in notes, f"the application read {notes}")
    expect(["http.disconnect", False] in notes or notes == [], f"the application read {notes}")


@socket_rule(807)
def _nobody_is_asked_for_a_body_that_nobody_reads(served: Served) -> None:
    """Whoever waits for `100 Continue` gets the answer instead, and uploads nothing."""
    with served.connection() as connection:
        connection.send(served.request("POST", "/hello", b"Expect: 100-continue\r\nContent-Length: 5\r\n"))
        answer = connection.response()
    expect((answer.status, answer.informational) == (200, []), f"status {answer.status}, {answer.informational} before")


@socket_rule(808)
def _the_application_sees_that_the_client_has_left(served: Served) -> None:
    """Whoever does not, works for nobody."""
    query = fresh()
    with served.connection() as connection:
        connection.send(served.request("GET", f"/wait?{query}"))
        connection.head()
        connection.leave()
    gone = served.eventually(lambda: "http.disconnect" in served.seen(query))
    expect(gone, f"the application received {served.seen(query)}")


@socket_rule(809)
def _after_the_response_it_is_disconnect(served: Served) -> None:
    """An application that listens for its client must not listen for ever."""
    query = fresh()
    with served.connection() as connection:
        connection.send(served.request("GET", f"/afterwards?{query}"))
        connection.response()
        gone = served.eventually(lambda: "http.disconnect" in served.seen(query))
    expect(gone, "on a connection that stays open the application received nothing")


# The way out ----------------------------------------------------------------------------------------------------------


@socket_rule(811)
def _connections_live_on(served: Served) -> None:
    """Each response ends where the next begins, also when nobody waits for the one to ask for the other."""
    with served.connection() as connection:
        heads: set[int] = set()
        for _ in range(20):
            connection.send(served.request("GET", "/hello"))
            answer = connection.response()
            heads.add(len(answer.headers))
            _expect_hello(answer)
        expect(len(heads) == 1, f"over equal requests the number of headers was {sorted(heads)}")
        connection.send(served.request("GET", "/hello") * 3)
        for _ in range(3):
            _expect_hello(connection.response())


@socket_rule(812)
def _a_start_may_come_without_headers(served: Served) -> None:
    """The key is optional."""
    _expect_hello(served.ask("GET", "/no-headers", b"Connection: close\r\n"))


@socket_rule(813)
def _header_lines_arrive_as_they_were(served: Served) -> None:
    """Two cookies on one line are one broken cookie."""
    answer = served.ask("GET", "/lines")
    expect(answer.lines(b"set-cookie") == [b"a=1", b"b=2"], f"Set-Cookie was {answer.lines(b'set-cookie')}")
    expect(answer.lines(b"x-app") == [b"1", b"2"], f"X-App was {answer.lines(b'x-app')}")
    vary = [member.strip().lower() for line in answer.lines(b"vary") for member in line.split(b",")]
    expect(vary.count(b"accept") == 1, f"Vary was {vary}")
    for name in (b"content-type", b"content-length", b"date"):
        expect(len(answer.lines(name)) <= 1, f"{name!r} came {len(answer.lines(name))} times")


@socket_rule(814)
def _bodiless_responses_stay_bodiless(served: Served) -> None:
    """What comes after 204, 304 and HEAD is read as the next response."""
    with served.connection() as connection:
        for method, path, status in (
            ("GET", "/no-content", 204),
            ("GET", "/not-modified", 304),
            ("HEAD", "/hello", 200),
        ):
            connection.send(served.request(method, path))
            answer = connection.response(is_head=method == "HEAD")
            expect(answer.status == status, f"{method} {path}: {answer.status}")
            connection.send(served.request("GET", "/hello"))
            _expect_hello(connection.response())


@socket_rule(815)
def _chunks_are_sent_as_they_come(served: Served) -> None:
    """An event is of use now."""
    with served.connection() as connection:
        connection.send(served.request("GET", "/stream"))
        connection.head()
        expect(connection.chunk() == b"first", "the first chunk is another")
        began = time.monotonic()
        expect(connection.chunk() == b"second", "the second chunk is another")
    expect(time.monotonic() - began > 0.2, "the first chunk waited for the second")


@socket_rule(816)
def _a_download_arrives_whole(served: Served) -> None:
    """Every byte."""
    answer = served.ask("GET", "/download")
    expect(answer.is_whole and answer.body == CHUNK * DOWNLOAD_CHUNKS, f"{len(answer.body)} bytes arrived")


@socket_rule(817)
def _a_slow_client_slows_the_application_down(served: Served) -> None:
    """Otherwise whoever reads slowly makes the server hold the whole response in memory."""
    query = fresh()
    with served.connection() as connection:
        connection.send(served.request("GET", f"/endless?{query}"))
        connection.head()
        counts = [-1]
        while not (counts[-1] > 0 and counts[-1] == counts[-2]) and len(counts) < 20:
            time.sleep(0.1)
            counts.append((served.seen(query) or [0])[0])
    expect(counts[-1] < ENDLESS_CHUNKS - 1, f"all {ENDLESS_CHUNKS * len(CHUNK):,} bytes were taken, and none was read")


@socket_rule(818)
def _requests_do_not_mix(served: Served) -> None:
    """One user's data in another's response."""

    def upload(number: int) -> bool:
        body = b"%d." % number * 1_000
        answer = served.ask("POST", "/upload", body=body)
        return bool(answer.json() == {"size": len(body), "digest": sha256(body).hexdigest()})

    with ThreadPoolExecutor(8) as pool:
        expect(all(pool.map(upload, range(40))), "an answer was that of another request")


@socket_rule(819)
def _a_split_header_never_reaches_the_wire(served: Served) -> None:
    """A line break in a value begins a header, or a response, of the attacker's."""
    answer = _whatever(served, "/split")
    expect(not answer or not answer.lines(b"x-injected"), "the second line is a header")


@socket_rule(820)
def _more_than_content_length_is_never_sent(served: Served) -> None:
    """What is left over is read as the next response."""
    with served.connection() as connection:
        connection.send(served.request("GET", "/too-long"))
        try:
            answer = connection.response()
            connection.send(served.request("GET", "/hello"))
            following = connection.stream.read(8)
        except (BrokenOffError, ConnectionError):
            return  # broken off: nothing is left over
    expect(following in {b"", b"HTTP/1.1"}, f"after {answer.body!r} came {following!r}")


@socket_rule(821)
def _a_second_start_is_no_second_response(served: Served) -> None:
    """Two responses to one request are read as the answer to the next."""
    with served.connection() as connection:
        connection.send(served.request("GET", "/twice", b"Connection: close\r\n"))
        try:
            whole = connection.stream.read()
        except ConnectionError:
            return
    expect(whole.count(b"HTTP/1.1 ") <= 1, f"{whole.count(b'HTTP/1.1 ')} responses came")


# What fails -----------------------------------------------------------------------------------------------------------


@socket_rule(831)
def _an_error_before_the_start_is_answered(served: Served) -> None:
    """Quickly, and without a word of what it was."""
    answer = served.ask("GET", "/early")
    expect(answer.status >= 500, f"status {answer.status}")
    expect(_SECRET not in answer.body and b"Traceback" not in answer.body, "the answer tells what went wrong")


@socket_rule(832)
def _an_error_after_the_start_is_seen(served: Served) -> None:
    """By the client: the response is an error, or breaks off; it is never a whole 200."""
    answer = _whatever(served, "/late")
    expect(answer is None or answer.status >= 500 or not answer.is_whole, f"{answer}")


@socket_rule(833)
def _an_error_after_a_chunk_breaks_off(served: Served) -> None:
    """Whoever takes what came for the whole would be wrong."""
    answer = _whatever(served, "/broken")
    expect(answer is None or not answer.is_whole, f"it looks whole: {answer}")


@socket_rule(834)
def _an_error_after_the_end_is_not_seen(served: Served) -> None:
    """What failed was work in the background; the client has its answer."""
    _expect_hello(served.ask("GET", "/after-the-end"))
    _expect_hello(served.ask("GET", "/hello"))


@socket_rule(835)
def _silence_is_answered(served: Served) -> None:
    """A client that waits for nothing holds a connection for nothing."""
    expect(served.ask("GET", "/silent").status >= 500, "silence was a success")


@socket_rule(836)
def _work_after_the_response_is_done(served: Served) -> None:
    """The client does not wait for it, and it is not cut off."""
    query = fresh()
    _expect_hello(served.ask("GET", f"/background?{query}"))
    expect("worked" not in served.seen(query), "the client waited for the work after the response")
    expect(served.eventually(lambda: "worked" in served.seen(query)), "the work was not done")


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _whatever(served: Served, path: str) -> Answer | None:
    """Ask for a response that may break off, and return what came of it."""
    try:
        return served.ask("GET", path)
    except (BrokenOffError, ConnectionError):
        return None


def _expect_hello(answer: Answer) -> None:
    expect((answer.status, answer.body) == (200, b"hello"), f"the client got {answer.status} with {answer.body[:80]!r}")


RULES: tuple[SocketRule, ...] = tuple(value for value in globals().values() if isinstance(value, SocketRule))
