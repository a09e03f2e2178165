"""A link of another site that names a session is refused at level 2; one's own link and a payment's way back pass."""

from __future__ import annotations

import pytest

from asgi_guard.inspection.extract import head
from asgi_guard.inspection.inspector import Inspector
from asgi_guard.inspection.limits import Limits
from asgi_guard.inspection.settings import Validation
from tests.support.textbook import is_refused

SHOP = (b"host", b"www.shop.example:8000")
EVIL = (b"referer", b"https://evil.test/a?b")


def fixes(query: bytes, *headers: tuple[bytes, bytes], level: int = 2) -> bool:
    """Tell whether a level refuses a request with this query."""
    return is_refused(head(b"/login", query, headers, Limits()), level)


@pytest.mark.parametrize(
    "query",
    [
        b"PHPSESSID=abc123",
        b"a=1&jsessionid=X",
        b"%50HPSESSID=abc123",
        b"ASP.NET_SessionId=x",
        b"connect.sid=s%3Ax",
        b"_shop_session=x",
        b"laravel_session=x",
        b"play_session=x",
        b"CFID=1&CFTOKEN=2",
        b"ASPSESSIONIDQQ=x",
        b"rack.session=x",
        b"express:sess=x",
        b"koa.sess=x",
        b"next-auth.session-token=x",
        b"__Secure-authjs.session-token=x",
    ],
)
def test_a_session_that_another_site_names_is_refused(query: bytes) -> None:
    """The victim would sign in to the attacker's session, however its name is written."""
    assert fixes(query, SHOP, EVIL)
    assert not fixes(query, SHOP, EVIL, level=1)


@pytest.mark.parametrize(
    "headers",
    [
        (SHOP,),
        (EVIL,),
        (SHOP, (b"referer", b"https://shop.example/cart")),
        (SHOP, (b"Referer", b"https://WWW.SHOP.EXAMPLE./cart")),
        (SHOP, (b"referer", b"about:blank")),
        ((b"host", b"[::1]:8000"), (b"referer", b"http://[::1]/")),
        ((b"host", b"localhost:8000"), (b"referer", b"http://localhost:3000/")),
    ],
)
def test_a_session_in_a_link_of_the_site_itself_passes(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """That is how a site does without cookies; and without a Referer nobody knows whose link it was."""
    assert not fixes(b"PHPSESSID=abc123", *headers)


@pytest.mark.parametrize(
    "query",
    [b"session_id=cs_test_a1", b"session_state=f3", b"sid=12", b"token=x", b"sessions=2", b"q=PHPSESSID", b"a=%20"],
)
def test_what_others_send_back_passes(query: bytes) -> None:
    """Payments and sign-ins return with names of their own."""
    assert not fixes(query, SHOP, EVIL)


def test_headers_that_were_seen_before_are_no_way_around() -> None:
    """Lines in which nothing was found are not looked at again, but who links is asked each time."""
    inspector = Inspector(Validation(level=2))
    inspector.remember(b"/login", [SHOP, EVIL])

    assert is_refused(inspector.head(b"/login", b"PHPSESSID=abc123", [SHOP, EVIL]), 2)
