"""XML: texts, attributes, and what stands before the root element (XML 1.0), read without expanding anything.

A DOCTYPE with entities is what XXE is made of: the prolog is looked at as a whole. No parser is used, since one that
expands entities is the attack's own means.
Must never expand an entity, and never look further back than one markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.limits import CrossedError, Limits

_ROOT: Final = re.compile(r"<[A-Za-z_]")
_ATTRIBUTE: Final = re.compile(r"""([\w:.-]{1,64})\s{0,16}=\s{0,16}(?:"([^"]*)"|'([^']*)')""")
_TAG: Final = re.compile(r"""[^"'>]*+(?:(?:"[^"]*+"|'[^']*+')[^"'>]*+)*+>""")
_NAME: Final = re.compile(r"[\s/>]")
_CDATA: Final = "<![CDATA["
_COMMENT: Final = "<!--"
_SECTIONS: Final = ((_CDATA, "]]>"), (_COMMENT, "-->"))
_MARKUP: Final = ("<", ">")


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
    name, at = "", start
    has_loose_quote = False
    texts: list[str] = []  # of one element: sections and comments do not end what a parser gives in one piece
    while at < len(document):
        found: list[Value] = []
        opening = document.find("<", at)
        texts.append(document[at : opening if opening >= 0 else None])
        if opening >= 0:
            begin, end = next((marks for marks in _SECTIONS if document.startswith(marks[0], opening)), _MARKUP)
            closing = document.find(end, opening)
            if begin == "<" and not has_loose_quote and document[opening + 1 : opening + 2] not in {"!", "?"}:
                tag = _TAG.match(document, opening + 1)
                has_loose_quote = tag is None  # no parser takes it, and to look for its end each time is quadratic
                if tag is not None and tag.end() > closing + 1:  # ">" may stand in a value, and end a tag all the same
                    found.append(Value("body", name, document[closing + 1 : tag.end() - 1]))
                    closing = tag.end() - 1
            markup = document[opening + len(begin) : closing if closing >= 0 else None]
            at = closing + len(end) if closing >= 0 else len(document)
            if begin == _CDATA:
                texts.append(markup)
            elif begin == _COMMENT:
                found.append(Value("body", name, markup))
            else:
                if markup[:1] in {"!", "?"}:  # a declaration behind what only looks like a root, in a comment say
                    found.append(Value("xml", "", f"<{markup}>"))
                else:
                    found += _joined(name, texts)
                    name = name if markup[:1] == "/" else _NAME.split(markup, 1)[0]
                attributes = _ATTRIBUTE.finditer(markup)
                found += [Value("body", match[1], match[2] or match[3] or "") for match in attributes]
        else:
            at = len(document)
        if at == len(document):
            found += _joined(name, texts)
        left -= len(found)
        if left < 0:
            raise CrossedError("leaves")
        yield from found


def _joined(name: str, texts: list[str]) -> list[Value]:
    """Return the texts that were gathered as one, and begin anew."""
    joined = "".join(texts)
    texts.clear()
    return [Value("body", name, joined)] if joined.strip() else []
