"""The trusted host: one well-formed Host header, of a host that the application answers for."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ConfigError, RequestRefused
from asgi_guard.layers.client_address import ClientAddressMiddleware
from asgi_guard.layers.trusted_host import Authority, TrustedHost, TrustedHostLayer, TrustedHostMiddleware, parse
from asgi_guard.testing import HEADER_FORMS, Expectations, call, capture_events, check_middleware, websocket

pytestmark = pytest.mark.anyio

HOSTS = ["example.com", "*.sub.example.com", "port.example.com:8000", "any.example.com:*", "198.51.100.7", "[::1]:8000"]


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def call_with(headers: Any, app: Any, path: str = "/", **scope: Any) -> Any:
    """Send a request with these headers and no others, as they are."""

    async def server(given: Any, receive: Any, send: Any) -> None:
        await app({**given, "headers": headers}, receive, send)

    return await call(server, path=path, **scope)


async def status_of(*lines: str, hosts: Any = HOSTS, **scope: Any) -> int:
    """Send a request with these lines of Host, twice, since the second answer may be remembered."""
    app = TrustedHostMiddleware(greet, hosts=hosts)
    headers = [(b"host", line.encode("latin-1")) for line in lines]
    first, second = [(await call_with(headers, app, **scope)).status for _ in range(2)]
    assert first == second
    return first


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("example.com", 200),
        ("EXAMPLE.com", 200),
        ("example.com.", 200),
        ("example.com:80", 200),
        ("example.com.:80", 200),
        ("example.com:443", 421),
        ("example.com:8000", 421),
        ("www.example.com", 421),
        ("evil-example.com", 421),
        ("example.com.evil.com", 421),
        ("a.sub.example.com", 200),
        ("a.b.sub.example.com", 200),
        ("sub.example.com", 421),
        ("evilsub.example.com", 421),
        ("a.evilsub.example.com", 421),
        ("a.sub.example.com:8000", 421),
        ("port.example.com:8000", 200),
        ("port.example.com:08000", 200),
        ("port.example.com", 421),
        ("port.example.com:8001", 421),
        ("any.example.com", 200),
        ("any.example.com:1", 200),
        ("any.example.com:65535", 200),
        ("198.51.100.7", 200),
        ("198.51.100.8", 421),
        ("[::1]:8000", 200),
        ("[0:0:0:0:0:0:0:1]:8000", 200),
        ("[::1]", 421),
        ("[::2]:8000", 421),
        ("[::ffff:198.51.100.7]", 200),
        ("my_service", 421),
    ],
)
async def test_a_host_is_one_of_ours_or_not(host, status) -> None:
    """Without case and trailing dot; the port is part of it."""
    assert await status_of(host) == status


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        ".example.com",
        "example..com",
        "example.com..",
        "-example.com",
        "example.com:",
        "example.com:port",
        "example.com:0",
        "example.com:65536",
        "example.com:80:80",
        "example.com/x",
        "a/b@c",
        "user@example.com",
        "example.com,evil.com",
        "example.com evil.com",
        " example.com",
        "example.com\t",
        "example.com#",
        "example.com\x00",
        "ex%61mple.com",
        "bücher.example",
        "*",
        "*.sub.example.com",
        "::1",
        "[::1",
        "[::1]x",
        "[1.2.3.4]",
        "[fe80::1%eth0]",
        "[:::]",
        "a" * 64 + ".sub.example.com",
        "a." * 200 + "sub.example.com",
        "a" * 100_000,
    ],
)
async def test_a_malformed_host_is_400(host) -> None:
    """Whoever parses it in another way than we do would take it for another host."""
    assert await status_of(host) == 400


@pytest.mark.parametrize(
    "lines", [(), ("example.com", "evil.com"), ("evil.com", "example.com"), ("example.com", "example.com")]
)
async def test_none_or_two_are_400(lines) -> None:
    """RFC 9112 section 3.2: servers, proxies and applications pick different ones."""
    assert await status_of(*lines) == 400


@pytest.mark.parametrize(
    ("scheme", "host", "status"),
    [
        ("https", "example.com", 200),
        ("https", "example.com:443", 200),
        ("https", "example.com:80", 421),
        ("http", "example.com:80", 200),
        ("http", "example.com:443", 421),
    ],
)
async def test_the_default_port_is_that_of_the_scheme(scheme, host, status) -> None:
    """It may be written out or not."""
    assert await status_of(host, scheme=scheme) == status
    assert await status_of(host, scheme=scheme, hosts=[f"example.com:{443 if scheme == 'https' else 80}"]) == status


async def test_a_host_of_ours_at_another_port_is_said_once(caplog) -> None:
    """Whoever names `localhost` runs at port 8000, as a rule, and wonders; other hosts are nobody's business."""
    app = TrustedHostMiddleware(greet, hosts=["localhost", "shop.example:8443"])
    for host in ("evil.example:8000", "shop.example", "localhost:8000", "localhost:8001"):
        assert (await call(app, headers={"Host": host})).status == 421

    (record,) = caplog.records
    assert record.getMessage() == (
        "requests for shop.example at its usual port are refused: trusted_host names the host, but at another port. "
        "Write 'shop.example:*' for every port. This is said once"
    )


async def test_what_is_remembered_of_one_scheme_is_not_taken_for_the_other() -> None:
    """Though the host is the same."""
    app = TrustedHostMiddleware(greet, hosts=["example.com"])

    statuses = [
        (await call(app, headers={"Host": "example.com:443"}, scheme=scheme)).status
        for scheme in ("https", "http", "https")
    ]
    assert statuses == [200, 421, 200]


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://example.com/x", "example.com", 200),
        ("HTTP://EXAMPLE.com", "example.com", 200),
        ("http://evil.com/x", "example.com", 400),
        ("http://evil.com?x", "example.com", 400),
        ("http://example.com@evil.com/", "example.com", 400),
        ("http:///x", "example.com", 400),
        ("https://evil.com/x", "evil.com", 421),
        ("*", "example.com", 200),
    ],
)
@pytest.mark.parametrize("raw", [True, False], ids=["raw path", "path"])
async def test_a_target_that_is_a_url_has_the_same_host(target, host, status, raw) -> None:
    """Servers hand it on as the path; a cache may have read the other of the two."""
    scope = {"path": "/x", "raw_path": target.encode()} if raw else {"path": target, "raw_path": None}

    assert await status_of(host, **scope) == status


async def test_a_path_that_contains_a_url_is_a_path() -> None:
    """It begins with a slash."""
    assert await status_of("example.com", path="/http://evil.com/") == 200


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [
        ("/health", "10.0.0.5:8000", 200),
        ("/health/live", "10.0.0.5:8000", 200),
        ("/health", "a b", 400),
        ("/healthy", "10.0.0.5:8000", 421),
        ("/health/../admin", "10.0.0.5:8000", 421),
    ],
)
async def test_health_checks_may_name_the_machine_by_its_address(path, host, status) -> None:
    """As load balancers and kubelets do; a malformed host is one there too."""
    app = TrustedHostMiddleware(greet, hosts=HOSTS, exempt_paths=["/health"])

    assert (await call(app, path=path, headers={"Host": host})).status == status


def test_an_exempt_path_begins_with_a_slash() -> None:
    """Otherwise it would never be asked for."""
    with pytest.raises(ConfigError, match="AG315"):
        TrustedHost(HOSTS, exempt_paths=["health"])


@pytest.mark.parametrize("form", HEADER_FORMS)
async def test_every_form_of_headers_is_understood(form) -> None:
    """Mixed-case names too."""
    for host, status in {"example.com": 200, "evil.com": 421}.items():
        headers = HEADER_FORMS[form]([(b"accept", b"*/*"), (b"host", host.encode())])
        assert (await call_with(headers, TrustedHostMiddleware(greet, hosts=HOSTS))).status == status


@pytest.mark.parametrize(("host", "status"), [("evil.com", 421), ("a b", 400)])
async def test_a_websocket_is_refused_as_well(host, status) -> None:
    """DNS rebinding works on them too."""
    async with websocket(TrustedHostMiddleware(greet, hosts=HOSTS), headers={"Host": host}) as session:
        assert session.denial is not None
        assert session.denial.status == status
    async with websocket(TrustedHostMiddleware(greet, hosts=HOSTS), headers={"Host": "example.com"}) as session:
        assert session.denial is None


async def test_the_host_that_a_trusted_proxy_forwards_is_judged() -> None:
    """It is what the application is going to see."""
    app = ClientAddressMiddleware(TrustedHostMiddleware(greet, hosts=HOSTS), trusted=["10.0.0.1"], host=True)

    for forwarded, status in {"example.com": 200, "evil.com": 421}.items():
        headers = {"Host": "inner", "X-Forwarded-Host": forwarded}
        assert (await call(app, headers=headers, client=("10.0.0.1", 1))).status == status


async def test_an_answer_does_not_repeat_the_host() -> None:
    """It may be kept by a cache, or shown in a browser."""
    app = TrustedHostMiddleware(greet, hosts=HOSTS, listeners=[events := capture_events()])

    response = await call(app, headers={"Host": "evil.com"})

    assert b"evil" not in response.body
    assert response.json()["error"]["code"] == "UNTRUSTED_HOST"
    assert [event.code for event in events.of(RequestRefused)] == ["UNTRUSTED_HOST"]


async def test_what_is_remembered_is_bounded_and_of_our_own_hosts() -> None:
    """A stream of other hosts pushes nothing out."""
    layer = TrustedHostLayer(TrustedHost(["*.example.com"]))

    for number in range(5_000):
        assert layer._judge(b"h%d.evil.com" % number, is_secure=False) is not None
    assert layer._known_plain == set()
    for number in range(5_000):
        assert layer._judge(b"h%d.example.com" % number, is_secure=False) is None
    assert len(layer._known_plain) <= 1_024


@given(st.binary(max_size=60) | st.text("ab.:[]*-_0f", max_size=40).map(str.encode))
def test_a_host_that_was_read_reads_the_same_again(text) -> None:
    """Its usual text is its own."""
    authority = parse(text)

    if authority is not None:
        port = b"" if authority.port is None else b":%d" % authority.port
        assert parse(authority.host + port) == authority
        assert not authority.host.endswith(b".")


LABELS = st.lists(st.sampled_from(["a", "b", "example", "com", "evil-example"]), min_size=1, max_size=4).map(".".join)


@given(LABELS, st.lists(LABELS, max_size=3), st.lists(LABELS, min_size=1, max_size=3))
def test_hosts_match_as_their_patterns_read(host, exact, below) -> None:
    """Against the plain reading."""
    layer = TrustedHostLayer(TrustedHost([*exact, *[f"*.{name}" for name in below]]))

    is_ours = host in exact or any(host.endswith(f".{name}") for name in below)
    assert (layer._judge(host.encode(), is_secure=False) is None) is is_ours


def test_an_authority_is_a_host_and_a_port() -> None:
    """In their usual text."""
    assert parse(b"EXAMPLE.com.:0080") == Authority(b"example.com", 80)
    assert parse(b"[2001:DB8:0::1]") == Authority(b"[2001:db8::1]", None)


# settings


@pytest.mark.parametrize(
    ("hosts", "problem", "remedy"),
    [
        (["*"], "AG311", "switch the part off"),
        (["*:*"], "AG311", "switch the part off"),
        (["https://example.com"], "AG312", "Write 'example.com'."),
        (["https://me@example.com:8000/x"], "AG312", "Write 'example.com:8000'."),
        (["example.com/"], "AG312", "Write 'example.com'."),
        (["HTTPS://example.com?x"], "AG312", "Write 'example.com'."),
        (["example.com:80:*"], "AG310", "'example.com:8000'"),
        (["*example.com"], "AG313", "'*.example.com'"),
        (["a.*.example.com"], "AG313", "'*.example.com'"),
        (["*.*.example.com"], "AG313", "'*.example.com'"),
        (["*.198.51.100.7"], "AG313", "'*.example.com'"),
        (["*.[::1]"], "AG313", "'*.example.com'"),
        (["example.com:*0"], "AG313", "'*.example.com'"),
        (["bücher.example"], "AG314", "xn--"),
        (["example .com"], "AG310", "'example.com:8000'"),
        (["::1"], "AG310", "'[::1]:8000'"),
        (["example.com:99999"], "AG310", "'example.com:8000'"),
        (["*."], "AG310", "'example.com:8000'"),
        ([], "AG106", "Add what is missing"),
        ("example.com", "AG106", "['example.com']"),
        ([""], "AG104", ""),
        ([None], "AG104", ""),
        (None, "AG106", ""),
    ],
)
def test_settings_that_cannot_work_do_not_start(hosts, problem, remedy) -> None:
    """With the remedy."""
    with pytest.raises(ConfigError) as caught:
        TrustedHost(hosts)

    (found,) = caught.value.problems
    assert found.id == problem
    assert remedy in found.remedy


def test_the_hosts_must_be_named() -> None:
    """There is no default that could be right."""
    with pytest.raises(ConfigError, match=r"AG111 TrustedHost\.hosts is required"):
        TrustedHostMiddleware(greet)


def test_it_says_what_it_refuses() -> None:
    """For `explain()`."""
    settings = TrustedHost(["example.com", "[::1]:*"], exempt_paths=["/health"])
    first, second = TrustedHostLayer(settings).refusals()

    assert first == "421 for other hosts than example.com, [::1]:* but under /health"
    assert second.startswith("400 ")


async def test_it_keeps_the_rules() -> None:
    """Every rule of the conformance kit that applies."""
    report = await check_middleware(
        partial(TrustedHostMiddleware, hosts=["testserver"]),
        Expectations(answers_errors=False, refusing=partial(TrustedHostMiddleware, hosts=["example.com"])),
    )

    report.raise_for_failures()
