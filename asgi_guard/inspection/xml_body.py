"""XML: texts, attributes, and what stands before the root element (XML 1.0), read without expanding anything.

A DOCTYPE with entities is what XXE is made of: the prolog is looked at as a whole. No parser is used, since one that
expands entities is the attack's own means.
Must never expand an entity, and never look further back than one markup.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

from asgi_guard.inspection.extract import BREATH, Value
from asgi_guard.inspection.limits import CrossedError, Limits

EBCDIC: Final = "<?xm".encode("cp037")
"""What every document in EBCDIC begins with (XML 1.0, appendix F); in each of its code pages the same."""

_UTF_7: Final = re.compile(
    rb"""\s{0,16}<\?xml[^>]{1,64}?\bencoding\s{0,8}=\s{0,8}["'](?:unicode-1-1-)?utf-?7["']""", re.IGNORECASE
)
_ROOT: Final = re.compile(r"<[A-Za-z_]")
_ATTRIBUTE: Final = re.compile(r"""(?<![\w:.-])([\w:.-]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
# A well-formed start tag (XML 1.0, section 3.1). None of its parts may hold a "<": no search goes past the next one.
_TAG: Final = re.compile(r"""[^\s<>"'/=]++(?:\s++[^\s<>"'/=]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+'))*+\s*+/?>""")
_NAME: Final = re.compile(r"[\s/>]")
_FINDS_A_LEAF: Final = 2
_BREATH: Final = 256
_LONGEST_NAME: Final = 64
_CDATA: Final = "<![CDATA["
_COMMENT: Final = "<!--"
_SECTIONS: Final = ((_CDATA, "]]>"), (_COMMENT, "-->"))
_MARKUP: Final = ("<", ">")


def decoded(document: bytes) -> str:
    """Decode a document as a parser would, where what is ASCII in it does not read as such otherwise."""
    if document.startswith(EBCDIC):
        return document.decode("cp037", "replace")
    encoding = "utf-7" if _UTF_7.match(document) else json.detect_encoding(document)
    return document.decode(encoding, "replace").removeprefix("\ufeff")


def xml_values(document: str, limits: Limits) -> Iterator[Value]:
    """Give out the prolog, the texts and the attributes of a document.

    Raises:
        CrossedError: there are too many.
    """
    root = _ROOT.search(document)
    start = root.start() if root else len(document)
    yield Value("xml", "", document[:start])
    if root is None or _CDATA in document[:start]:  # no document: all of it may be text to a lenient parser
        start = 0
    left = limits.leaves
    for count, found in enumerate(_found(document, start, left)):
        left -= len(found)
        if left < 0 or count > limits.leaves * _FINDS_A_LEAF:  # tags with nothing in them take time as well
            raise CrossedError("leaves")
        yield from found
        if count % _BREATH == _BREATH - 1:
            yield BREATH


def _found(document: str, at: int, most: int) -> Iterator[list[Value]]:
    """Give out what is found from here on, markup by markup; of no markup much more than `most`."""
    name = ""
    texts: list[str] = []  # of one element: sections and comments do not end what a parser gives in one piece
    while (opening := document.find("<", at)) >= 0:
        texts.append(document[at:opening])
        begin, end = next((marks for marks in _SECTIONS if document.startswith(marks[0], opening)), _MARKUP)
        first = opening + len(begin)
        closing = document.find(end, opening)
        closing = closing if closing >= 0 else len(document)
        at = closing + len(end)
        if begin == _CDATA:
            texts.append(document[first:closing])
        elif begin == _COMMENT:
            yield [Value("body", name, document[first:closing])]
        elif document[first : first + 1] in {"!", "?"}:  # behind what only looks like a root, in a comment say
            markup = document[first:closing]
            yield [Value("xml", "", f"<{markup}>"), *_attributes(markup, most)]
        else:
            yield _joined(name, texts)
            tag = _TAG.match(document, first)
            if tag is not None and tag.end() > at:  # a ">" stood in a value
                yield [Value("body", name, document[at : tag.end() - 1])]
                at = tag.end()
            markup = document[first : at - 1]
            name = name if markup[:1] == "/" else _NAME.split(markup, 1)[0]
            yield _attributes(markup, most)
    texts.append(document[at:])
    yield _joined(name, texts)


def _attributes(markup: str, most: int) -> list[Value]:
    return [
        Value("body", match[1][:_LONGEST_NAME], match[2] or match[3] or "")
        for match in islice(_ATTRIBUTE.finditer(markup), most + 1)
    ]


def _joined(name: str, texts: list[str]) -> list[Value]:
    """Return the texts that were gathered as one, and begin anew."""
    joined = "".join(texts)
    texts.clear()
    return [Value("body", name, joined)] if joined.strip() else []
