"""Page: the dashboard as one document that needs nothing else: its style and scripts stand in it.

The browser is told to run these very scripts and no others (CSP Level 3, by hash), to make no markup out of text
(Trusted Types), and to ask nobody but this server. The page knows nothing: what it shows it asks for, at the address of
the summary, of which a client may have influenced every name.
Must never put anything into the page that comes from a request.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Final

from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import Header

CONTENT_TYPE: Final = b"text/html; charset=utf-8"

_STYLES: Final = ("uPlot.css", "page.css")
_SCRIPTS: Final = (
    "format.js",
    "dom.js",
    "table.js",
    "chart.js",
    "verdict.js",
    "sections.js",
    "poll.js",
    "main.js",
)
_SLOT: Final = re.compile(r"\{\{(\w+)\}\}")
_VERSION: Final = re.compile(r"uPlot \(v([\d.]+)\)")
_GZIPPED: Final[tuple[Header, ...]] = ((b"content-encoding", b"gzip"),)


@dataclass(frozen=True, slots=True)
class DashboardPage:
    """The page, ready to be sent.

    Attributes:
        headers: its headers but for type and encoding; they forbid storing, framing and whatever it does not need.
        body: the document, UTF-8.
        gzipped: the same, compressed once.
    """

    headers: Sequence[Header]
    body: bytes
    gzipped: bytes

    def reply(self, accept_encoding: bytes = b"") -> Reply:
        """Return the page for a client, compressed where its `Accept-Encoding` names gzip."""
        if _accepts_gzip(accept_encoding):
            return Reply(200, headers=(*self.headers, *_GZIPPED), body=self.gzipped, content_type=CONTENT_TYPE)
        return Reply(200, headers=self.headers, body=self.body, content_type=CONTENT_TYPE)


def _accepts_gzip(accept_encoding: bytes) -> bool:
    """Tell whether a client names gzip, and not with a weight of zero (RFC 9110 section 12.5.3)."""
    for item in accept_encoding[:256].lower().split(b","):
        coding, _, weight = item.partition(b";")
        if coding.strip() == b"gzip":
            return not weight or bool(weight.strip(b" q=0."))
    return False


@lru_cache(maxsize=16)
def dashboard_page(summary_path: str, title: str = "asgi_guard") -> DashboardPage:
    """Build the page, once; the files are read when it is first asked for, which takes some milliseconds.

    Args:
        summary_path: where the summary is: a path, or an address relative to the page's own, such as `summary`, which
            stays right behind a proxy that adds a prefix.
        title: what the page is called.
    """
    assets = files("asgi_guard.watch") / "dashboard"

    def read(name: str) -> str:
        # In text mode every line ends with \n, as it does for the browser that compares the hashes.
        return (assets / name).read_text(encoding="utf-8")

    style = "\n".join(map(read, _STYLES))
    uplot = read("uPlot.js")
    scripts = {"theme": read("theme.js"), "uplot": uplot, "scripts": "\n".join(map(read, _SCRIPTS))}
    version = _VERSION.search(uplot[:200])
    slots = {
        "title": escape(title),
        "summary": escape(summary_path),
        "version": version[1] if version else "",
        "style": style,
        **scripts,
    }
    body = _SLOT.sub(lambda slot: slots[slot[1]], read("page.html")).encode()
    return DashboardPage(_headers(style, scripts.values()), body, gzip.compress(body, mtime=0))


def _headers(style: str, scripts: Iterable[str]) -> tuple[Header, ...]:
    policy = (
        "default-src 'none'",
        f"script-src {' '.join(map(_hash, scripts))}",
        f"style-src {_hash(style)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    return (
        (b"cache-control", b"no-store"),
        (b"content-security-policy", "; ".join(policy).encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"vary", b"accept-encoding"),
        (b"x-content-type-options", b"nosniff"),
    )


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
