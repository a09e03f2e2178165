"""A browser that does what the Fetch standard says, and the layer: it may read what the settings mean, and no more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.layers.cors import CORS, CORSMiddleware
from asgi_guard.testing import http_scope

Headers = list[tuple[bytes, bytes]]


# A browser: Fetch, "CORS check", "CORS-preflight fetch", "extract header list values"


@dataclass
class Fetch:
    """What a page asks for."""

    origin: str
    method: str
    unsafe_names: list[str]
    includes_credentials: bool


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: Headers

    def get(self, name: str) -> str | None:
        """Get a header from the list, as Fetch does: values joined."""
        values = [value.decode("latin-1") for key, value in self.headers if key == name.encode()]
        return ", ".join(values) if values else None

    def extract(self, name: str) -> list[str] | None:
        """Extract the values of a list of tokens; None where there is none."""
        value = self.get(name)
        if value is None:
            return None
        members = [member.strip(" \t") for member in value.split(",")]
        assert all(re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", member) for member in members)
        return members


def cors_check(request: Fetch, answer: Answer) -> bool:
    """Do the CORS check."""
    origin = answer.get("access-control-allow-origin")
    if origin is None:
        return False
    if not request.includes_credentials and origin == "*":
        return True
    if request.origin != origin:
        return False
    if not request.includes_credentials:
        return True
    return answer.get("access-control-allow-credentials") == "true"


def preflight_check(request: Fetch, answer: Answer) -> bool:
    """Do step 7 of the CORS-preflight fetch."""
    if not cors_check(request, answer) or not 200 <= answer.status <= 299:
        return False
    methods = answer.extract("access-control-allow-methods") or []
    names = [name.lower() for name in answer.extract("access-control-allow-headers") or []]
    covered = request.method in methods or (not request.includes_credentials and "*" in methods)
    if request.method not in {"GET", "HEAD", "POST"} and not covered:
        return False
    if "authorization" in request.unsafe_names and "authorization" not in names:
        return False
    return all(name in names or (not request.includes_credentials and "*" in names) for name in request.unsafe_names)


def can_read(request: Fetch, app: Any) -> bool:
    """Tell whether a page that asks for this gets to read the answer."""
    if request.method not in {"GET", "HEAD", "POST"} or request.unsafe_names:
        headers = [("origin", request.origin), ("access-control-request-method", request.method)]
        if request.unsafe_names:
            headers.append(("access-control-request-headers", ",".join(sorted(request.unsafe_names))))
        if not preflight_check(request, send("OPTIONS", headers, app)):
            return False
    return cors_check(request, send(request.method, [("origin", request.origin)], app))


def send(method: str, headers: list[tuple[str, str]], app: Any) -> Answer:
    """Send a request, without a loop: nothing in it waits."""
    sent: list[Any] = []

    async def keep(message: Any) -> None:
        sent.append(message)

    pairs = [(b"host", b"api.example"), *[(name.encode(), value.encode()) for name, value in headers]]
    scope = http_scope(method, scheme="https", headers=pairs)
    with pytest.raises(StopIteration):
        app(scope, None, keep).send(None)
    return Answer(sent[0]["status"], sent[0]["headers"])


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept")]})
    await send({"type": "http.response.body"})


# What settings mean, in plain words


def is_meant(origin: str, pattern: str) -> bool:
    """Tell whether a pattern stands for an origin."""
    if pattern == "*":
        return re.fullmatch(r"\w+://[\w-]+(\.[\w-]+)*(:\d+)?", origin, re.ASCII) is not None
    scheme, host = re.fullmatch(r"(\w+)://(.*)", pattern).groups()  # type: ignore[union-attr]
    wildcard_port = host.endswith(":*")
    host = host.removesuffix(":*")
    found = re.fullmatch(r"(\w+)://([a-z0-9.-]+)(:\d+)?", origin)
    if found is None or found[1] != scheme:
        return False
    rest = found[2] if wildcard_port else found[2] + (found[3] or "")
    if host.startswith("*."):
        return rest.endswith(host[1:]) and not rest.startswith(".") and ".." not in rest
    return rest == host


def allows(settings: CORS, request: Fetch) -> bool:
    """Tell whether the settings let the page read."""
    is_open = settings.origins == ["*"]
    if is_open and not settings.credentials:
        knows_origin = True  # `null` too: it says that everybody may
    else:
        knows_origin = any(is_meant(request.origin, pattern) for pattern in settings.origins)
    if not knows_origin or (request.includes_credentials and not settings.credentials):
        return False
    if request.method not in {"GET", "HEAD", "POST", *settings.methods} and "*" not in settings.methods:
        return False
    named = {name.lower() for name in settings.headers}
    covered = "*" in named
    return all(
        name in named or (covered and (name != "authorization" or settings.credentials))
        for name in request.unsafe_names
    )


HOSTS = ["a.example", "x.a.example", "y.x.a.example", "xa.example", "b.example", "a.example.evil.example"]
PORTS = ["", ":8443", ":1"]
origins = st.one_of(
    st.builds("{}://{}{}".format, st.sampled_from(["https", "http"]), st.sampled_from(HOSTS), st.sampled_from(PORTS)),
    st.sampled_from(["null", "https://.a.example", "https://x..a.example"]),
)
patterns = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(["https", "http"]),
    st.sampled_from(["", "*."]),
    st.sampled_from(["a.example", "x.a.example", "b.example"]),
    st.sampled_from(["", ":*", ":8443"]),
)
NAMES = ["authorization", "content-type", "x-one", "x-two"]


def some(values: list[str]) -> Any:
    """Draw a few of these, or all of them at once by a wildcard."""
    return st.one_of(st.lists(st.sampled_from(values), unique=True), st.just(["*"]))


settings = st.builds(
    CORS,
    origins=st.one_of(st.lists(patterns, min_size=1, max_size=4), st.just(["*"])),
    methods=some(["PUT", "PATCH", "PURGE"]),
    headers=st.one_of(some([name.title() for name in NAMES]), st.just(["*", "Authorization"])),
    credentials=st.booleans(),
    preflight_status=st.sampled_from([200, 204]),
    debug=st.booleans(),
    dangerously_allow_any_origin_with_credentials=st.just(value=True),
    dangerously_tolerate_insecure_origins=st.just(value=True),
)
requests = st.builds(
    Fetch,
    origin=origins,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "PURGE", "DELETE"]),
    unsafe_names=st.lists(st.sampled_from(NAMES), unique=True),
    includes_credentials=st.booleans(),
)


@given(settings, requests)
def test_a_page_reads_what_the_settings_mean_and_no_more(settings, request) -> None:
    """Judged by a browser, for every combination of origins, methods, headers and credentials."""
    assert can_read(request, CORSMiddleware(greet, settings)) == allows(settings, request)


@given(settings, st.lists(requests, min_size=2, max_size=6))
def test_a_cache_never_hands_one_origins_permission_to_another(settings, requests) -> None:
    """An answer that `Vary` lets a cache reuse says the same to whoever gets it."""
    app = CORSMiddleware(greet, settings)
    stored: dict[Any, Headers] = {}

    for request in requests:
        for method in ("GET", "OPTIONS"):
            headers = {"origin": request.origin}
            if method == "OPTIONS" and request.method != "GET":
                headers["access-control-request-method"] = request.method
                headers["access-control-request-headers"] = ",".join(request.unsafe_names)
            answer = send(method, list(headers.items()), app)
            varies_by = {name.lower() for name in answer.extract("vary") or []}
            key = (method, frozenset((name, value) for name, value in headers.items() if name in varies_by))
            assert stored.setdefault(key, answer.headers) == answer.headers


@given(settings, st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_nothing_that_a_client_sends_is_echoed_unless_it_was_meant(settings, origin, method, names) -> None:
    """Whatever stands in the three headers, the answer is well-formed."""
    app = CORSMiddleware(greet, settings)
    headers = [
        ("origin", origin),
        ("access-control-request-method", method),
        ("access-control-request-headers", names),
    ]

    answer = send("OPTIONS", headers, app)

    echoed = answer.get("access-control-allow-origin")
    assert echoed in {None, "*"} or any(is_meant(echoed or "", pattern) for pattern in settings.origins)
    answer.extract("access-control-allow-methods")
    answer.extract("access-control-allow-headers")
