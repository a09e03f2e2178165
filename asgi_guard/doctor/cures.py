"""What to write where a page has a bad score: for each result that costs points the setting that changes it.

Must never name a setting that changes nothing: where the application's own header wins, that is what is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from asgi_guard.doctor.examination import Examination
from asgi_guard.web.sheets import PRESETS

_HEADERS: Final = (
    "content-security-policy",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
)
_WEAK: Final = {None, "auto"}
"""The presets under which a page has less than the full score."""


def cure(x: Examination, results: Mapping[str, tuple[str, int]]) -> str:
    """Return what to write, for the results that cost points."""
    lost = {test for test, (_, modifier) in results.items() if modifier < 0}
    own = [name for name in _HEADERS if name in lost and _is_own(x, name)]
    settings = next(iter(x.chain.settings("security_headers")), None)
    preset = None if settings is None else settings.preset
    wants_preset = preset in _WEAK and not lost.isdisjoint({*_HEADERS} - {*own})
    arguments = [*_arguments(lost, "web" if wants_preset else preset, wants_preset=wants_preset)]
    told = [f"Guard(app, {', '.join(arguments)})"] if arguments else []
    if own:
        told.append(f"mend what the application sends itself, and so wins: {', '.join(own)}")
    if "subresource-integrity" in lost:
        told.append('give scripts of other hosts integrity="sha384-..." and https')
    return "; ".join(told) or "take the weak values out of the settings of security_headers"


def _arguments(lost: set[str], preset: str | None, *, wants_preset: bool) -> Iterator[str]:
    if "redirection" in lost:
        yield 'https="redirect"'
    if "cross-origin-resource-sharing" in lost:
        yield 'cors=["https://app.example.com"]'
    if "cookies" in lost:
        yield f'security_headers=SecurityHeaders(preset="{preset or "web"}", cookies="fix")'
    elif wants_preset:
        yield f'security_headers="{preset}"'


def _is_own(x: Examination, name: str) -> bool:
    """Tell whether the page has a value of a header that no preset and no setting has put there."""
    value = x.home.header(name)
    if not value:
        return False
    tables: list[Mapping[str, Any]] = [table for preset in PRESETS.values() for table in preset.values()]
    written = {table.get(name) for table in tables}
    for settings in x.chain.settings("security_headers"):
        written |= {one for key, one in settings.headers.items() if key.lower() == name}
    return value not in written
