"""Security headers: what a preset tells a browser of each kind of response; the application's own word wins."""

from __future__ import annotations

import re
from typing import Any

import pytest

from asgi_guard import ConfigError, Guard, SecurityHeaders, SecurityHeadersMiddleware
from asgi_guard.layers.security_headers import PRESETS, SecurityHeadersLayer, clear_site_data
from asgi_guard.testing import ABSENT, Expectations, call, check_middleware, websocket
from asgi_guard.web.nonce import Nonce

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


# whose word counts


@pytest.mark.parametrize(
    ("policy", "values"),
    [("default", ["own"]), ("override", ["no-referrer"])],
)
async def test_a_policy_says_whose_header_counts(policy, values) -> None:
    """For each header by itself."""
    own = ((b"Referrer-Policy", b"own"), (b"X-Frame-Options", b"own"))
    app = SecurityHeadersMiddleware(app_of(*own), preset="strict", policy={"referrer-Policy": policy})

    response = await call(app)

    assert response.headers.get_all("referrer-policy") == values
    assert response.headers.get_all("x-frame-options") == ["own"]


@pytest.mark.parametrize("own", [[], [b"script-src 'self'"], [b"script-src 'self'", b"img-src *"]])
async def test_a_merged_policy_stands_beside_the_applications(own) -> None:
    """A browser enforces both; of permissions the later word counts, which is the application's."""
    lines = [(b"content-security-policy", value) for value in own]
    app = SecurityHeadersMiddleware(app_of(*lines), preset="api", policy={"Content-Security-Policy": "merge"})

    response = await call(app)

    assert response.headers.get_all(b"content-security-policy") == [CLOSED.encode(), *own]


async def test_an_override_needs_something_to_put_in_its_place() -> None:
    """A header that the preset has not stays as it is."""
    app = SecurityHeadersMiddleware(app_of((b"permissions-policy", b"own")), policy={"Permissions-Policy": "override"})

    assert (await call(app)).headers.get_all("permissions-policy") == ["own"]


async def test_what_nobody_needs_to_know_is_removed() -> None:
    """Every line of it, whatever its case; and nothing else."""
    own = ((b"X-Powered-By", b"a"), (b"x-powered-by", b"b"), (b"server", b"c"), (b"x-own", b"d"))

    response = await call(SecurityHeadersMiddleware(app_of(*own), remove=["Server", "X-Powered-By"]))

    assert response.headers.get("server") is response.headers.get("x-powered-by") is None
    assert response.headers.get("x-own") == "d"


# paths


@pytest.mark.parametrize(
    ("path", "policy"),
    [
        ("/", PRESETS["strict"]["page"]["content-security-policy"]),
        ("/docs", PRESETS["auto"]["page"]["content-security-policy"]),
        ("/docs/oauth2", PRESETS["auto"]["page"]["content-security-policy"]),
        ("/docs/internal/x", "default-src 'self'"),
        ("/docsx", PRESETS["strict"]["page"]["content-security-policy"]),
        ("/docs/../admin", PRESETS["strict"]["page"]["content-security-policy"]),
        ("//docs", PRESETS["strict"]["page"]["content-security-policy"]),
    ],
)
async def test_a_path_may_have_headers_of_its_own(path, policy) -> None:
    """The page with the API documentation works under `strict`; nothing else borrows its policy."""
    app = SecurityHeadersMiddleware(
        app_of((b"content-type", PAGE)),
        preset="strict",
        paths={"/docs": "auto", "/docs/internal": {"Content-Security-Policy": "default-src 'self'"}},
    )
    for _ in range(2):
        response = await call(app, path=path)
        assert response.headers.get_all("content-security-policy") == [policy]
        is_strict = path not in {"/docs", "/docs/oauth2"}
        assert (response.headers.get("cross-origin-embedder-policy") is not None) == is_strict


async def test_what_is_remembered_of_paths_is_bounded() -> None:
    """Clients write them."""
    app = SecurityHeadersMiddleware(app_of(), paths={"/docs": "auto"})
    (layer,) = app.layers
    assert isinstance(layer, SecurityHeadersLayer)
    for number in range(600):
        await call(app, path=f"/{number}")
        assert len(layer._sheet_of_path) <= 256
    await call(app, path="/" + "x" * 10_000)
    assert all(len(path) <= 128 for path in layer._sheet_of_path)


# nonces

SCRIPTS = "script-src 'nonce-{nonce}' 'strict-dynamic'; base-uri 'none'"


def page_with(read: Any, *, late: bool = False) -> Any:
    """Make an application that reads its nonce, before or after its response has started."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        early = b"" if late else read(scope["state"]["csp_nonce"]).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", PAGE)]})
        body = read(scope["state"]["csp_nonce"]).encode() if late else early
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize(
    "read",
    [str, lambda nonce: nonce(), lambda nonce: f"{nonce}", lambda nonce: nonce.__html__(), lambda nonce: "%s" % nonce],  # noqa: UP031
    ids=["str", "call", "format", "html", "percent"],
)
@pytest.mark.parametrize("name", ["Content-Security-Policy", "Content-Security-Policy-Report-Only"])
async def test_the_nonce_that_was_read_stands_in_the_policy(read, name) -> None:
    """However a template turns it into text; each response has another, of 128 bits."""
    app = SecurityHeadersMiddleware(page_with(read), headers={name: SCRIPTS})

    responses = [await call(app) for _ in range(3)]

    for response in responses:
        nonce = response.body.decode()
        assert re.fullmatch(r"[0-9a-f]{32}", nonce)
        assert response.headers.get_all(name) == [SCRIPTS.replace("{nonce}", nonce)]
    assert len({response.body for response in responses}) == 3


@pytest.mark.parametrize(
    ("policy", "without"),
    [
        (SCRIPTS, "script-src 'strict-dynamic'; base-uri 'none'"),
        ("script-src 'nonce-{nonce}'; img-src 'self'", "script-src 'none'; img-src 'self'"),
        ("script-src 'nonce-{nonce}';; img-src 'self';", "script-src 'none'; img-src 'self'"),
        (
            "script-src 'self' 'nonce-{nonce}'; upgrade-insecure-requests",
            "script-src 'self'; upgrade-insecure-requests",
        ),
    ],
)
async def test_a_nonce_that_nobody_read_is_not_made(policy, without, monkeypatch) -> None:
    """The policy goes out without it, and admits no more for that."""
    monkeypatch.setattr("asgi_guard.web.nonce.os.urandom", None)

    headers = await added(PAGE, headers={"Content-Security-Policy": policy})

    assert headers["content-security-policy"] == without


async def test_a_nonce_that_is_read_too_late_is_complained_of(caplog, monkeypatch) -> None:
    """Once: the browser will not run the script, and nobody else would know why."""
    monkeypatch.setattr(Nonce, "_has_complained", False)
    app = SecurityHeadersMiddleware(page_with(str, late=True), headers={"Content-Security-Policy": SCRIPTS})

    for _ in range(2):
        response = await call(app)
        assert response.body.decode() not in (response.headers.get("content-security-policy") or "")

    assert len(caplog.records) == 1
    assert "before the first byte" in caplog.text


async def test_two_guards_share_one_nonce() -> None:
    """Whichever policy goes out has the one that stands in the page."""
    inner = SecurityHeadersMiddleware(page_with(str), headers={"Content-Security-Policy": SCRIPTS})
    merge: Any = {"Content-Security-Policy": "merge"}
    outer = SecurityHeadersMiddleware(inner, headers={"Content-Security-Policy": SCRIPTS}, policy=merge)

    response = await call(outer)

    policies = response.headers.get_all("content-security-policy")
    assert policies == [SCRIPTS.replace("{nonce}", response.body.decode())] * 2


async def test_the_callers_state_is_left_as_it_was() -> None:
    """And made for the application where a server has none."""
    app = SecurityHeadersMiddleware(page_with(str), headers={"Content-Security-Policy": SCRIPTS})
    state: dict[str, Any] = {}

    await call(app, state=state)
    response = await call(app, state=ABSENT)

    assert state == {}
    assert len(response.body) == 32


async def test_nobody_else_pays_for_nonces() -> None:
    """Without one in the settings there is nothing in the state, and no hook."""
    app = SecurityHeadersMiddleware(app_of())

    assert not app._plan.admits


# cookies


@pytest.mark.parametrize(
    ("cookie", "fixed"),
    [
        (b"a=b", b"a=b; Secure; HttpOnly; SameSite=Lax"),
        (b"a=b; Path=/; Secure", b"a=b; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (b"a=b; SECURE;httponly ; samesite=None", b"a=b; SECURE;httponly ; samesite=None"),
        (b"a=b; SameSite=Strict", b"a=b; SameSite=Strict; Secure; HttpOnly"),
        (b"secure=httponly", b"secure=httponly; Secure; HttpOnly; SameSite=Lax"),
        (b"csrftoken=b", b"csrftoken=b; Secure; SameSite=Lax"),
        (
            b"a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT",
            b"a=b; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; HttpOnly; SameSite=Lax",
        ),
        (b"", b"; Secure; HttpOnly; SameSite=Lax"),
    ],
)
async def test_flags_are_added_to_cookies(cookie, fixed) -> None:
    """At the end, each line by itself, in order; what the application said stays."""
    lines = [(b"set-cookie", b"first=1; Secure; HttpOnly; SameSite=Lax"), (b"x-own", b"1"), (b"Set-Cookie", cookie)]
    app = SecurityHeadersMiddleware(app_of(*lines), cookies="fix")

    response = await call(app, scheme="https")

    assert response.headers.get_all(b"set-cookie") == [lines[0][1], fixed]


async def test_cookies_are_left_alone_in_the_clear_and_by_default() -> None:
    """`Secure` would lose them where a developer works without TLS."""
    lines = ((b"set-cookie", b"a=b"), (b"set-cookie", b"c=d"))

    for app, scheme in (
        (SecurityHeadersMiddleware(app_of(*lines), cookies="fix"), "http"),
        (SecurityHeadersMiddleware(app_of(*lines)), "https"),
        (SecurityHeadersMiddleware(app_of(*lines), cookies="warn"), "https"),
    ):
        assert (await call(app, scheme=scheme)).headers.get_all(b"set-cookie") == [b"a=b", b"c=d"]


async def test_a_warning_names_each_cookie_once(caplog) -> None:
    """Never its value, and not without end."""
    lines = [(b"set-cookie", b"session=secret; Secure"), *[(b"set-cookie", b"c%d=1" % n) for n in range(400)]]
    app = SecurityHeadersMiddleware(app_of(*lines), cookies="warn")

    for _ in range(2):
        await call(app, scheme="https")

    assert caplog.messages[0] == "the cookie b'session' has no HttpOnly, SameSite=Lax"
    assert len(caplog.records) == 256
    assert "secret" not in caplog.text


# logout


def test_a_logout_empties_the_browser() -> None:
    """The strings of the standard, with their quotes."""
    assert clear_site_data() == ("Clear-Site-Data", '"cache", "cookies", "storage"')
    assert clear_site_data("*") == ("Clear-Site-Data", '"*"')
    with pytest.raises(ValueError, match="'cookie' is none of"):
        clear_site_data("cookies", "cookie")


# the rules of ASGI


async def test_it_keeps_the_rules_with_everything_on() -> None:
    """Every rule of the kit that applies."""

    def wrap(app: Any) -> Any:
        return SecurityHeadersMiddleware(
            app,
            preset="strict",
            headers={"Content-Security-Policy": SCRIPTS},
            policy={"Content-Security-Policy": "merge", "X-Frame-Options": "override"},
            paths={"/docs": "auto"},
            remove=["X-Powered-By"],
            cookies="fix",
        )

    (await check_middleware(wrap, Expectations(answers_errors=False))).raise_for_failures()


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
        assert len(layer._sheet.plain_by_type) <= 256

    seen["type"] = b"text/html;" + b"x" * 10_000
    response = await call(guarded)
    assert response.headers.get("content-security-policy") == PRESETS["auto"]["page"]["content-security-policy"]
    assert all(len(content_type) <= 128 for content_type in layer._sheet.plain_by_type)


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


CSP = "Content-Security-Policy"
ENDPOINTS = {"Reporting-Endpoints": 'main="https://reports.example/"'}


@pytest.mark.parametrize(
    ("headers", "problem_id", "remedy"),
    [
        ({CSP: "defualt-src 'self'"}, "AG380", "'default-src'"),
        ({CSP: "script-source 'self'"}, "AG380", "'script-src'"),
        ({CSP: "xyz 'self'"}, "AG380", "Take out"),
        ({CSP: ""}, "AG380", "None"),
        ({CSP: ";"}, "AG380", "None"),
        ({CSP: "img-src self"}, "AG381", "'self'"),
        ({CSP: "img-src none"}, "AG381", "'none'"),
        ({CSP: "script-src unsafe-inline"}, "AG381", "'unsafe-inline'"),
        ({CSP: "script-src nonce-{nonce}"}, "AG381", "quotes"),
        ({CSP: "script-src 'unsafe-inlin'"}, "AG381", "'unsafe-inline'"),
        ({CSP: "script-src 'sha256-###'"}, "AG381", "Take out"),
        ({CSP: "script-src 'unsafe-inline' 'nonce-{nonce}'"}, "AG382", "'unsafe-inline'"),
        ({CSP: "script-src 'unsafe-inline' 'strict-dynamic'"}, "AG382", "'unsafe-inline'"),
        ({CSP: "default-src 'self'; report-uri /reports"}, "AG383", "report-to"),
        ({CSP: "default-src 'self'; report-to main"}, "AG383", "Reporting-Endpoints"),
        ({CSP: "default-src 'self'; report-to other", **ENDPOINTS}, "AG383", "Reporting-Endpoints"),
        ({CSP: "default-src 'none' 'self'"}, "AG384", "'none'"),
        ({CSP: "img-src a.example; img-src b.example"}, "AG385", "Join"),
        ({CSP: "script-src 'nonce-abc'"}, "AG386", "{nonce}"),
        ({CSP: "script-src https://{nonce}.example"}, "AG386", "{nonce}"),
        ({f"{CSP}-Report-Only": "defualt-src 'self'"}, "AG380", "'default-src'"),
        ({"Strict-Transport-Security": "max-age=1; preload"}, "AG390", "31536000"),
        ({"Strict-Transport-Security": "max-age=31536000; preload"}, "AG390", "includeSubDomains"),
        ({"Strict-Transport-Security": "includeSubDomains"}, "AG390", "max-age"),
        ({"Strict-Transport-Security": "max-age=-1"}, "AG390", "max-age"),
        ({"Strict-Transport-Security": "max-age=1; includeSubdomain"}, "AG390", "includeSubDomains"),
        ({"Strict-Transport-Security": "max-age=1; max-age=2"}, "AG390", "Leave out one"),
        ({"Strict-Transport-Security": "max-age=1, includeSubDomains"}, "AG390", "max-age"),
        ({"Permissions-Policy": "camera 'none'"}, "AG391", "camera=()"),
        ({"Permissions-Policy": "camera=none"}, "AG391", "camera=()"),
        ({"Permissions-Policy": "camera=(); microphone=()x"}, "AG391", "camera=()"),
        ({"Permissions-Policy": "geo-location=()"}, "AG391", "'geolocation'"),
        ({"Cross-Origin-Opener-Policy": "sameorigin"}, "AG392", "'same-origin'"),
        ({"Cross-Origin-Embedder-Policy": "require-corb"}, "AG392", "'require-corp'"),
        ({"Cross-Origin-Resource-Policy": "same_site"}, "AG392", "'same-site'"),
        ({"Referrer-Policy": "strict-origin-cross-origin"}, "AG392", "'strict-origin-when-cross-origin'"),
        ({"X-Frame-Options": "ALLOW-FROM https://a.example"}, "AG392", "Take out"),
        ({"X-Content-Type-Options": "no-sniff"}, "AG392", "'nosniff'"),
        ({"Reporting-Endpoints": "main=https://reports.example/"}, "AG393", "main="),
    ],
    ids=str,
)
def test_a_value_that_a_browser_ignores_does_not_start(headers, problem_id, remedy) -> None:
    """With what was likely meant; below a path as well."""
    for fields in ({"headers": headers}, {"paths": {"/docs": headers}}):
        with pytest.raises(ConfigError) as caught:
            SecurityHeaders(**fields)
        assert [problem.id for problem in caught.value.problems] == [problem_id]
        assert remedy in caught.value.problems[0].remedy


@pytest.mark.parametrize(
    "headers",
    [
        {CSP: "script-src 'self' 'nonce-{nonce}' https: 'sha256-abc+/_-=='; sandbox allow-scripts; trusted-types a"},
        {CSP: "default-src 'self'; report-uri /reports; report-to main", **ENDPOINTS},
        {CSP: "DEFAULT-SRC 'SELF'; upgrade-insecure-requests;"},
        {CSP: "default-src 'self';; img-src *"},
        {CSP: "style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; require-trusted-types-for 'script'"},
        {"Strict-Transport-Security": "max-age=63072000; includeSubDomains; preload"},
        {"Strict-Transport-Security": "max-age=63072000; includeSubDomains;"},
        {"Permissions-Policy": 'camera=(), fullscreen=*, payment=(self "https://pay.example"), usb=self, brand-new=()'},
        {
            "Cross-Origin-Opener-Policy": 'same-origin; report-to="main"',
            "Referrer-Policy": "no-referrer, strict-origin",
        },
        {"Reporting-Endpoints": 'main="https://a.example/r", other="/r"'},
        {"X-Anything": "at all"},
    ],
    ids=str,
)
def test_a_value_that_a_browser_knows_starts(headers) -> None:
    """What the standards have, and features that are newer than this."""
    assert SecurityHeaders(headers=headers).headers == headers


def test_an_endpoint_may_be_named_beside_the_path() -> None:
    """What a path adds is read next to what holds everywhere."""
    SecurityHeaders(headers=ENDPOINTS, paths={"/docs": {CSP: "img-src 'self'; report-to main"}})


@pytest.mark.parametrize(
    ("fields", "problem_id"),
    [
        ({"policy": {"X-Frame-Options": "merge"}}, "AG394"),
        ({"policy": {"X-Frame-Options": "force"}}, "AG105"),
        ({"policy": {"X Frame": "merge"}}, "AG107"),
        ({"policy": "override"}, "AG201"),
        ({"paths": ["/docs"]}, "AG201"),
        ({"paths": {"docs": "auto"}}, "AG395"),
        ({"paths": {7: "auto"}}, "AG395"),
        ({"paths": {"/docs/*": "auto"}}, "AG395"),
        ({"paths": {"/docs": "atuo"}}, "AG105"),
        ({"paths": {"/docs": None}}, "AG201"),
        ({"paths": {"/docs": {"X Frame": "DENY"}}}, "AG107"),
        ({"remove": "Server"}, "AG106"),
        ({"remove": ["X Powered"]}, "AG107"),
        ({"cookies": True}, "AG105"),
        ({"readable_cookies": "csrftoken"}, "AG106"),
    ],
    ids=str,
)
def test_the_other_settings_are_checked_too(fields, problem_id) -> None:
    """Each by its own rule."""
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(**fields)
    assert [problem.id for problem in caught.value.problems] == [problem_id]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_presets_pass_their_own_checks(preset, kind) -> None:
    """What is asked of others holds here."""
    SecurityHeaders(headers=PRESETS[preset][kind])


def test_every_problem_is_told_at_once() -> None:
    """With the preset that was meant."""
    with pytest.raises(ConfigError) as caught:
        SecurityHeaders(preset="strickt", headers={" ": "a", "X-A": "\n", "X-B": "fine"})  # type: ignore[arg-type]

    assert [problem.id for problem in caught.value.problems] == ["AG105", "AG107", "AG108"]
    assert "strict" in caught.value.problems[0].remedy
