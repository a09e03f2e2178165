"""HTML: a fragment that somebody wrote, with the tags that are allowed and nothing that runs; by nh3 (ammonia).

Tags and attributes are named, never forbidden: what is not in the list is left out, and its text stays. No `style`, no
`class`, no `id`, no images unless asked for (one on another server tells it who reads). What cannot be seen goes, as of
any text.
Rule 1: the result reads as itself: it is cleaned again until nothing changes, so that a browser that reads what was
written sees what was checked. Mutation XSS lives on the difference.
Rule 2: the work is bounded by the length and the number of tags: each paragraph opens all unclosed tags again, so a
parser takes time by the square of their number. It does for each `&` that begins no reference, too.
Must never be used for what is not HTML: in an attribute, a script, a URL or a style it protects from nothing.

| id    | rule that was broken                                                    |
|-------|-------------------------------------------------------------------------|
| AG942 | tags, attributes and schemes that run nothing and load no page          |
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.sanitize.errors import SanitizeError, checked_text
from asgi_guard.sanitize.text import visible
from asgi_guard.settings import Problems

_TEXT: Final = "a abbr b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i ins kbd mark p pre q s samp small strong"
_LISTS: Final = "dd dl dt li ol sub sup u ul var caption table tbody td tfoot th thead tr"
HTML_TAGS: Final = frozenset(f"{_TEXT} {_LISTS}".split())
"""The tags that are kept unless others are named: those of a text."""

HTML_ATTRIBUTES: Final[Mapping[str, Collection[str]]] = MappingProxyType(
    {
        "*": frozenset({"lang", "title"}),
        "a": frozenset({"href"}),
        "ol": frozenset({"start"}),
        "td": frozenset({"colspan", "rowspan"}),
        "th": frozenset({"colspan", "rowspan", "scope"}),
    }
)
"""The attributes that are kept unless others are named, by tag."""

_USUAL_TAGS: Final = 1_000
_MOST_TAGS: Final = 10_000
_ROUNDS: Final = 4
_AND: Final = re.compile("&(?!(?:amp|lt|gt|quot|apos|nbsp|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")
_ANDS_TO_A_TAG: Final = 10
_PRE: Final = re.compile(r"(<pre(?: [^<>]*)?>)\n+")
"""Each reader leaves out the first line end of these."""

_LOADS: Final = "applet base embed form frame frameset iframe link meta object param script style template"
_READS: Final = "body head html math noembed noframes noscript plaintext svg textarea title xmp"  # in a way of its own
_NEVER: Final = frozenset(f"{_LOADS} {_READS}".split())
_NEVER_ATTRIBUTES: Final = frozenset({"action", "formaction", "rel", "srcdoc", "srcset", "style"})
_NEVER_SCHEMES: Final = frozenset({"blob", "data", "file", "javascript", "vbscript"})
_SCHEMES: Final = ("http", "https", "mailto")


def clean_html(
    value: object,
    *,
    max_length: int = 100_000,
    max_tags: int = _USUAL_TAGS,
    tags: Collection[str] = HTML_TAGS,
    attributes: Mapping[str, Collection[str]] = HTML_ATTRIBUTES,
    schemes: Collection[str] = _SCHEMES,
    field: str = "html",
) -> str:
    """Return a fragment of HTML with allowed tags and attributes only; links get `rel="nofollow noopener noreferrer"`.

    Args:
        value: what was given.
        max_length: the characters that it and the result may have, at least 1.
        max_tags: the `<` that it may have, 1 to 10,000, and ten times as many `&` that are none of the usual
            references; at 1,000 the worst takes some 50 ms and 40 MB, at ten times as many a hundred times as much.
        tags: those that are kept.
        attributes: those that are kept, by tag; `"*"` stands for every tag, and has `lang` and `title` where it is not
            named.
        schemes: those that links may have; relative links are kept.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_text`, `not_unicode`, `too_long`, `too_many_tags` or `unstable`.
        ConfigError: a tag, an attribute or a scheme that is never safe is asked for.
        MissingExtraError: the extra `sanitize` is not installed.
    """
    text = checked_text(value, field, max_length)
    if (max_tags, tags, attributes, schemes) != (_USUAL_TAGS, HTML_TAGS, HTML_ATTRIBUTES, _SCHEMES):
        _check(max_tags, tags, attributes, schemes)
    ands = text.count("&")
    if ands > max_tags * _ANDS_TO_A_TAG:
        ands = len(_AND.findall(text))
    if text.count("<") > max_tags or ands > max_tags * _ANDS_TO_A_TAG:
        raise SanitizeError(field, "too_many_tags")
    try:
        import nh3
    except ImportError:
        raise MissingExtraError("clean_html", "sanitize") from None
    options: dict[str, Any] = {
        "tags": set(tags),
        "attributes": {tag: set(names) for tag, names in attributes.items()},
        "url_schemes": set(schemes),
        "link_rel": "nofollow noopener noreferrer",
    }
    for reading in range(_ROUNDS):
        before, text = text, _PRE.sub(r"\1", nh3.clean(text, **options))
        if reading == 0:
            text = visible(text)  # from here on no character is written by its number
        if len(text) > max_length:
            raise SanitizeError(field, "too_long")
        if text == before:
            return text
    raise SanitizeError(field, "unstable")


def _check(
    max_tags: int, tags: Collection[str], attributes: Mapping[str, Collection[str]], schemes: Collection[str]
) -> None:
    problems = Problems("clean_html")
    problems.integer("max_tags", max_tags, minimum=1, maximum=_MOST_TAGS)
    rule = "must not have what runs something, loads a page, or is set here"
    remedy = "Leave it out: what it is for belongs into the page, and not into what somebody wrote."
    problems.sequence_of_text("tags", tags)
    problems.sequence_of_text("schemes", schemes)
    named: object = attributes
    if not isinstance(named, Mapping):
        problems.add("AG106", "attributes", attributes, "must be a mapping of tags", 'Write {"a": ["href"]}, say.')
    else:
        for tag, names in attributes.items():
            if problems.text("attributes", tag, max_length=64):
                problems.sequence_of_text(f"attributes[{tag!r}]", names)
    problems.raise_if_any()
    for tag in sorted(_NEVER.intersection(map(str.lower, tags))):
        problems.add("AG942", "tags", tag, rule, remedy)
    for tag, names in attributes.items():
        for name in sorted(map(str.lower, names)):
            if name in _NEVER_ATTRIBUTES or name.startswith("on"):
                problems.add("AG942", f"attributes[{tag!r}]", name, rule, remedy)
    for scheme in sorted(_NEVER_SCHEMES.intersection(map(str.lower, schemes))):
        problems.add("AG942", "schemes", scheme, rule, remedy)
    problems.raise_if_any()
