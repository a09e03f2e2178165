"""The page as it leaves the server: whole, small, and with a policy that names each of its scripts."""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest

from asgi_guard.watch.page import dashboard_page

ASSETS = files("asgi_guard.watch") / "dashboard"
OWN_SCRIPTS = sorted(item.name for item in ASSETS.iterdir() if item.name.endswith(".js") and item.name != "uPlot.js")
MAX_BYTES = 150_000
NAMESPACE = "http://www.w3.org/2000/svg"


class Parts(HTMLParser):
    """What stands in the page's scripts and styles, and its attributes."""

    def __init__(self, body: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.inline: dict[str, list[str]] = {"script": [], "style": [], "title": []}
        self.attributes: list[tuple[str, str | None]] = []
        self._within: list[str] | None = None
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self._within = self.inline.get(tag)

    def handle_endtag(self, tag: str) -> None:
        self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is not None:
            self._within.append(data)


def header(name: bytes) -> str:
    """Read a header of the page."""
    return dict(dashboard_page("summary").headers)[name].decode()


def test_the_policy_names_exactly_the_scripts_and_styles_that_stand_in_the_page() -> None:
    """Whatever else finds its way into the document does not run."""
    parts = Parts(dashboard_page("summary").body)

    def hashes(texts: list[str]) -> list[str]:
        return [f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts]

    directives = dict(part.split(" ", 1) for part in header(b"content-security-policy").split("; "))
    assert directives.pop("script-src").split() == hashes(parts.inline["script"])
    assert directives.pop("style-src").split() == hashes(parts.inline["style"])
    assert directives == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_nobody_stores_the_page_or_guesses_its_type() -> None:
    """It is for those who may see it, at the time when they may."""
    assert header(b"cache-control") == "no-store"
    assert header(b"x-content-type-options") == "nosniff"
    assert dashboard_page("summary").reply().content_type == b"text/html; charset=utf-8"


def test_the_page_has_no_handlers_and_no_style_of_an_element() -> None:
    """Such attributes would need an unsafe policy."""
    names = {name for name, _ in Parts(dashboard_page("summary").body).attributes}

    assert {name for name in names if name.startswith("on") or name in {"style", "srcdoc"}} == set()


def test_the_page_names_no_address_elsewhere() -> None:
    """What it needs stands in it: only comments, and a namespace that nobody asks, look like addresses."""
    body = re.sub(r"/\*.*?\*/", "", dashboard_page("summary").body.decode(), flags=re.DOTALL)

    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[\w/.-]*", body)) <= {NAMESPACE}


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_no_script_makes_markup_or_code_out_of_text(name: str) -> None:
    """A route may be what a client has sent."""
    source = (ASSETS / name).read_text(encoding="utf-8")

    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|srcdoc", source) == []
    assert "</script" not in source.lower()
    assert "<!--" not in source


@pytest.mark.parametrize("name", OWN_SCRIPTS)
def test_a_script_opens_with_what_it_is(name: str) -> None:
    """As each file of the package does."""
    assert (ASSETS / name).read_text(encoding="utf-8").startswith("/* ")


def test_names_are_put_in_as_text() -> None:
    """An address or a title with a quote in it ends no attribute, and one that looks like a slot fills none."""
    hostile = "\"><script>alert(1)</script>{{scripts}}'"

    parts = Parts(dashboard_page(hostile, hostile).body)

    assert ("data-summary", hostile) in parts.attributes
    assert ("data-title", hostile) in parts.attributes
    assert "".join(parts.inline["title"]) == hostile
    assert len(parts.inline["script"]) == 3


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        (b"", False),
        (b"gzip", True),
        (b"gzip, deflate, br, zstd", True),
        (b"br;q=1.0, GZIP ; q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, br", False),
        (b"identity", False),
        (b"not-gzip", False),
        (b"," * 300 + b"gzip", False),
    ],
    ids=lambda value: value.decode()[:30] if isinstance(value, bytes) else str(value),
)
def test_the_page_is_compressed_for_whoever_says_so(accepted: bytes, is_compressed: bool) -> None:
    """RFC 9110 section 12.5.3; only the first 256 bytes of the header are read."""
    page = dashboard_page("summary")

    reply = page.reply(accepted)

    assert ((b"content-encoding", b"gzip") in reply.headers) is is_compressed
    assert (b"vary", b"accept-encoding") in reply.headers
    assert (gzip.decompress(reply.body) if is_compressed else reply.body) == page.body


def test_the_page_is_built_once() -> None:
    """Reading, hashing and compressing take milliseconds."""
    assert dashboard_page("summary", "One") is dashboard_page("summary", "One")


def test_the_page_stays_light() -> None:
    """All that a browser has to load and to read."""
    assert len(dashboard_page("summary").body) < MAX_BYTES


def test_the_charts_come_with_their_licence() -> None:
    """Its notice has to stand beside every copy; the page names the version that it has."""
    licence = (ASSETS / "uPlot.LICENSE").read_text(encoding="utf-8")
    version: Any = re.search(r"uPlot \(v([\d.]+)\)", (ASSETS / "uPlot.js").read_text(encoding="utf-8")[:200])

    assert "MIT License" in licence
    assert "Leon Sorokin" in licence
    assert f"charts by uPlot {version[1]} (MIT)" in dashboard_page("summary").body.decode()
