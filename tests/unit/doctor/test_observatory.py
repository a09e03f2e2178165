"""The score of a page: each modifier by a page that earns it, and grades by points."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_guard.doctor.observatory import MODIFIERS, Page, grade, score

HTML = ("content-type", "text/html")
CSP, COOKIES = "content-security-policy", "cookies"
SRI, HSTS = "subresource-integrity", "strict-transport-security"
CORS, CORP = "cross-origin-resource-sharing", "cross-origin-resource-policy"
COEP, COOP = "cross-origin-embedder-policy", "cross-origin-opener-policy"
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
    (page((CSP, "x")), CSP, "csp-header-invalid"),
    (page((CSP, "img-src 'self'; img-src *")), CSP, "csp-header-invalid"),
    (page((CSP, "script-src 'strict-dynamic'; object-src 'none'")), CSP, "csp-header-invalid"),
    (page((CSP, "default-src 'self'; report-uri /a; report-uri /b")), CSP, "csp-implemented-but-duplicate-directives"),
    (page((CSP, "default-src 'self'; frame-src http://a.example")), CSP, "csp-implemented-with-insecure-scheme"),
    (
        page((CSP, "default-src 'self'; img-src http://a.example")),
        CSP,
        "csp-implemented-with-insecure-scheme-in-passive-content-only",
    ),
    (
        page((CSP, "default-src 'self'; style-src 'unsafe-inline'")),
        CSP,
        "csp-implemented-with-unsafe-inline-in-style-src-only",
    ),
    (page((CSP, "default-src 'self'; style-src 'unsafe-inline' 'nonce-abc'")), CSP, "csp-implemented-with-no-unsafe"),
    (page((CSP, "default-src *"), (CSP, "default-src 'none'")), CSP, "csp-implemented-with-no-unsafe-default-src-none"),
    (
        page(("content-security-policy-report-only", "default-src 'none'")),
        CSP,
        "csp-not-implemented-but-reporting-enabled",
    ),
    (page(body=f'<meta http-equiv="{CSP}" content="default-src \'self\'">'), CSP, "csp-implemented-with-no-unsafe"),
    (page(body=f'<meta http-equiv="{CSP}" content="frame-ancestors \'none\'">'), CSP, "csp-not-implemented"),
    (
        page(("set-cookie", "sessionid=1; HttpOnly"), LONG),
        COOKIES,
        "cookies-session-without-secure-flag-but-protected-by-hsts",
    ),
    (page(("set-cookie", "a=1; SameSite=None"), LONG), COOKIES, "cookies-samesite-flag-invalid"),
    (page(), CORS, f"{CORS}-not-implemented"),
    (
        page(cors_origin="https://evil.example", cors_headers=[("access-control-allow-origin", "https://a.example")]),
        CORS,
        f"{CORS}-implemented-with-restricted-access",
    ),
    (page(route=None), "redirection", "redirection-not-needed-no-http"),
    (
        page(route=["http://shop.example/"], has_valid_certificate=False),
        "redirection",
        "redirection-invalid-cert",
    ),
    (page(route=["http://shop.example/"], preloaded=True), "redirection", "redirection-all-redirects-preloaded"),
    (page(), "referrer-policy", "referrer-policy-not-implemented"),
    (
        page(body='<script src="https://shop.example/a.js" integrity="x"></script>'),
        SRI,
        "sri-implemented-and-all-scripts-loaded-securely",
    ),
    (page(body=foreign("//cdn.other/a.js")), SRI, "sri-not-implemented-and-external-scripts-not-loaded-securely"),
    (page(), "x-content-type-options", "x-content-type-options-not-implemented"),
    (page(("x-frame-options", "ALLOW-FROM https://a.example")), "x-frame-options", "x-frame-options-allow-from-origin"),
    (page(), CORP, f"{CORP}-not-implemented"),
    (page((CORP, "odd")), CORP, f"{CORP}-header-invalid"),
    (page((CORP, "same-site")), CORP, f"{CORP}-implemented-with-same-site"),
    (page((CORP, "cross-origin")), CORP, f"{CORP}-implemented-with-cross-origin"),
    (page(), COEP, "coep-not-implemented"),
    (page((COEP, "odd")), COEP, "coep-header-invalid"),
    (page((COEP, "require-corp"), (COEP, "require-corp")), COEP, "coep-header-invalid"),
    (page((COEP, 'credentialless; report-to="x"')), COEP, "coep-implemented-with-credentialless"),
    (page((COEP, "unsafe-none")), COEP, "coep-implemented-with-unsafe-none"),
    (page(), COOP, "coop-not-implemented"),
    (page((COOP, "same-origin")), COOP, "coop-implemented-with-same-origin"),
    (page((COOP, "Same-Origin")), COOP, "coop-header-invalid"),
    (page((COOP, "same-origin-allow-popups")), COOP, "coop-implemented-with-same-origin-allow-popups"),
    (page((COOP, "noopener-allow-popups")), COOP, "coop-implemented-with-noopener-allow-popups"),
    (page((COOP, "unsafe-none")), COOP, "coop-implemented-with-unsafe-none"),
]

PUBLISHED = {  # by what they are worth, copied from the source once more; what is not here is worth nothing
    10: """csp-implemented-with-no-unsafe-default-src-none coep-implemented-with-require-corp
        coep-implemented-with-credentialless coop-implemented-with-same-origin
        coop-implemented-with-same-origin-allow-popups coop-implemented-with-noopener-allow-popups
        cross-origin-resource-policy-implemented-with-same-origin
        cross-origin-resource-policy-implemented-with-same-site""",
    5: """csp-implemented-with-no-unsafe cookies-secure-with-httponly-sessions-and-samesite referrer-policy-private
        hsts-preloaded sri-implemented-and-all-scripts-loaded-securely
        sri-implemented-and-external-scripts-loaded-securely x-frame-options-implemented-via-csp""",
    -5: """cookies-without-secure-flag-but-protected-by-hsts redirection-off-host-from-http referrer-policy-unsafe
        referrer-policy-header-invalid sri-not-implemented-but-external-scripts-loaded-securely
        x-content-type-options-not-implemented x-content-type-options-header-invalid coep-header-invalid
        coop-header-invalid cross-origin-resource-policy-header-invalid""",
    -10: """csp-implemented-with-insecure-scheme-in-passive-content-only csp-implemented-with-unsafe-eval
        cookies-session-without-secure-flag-but-protected-by-hsts redirection-not-to-https-on-initial-redirection
        hsts-implemented-max-age-less-than-six-months""",
    -20: """csp-implemented-with-unsafe-inline csp-implemented-with-insecure-scheme cookies-without-secure-flag
        cookies-samesite-flag-invalid cookies-anticsrf-without-samesite-flag redirection-not-to-https
        redirection-missing redirection-invalid-cert hsts-not-implemented hsts-header-invalid
        hsts-not-implemented-no-https hsts-invalid-cert sri-implemented-but-external-scripts-not-loaded-securely
        x-frame-options-not-implemented x-frame-options-header-invalid""",
    -25: "csp-header-invalid csp-not-implemented csp-not-implemented-but-reporting-enabled",
    -30: "cookies-session-without-httponly-flag",
    -40: "cookies-session-without-secure-flag",
    -50: """cross-origin-resource-sharing-implemented-with-universal-access
        sri-not-implemented-and-external-scripts-not-loaded-securely""",
}


def test_each_result_is_worth_what_is_published() -> None:
    """And no other one is worth anything."""
    worth = {name: points for points, names in PUBLISHED.items() for name in names.split()}

    assert worth == {name: points for name, points in MODIFIERS.items() if points}


def test_each_result_has_a_page_that_earns_it() -> None:
    """So that none of them is out of reach."""
    assert {result for _, _, result in ROWS} == set(MODIFIERS)


@pytest.mark.parametrize("address", ["http://[", "https://[::1", "//"])
def test_an_address_that_cannot_be_read_is_scored_all_the_same(address: str) -> None:
    """It is foreign."""
    assert score(page(body=foreign(address))).results[SRI][1] < 0


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
