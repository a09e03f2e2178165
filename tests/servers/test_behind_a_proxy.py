"""The first hour: `Guard(app)`, told nothing, under each server as its documentation starts it, behind a proxy or none.

The proxy is on the same machine and adds `X-Forwarded-For`, as nearly every guide has it; nobody has told the guard.
Two hundred users come through it, each from an address of its own. Servers differ in what they make of that:

| server                                | who the client is, for the guard  | so that the default rate limit   |
|---------------------------------------|-----------------------------------|----------------------------------|
| uvicorn, and gunicorn with its worker | the user: it believes its machine | holds for each user              |
| hypercorn, granian, daphne, gunicorn  | the proxy                         | holds for nobody, and is shadow  |

A line of the log says so, once. Whatever the server, nothing benign is refused, and nothing is held back.
"""

from __future__ import annotations

import hashlib
import http.client
import itertools
import json
import os
import shutil
import socket
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from websockets.sync.client import connect

from asgi_guard.demo.server import serving as demo_serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere, loopback has one address, not many")

TIMEOUT_SECONDS = 20
TOO_LARGE = 413
USERS = 200
LIMIT = 100
BLOCK_BYTES, BLOCKS = 65_536, 800
ROOM_BYTES = 16 * 2**20
SECRETS = ("ledger", "LookupError", "Traceback", "application.py")
PROBES = ("/health", "/livez", "/readyz")
PAGES = ("/metrics", "/performance/summary", "/dashboard", "/docs", "/asgi-guard")

SERVERS = {
    "uvicorn": "uvicorn application:guarded --port {port}",
    "uvicorn-h11": "uvicorn application:guarded --port {port} --http h11",
    "hypercorn": "hypercorn application:guarded --bind 127.0.0.1:{port}",
    "granian": "granian --interface asgi application:guarded --port {port}",
    "daphne": "daphne application:guarded --port {port}",
    "gunicorn": "gunicorn application:guarded --worker-class asgi --bind 127.0.0.1:{port}",
    "gunicorn-uvicorn": "gunicorn application:guarded -k uvicorn_worker.UvicornWorker --bind 127.0.0.1:{port}",
}
MODULES = {"uvicorn-h11": "h11", "gunicorn-uvicorn": "uvicorn_worker"}
FIND_THE_USER = {"uvicorn", "uvicorn-h11", "gunicorn-uvicorn"}
TAKES_ALL = "daphne"  # it takes what it is sent, whether or not somebody reads; without the guard, as much

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
NGINX_SAYS = """
daemon off; master_process off; pid nginx.pid; error_log stderr error;
events {}
http {
    access_log off; client_max_body_size 0;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fast; uwsgi_temp_path u; scgi_temp_path s;
    set_real_ip_from 127.0.0.0/8; real_ip_header X-User-Address;
    map $http_upgrade $connection_upgrade { default upgrade; '' close; }
    server {
        listen 127.0.0.1:{port};
        location / {
            proxy_pass http://127.0.0.1:{server_port};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-User-Address "";
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }
    }
}
"""

# Where it is asked ----------------------------------------------------------------------------------------------------


def case(server, way):
    """Name a server and what stands before it; the usual one is always tried, and the others where there is time."""
    is_installed = find_spec(MODULES.get(server, server)) is not None and (way != "nginx" or NGINX)
    missing = pytest.mark.skipif(not is_installed, reason=f"{server} or {way} is not installed")
    marks = [missing] if (server, way) in DEFAULT else [missing, pytest.mark.slow]
    return pytest.param((server, way), id=f"{server}-{way}", marks=marks)


DEFAULT = [("uvicorn", "proxy"), ("hypercorn", "proxy"), ("uvicorn", "direct")]
WAYS = [case(server, way) for way in ("proxy", "nginx", "direct") for server in SERVERS]


class Site:
    """What users reach: a server, or the proxy before it."""

    def __init__(self, server, way, process, front):
        self.server, self.way, self.process, self.port = server, way, process, front.port
        self.is_proxied = way != "direct"
        self.finds_the_user = server in FIND_THE_USER
        self._addresses = (f"93.184.{number // 250}.{number % 250 + 1}" for number in itertools.count())

    def user(self):
        """Return a user that has not asked before: where it is, and, without a proxy, where it asks from."""
        address = next(self._addresses)
        return address if self.is_proxied else address.replace("93.184", "127.184")

    @contextmanager
    def socket(self, user):
        """Connect as a user."""
        source = None if self.is_proxied else (user, 0)
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_SECONDS, source) as connection:
            yield connection

    @contextmanager
    def asking(self, request, user):
        """Send a request as a user, and hand out the response, of which the head has come."""
        with self.socket(user) as connection:
            connection.sendall(written(request, user if self.is_proxied else None))
            response = http.client.HTTPResponse(connection, method=request.get("method", "GET"))
            response.begin()
            yield response

    def ask(self, request, user=None):
        """Send a request, and return status, head and body of the answer."""
        with self.asking(request, user or self.user()) as response:
            return response.status, response.headers, response.read()


@pytest.fixture(scope="module", params=WAYS)
def site(request, serving):
    """Serve the guarded application in one of the ways."""
    server, way = request.param
    with serving("{python} -m " + SERVERS[server]) as process:
        if way == "direct":
            yield Site(server, way, process, process)
            return
        with before(way, process.port, serving) as front:
            yield Site(server, way, process, front)


def before(way, server_port, serving):
    """Put a proxy before a server."""
    if way == "nginx":
        settings = NGINX_SAYS.replace("{server_port}", str(server_port))
        return serving(f"{NGINX} -p . -c nginx.conf -e stderr", files={"nginx.conf": settings})
    return serving(f"{{python}} {{here}}/small_proxy.py {{port}} {server_port}")


# What users ask -------------------------------------------------------------------------------------------------------


def corpus():
    """Read the benign requests, each of a group by each client of that group."""
    path = Path(__file__).parents[1] / "data" / "benign.json"
    read = json.loads(path.read_text(encoding="utf-8"))
    for group, requests in read["requests"].items():
        clients = read["clients"].get(group, {"nobody": []})
        for (client, headers), request in itertools.product(clients.items(), requests):
            own = {name.lower() for name, _ in request.get("headers", [])}
            usual = [header for header in headers if header[0].lower() not in own]
            yield {**request, "client": client, "headers": [*usual, *request.get("headers", [])]}


def body_of(request):
    """Return the bytes of a request's body; None where it has none."""
    return request["body"].encode() * request.get("times", 1) if "body" in request else None


def written(request, user):
    """Write a request as it stands on the wire."""
    body = body_of(request)
    lines = [f"{request.get('method', 'GET')} {request['target']} HTTP/{request.get('version', '1.1')}"]
    lines += [f"Host: {request.get('host', 'shop.example')}"]
    lines += [f"{name}: {value}" for name, value in request.get("headers", [])]
    lines += [f"X-User-Address: {user}"] if user else []
    if size := request.get("chunks"):
        lines.append("Transfer-Encoding: chunked")
        chunks = [body[at : at + size] for at in range(0, len(body), size)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


CORPUS = list(corpus())


def test_the_corpus_is_worth_the_name():
    """Some hundred requests, all different, by a dozen kinds of clients."""
    assert len({written(request, None) for request in CORPUS}) == len(CORPUS) > 200
    assert len({request["client"] for request in CORPUS}) > 10


# What must not be refused ---------------------------------------------------------------------------------------------


def test_no_benign_request_is_refused(site):
    """By two hundred users, within a minute; and what they send arrives whole. Only what cannot be looked at is not."""
    users = [site.user() for _ in range(USERS)]
    wrong = []
    for request, user in zip(CORPUS, itertools.cycle(users)):
        if request.get("refused") == TOO_LARGE and site.is_proxied:
            # Servers close the connection upon it; a proxy that is still sending may tell of that instead.
            with suppress(http.client.RemoteDisconnected, ConnectionError):
                assert site.ask(request, user)[0] in {TOO_LARGE, 502}
            continue
        status, headers, body = site.ask(request, user)
        sent = hashlib.sha256(body_of(request) or b"").hexdigest()
        arrived = json.loads(body)["sha256"] if body and status == 200 else sent
        if (status, arrived) != (request.get("refused", 200), sent) or "x-request-id" not in headers:
            wrong.append((status, request["client"], request["target"], body))

    assert wrong == []


def test_two_hundred_users_share_no_limit(site):
    """Twice as many requests as one client may make; where the server finds each user, each has a limit of its own."""
    answers = [site.ask({"target": "/"}) for _ in range(USERS)]

    assert Counter(status for status, _, _ in answers) == {200: USERS}
    if site.finds_the_user or not site.is_proxied:
        assert {headers["ratelimit"].split(";")[1] for _, headers, _ in answers} == {f"r={LIMIT - 1}"}


def test_one_user_who_asks_too_often_is_refused_where_it_can_be_told(site):
    """Elsewhere nobody is: it would be everybody."""
    user, refused = site.user(), 10
    statuses = Counter(site.ask({"target": "/"}, user)[0] for _ in range(LIMIT + refused))

    if site.finds_the_user or not site.is_proxied:
        assert statuses == {200: LIMIT, 429: refused}
        assert site.ask({"target": "/"})[0] == 200
    else:
        assert statuses == {200: LIMIT + refused}


def test_what_a_user_writes_into_the_header_buys_no_limit(site):
    """The proxy appends to it, and what stands to the left of that counts for nothing."""
    if not site.is_proxied:
        pytest.skip("there is no proxy that would append")
    user = site.user()
    said = [[("X-Forwarded-For", f"198.51.{number}.1")] for number in range(LIMIT + 5)]
    statuses = Counter(site.ask({"target": "/", "headers": headers}, user)[0] for headers in said)

    assert statuses == ({200: LIMIT, 429: 5} if site.finds_the_user else {200: LIMIT + 5})


def test_a_websocket_is_accepted(site):
    """And is asked by whom the server says."""
    user = site.user()
    headers = {"X-User-Address": user} if site.is_proxied else {}
    with (
        site.socket(user) as connection,
        connect("ws://shop.example/chat", sock=connection, additional_headers=headers, proxy=None) as session,
    ):
        client = json.loads(session.recv(timeout=TIMEOUT_SECONDS))["client"]
        session.send("hello")
        assert session.recv(timeout=TIMEOUT_SECONDS) == "hello"
    assert client == (user if site.finds_the_user or not site.is_proxied else "127.0.0.1")


# What must not be held back -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "first", "second"), [
    ("/events", b"data: 1\n\n", b"data: 2\n\n"),
    ("/lines", b'{"row": 1}\n', b'{"row": 2}\n'),
])  # fmt: skip
def test_the_first_part_of_a_stream_arrives_before_the_second_is_made(site, path, first, second):
    """The application waits with the second until somebody who has read the first asks for it."""
    user = site.user()
    with site.asking({"target": f"{path}?{user}"}, user) as response:
        assert response.status == 200
        assert response.read1(len(first)) == first
        assert site.ask({"target": f"/go-on?{user}"})[0] == 200
        assert response.read() == second


def test_a_large_download_arrives_whole_and_takes_no_memory(site):
    """Fifty megabytes to a client that takes its time: the server never has more than a few of them."""
    assert site.ask({"target": "/"})[0] == 200
    before = site.process.peak_bytes
    with site.asking({"target": "/large"}, site.user()) as response:
        digest = hashlib.sha256(response.read(BLOCK_BYTES))
        for _ in range(20):  # while it waits
            assert site.ask({"target": "/"})[0] == 200
        while data := response.read(BLOCK_BYTES):
            digest.update(data)

    assert digest.hexdigest() == large()
    assert site.process.peak_bytes - before < ROOM_BYTES or site.server == TAKES_ALL


def large():
    """Make the digest of the download."""
    digest, rest = hashlib.sha256(), (bytes(range(256)) * 256)[4:]
    for number in range(BLOCKS):
        digest.update(number.to_bytes(4, "big") + rest)
    return digest.hexdigest()


# What must not be told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/fails", "/fails-late"])
@pytest.mark.parametrize("accepted", ["application/json", "text/html", "text/plain"])
def test_an_exception_tells_the_client_nothing(site, path, accepted):
    """But for an id, under which the log has it."""
    status, headers, body = site.ask({"target": path, "headers": [("Accept", accepted)]})
    shown = f"{headers}{body.decode()}"

    assert (status, headers["content-type"].partition(";")[0]) == (500, accepted)
    assert [secret for secret in SECRETS if secret in shown] == []
    assert headers["x-request-id"] in body.decode()
    assert headers["x-request-id"] in site.process.said


@pytest.mark.parametrize("probe", PROBES)
def test_a_probe_learns_that_it_works(site, probe):
    """And nothing else, though it comes from this machine."""
    status, _, body = site.ask({"target": probe})

    assert (status, json.loads(body)) == (200, {"status": "pass"})


@pytest.mark.parametrize("page", PAGES)
def test_no_other_page_is_the_guards(site, page):
    """Whatever else is asked for, the application answers."""
    status, _, body = site.ask({"target": page})

    assert (status, json.loads(body)["path"]) == (200, page)


# What the log says ----------------------------------------------------------------------------------------------------


def test_one_line_of_the_log_is_about_the_proxy(site):
    """It names the setting, with the address of the proxy and of nobody else; without a proxy there is no such line."""
    for user in (site.user(), "10.1.2.3" if site.is_proxied else site.user(), site.user()):
        assert site.ask({"target": "/"}, user)[0] == 200
    lines = [line for line in site.process.said.splitlines() if "client_address" in line and "is refused" not in line]

    assert len(lines) == site.is_proxied, lines
    for line in lines:
        assert "client_address=['127.0.0.1']" in line
        assert ("--no-proxy-headers" in line) == site.finds_the_user


# Where it is declared -------------------------------------------------------------------------------------------------

RUN = [
    pytest.param(server, marks=[pytest.mark.slow] if server != "uvicorn" else [])
    for server in ("uvicorn", "hypercorn", "granian", "gunicorn", "daphne")
]


@pytest.mark.long
@pytest.mark.parametrize("server", RUN)
def test_run_leaves_it_to_the_guard_to_find_the_user(serving, server):
    """Told of the proxy, the guard limits each user under every server; the application sees the proxy."""
    if find_spec(server) is None:
        pytest.skip(f"{server} is not installed")
    command = f"{{python}} -m asgi_guard run application:app --server {server} --port {{port}} --config guard.toml"
    settings = 'rate_limit = "3/hour"\nclient_address = ["127.0.0.1"]\n'
    with (
        serving(command, files={"guard.toml": settings}) as process,
        before("proxy", process.port, serving) as front,
    ):
        site = Site(f"run {server}", "proxy", process, front)
        user = site.user()
        answers = [site.ask({"target": "/"}, user) for _ in range(4)]
        assert [status for status, _, _ in answers] == [200, 200, 200, 429]
        assert json.loads(answers[0][2])["client"] == "127.0.0.1"
        assert site.ask({"target": "/"})[0] == 200
        assert "no trusted proxy" not in process.said


def test_the_demo_believes_nobody():
    """Its server leaves forwarding headers alone."""
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["client"][0], scope["scheme"]))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with demo_serving("127.0.0.1", (app, 0)) as (port,):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
        connection.request("GET", "/", headers={"X-Forwarded-For": "93.184.0.1", "X-Forwarded-Proto": "https"})
        assert connection.getresponse().read() == b""
        connection.close()

    assert seen == [("127.0.0.1", "http")]
