"""Credentials for endpoint tests, and whether an endpoint asks for them."""

from __future__ import annotations

import base64
import json

import jwt
import pytest

from asgi_guard.testing import (
    Client,
    assert_requires_authentication,
    basic,
    bearer,
    cookie,
    signed_jwt,
    unsigned_jwt,
)

KEY = "a key that is long enough for HS256"
ADA = signed_jwt({"sub": "ada"}, KEY)
LATE = signed_jwt({"sub": "ada", "exp": 1_000_000_000}, KEY)


def endpoint(is_let_in, *, refusal=401, welcome=200):
    """Make an application that lets in whom a function of the headers lets in."""

    async def app(scope, receive, send):
        try:
            status = (
                welcome if is_let_in({name.decode(): value.decode() for name, value in scope["headers"]}) else refusal
            )
        except (jwt.InvalidTokenError, ValueError, KeyError):
            status = refusal
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    return app


def token_of(headers):
    """Return the bearer token."""
    scheme, _, token = headers["authorization"].partition(" ")
    if scheme.lower() != "bearer":
        raise ValueError("no bearer")
    return token


def verified(headers):
    """Verify it as one should."""
    return jwt.decode(token_of(headers), KEY, algorithms=["HS256"])


def believed(headers):
    """Believe what a token says, whoever signed it."""
    return jwt.decode(token_of(headers), options={"verify_signature": False})["sub"] == "ada"


def believed_if_signed(headers):
    """Look whether there is a signature of the right algorithm, and not whose."""
    header, claims, signature = token_of(headers).split(".")
    said, sub = (json.loads(base64.urlsafe_b64decode(f"{part}==")) for part in (header, claims))
    return said["alg"] == "HS256" and len(signature) == 43 and sub["sub"] == "ada"


def not_expiring(headers):
    """Verify the signature alone."""
    return jwt.decode(token_of(headers), KEY, algorithms=["HS256"], options={"verify_exp": False})


def by_basic(headers):
    """Know one user."""
    scheme, _, told = headers["authorization"].partition(" ")
    return scheme == "Basic" and base64.b64decode(told, validate=True) == b"ada:l\xc3\xb6velace"


def by_cookie(headers):
    """Know one session."""
    return headers["cookie"] == "session=0123456789abcdef"


def test_the_headers_are_those_of_the_standards() -> None:
    """RFC 6750, RFC 7617, RFC 6265; a colon would end the name of a user."""
    assert bearer("t") == {"Authorization": "Bearer t"}
    assert basic("Aladdin", "open sesame") == {"Authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    assert cookie(a="1", b="2") == {"Cookie": "a=1; b=2"}
    with pytest.raises(ValueError, match="no colon"):
        basic("a:b", "c")


def test_a_token_is_one_that_others_verify() -> None:
    """By its key alone; its header has what was added; an unsigned one is refused, and an expired one."""
    token = signed_jwt({"sub": "ada"}, KEY.encode(), header={"kid": "1"})

    assert jwt.decode(token, KEY, algorithms=["HS256"]) == {"sub": "ada"}
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "1"}
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(token, KEY[::-1], algorithms=["HS256"])
    with pytest.raises(jwt.InvalidTokenError):
        jwt.decode(unsigned_jwt({"sub": "ada"}), KEY, algorithms=["HS256"])
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(LATE, KEY, algorithms=["HS256"])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("app", "good", "expired", "kinds"),
    [
        (endpoint(verified), bearer(ADA), bearer(LATE), 10),
        (endpoint(verified, welcome=404), bearer(ADA), None, 9),
        (endpoint(by_basic), basic("ada", "l\u00f6velace"), None, 6),
        (endpoint(by_cookie), cookie(session="0123456789abcdef"), None, 4),
    ],
    ids=["token", "token, nothing there", "basic", "cookie"],
)
async def test_an_endpoint_that_asks_rightly_passes(app, good, expired, kinds) -> None:
    """With a status for each kind of credentials that were tried."""
    report = await assert_requires_authentication(Client(app), "GET", "/me", good=good, expired=expired)

    assert len(report.statuses) == kinds
    assert {status for kind, status in report.statuses.items() if kind != "good"} == {401}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("app", "problems"),
    [
        (endpoint(lambda headers: True), ["missing", "malformed: no secret", "wrong", "expired"]),
        (endpoint(lambda headers: "authorization" in headers), ["malformed: no scheme", "wrong", "expired"]),
        (endpoint(believed), ["wrong: unsigned", "wrong: no signature", "wrong: another signature", "expired"]),
        (endpoint(believed_if_signed), ["wrong: another signature", "expired"]),
        (endpoint(not_expiring), ["expired"]),
        (endpoint(verified, refusal=403), ["missing: answered 403", "wrong: answered 403"]),
        (endpoint(verified, refusal=500), ["missing: answered 500"]),
        (endpoint(lambda headers: False), ["good: answered 401, and should have been let in"]),
        (endpoint(verified, welcome=503), ["good: answered 503"]),
    ],
    ids=[
        "open",
        "any header",
        "any token",
        "any signature",
        "for ever",
        "forbidden",
        "broken by bad ones",
        "closed to all",
        "broken by good ones",
    ],
)
async def test_an_endpoint_that_does_not_is_named(app, problems) -> None:
    """With each kind that was answered wrongly."""
    with pytest.raises(AssertionError) as caught:
        await assert_requires_authentication(Client(app), "GET", "/me", good=bearer(ADA), expired=bearer(LATE))

    assert [problem for problem in problems if f"\n  {problem}" not in str(caught.value)] == []


@pytest.mark.anyio
async def test_nothing_is_made_of_credentials_that_are_none() -> None:
    """A header of one's own cannot be made wrong by what knows nothing of it."""
    with pytest.raises(ValueError, match="Authorization or a Cookie"):
        await assert_requires_authentication(Client(endpoint(verified)), "GET", "/", good={"X-Key": "1"})
