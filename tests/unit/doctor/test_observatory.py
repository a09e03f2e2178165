"""The score of a page: each modifier by a page that earns it, and grades by points."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_guard.doctor.observatory import MODIFIERS, Page, grade, score

HTML = ("content-type", "text/html")
CSP, COOKIES = "content-security-policy", "cookies"
SRI, HSTS = "subresource-integrity", "strict-transport-security"
OWN, FOREIGN = '<script src="/a.js"></script>', '<script src="{}" {}></script>'
LONG = ("strict-transport-security", "max-age=31536000")


def page(*headers: tuple[str, str], body: str = "", **given: Any) -> Page:
    """Make a page of HTML."""
    return Page(host="shop.example", headers=(HTML, *headers), body=body, **given)


def foreign(address: str, more: str = "") -> str:
    """Write a script of somebody else's."""
    return FOREIGN.format(address, more)


ROWS = [
    (page(), CSP, "csp-not-implemented"),
    (page((CSP, "default-src 'none'; frame-ancestors 'none'")), CSP, "csp-implemented-with-no-unsafe-default-src-none"),
    (page((CSP, "default-src 'self'; object-src 'none'")), CSP, "csp-implemented-with-no-unsafe"),
    (page((CSP, "default-src *; script-src 'unsafe-inline'")), CSP, "csp-implemented-with-unsafe-inline"),
    (page((CSP, "script-src 'self' 'unsafe-eval'; object-src 'none'")), CSP, "csp-implemented-with-unsafe-eval"),
    (page(), COOKIES, "cookies-not-found"),
    (page(("set-cookie", "a=1")), COOKIES, "cookies-without-secure-flag"),
    (page(("set-cookie", "a=1"), LONG), COOKIES, "cookies-without-secure-flag-but-protected-by-hsts"),
    (page(("set-cookie", "sessionid=1; HttpOnly")), COOKIES, "cookies-session-without-secure-flag"),
    (page(("set-cookie", "sessionid=1; Secure")), COOKIES, "cookies-session-without-httponly-flag"),
    (page(("set-cookie", "csrftoken=1; Secure")), COOKIES, "cookies-anticsrf-without-samesite-flag"),
    (page(("set-cookie", "a=1; Secure; SameSite=odd")), COOKIES, "cookies-samesite-flag-invalid"),
    (page(("set-cookie", "a=1; Secure; HttpOnly")), COOKIES, "cookies-secure-with-httponly-sessions"),
    (
        page(("set-cookie", "a=1; Secure; HttpOnly; SameSite=Lax")),
        COOKIES,
        "cookies-secure-with-httponly-sessions-and-samesite",
    ),
    (page(), HSTS, "hsts-not-implemented"),
    (page(LONG), HSTS, "hsts-implemented-max-age-at-least-six-months"),
    (page((HSTS, "max-age=60")), HSTS, "hsts-implemented-max-age-less-than-six-months"),
    (page((HSTS, "soon")), HSTS, "hsts-header-invalid"),
    (page(preloaded=True), HSTS, "hsts-preloaded"),
    (page(has_valid_certificate=False), HSTS, "hsts-invalid-cert"),
    (Page(host="shop.example", headers=None), HSTS, "hsts-not-implemented-no-https"),
    (page(), SRI, "sri-not-implemented-but-no-scripts-loaded"),
    (page(body=OWN), SRI, "sri-not-implemented-but-all-scripts-loaded-from-secure-origin"),
    (page(body=foreign("https://cdn.other/a.js")), SRI, "sri-not-implemented-but-external-scripts-loaded-securely"),
    (page(body=foreign("http://cdn.other/a.js")), SRI, "sri-not-implemented-and-external-scripts-not-loaded-securely"),
    (
        page(body=foreign("https://cdn.other/a.js", "integrity=x")),
        SRI,
        "sri-implemented-and-external-scripts-loaded-securely",
    ),
    (
        page(body=foreign("http://cdn.other/a.js", "integrity=x")),
        SRI,
        "sri-implemented-but-external-scripts-not-loaded-securely",
    ),
    (
        Page(host="shop.example", headers=(("content-type", "application/json"),)),
        SRI,
        "sri-not-implemented-response-not-html",
    ),
    (page(), "x-frame-options", "x-frame-options-not-implemented"),
    (page(("x-frame-options", "DENY")), "x-frame-options", "x-frame-options-sameorigin-or-deny"),
    (page(("x-frame-options", "maybe")), "x-frame-options", "x-frame-options-header-invalid"),
    (page((CSP, "frame-ancestors 'none'")), "x-frame-options", "x-frame-options-implemented-via-csp"),
    (page(("x-content-type-options", "nosniff")), "x-content-type-options", "x-content-type-options-nosniff"),
    (page(("x-content-type-options", "sniff")), "x-content-type-options", "x-content-type-options-header-invalid"),
    (page(("referrer-policy", "no-referrer")), "referrer-policy", "referrer-policy-private"),
    (page(("referrer-policy", "unsafe-url")), "referrer-policy", "referrer-policy-unsafe"),
    (page(("referrer-policy", "whatever")), "referrer-policy", "referrer-policy-header-invalid"),
    (page(body='<meta name="referrer" content="no-referrer">'), "referrer-policy", "referrer-policy-private"),
    (page(route=["http://shop.example/"]), "redirection", "redirection-missing"),
    (page(route=["http://shop.example/", "https://shop.example/"]), "redirection", "redirection-to-https"),
    (page(route=["http://shop.example/", "http://shop.example/a"]), "redirection", "redirection-not-to-https"),
    (
        page(route=["http://shop.example/", "http://shop.example/a", "https://shop.example/"]),
        "redirection",
        "redirection-not-to-https-on-initial-redirection",
    ),
    (page(route=["http://shop.example/", "https://other.example/"]), "redirection", "redirection-off-host-from-http"),
    (
        page(cors_origin="https://evil.example", cors_headers=[("access-control-allow-origin", "*")]),
        "cross-origin-resource-sharing",
        "cross-origin-resource-sharing-implemented-with-public-access",
    ),
    (
        page(
            cors_origin="https://evil.example",
            cors_headers=[
                ("access-control-allow-origin", "https://evil.example"),
                ("access-control-allow-credentials", "true"),
            ],
        ),
        "cross-origin-resource-sharing",
        "cross-origin-resource-sharing-implemented-with-universal-access",
    ),
    (
        page(("cross-origin-resource-policy", "same-origin")),
        "cross-origin-resource-policy",
        "cross-origin-resource-policy-implemented-with-same-origin",
    ),
    (
        page(("cross-origin-embedder-policy", "require-corp")),
        "cross-origin-embedder-policy",
        "coep-implemented-with-require-corp",
    ),
    (page(("cross-origin-opener-policy", "odd")), "cross-origin-opener-policy", "coop-header-invalid"),
]


@pytest.mark.parametrize(
    ("given", "test", "result"), ROWS, ids=[f"{number} {row[2]}" for number, row in enumerate(ROWS)]
)
def test_a_page_earns_a_result(given: Page, test: str, result: str) -> None:
    """With the modifier that is published for it."""
    assert score(given).results[test] == (result, MODIFIERS[result])


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (150, "A+"),
        (100, "A+"),
        (99, "A"),
        (90, "A"),
        (85, "A-"),
        (80, "B+"),
        (70, "B"),
        (50, "C"),
        (25, "D-"),
        (24, "F"),
        (0, "F"),
    ],
)
def test_points_are_a_grade(points: int, expected: str) -> None:
    """From the best to none."""
    assert grade(points) == expected


def test_bonuses_count_where_little_is_lost() -> None:
    """From 90 points on, before any is added."""
    poor = score(page(("cross-origin-resource-policy", "same-origin")))
    assert (poor.has_bonuses, poor.grade) == (False, "D")

    good = score(
        page(
            LONG,
            (CSP, "default-src 'none'; frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-resource-policy", "same-origin"),
            route=["http://shop.example/", "https://shop.example/"],
        )
    )
    assert (good.has_bonuses, good.grade) == (True, "A+")
    assert good.points == 100 + 10 + 5 + 5 + 10
