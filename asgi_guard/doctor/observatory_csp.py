"""Content policies as MDN's HTTP Observatory reads and judges them (version 1.6.3: `cspParser.js`, `tests/csp.js`).

Several policies hold together: a source counts where each of them has it. Rule 1: every step is linear in the policy.
Must never say what a browser would do: it says what the Observatory does, which is stricter in places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

_SHORTEST: Final = 6
_NOT_IN_META: Final = ("frame-ancestors", "report-uri", "sandbox")
_MAY_REPEAT: Final = {"report-uri", "report-to"}
_BROAD: Final = {"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"}
_UNSAFE: Final = _BROAD | {"'unsafe-inline'", "data:"}
_PASSIVE: Final = ("img-src", "media-src")
_SIGNED: Final = ("'sha256-", "'sha384-", "'sha512-", "'nonce-")
_ANY: Final = frozenset({"*"})

_Policy = dict[str, set[str]]


class InvalidPolicyError(ValueError):
    """A policy cannot be read."""


def parsed(policies: Iterable[str]) -> tuple[_Policy, bool]:
    """Return the sources of each directive of several policies together, and whether a harmless one stands twice.

    Raises:
        InvalidPolicyError: one is too short, or has a directive twice.
    """
    whole: _Policy = {}
    repeats = False
    for number, policy in enumerate(policies):
        if len(policy.strip()) < _SHORTEST:
            raise InvalidPolicyError
        seen: set[str] = set()
        for words in map(str.split, policy.lower().split(";")):
            if not words:
                continue
            name, sources = words[0], set(words[1:])
            if name in seen:
                if name not in _MAY_REPEAT:
                    raise InvalidPolicyError
                repeats = True
            seen.add(name)
            if not sources and name.endswith("-src"):
                sources = {"'none'"}
            whole[name] = (sources if number == 0 else whole.get(name, set()) & sources) or {"'none'"}
    return whole, repeats


def csp_result(headers: Sequence[str], metas: Sequence[str], *, reported_only: bool, is_https: bool) -> str:
    """Judge the policies of a page.

    Args:
        headers: the lines of `Content-Security-Policy`.
        metas: the policies in the page itself.
        reported_only: whether there is a policy that is only reported.
        is_https: whether the page came over HTTPS.
    """
    in_headers, in_metas = _split(headers), _split(metas)
    try:
        policy, repeats = parsed([*in_headers, *in_metas])
    except InvalidPolicyError:
        return "csp-header-invalid"
    counts = bool(in_headers) or any(name not in _NOT_IN_META for name in parsed(in_metas)[0])
    if not counts:
        return f"csp-not-implemented{'-but-reporting-enabled' if reported_only else ''}"
    result = _judged(policy, is_https=is_https)
    is_fine = result in {
        "csp-implemented-with-no-unsafe",
        "csp-implemented-with-no-unsafe-default-src-none",
        "csp-implemented-with-unsafe-inline-in-style-src-only",
        "csp-implemented-with-insecure-scheme-in-passive-content-only",
    }
    return "csp-implemented-but-duplicate-directives" if is_fine and repeats else result


def frames_are_limited(headers: Sequence[str]) -> bool:
    """Tell whether a policy in the headers says who may frame the page."""
    try:
        return "frame-ancestors" in parsed(_split(headers))[0]
    except InvalidPolicyError:
        return False


def _split(lines: Iterable[str]) -> list[str]:
    return [policy.strip() for line in lines for policy in line.split(",")]


def _judged(policy: Mapping[str, set[str]], *, is_https: bool) -> str:
    fallback: Iterable[str] = policy.get("default-src", _ANY)
    scripts, styles = set(policy.get("script-src", fallback)), set(policy.get("style-src", fallback))
    objects = set(policy.get("object-src", fallback))
    for sources in (scripts, styles):
        if _is_signed(sources):
            sources.discard("'unsafe-inline'")
    if "'strict-dynamic'" in scripts:
        if not _is_signed(scripts):
            return "csp-header-invalid"
        scripts = {one for one in scripts if one != "'self'" and not one.startswith(tuple(_BROAD))}
    active = set(scripts).union(
        *(sources for name, sources in policy.items() if name != "script-src" and name not in _PASSIVE)
    )
    passive = set[str]().union(*(policy.get(name, policy.get("default-src", set())) for name in _PASSIVE))
    judgements = (
        ("with-unsafe-inline", bool(scripts & _UNSAFE or objects & _BROAD)),
        ("with-insecure-scheme", is_https and _is_clear(active)),
        ("with-unsafe-eval", "'unsafe-eval'" in scripts | styles),
        ("with-insecure-scheme-in-passive-content-only", is_https and _is_clear(passive)),
        ("with-unsafe-inline-in-style-src-only", bool(styles & _UNSAFE)),
        ("with-no-unsafe-default-src-none", policy.get("default-src") == {"'none'"}),
    )
    found = next((name for name, applies in judgements if applies), "with-no-unsafe")
    return f"csp-implemented-{found}"


def _is_signed(sources: Iterable[str]) -> bool:
    return any(source.startswith(_SIGNED) for source in sources)


def _is_clear(sources: Iterable[str]) -> bool:
    return any(source.startswith(("http:", "ftp:")) for source in sources)
