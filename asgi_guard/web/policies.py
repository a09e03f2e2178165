"""Policies: the values of security headers, read as a browser reads them, so that a misspelt one does not start.

A browser ignores what it does not know, without a word to anybody: a directive with a typo, `self` without its quotes.
Standards: CSP Level 3, Permissions Policy, RFC 6797 (HSTS), RFC 9651 (structured fields), HTML (COOP, COEP), Fetch
(CORP, nosniff), Referrer Policy, Reporting.
Must never refuse what only a future browser knows where the standard leaves the names open.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from asgi_guard.web.mistakes import MistakeError, words

CSP: Final = "content-security-policy"
CSP_REPORT_ONLY: Final = "content-security-policy-report-only"
NONCE: Final = "'nonce-{nonce}'"
"""Stands in a policy for the nonce of the request."""

_DIRECTIVES: Final = words(
    """
    base-uri child-src connect-src default-src fenced-frame-src font-src form-action frame-ancestors frame-src img-src
    manifest-src media-src object-src report-to report-uri require-trusted-types-for sandbox script-src script-src-attr
    script-src-elem style-src style-src-attr style-src-elem trusted-types upgrade-insecure-requests webrtc worker-src
    """
)
_NO_SOURCES: Final = words("report-to report-uri require-trusted-types-for sandbox trusted-types webrtc")
_KEYWORDS: Final = words(
    """
    inline-speculation-rules none report-sample self strict-dynamic trusted-types-eval unsafe-allow-redirects
    unsafe-eval unsafe-hashes unsafe-inline wasm-unsafe-eval
    """
)
_BARE_SECRET: Final = re.compile(r"(?:nonce|sha256|sha384|sha512)-", re.IGNORECASE)
_QUOTED_SECRET: Final = re.compile(r"'(?:nonce|sha256|sha384|sha512)-[A-Za-z0-9+/_-]+={0,2}'", re.IGNORECASE)

_POWERS: Final = words(
    """
    accelerometer ambient-light-sensor attribution-reporting autoplay bluetooth browsing-topics camera
    captured-surface-control clipboard-read clipboard-write compute-pressure cross-origin-isolated
    deferred-fetch display-capture encrypted-media fullscreen gamepad geolocation gyroscope hid
    identity-credentials-get idle-detection interest-cohort keyboard-map language-detector local-fonts magnetometer
    microphone midi otp-credentials payment picture-in-picture private-state-token-issuance
    publickey-credentials-create publickey-credentials-get screen-wake-lock serial speaker-selection storage-access
    summarizer sync-xhr translator unload usb web-share window-management xr-spatial-tracking
    """
)
_KEY: Final = "[a-z*][a-z0-9_.*-]*"
_POWER: Final = re.compile(
    rf"""({_KEY})=(?:\*|self|\((?: *(?:\*|self|src|"https?://[^" ]+"))* *\))(?:;{_KEY}(?:=[^,; ]+)?)*"""
)
_ENDPOINT: Final = re.compile(rf'{_KEY}="(?:https://|/)[^" ]*"')

_CHOICES: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {
        "cross-origin-opener-policy": (
            "same-origin",
            "same-origin-allow-popups",
            "noopener-allow-popups",
            "unsafe-none",
        ),
        "cross-origin-embedder-policy": ("require-corp", "credentialless", "unsafe-none"),
        "cross-origin-resource-policy": ("same-origin", "same-site", "cross-origin"),
        "x-content-type-options": ("nosniff",),
        "x-frame-options": ("DENY", "SAMEORIGIN", "deny", "sameorigin"),
    }
)
_REFERRER_POLICIES: Final = words(
    """
    no-referrer no-referrer-when-downgrade origin origin-when-cross-origin same-origin strict-origin
    strict-origin-when-cross-origin unsafe-url
    """
)
_YEAR_SECONDS: Final = 31_536_000


def mistakes(headers: Mapping[str, str | None]) -> Iterator[tuple[str, MistakeError]]:
    """Tell what is wrong with the values of these headers (names as given), each with the name that it stands under."""
    endpoints: Collection[str] | None = None
    for name, value in headers.items():
        if value is not None and name.lower() == "reporting-endpoints":
            endpoints = [member.strip().partition("=")[0] for member in value.split(",")]
    for name, value in headers.items():
        if value is None:
            continue
        lowered = name.lower()
        if lowered in {CSP, CSP_REPORT_ONLY}:
            found = _in_policy(value, endpoints)
        elif lowered in _CHOICES:
            found = _in_choice(value, _CHOICES[lowered])
        else:
            check = _CHECKS.get(lowered)
            found = iter(()) if check is None else check(value)
        for mistake in found:
            yield name, mistake


def without_nonce(policy: str) -> str:
    """Return a policy for a response in which there is no nonce; a list that is empty then admits nothing."""
    written: list[str] = []
    for name, *sources in _directives(policy):
        kept = [source for source in sources if source != NONCE]
        written.append(" ".join([name, *(kept or (["'none'"] if sources else []))]))
    return "; ".join(written)


def _directives(policy: str) -> list[list[str]]:
    """Return name and values of each directive; browsers skip those that are empty (CSP Level 3 section 2.2.1)."""
    return [directive.split() for directive in policy.split(";") if directive.strip()]


def _in_policy(policy: str, endpoints: Collection[str] | None) -> Iterator[MistakeError]:
    read: dict[str, list[str]] = {}
    directives = _directives(policy)
    if not directives:
        yield MistakeError("AG380", "must have a directive", "Write one, or None in place of the value to send none.")
    for name, *sources in directives:
        if name.lower() not in _DIRECTIVES:
            yield _unknown("AG380", name, _DIRECTIVES, "must have the directives of CSP only")
            continue
        if name.lower() in read:
            remedy = f"Join the two {name!r}: a browser reads the first alone."
            yield MistakeError("AG385", "must have each directive once", remedy)
            continue
        read[name.lower()] = sources
        if name.lower() not in _NO_SOURCES:
            yield from _in_sources(name, sources)
    if re.search("[{}]", policy.replace("nonce-{nonce}", "")):
        yield MistakeError("AG386", "must have the nonce as a source", f"Write {NONCE}, with the quotes.")
    if "report-uri" in read and "report-to" not in read:
        remedy = "Add report-to with an endpoint of Reporting-Endpoints: report-uri is on its way out of browsers."
        yield MistakeError("AG383", "must report to an endpoint too", remedy)
    for endpoint in read.get("report-to", []):
        if endpoints is None or endpoint not in endpoints:
            remedy = f"""Set Reporting-Endpoints to '{endpoint}="https://..."'."""
            yield MistakeError("AG383", f"must report to an endpoint that there is, not {endpoint!r}", remedy)


def _in_sources(name: str, sources: list[str]) -> Iterator[MistakeError]:
    lowered = [source.lower() for source in sources]
    for source in lowered:
        if source in _KEYWORDS or _BARE_SECRET.match(source):
            yield MistakeError("AG381", f"must have its keywords in quotes ({name})", f"Write '{source}' with quotes.")
        elif source.startswith("'") and source.strip("'") not in _KEYWORDS and source != NONCE:
            if _QUOTED_SECRET.fullmatch(source) is None:
                yield _unknown("AG381", source.strip("'"), _KEYWORDS, f"must have known keywords only ({name})")
            elif source.startswith("'nonce-"):
                remedy = f"Write {NONCE}: one that stays the same is known to every attacker."
                yield MistakeError("AG386", "must have a nonce for each request", remedy)
    if "'none'" in lowered and len(lowered) > 1:
        remedy = "Leave out 'none' or the others: next to them it is ignored."
        yield MistakeError("AG384", f"must have 'none' alone ({name})", remedy)
    is_secretive = NONCE in sources or "'strict-dynamic'" in lowered or any(map(_QUOTED_SECRET.fullmatch, lowered))
    if "'unsafe-inline'" in lowered and is_secretive:
        remedy = "Leave out 'unsafe-inline': next to a nonce or a hash browsers ignore it."
        yield MistakeError("AG382", f"must have either a nonce or 'unsafe-inline' ({name})", remedy)


def _in_hsts(value: str) -> Iterator[MistakeError]:
    directives: dict[str, str] = {}
    for directive in filter(str.strip, value.split(";")):  # empty ones are allowed (RFC 6797 section 6.1)
        name, _, argument = directive.strip().partition("=")
        if name.lower() in directives:
            yield MistakeError("AG390", "must have each directive once", f"Leave out one {name!r}.")
        elif name.lower() not in {"max-age", "includesubdomains", "preload"}:
            yield _unknown(
                "AG390", name, ("max-age", "includeSubDomains", "preload"), "must have the directives of HSTS only"
            )
        directives[name.lower()] = argument.strip('"')
    age = directives.get("max-age", "")
    if not (age.isascii() and age.isdigit()):
        yield MistakeError("AG390", "must have a max-age in seconds", 'Write "max-age=31536000".')
    elif "preload" in directives and (int(age[:20]) < _YEAR_SECONDS or "includesubdomains" not in directives):
        remedy = "Write max-age=31536000 or more and includeSubDomains, or leave out preload: the list takes no less."
        yield MistakeError("AG390", "must be ready for the preload list", remedy)


def _in_permissions(value: str) -> Iterator[MistakeError]:
    for member in value.split(","):
        found = _POWER.fullmatch(member.strip())
        if found is None:
            remedy = 'Write camera=(), camera=(self "https://a.example") or camera=*, with commas between them.'
            yield MistakeError("AG391", f"must have lists of origins, not {member.strip()[:40]!r}", remedy)
        elif found[1] not in _POWERS and (close := _close(found[1], _POWERS)) is not None:
            yield MistakeError("AG391", f"must have features that there are, not {found[1]!r}", _did_you_mean(close))


def _in_endpoints(value: str) -> Iterator[MistakeError]:
    if not all(_ENDPOINT.fullmatch(member.strip()) for member in value.split(",")):
        yield MistakeError(
            "AG393", "must name endpoints", 'Write main="https://reports.example/", with commas between.'
        )


def _in_referrer_policy(value: str) -> Iterator[MistakeError]:
    for token in value.split(","):
        if token.strip().lower() not in _REFERRER_POLICIES:
            yield _unknown("AG392", token.strip(), _REFERRER_POLICIES, "must be a referrer policy")


def _in_choice(value: str, choices: Collection[str]) -> Iterator[MistakeError]:
    token = value.partition(";")[0].strip()
    if token not in choices:
        yield _unknown("AG392", token, choices, f"must be one of {', '.join(choices)}")


_CHECKS: Final[Mapping[str, Callable[[str], Iterator[MistakeError]]]] = MappingProxyType(
    {
        "permissions-policy": _in_permissions,
        "referrer-policy": _in_referrer_policy,
        "reporting-endpoints": _in_endpoints,
        "strict-transport-security": _in_hsts,
    }
)


def _unknown(problem_id: str, word: str, known: Collection[str], rule: str) -> MistakeError:
    close = _close(word, known)
    remedy = f"Take out {word[:40]!r}." if close is None else _did_you_mean(close)
    return MistakeError(problem_id, f"{rule}, not {word[:40]!r}", remedy)


def _did_you_mean(word: str) -> str:
    return f"Did you mean {word!r}?"


def _close(word: str, known: Collection[str]) -> str | None:
    from difflib import get_close_matches  # slow to import, and needed only where something is wrong

    by_lower = {name.lower(): name for name in known}
    found = get_close_matches(word.lower()[:64], by_lower, n=1, cutoff=0.75)
    return by_lower[found[0]] if found else None
