"""Webhooks: signed, tried again where that may help, and never in anybody's way; against real servers on free ports."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import pytest

from asgi_guard.errors import ConfigError
from asgi_guard.testing import ManualClock
from asgi_guard.watch.alert_events import AlertFired
from asgi_guard.watch.webhook import Webhook, verify

NOW = 1_700_000_000
RAW = b"thirty-two bytes that are secret"
SECRET = "whsec_" + base64.b64encode(RAW).decode()
EVENT = AlertFired(
    name="errors",
    signal="error_rate",
    severity="critical",
    value=7.25,
    threshold=5.0,
    unit="%",
    message="error_rate is 7.25 %, over 5 %",
    time=NOW - 1.5,
)

Answer = tuple[int, dict[str, str]]


class Receiver:
    """A server that answers by a list, and then 204; and remembers what it was sent."""

    def __init__(self, *answers: int | Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answers = [answer if isinstance(answer, tuple) else (answer, {}) for answer in answers]
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port

    def __enter__(self) -> Self:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def serving(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve connections one after the other by a function that is given each; yield the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


class Waits(list):
    """The seconds that were waited, on a clock that is moved by them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock(NOW)

    def wait(self, seconds: float) -> None:
        """Let them pass."""
        self.append(seconds)
        self.clock.advance(seconds)


def webhook_to(port: int, waits: Waits | None = None, **fields) -> Webhook:
    """Make a webhook to this machine that waits for nothing really, with the longest jitter."""
    waits = Waits() if waits is None else waits
    given = {"secret": SECRET, "clock": waits.clock, "sleep": waits.wait, "random": lambda: 1.0, **fields}
    return Webhook(f"http://127.0.0.1:{port}/hooks/T0?a=b", **given)


def test_an_alert_is_a_signed_post_request() -> None:
    """The signature is what the standard says, made here by hand."""
    with Receiver() as receiver:
        webhook = webhook_to(receiver.port, headers={"Authorization": "Bearer sesame"})
        webhook(EVENT)

    ((path, headers, body),) = receiver.requests
    assert json.loads(body) == {
        "type": "alert.fired",
        "timestamp": "2023-11-14T22:13:18.500Z",
        "data": EVENT.facts(),
    }
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    digest = hmac.new(RAW, b".".join([message_id.encode(), timestamp.encode(), body]), hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert timestamp == str(NOW)
    assert message_id.startswith("msg_")
    assert "." not in message_id
    assert (path, headers["content-type"], headers["authorization"]) == (
        "/hooks/T0?a=b",
        "application/json",
        "Bearer sesame",
    )
    assert headers["user-agent"].startswith("asgi-guard/")
    assert verify(headers, body, SECRET, NOW)
    assert (webhook.delivered, webhook.failed) == (1, 0)


def test_what_fails_for_a_moment_is_tried_again() -> None:
    """The id stays, so that a receiver can tell; timestamp and signature are those of the attempt."""
    waits = Waits()
    with Receiver(500, 503) as receiver:
        webhook = webhook_to(receiver.port, waits)
        webhook(EVENT)

    assert (webhook.delivered, webhook.failed) == (1, 0)
    assert waits == [1.0, 2.0]
    sent = [headers for _, headers, _ in receiver.requests]
    assert len({headers["webhook-id"] for headers in sent}) == 1
    assert [headers["webhook-timestamp"] for headers in sent] == [str(NOW), str(NOW + 1), str(NOW + 3)]
    assert all(verify(headers, body, SECRET, NOW + 3) for _, headers, body in receiver.requests)


ANSWERS = {
    "an answer that is no": ([404], 1, []),
    "who is not let in": ([401], 1, []),
    "who is gone": ([410], 1, []),
    "a redirect is not followed": ([(308, {"Location": "/elsewhere"})], 1, []),
    "too many requests": ([429], 2, [1.0]),
    "a wait in seconds": ([(429, {"Retry-After": "7"})], 2, [7.0]),
    "a wait until a date": ([(503, {"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"})], 2, [30.0]),
    "a date that has passed": ([(503, {"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"})], 2, []),
    "a wait that nobody understands": ([(503, {"Retry-After": "soon"})], 2, [1.0]),
    "a wait until a year that there is none of": (
        [(429, {"Retry-After": "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"})],
        2,
        [1.0],
    ),
    "a wait that is too long": ([(503, {"Retry-After": "3600"})], 1, []),
    "a wait of more digits than there are seconds": ([(503, {"Retry-After": "9" * 400})], 1, []),
    "no end of it": ([500, 502, 503, 504, 500, 500], 4, [1.0, 2.0, 4.0]),
}


@pytest.mark.parametrize(("answers", "attempts", "expected"), ANSWERS.values(), ids=ANSWERS)
def test_each_answer_is_taken_as_what_it_is(answers, attempts, expected, caplog) -> None:
    """Tried again where that may help, after as long as the other side says; else given up, and said."""
    waits = Waits()
    with Receiver(*answers) as receiver:
        webhook = webhook_to(receiver.port, waits)
        webhook(EVENT)

    is_taken = len(answers) < attempts
    assert (len(receiver.requests), waits) == (attempts, expected)
    assert (webhook.delivered, webhook.failed) == (int(is_taken), int(not is_taken))
    said = [record.getMessage() for record in caplog.records if record.name == "asgi_guard.alerts"]
    status = answers[attempts - 1] if not is_taken else 0
    status = status[0] if isinstance(status, tuple) else status
    start = "the webhook at 127.0.0.1 was not told of the alert errors: it answered with the status"
    assert said == ([] if is_taken else [f"{start} {status}"])


def hang(connection: socket.socket) -> None:
    """Take the request, and never answer; until the other side has had enough."""
    while connection.recv(65_536):
        pass


def drip(connection: socket.socket) -> None:
    """Answer a byte at a time, so that no single wait is long."""
    gone = threading.Event()

    def listen() -> None:
        try:
            while connection.recv(65_536):
                pass
        except OSError:
            pass
        gone.set()

    reader = threading.Thread(target=listen, daemon=True)
    reader.start()
    try:
        while not gone.wait(0.01):
            connection.sendall(b"H")
    except OSError:
        pass
    reader.join(10)


def reset(connection: socket.socket) -> None:
    """Take some of it, and break the connection off."""
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def babble(connection: socket.socket) -> None:
    """Speak something else."""
    connection.recv(65_536)
    connection.sendall(b"220 mail.example.com ESMTP\r\n\r\n")


def flood(connection: socket.socket) -> None:
    """Answer with a body that has no end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    try:
        while True:
            connection.sendall(bytes(65_536))
    except OSError:
        pass


@pytest.mark.parametrize("behave", [hang, drip, reset, babble])
def test_a_server_that_misbehaves_is_left_in_time(behave, caplog) -> None:
    """Each attempt ends, whatever the other side does; the message is tried again, and then given up."""
    waits = Waits()
    with serving(behave) as port:
        webhook = webhook_to(port, waits, timeout_seconds=0.2, max_attempts=2)
        webhook(EVENT)

    assert (webhook.delivered, webhook.failed, waits) == (0, 1, [1.0])
    assert "on the way" in caplog.text


def test_the_body_of_an_answer_is_not_read() -> None:
    """The status says it all."""
    with serving(flood) as port:
        webhook = webhook_to(port)
        webhook(EVENT)

    assert webhook.delivered == 1


@pytest.mark.long
def test_where_nobody_listens_the_circuit_opens() -> None:
    """After some failures in a row it is left alone for a minute, and then it is tried again."""
    waits = Waits()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    webhook = webhook_to(port, waits)
    webhook(EVENT)
    webhook(EVENT)
    tried = len(waits)
    webhook(EVENT)

    assert (webhook.failed, len(waits)) == (3, tried)
    with Receiver() as receiver:
        waits.clock.advance(60)
        webhook._port = receiver.port
        webhook(EVENT)
    assert webhook.delivered == 1


def test_certificates_are_checked(tmp_path, monkeypatch) -> None:
    """By the authorities that this machine trusts; what one of them has not signed is not tried twice."""
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    waits = Waits()
    with Receiver(tls=context) as receiver:
        url = f"https://localhost:{receiver.port}/"
        webhook = Webhook(url, secret=SECRET, clock=waits.clock, sleep=waits.wait)
        webhook(EVENT)
        assert (webhook.failed, waits) == (1, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        webhook(EVENT)

    assert webhook.delivered == 1
    assert receiver.requests[0][1]["host"] == f"localhost:{receiver.port}"


@pytest.mark.parametrize("secret", [SECRET, RAW, RAW.decode()], ids=["whsec", "bytes", "text"])
def test_a_secret_has_three_forms(secret) -> None:
    """They are one key."""
    with Receiver() as receiver:
        webhook_to(receiver.port, secret=secret)(EVENT)

    ((_, headers, body),) = receiver.requests
    assert verify(headers, body, RAW, NOW)


def test_nothing_secret_is_shown(caplog) -> None:
    """Neither where it is printed, nor in the log, nor in a settings error; the path is a secret as well."""
    with Receiver(400) as receiver:
        webhook = webhook_to(receiver.port, headers={"Authorization": "Bearer sesame"})
        webhook(EVENT)
    with pytest.raises(ConfigError) as raised:
        Webhook("ftp://example.com/hooks/T0", secret="too short", headers={"Authorization": "sesame\n"})

    assert repr(webhook) == "Webhook(http://127.0.0.1/...)"
    for text in (repr(webhook), caplog.text, str(raised.value)):
        assert not [secret for secret in ("T0", "sesame", "too short", SECRET, RAW.decode()) if secret in text]


URLS = {
    "https://hooks.example.com": True,
    "https://[2001:db8::1]:8443/a?b": True,
    "http://localhost:9000/a": True,
    "http://[::1]/a": True,
    "http://127.8.9.10": True,
    "http://hooks.example.com/": False,
    "http://localhost.example.com/": False,
    "https://user:password@example.com/": False,
    "https://example.com/#a": False,
    "https://example.com:99999/": False,
    "https://example.com:0/": False,
    "https://exa mple.com/": False,
    "https://[::1/": False,
    "https:///a": False,
    "file:///etc/passwd": False,
    "example.com": False,
}


@pytest.mark.parametrize(("url", "is_sound"), URLS.items(), ids=URLS)
def test_a_url_is_https_or_of_this_machine(url: str, is_sound: bool) -> None:
    """What goes over plain HTTP is read by whoever sits on the way."""
    if is_sound:
        Webhook(url, secret=SECRET)
        return
    with pytest.raises(ConfigError, match=r"AG887 Webhook\.url"):
        Webhook(url, secret=SECRET)


def test_plain_http_has_a_long_name() -> None:
    """Whoever has a network of his own says so."""
    webhook = Webhook("http://hooks.example.com/", secret=SECRET, dangerously_allow_plain_http=True)

    assert repr(webhook) == "Webhook(http://hooks.example.com/...)"


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("http://[::1]/x", 80),
        ("https://[2001:db8::1]/x", 443),
        ("https://hooks.example/x", 443),
        ("http://[::1]:81/", 81),
    ],
)
def test_a_port_is_that_of_the_url_and_not_the_end_of_an_address(url: str, port: int) -> None:
    """Behind the last colon of `::1` there is none."""
    assert Webhook(url, secret=SECRET)._port == port


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Each field by its rule."""
    with pytest.raises(ConfigError) as raised:
        Webhook(
            5,
            secret="whsec_c2hvcnQ=",
            timeout_seconds=0,
            max_attempts=0,
            headers={"Host": "a", "webhook-ID": "b", "a b": "c", "d": "e\r\nf: g"},
            dangerously_allow_plain_http="yes",
        )

    assert [f"{problem.id} {problem.field}" for problem in raised.value.problems] == [
        "AG103 Webhook.dangerously_allow_plain_http",
        "AG104 Webhook.url",
        "AG888 Webhook.secret",
        "AG102 Webhook.timeout_seconds",
        "AG101 Webhook.max_attempts",
        "AG889 Webhook.headers[0]",
        "AG889 Webhook.headers[1]",
        "AG107 Webhook.headers[2]",
        "AG108 Webhook.headers[3]",
    ]


@pytest.mark.parametrize("headers", [["a"], "a: b", {f"a{index}": "b" for index in range(33)}], ids=type)
def test_headers_are_a_mapping_of_some(headers) -> None:
    """A list is none, and there are not hundreds."""
    with pytest.raises(ConfigError, match="AG889"):
        Webhook("https://example.com", secret=SECRET, headers=headers)


@pytest.mark.parametrize(
    "secret", ["", b"short", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "whsec_é", "\ud800" * 24, None]
)
def test_a_secret_that_anybody_could_guess_is_refused(secret) -> None:
    """On both sides."""
    with pytest.raises(ConfigError, match="AG888"):
        Webhook("https://example.com", secret=secret)
    with pytest.raises(ConfigError, match="AG888"):
        verify({}, b"", secret, NOW)


BODY = b'{"type":"alert.fired"}'


def signed(message_id: str = "msg_1", timestamp: str = str(NOW), body: bytes = BODY, key: bytes = RAW) -> str:
    """Sign by hand."""
    digest = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


SOUND = {"Webhook-Id": "msg_1", "WEBHOOK-TIMESTAMP": str(NOW), "webhook-signature": signed()}
RECEIVED = {
    "as it was sent": ({}, NOW, True),
    "five minutes late": ({}, NOW + 300, True),
    "five minutes early": ({}, NOW - 300, True),
    "later than that": ({}, NOW + 301, False),
    "earlier than that": ({}, NOW - 301, False),
    "signed with two secrets, of which one is ours": (
        {"webhook-signature": f"v1,{'A' * 43}= v1a,xyz {signed()}"},
        NOW,
        True,
    ),
    "signed by another": ({"webhook-signature": signed(key=b"another")}, NOW, False),
    "with another id": ({"Webhook-Id": "msg_2"}, NOW, False),
    "with another time": ({"WEBHOOK-TIMESTAMP": str(NOW + 1)}, NOW, False),
    "of another version": ({"webhook-signature": signed().replace("v1,", "v2,")}, NOW, False),
    "without a signature": ({"webhook-signature": ""}, NOW, False),
    "without an id": ({"Webhook-Id": "", "webhook-signature": signed("")}, NOW, False),
    "with an id that could be cut elsewhere": ({"Webhook-Id": "a.1", "webhook-signature": signed("a.1")}, NOW, False),
    "with a time that is none": (
        {"WEBHOOK-TIMESTAMP": f"+{NOW}", "webhook-signature": signed(timestamp=f"+{NOW}")},
        NOW,
        False,
    ),
    "with a time in other digits": ({"WEBHOOK-TIMESTAMP": "١٢٣"}, NOW, False),
    "with a signature of other letters": ({"webhook-signature": "v1,é \udcff"}, NOW, False),
    "with more signatures than anybody needs": ({"webhook-signature": f"{'v1,x ' * 8}{signed()}"}, NOW, False),
    "with an endless signature": ({"webhook-signature": f"{signed()} {'x' * 1_024}"}, NOW, False),
}


@pytest.mark.parametrize(("headers", "now", "expected"), RECEIVED.values(), ids=RECEIVED)
def test_a_receiver_takes_what_was_sent_and_nothing_else(headers, now, expected) -> None:
    """The body, the id and the time are what was signed, not long ago."""
    assert verify({**SOUND, **headers}, BODY, SECRET, now) is expected


def test_a_receiver_takes_no_other_body() -> None:
    """One byte is enough; and no headers are none."""
    assert not verify(SOUND, BODY + b" ", SECRET, NOW)
    assert not verify({}, BODY, SECRET, NOW)
