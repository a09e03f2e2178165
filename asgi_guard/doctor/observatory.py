"""The score of a page's security headers by the published rules of MDN's HTTP Observatory.

Source: https://github.com/mdn/mdn-http-observatory, version 1.6.3 (algorithm version 5): `src/grader/charts.js` for the
modifiers and grades, `src/scanner/index.js` for how they are added up, `src/analyzer/tests/*.js` for what each test
looks at. A page begins with 100 points. Penalties are taken off; bonuses count only where at least 90 are left.

Rule 1: nothing is asked here. Whoever has the answers of a page hands them in; what they do not tell (a certificate,
the preload list of browsers) is told by the caller, or not scored.
Rule 2: must never give points of its own: each result has the modifier of the table, and there are no other results.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

from asgi_guard.doctor.observatory_csp import csp_result, frames_are_limited
from asgi_guard.doctor.observatory_page import Markup, read_page, sri_result

BASELINE: Final = 100
ENOUGH_FOR_BONUSES: Final = 90

MODIFIERS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "csp-implemented-with-no-unsafe-default-src-none": 10,
        "csp-implemented-with-no-unsafe": 5,
        "csp-implemented-with-unsafe-inline-in-style-src-only": 0,
        "csp-implemented-but-duplicate-directives": 0,
        "csp-implemented-with-insecure-scheme-in-passive-content-only": -10,
        "csp-implemented-with-unsafe-eval": -10,
        "csp-implemented-with-unsafe-inline": -20,
        "csp-implemented-with-insecure-scheme": -20,
        "csp-header-invalid": -25,
        "csp-not-implemented": -25,
        "csp-not-implemented-but-reporting-enabled": -25,
        "cookies-secure-with-httponly-sessions-and-samesite": 5,
        "cookies-secure-with-httponly-sessions": 0,
        "cookies-not-found": 0,
        "cookies-without-secure-flag-but-protected-by-hsts": -5,
        "cookies-session-without-secure-flag-but-protected-by-hsts": -10,
        "cookies-without-secure-flag": -20,
        "cookies-samesite-flag-invalid": -20,
        "cookies-anticsrf-without-samesite-flag": -20,
        "cookies-session-without-httponly-flag": -30,
        "cookies-session-without-secure-flag": -40,
        "cross-origin-resource-sharing-not-implemented": 0,
        "cross-origin-resource-sharing-implemented-with-public-access": 0,
        "cross-origin-resource-sharing-implemented-with-restricted-access": 0,
        "cross-origin-resource-sharing-implemented-with-universal-access": -50,
        "redirection-all-redirects-preloaded": 0,
        "redirection-to-https": 0,
        "redirection-not-needed-no-http": 0,
        "redirection-off-host-from-http": -5,
        "redirection-not-to-https-on-initial-redirection": -10,
        "redirection-not-to-https": -20,
        "redirection-missing": -20,
        "redirection-invalid-cert": -20,
        "referrer-policy-private": 5,
        "referrer-policy-not-implemented": 0,
        "referrer-policy-unsafe": -5,
        "referrer-policy-header-invalid": -5,
        "hsts-preloaded": 5,
        "hsts-implemented-max-age-at-least-six-months": 0,
        "hsts-implemented-max-age-less-than-six-months": -10,
        "hsts-not-implemented": -20,
        "hsts-header-invalid": -20,
        "hsts-not-implemented-no-https": -20,
        "hsts-invalid-cert": -20,
        "sri-implemented-and-all-scripts-loaded-securely": 5,
        "sri-implemented-and-external-scripts-loaded-securely": 5,
        "sri-not-implemented-response-not-html": 0,
        "sri-not-implemented-but-no-scripts-loaded": 0,
        "sri-not-implemented-but-all-scripts-loaded-from-secure-origin": 0,
        "sri-not-implemented-but-external-scripts-loaded-securely": -5,
        "sri-implemented-but-external-scripts-not-loaded-securely": -20,
        "sri-not-implemented-and-external-scripts-not-loaded-securely": -50,
        "x-content-type-options-nosniff": 0,
        "x-content-type-options-not-implemented": -5,
        "x-content-type-options-header-invalid": -5,
        "x-frame-options-implemented-via-csp": 5,
        "x-frame-options-sameorigin-or-deny": 0,
        "x-frame-options-allow-from-origin": 0,
        "x-frame-options-not-implemented": -20,
        "x-frame-options-header-invalid": -20,
        "cross-origin-resource-policy-header-invalid": -5,
        "cross-origin-resource-policy-implemented-with-cross-origin": 0,
        "cross-origin-resource-policy-implemented-with-same-origin": 10,
        "cross-origin-resource-policy-implemented-with-same-site": 10,
        "cross-origin-resource-policy-not-implemented": 0,
        "coep-implemented-with-require-corp": 10,
        "coep-implemented-with-credentialless": 10,
        "coep-implemented-with-unsafe-none": 0,
        "coep-not-implemented": 0,
        "coep-header-invalid": -5,
        "coop-implemented-with-same-origin": 10,
        "coop-implemented-with-same-origin-allow-popups": 10,
        "coop-implemented-with-noopener-allow-popups": 10,
        "coop-implemented-with-unsafe-none": 0,
        "coop-not-implemented": 0,
        "coop-header-invalid": -5,
    }
)
"""What each result of a test is worth."""

_GRADES: Final = (
    (100, "A+"),
    (90, "A"),
    (85, "A-"),
    (80, "B+"),
    (70, "B"),
    (65, "B-"),
    (60, "C+"),
    (50, "C"),
    (45, "C-"),
    (40, "D+"),
    (30, "D"),
    (25, "D-"),
)
_SIX_MONTHS_SECONDS: Final = 15_552_000  # 180 days: what the Observatory takes for six months
_GOOD_REFERRERS: Final = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
_BAD_REFERRERS: Final = {"origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade"}
_COOKIES_BY_GRAVITY: Final = (
    "cookies-without-secure-flag-but-protected-by-hsts",
    "cookies-without-secure-flag",
    "cookies-session-without-secure-flag-but-protected-by-hsts",
    "cookies-samesite-flag-invalid",
    "cookies-anticsrf-without-samesite-flag",
    "cookies-session-without-httponly-flag",
    "cookies-session-without-secure-flag",
)
_NOT_JUDGED: Final = {"heroku-session-affinity"}
_EXAMINED: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is known of a page.

    Attributes:
        host: its host, without a port.
        headers: of its answer over HTTPS: names in lower case, every line; None where HTTPS is not served.
        body: of the same answer, as text.
        cors_origin: the `Origin` that was sent in a request of its own.
        cors_headers: of the answer to that one.
        route: the addresses that a request over HTTP was led to, the first one included; None where nothing answers.
        preloaded: whether browsers have the host in their list of those that are asked over HTTPS only.
        has_valid_certificate: whether browsers accept the certificate.
    """

    host: str
    headers: Sequence[tuple[str, str]] | None
    body: str = ""
    cors_origin: str = ""
    cors_headers: Sequence[tuple[str, str]] = ()
    route: Sequence[str] | None = None
    preloaded: bool = False
    has_valid_certificate: bool = True


@dataclass(frozen=True, slots=True)
class Score:
    """What a page is worth.

    Attributes:
        points: 0 to 165.
        grade: `A+` to `F`.
        results: of each test, by its name: the result and its modifier.
        has_bonuses: whether the bonuses counted.
    """

    points: int
    grade: str
    results: Mapping[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    has_bonuses: bool = False


def score(page: Page) -> Score:
    """Score a page."""
    markup = read_page(page.body) if _is_html(page.headers or ()) else Markup()
    headers = page.headers or ()
    policies = _lines(headers, "content-security-policy")
    reported_only = bool(_lines(headers, "content-security-policy-report-only"))
    hsts = _hsts(page)
    csp = csp_result(policies, markup.policies, reported_only=reported_only, is_https=page.headers is not None)
    is_html = _is_html(headers)
    results = {
        "content-security-policy": csp,
        "cookies": _cookies(_lines(headers, "set-cookie"), hsts=hsts),
        "cross-origin-resource-sharing": _cors(page),
        "redirection": _redirection(page),
        "referrer-policy": _referrer([*_lines(headers, "referrer-policy"), *markup.referrers]),
        "strict-transport-security": hsts,
        "subresource-integrity": sri_result(markup.scripts, page.host)
        if is_html
        else "sri-not-implemented-response-not-html",
        "x-content-type-options": _nosniff(_lines(headers, "x-content-type-options")),
        "x-frame-options": "x-frame-options-implemented-via-csp"
        if frames_are_limited(policies)
        else _frames(_lines(headers, "x-frame-options")),
        "cross-origin-resource-policy": _corp(_lines(headers, "cross-origin-resource-policy")),
        "cross-origin-embedder-policy": _token(
            "coep", _lines(headers, "cross-origin-embedder-policy"), ("require-corp", "credentialless", "unsafe-none")
        ),
        "cross-origin-opener-policy": _token(
            "coop",
            _lines(headers, "cross-origin-opener-policy"),
            ("same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"),
        ),
    }
    return added_up({name: (result, MODIFIERS[result]) for name, result in results.items()})


def added_up(results: Mapping[str, tuple[str, int]]) -> Score:
    """Add up the modifiers of the results."""
    modifiers = [modifier for _, modifier in results.values()]
    points = BASELINE + sum(modifier for modifier in modifiers if modifier < 0)
    has_bonuses = points >= ENOUGH_FOR_BONUSES
    if has_bonuses:
        points += sum(modifier for modifier in modifiers if modifier > 0)
    points = max(points, 0)
    return Score(points, grade(points), results, has_bonuses)


def grade(points: int) -> str:
    """Return the grade that stands for so many points."""
    return next((name for least, name in _GRADES if points >= least), "F")


def _lines(headers: Iterable[tuple[str, str]], name: str) -> list[str]:
    return [value for key, value in headers if key == name]


def _is_html(headers: Iterable[tuple[str, str]]) -> bool:
    kind = (_lines(headers, "content-type") or [""])[0].partition(";")[0].strip().lower()
    return kind in {"", "text/html", "application/xhtml+xml"}


def _hsts(page: Page) -> str:
    if page.headers is None:
        return "hsts-not-implemented-no-https"
    if page.preloaded:
        return "hsts-preloaded"
    if not page.has_valid_certificate:
        return "hsts-invalid-cert"
    lines = _lines(page.headers, "strict-transport-security")
    if not lines:
        return "hsts-not-implemented"
    value = lines[0][:_EXAMINED].lower()
    ages = [part.strip()[8:] for part in value.split(";") if part.strip().startswith("max-age=")]
    if "," in value or not ages or not (ages[-1].isascii() and ages[-1].isdecimal()):
        return "hsts-header-invalid"
    is_long = len(ages[-1]) > 10 or int(ages[-1]) >= _SIX_MONTHS_SECONDS
    return f"hsts-implemented-max-age-{'at-least' if is_long else 'less-than'}-six-months"


def _cookies(lines: Sequence[str], *, hsts: str) -> str:
    is_safe = hsts in {"hsts-preloaded", "hsts-implemented-max-age-at-least-six-months"}
    worst, judged, has_samesite = -1, 0, True
    for line in lines:
        pair, *attributes = line[:8_192].split(";")
        name = pair.partition("=")[0].strip()
        if not name or name in _NOT_JUDGED:
            continue
        judged += 1
        said = {key.strip().lower(): value.strip().lower() for key, _, value in (a.partition("=") for a in attributes)}
        has_samesite = has_samesite and said.get("samesite") in {"lax", "strict", "none"}
        faults = _faults(name.lower(), said, is_safe=is_safe)
        worst = max([worst, *map(_COOKIES_BY_GRAVITY.index, faults)])
    if not judged:
        return "cookies-not-found"
    if worst >= 0:
        return _COOKIES_BY_GRAVITY[worst]
    return f"cookies-secure-with-httponly-sessions{'-and-samesite' if has_samesite else ''}"


def _faults(name: str, said: Mapping[str, str], *, is_safe: bool) -> list[str]:
    is_session, is_secure, samesite = "login" in name or "sess" in name, "secure" in said, said.get("samesite")
    faults: list[str] = []
    if (samesite is not None and samesite not in {"lax", "strict", "none"}) or (samesite == "none" and not is_secure):
        faults.append("cookies-samesite-flag-invalid")
    if not is_secure:
        over = "-but-protected-by-hsts" if is_safe else ""
        faults.append(f"cookies-without-secure-flag{over}")
        if is_session:
            faults.append(f"cookies-session-without-secure-flag{over}")
    if "csrf" in name and not samesite:
        faults.append("cookies-anticsrf-without-samesite-flag")
    if is_session and "httponly" not in said:
        faults.append("cookies-session-without-httponly-flag")
    return faults


def _cors(page: Page) -> str:
    prefix = "cross-origin-resource-sharing-"
    allowed = (_lines(page.cors_headers, "access-control-allow-origin") or [""])[0]
    if not allowed:
        return f"{prefix}not-implemented"
    if allowed.strip() == "*":
        return f"{prefix}implemented-with-public-access"
    credentials = (_lines(page.cors_headers, "access-control-allow-credentials") or [""])[0]
    is_universal = allowed == page.cors_origin and credentials.strip().lower() == "true"
    return f"{prefix}implemented-with-{'universal' if is_universal else 'restricted'}-access"


def _redirection(page: Page) -> str:
    if page.route is None:
        return "redirection-not-needed-no-http"
    if not page.has_valid_certificate:
        return "redirection-invalid-cert"
    if page.preloaded:
        return "redirection-all-redirects-preloaded"
    return f"redirection-{_led([urlsplit(address) for address in page.route])}"


def _led(route: Sequence[SplitResult]) -> str:
    if len(route) < 2:
        return "missing"
    if route[-1].scheme != "https":
        return "not-to-https"
    if route[1].scheme == "http":
        return "not-to-https-on-initial-redirection"
    return "to-https" if route[1].hostname == route[0].hostname else "off-host-from-http"


def _referrer(lines: Sequence[str]) -> str:
    if not lines:
        return "referrer-policy-not-implemented"
    known = [part.strip().lower() for part in ",".join(lines).split(",")]
    known = [part for part in known if part in _GOOD_REFERRERS | _BAD_REFERRERS]
    if not known:
        return "referrer-policy-header-invalid"
    return f"referrer-policy-{'private' if known[-1] in _GOOD_REFERRERS else 'unsafe'}"


def _nosniff(lines: Sequence[str]) -> str:
    if not lines or not lines[0]:
        return "x-content-type-options-not-implemented"
    return f"x-content-type-options-{'nosniff' if lines[0].strip().lower() == 'nosniff' else 'header-invalid'}"


def _frames(lines: Sequence[str]) -> str:
    if not lines or not lines[0]:
        return "x-frame-options-not-implemented"
    value = lines[0][:_EXAMINED].strip().lower()
    if value in {"deny", "sameorigin"}:
        return "x-frame-options-sameorigin-or-deny"
    return f"x-frame-options-{'allow-from-origin' if value.startswith('allow-from') else 'header-invalid'}"


def _corp(lines: Sequence[str]) -> str:
    prefix = "cross-origin-resource-policy-"
    if not lines or not lines[0]:
        return f"{prefix}not-implemented"
    value = lines[0].strip().lower()
    is_known = value in {"same-site", "same-origin", "cross-origin"}
    return f"{prefix}implemented-with-{value}" if is_known else f"{prefix}header-invalid"


def _token(prefix: str, lines: Sequence[str], known: Sequence[str]) -> str:
    """Judge a header that is one token, parameters aside (RFC 9651); it is read by its case, and stands once."""
    if not lines:
        return f"{prefix}-not-implemented"
    value = lines[0][:_EXAMINED].partition(";")[0].strip()
    return f"{prefix}-implemented-with-{value}" if len(lines) == 1 and value in known else f"{prefix}-header-invalid"
