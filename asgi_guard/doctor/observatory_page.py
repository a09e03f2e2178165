"""What MDN's HTTP Observatory looks at in a page itself: its scripts, and the policies that stand in `<meta>`.

Rule 1: a page is read once, up to so many characters, by Python's own parser. Must never run or fetch what it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlsplit

_MAX_CHARACTERS: Final = 1_000_000

SRI_BY_GRAVITY: Final = (
    "sri-implemented-and-all-scripts-loaded-securely",
    "sri-implemented-and-external-scripts-loaded-securely",
    "sri-implemented-but-external-scripts-not-loaded-securely",
    "sri-not-implemented-but-external-scripts-loaded-securely",
    "sri-not-implemented-and-external-scripts-not-loaded-securely",
)


@dataclass(frozen=True, slots=True)
class Script:
    """One script of a page: where it comes from, empty for one in the page, and whether it has a hash."""

    source: str
    has_integrity: bool


@dataclass(slots=True)
class Markup:
    """What was found in a page.

    Attributes:
        scripts: its scripts.
        policies: its content policies.
        referrers: its referrer policies.
    """

    scripts: list[Script] = field(default_factory=list[Script])
    policies: list[str] = field(default_factory=list[str])
    referrers: list[str] = field(default_factory=list[str])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.markup = Markup()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in reversed(attrs)}
        if tag == "script":
            self.markup.scripts.append(Script(said.get("src", "").strip(), bool(said.get("integrity"))))
        elif tag == "meta" and said.get("content"):
            equivalent = said.get("http-equiv", "").strip().lower()
            if equivalent == "content-security-policy":
                self.markup.policies.append(said["content"])
            elif equivalent == "referrer-policy" or said.get("name", "").strip().lower() == "referrer":
                self.markup.referrers.append(said["content"])


def read_page(text: str) -> Markup:
    """Return what stands in a page, of at most a million characters."""
    reader = _Reader()
    reader.feed(text[:_MAX_CHARACTERS])
    reader.close()
    return reader.markup


def sri_result(scripts: Iterable[Script], host: str) -> str:
    """Judge where a page's scripts come from, and whether their content is sealed."""
    worst, count, is_foreign = -1, 0, False
    for script in scripts:
        count += 1
        if not script.source:
            continue
        is_relative_scheme = script.source.startswith("//")
        is_whole = script.source.startswith(("http://", "https://", "//"))
        is_secure = not is_whole or script.source.startswith("https://")
        is_own = not is_whole or (not is_relative_scheme and _site(_host_of(script.source)) == _site(host))
        is_foreign = is_foreign or not is_own
        if is_own:
            if script.has_integrity and is_secure and worst < 0:
                worst = 0
        elif script.has_integrity:
            worst = worst if is_secure else max(worst, 2)
        else:
            worst = max(worst, 3 if is_secure else 4)
    if not count:
        return "sri-not-implemented-but-no-scripts-loaded"
    if worst >= 0:
        return SRI_BY_GRAVITY[worst]
    return SRI_BY_GRAVITY[1] if is_foreign else "sri-not-implemented-but-all-scripts-loaded-from-secure-origin"


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:  # brackets that are never closed
        return ""


def _site(host: str) -> str:
    """Return the registered domain as far as it can be told without the list of public suffixes: the last two labels.

    `a.co.uk` and `b.co.uk` are one site by this, so that a script of the one in the other is not marked as foreign.
    """
    return host if host.replace(".", "").isdecimal() or ":" in host else ".".join(host.lower().split(".")[-2:])
