"""Security headers: what a preset tells a browser of each kind of response; the application's own word wins."""

from __future__ import annotations

import re
from typing import Any

import pytest

from asgi_guard import ConfigError, Guard, SecurityHeaders, SecurityHeadersMiddleware
from asgi_guard.layers.security_headers import PRESETS, SecurityHeadersLayer
from asgi_guard.testing import call, websocket

pytestmark = pytest.mark.anyio

CLOSED = "default-src 'none'; frame-ancestors 'none'"
PAGE = b"text/html; charset=utf-8"
DATA = b"application/json"
OTHER = b"image/png"
KINDS = {"page": PAGE, "data": DATA, "other": OTHER}

# What harms or does nothing in browsers of today.
OBSOLETE = {"x-xss-protection", "expect-ct", "public-key-pins", "feature-policy", "x-webkit-csp", "p3p", "pragma"}

DIRECTIVES = {
    "base-uri",
    "connect-src",
    "default-src",
    "font-src",
    "form-action",
    "frame-ancestors",
    "img-src",
    "object-src",
    "script-src",
    "style-src",
}
REFERRER_POLICIES = {"no-referrer", "strict-origin", "same-origin", "strict-origin-when-cross-origin"}


def app_of(*headers: tuple[bytes, bytes], status: int = 200) -> Any:
    """Make an application that answers with these headers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b""})

    return app


async def added(content_type: bytes | None = DATA, scheme: str = "https", **fields: Any) -> dict[str, str]:
    """Return what is added to a response of this type, by name."""
    own = [] if content_type is None else [(b"content-type", content_type)]
    response = await call(SecurityHeadersMiddleware(app_of(*own), **fields), scheme=scheme)
    names = [name for name, _ in response.headers]
    assert len(set(names)) == len(names)
    return {name.decode(): value.decode() for name, value in response.headers if name != b"content-type"}


def directives(policy: str) -> dict[str, list[str]]:
    """Read a policy as CSP Level 3 section 2.2.1 says, and refuse what a browser would ignore."""
    read: dict[str, list[str]] = {}
    for directive in policy.split(";"):
        name, *sources = directive.split()
        assert name in DIRECTIVES
        assert name not in read
        assert all(re.fullmatch(r"'(?:none|self)'|blob:", source) for source in sources)
        assert sources == ["'none'"] or "'none'" not in sources
        read[name] = sources
    return read


# the presets


@pytest.mark.parametrize(
    ("preset", "policies", "framing"),
    [
        (
            "auto",
            {
                "page": "base-uri 'self'; frame-ancestors 'self'; object-src 'self' blob:",
                "data": CLOSED,
                "other": "frame-ancestors 'self'",
            },
            {"page": "SAMEORIGIN", "data": "DENY", "other": "SAMEORIGIN"},
        ),
        (
            "api",
            {"page": CLOSED, "data": CLOSED, "other": CLOSED},
            {"page": "DENY", "data": "DENY", "other": "DENY"},
        ),
        (
            "web",
            {
                "page": "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; "
                "object-src 'none'",
                "data": CLOSED,
                "other": "frame-ancestors 'self'",
            },
            {"page": "SAMEORIGIN", "data": "DENY", "other": "SAMEORIGIN"},
        ),
        (
            "strict",
            {
                "page": "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; "
                "form-action 'self'; frame-ancestors 'none'; img-src 'self'; script-src 'self'; style-src 'self'",
                "data": CLOSED,
                "other": CLOSED,
            },
            {"page": "DENY", "data": "DENY", "other": "DENY"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_preset_says_what_suits_the_kind_of_response(preset, policies, framing) -> None:
    """Pages, data and anything else, by the type of the response."""
    for kind, content_type in KINDS.items():
        headers = await added(content_type, preset=preset)
        assert headers["content-security-policy"] == policies[kind]
        assert headers["x-frame-options"] == framing[kind]


@pytest.mark.parametrize(
    ("preset", "names"),
    [
        ("auto", ""),
        ("api", "cross-origin-resource-policy"),
        ("web", "cross-origin-opener-policy cross-origin-resource-policy permissions-policy"),
        (
            "strict",
            "cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy permissions-policy",
        ),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_preset_adds_these_headers_and_no_others(preset, names, kind, scheme) -> None:
    """HSTS is for TLS alone (RFC 6797 section 7.2); `auto` has nothing that isolates a page from its neighbours."""
    always = {"content-security-policy", "referrer-policy", "x-content-type-options", "x-frame-options"}
    on_tls = {"strict-transport-security"} if scheme == "https" else set()

    headers = await added(KINDS[kind], scheme, preset=preset)

    assert set(headers) == always | on_tls | set(names.split())


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_value_is_one_that_browsers_understand(preset, kind) -> None:
    """A header that is misspelt protects nobody."""
    headers = await added(KINDS[kind], preset=preset)

    directives(headers["content-security-policy"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] in REFERRER_POLICIES
    assert re.fullmatch(r"max-age=\d{8,}(; includeSubDomains)?", headers["strict-transport-security"])
    assert headers.get("cross-origin-opener-policy", "same-origin") == "same-origin"
    assert headers.get("cross-origin-resource-policy", "same-origin") == "same-origin"
    assert headers.get("cross-origin-embedder-policy", "require-corp") == "require-corp"
    powers = headers.get("permissions-policy", "camera=()").split(", ")
    assert all(re.fullmatch(r"[a-z-]+=\(\)", power) for power in powers)
    assert not OBSOLETE & set(headers)


@pytest.mark.parametrize(
    ("content_type", "kind"),
    [
        (b"text/html", "page"),
        (b"TEXT/HTML;charset=utf-8", "page"),
        (b" text/html ; charset=utf-8", "page"),
        (b"application/xhtml+xml", "page"),
        (b"application/json", "data"),
        (b"Application/JSON; charset=utf-8", "data"),
        (b"application/problem+json", "data"),
        (b"application/vnd.api+json", "data"),
        (b"image/svg+xml", "other"),
        (b"text/plain", "other"),
        (b"application/pdf", "other"),
        (b"text/javascript", "other"),
        (b"application/jsonp", "other"),
        (b"text/html2", "other"),
        (b"x-text/html", "other"),
        (b"", "other"),
        (b";", "other"),
        (b"\xff\xfe", "other"),
        (None, "other"),
    ],
)
async def test_the_kind_is_read_from_the_media_type_alone(content_type, kind) -> None:
    """Whatever its case and its parameters; what is not known is neither page nor data."""
    headers = await added(content_type, preset="web")

    assert headers["content-security-policy"] == PRESETS["web"][kind]["content-security-policy"]


# what breaks nothing


async def test_auto_lets_a_page_load_and_run_what_it_did() -> None:
    """Inline scripts, a CDN, images and frames from elsewhere: no directive of `auto` governs them."""
    policy = directives((await added(PAGE))["content-security-policy"])

    assert not {"default-src", "script-src", "style-src", "img-src", "font-src", "connect-src", "form-action"} & set(
        policy
    )


async def test_auto_lets_other_sites_load_what_is_no_page() -> None:
    """A picture or a font may be meant for them, and a worker keeps the policy of its script."""
    headers = await added(OTHER)

    assert "cross-origin-resource-policy" not in headers
    assert set(directives(headers["content-security-policy"])) == {"frame-ancestors"}


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_304_is_left_alone(preset) -> None:
    """In a browser's cache its headers would replace those that the page came with (RFC 9111 section 3.2)."""
    own = ((b"etag", b'"1"'),)

    response = await call(SecurityHeadersMiddleware(app_of(*own, status=304), preset=preset), scheme="https")

    assert response.headers == own


@pytest.mark.parametrize("status", [200, 204, 301, 404, 429, 500])
async def test_every_other_status_carries_them(status) -> None:
    """Errors and redirects too: a 404 page runs scripts like any other."""
    response = await call(SecurityHeadersMiddleware(app_of(status=status)))

    assert response.headers.get("x-content-type-options") == "nosniff"


async def test_a_refusal_and_an_error_carry_them() -> None:
    """They leave through the same door."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    for response in (
        await call(Guard(fail), headers={"Accept": "text/html"}),
        await call(Guard(app_of()), headers={"Content-Length": "-1", "Accept": "text/html"}),
    ):
        assert response.status in {400, 500}
        policy = response.headers.get("content-security-policy")
        assert policy == PRESETS["auto"]["page"]["content-security-policy"]


# the application's own headers


@pytest.mark.parametrize("name", sorted(PRESETS["strict"]["page"]))
@pytest.mark.parametrize("spell", [str.lower, str.title, str.upper], ids=["lower", "title", "upper"])
async def test_the_applications_own_header_wins(name, spell) -> None:
    """Whatever its value and its case, and it stands there once."""
    own = (spell(name).encode(), b"own")

    response = await call(SecurityHeadersMiddleware(app_of(own), preset="strict"), scheme="https")

    assert response.headers.get_all(name) == ["own"]


async def test_what_the_application_sends_twice_stays_twice() -> None:
    """Two policies are both enforced: merging or dropping one would be wrong."""
    own = [(b"content-security-policy", b"script-src 'self'"), (b"content-security-policy", b"img-src 'self'")]

    response = await call(SecurityHeadersMiddleware(app_of(*own)))

    assert response.headers.get_all(b"content-security-policy") == [value for _, value in own]


async def test_the_application_that_sends_one_list_for_all_is_not_written_to() -> None:
    """A constant message would grow with each request, or tell one client what was meant for another."""
    message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", DATA)]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        await send({"type": "http.response.body"})

    guarded = SecurityHeadersMiddleware(app)
    responses = [await call(guarded) for _ in range(10)]

    assert message == {"type": "http.response.start", "status": 200, "headers": [(b"content-type", DATA)]}
    assert len({response.headers for response in responses}) == 1


@pytest.mark.parametrize("outer", PRESETS)
async def test_two_guards_do_not_say_things_twice(outer) -> None:
    """The inner one is nearer to the application, and wins."""
    inner = SecurityHeadersMiddleware(app_of((b"content-type", PAGE)), preset="strict")

    response = await call(SecurityHeadersMiddleware(inner, preset=outer), scheme="https")

    names = [name for name, _ in response.headers]
    assert len(set(names)) == len(names)
    assert response.headers.get("content-security-policy") == PRESETS["strict"]["page"]["content-security-policy"]


# values of one's own


async def test_a_value_of_ones_own_stands_in_for_the_presets() -> None:
    """Whatever the case of its name, on every kind of response."""
    fields: dict[str, Any] = {"headers": {"Referrer-Policy": "same-origin", "Reporting-Endpoints": 'main="/reports"'}}

    for content_type in KINDS.values():
        headers = await added(content_type, **fields)
        assert headers["referrer-policy"] == "same-origin"
        assert headers["reporting-endpoints"] == 'main="/reports"'


async def test_none_leaves_a_header_out() -> None:
    """Also one that the preset has not."""
    headers = await added(headers={"X-Frame-Options": None, "content-security-policy": None, "X-Nothing": None})

    assert not {"x-frame-options", "content-security-policy", "x-nothing"} & set(headers)
    assert "x-content-type-options" in headers


async def test_an_own_hsts_is_sent_over_tls_only() -> None:
    """Elsewhere a browser must ignore it, and a proxy may not."""
    fields: dict[str, Any] = {"headers": {"Strict-Transport-Security": "max-age=0"}}

    assert (await added(scheme="https", **fields))["strict-transport-security"] == "max-age=0"
    assert "strict-transport-security" not in await added(scheme="http", **fields)


async def test_settings_are_read_once() -> None:
    """Changing the dict afterwards changes nothing: a request never sees half of a change."""
    own: dict[str, str | None] = {"Referrer-Policy": "same-origin"}
    app = SecurityHeadersMiddleware(app_of(), headers=own)
    own["Referrer-Policy"] = "a\r\nb"

    assert (await call(app)).headers.get("referrer-policy") == "same-origin"


# WebSockets


async def test_a_websocket_that_is_accepted_is_left_alone() -> None:
    """It is no response: nothing in it would be read."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept", "headers": [(b"x-own", b"1")]})
        await receive()
        await receive()

    async with websocket(SecurityHeadersMiddleware(app), scheme="wss") as session:
        assert session.headers == ((b"x-own", b"1"),)


async def test_a_denial_carries_them_like_any_response() -> None:
    """A browser may show it; `wss` is TLS."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        start = {"type": "websocket.http.response.start", "status": 403, "headers": [(b"content-type", PAGE)]}
        await send(start)
        await send({"type": "websocket.http.response.body", "body": b"no"})

    async with websocket(SecurityHeadersMiddleware(app), scheme="wss") as session:
        assert session.headers.get("content-security-policy") == PRESETS["auto"]["page"]["content-security-policy"]
        assert session.headers.get("strict-transport-security") is not None


# bounds


async def test_what_is_remembered_of_types_is_bounded() -> None:
    """An application may echo what a client sent as its type."""
    seen = {"type": b""}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", seen["type"])]})
        await send({"type": "http.response.body"})

    guarded = SecurityHeadersMiddleware(app)
    (layer,) = guarded.layers
    assert isinstance(layer, SecurityHeadersLayer)
    for number in range(600):
        seen["type"] = b"text/html; boundary=%d" % number
        response = await call(guarded)
        assert response.headers.get("content-security-policy") == PRESETS["auto"]["page"]["content-security-policy"]
        assert len(layer._plain_by_type) <= 256

    seen["type"] = b"text/html;" + b"x" * 10_000
    response = await call(guarded)
    assert response.headers.get("content-security-policy") == PRESETS["auto"]["page"]["content-security-policy"]
    assert all(len(content_type) <= 128 for content_type in layer._plain_by_type)


# settings


@pytest.mark.parametrize(
    ("fields", "problem_id"),
    [
        ({"preset": "Strict"}, "AG105"),
        ({"preset": None}, "AG105"),
        ({"preset": ["web"]}, "AG105"),
        ({"headers": "X-Frame-Options"}, "AG201"),
        ({"headers": [("X-Frame-Options", "DENY")]}, "AG201"),
        ({"headers": None}, "AG201"),
        ({"headers": {"X Frame": "DENY"}}, "AG107"),
        ({"headers": {"X-Frame-Options:": "DENY"}}, "AG107"),
        ({"headers": {"X\r\nY": "DENY"}}, "AG107"),
        ({"headers": {7: "DENY"}}, "AG107"),
        ({"headers": {b"x-frame-options": "DENY"}}, "AG107"),
        ({"headers": {"X-Frame-Options": "a\r\nset-cookie: b=c"}}, "AG108"),
        ({"headers": {"X-Frame-Options": "a\x00"}}, "AG108"),
        ({"headers": {"X-Frame-Options": " a"}}, "AG108"),
        ({"headers": {"X-Frame-Options": "\u20ac"}}, "AG108"),
        ({"headers": {"X-Frame-Options": b"DENY"}}, "AG108"),
        ({"headers": {"X-Frame-Options": True}}, "AG108"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_do_not_start(fields, problem_id) -> None:
    """What would split a response or be refused by the server is found before the first request."""
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(**fields)
    assert [problem.id for problem in caught.value.problems] == [problem_id]


def test_every_problem_is_told_at_once() -> None:
    """With the preset that was meant."""
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(preset="strickt", headers={" ": "a", "X-A": "\n", "X-B": "fine"})  # type: ignore[arg-type]

    assert [problem.id for problem in caught.value.problems] == ["AG105", "AG107", "AG108"]
    assert "strict" in caught.value.problems[0].remedy
