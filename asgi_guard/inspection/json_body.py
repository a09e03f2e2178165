"""JSON: the texts and the keys of a document (RFC 8259), duplicates kept.

Numbers, booleans and null are no texts. What is no JSON is looked at as a text, since a lenient parser may still take
it; so is each of its strings, as of a document with a comma or a comment too many, or of a line of NDJSON.
Must never recurse by its own: the depth is the client's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from asgi_guard.inspection.decode import PIECE
from asgi_guard.inspection.extract import BREATH, Value, text
from asgi_guard.inspection.limits import CrossedError, Limits

_decoder: Final = json.JSONDecoder(object_pairs_hook=tuple, parse_int=bool, parse_float=bool, parse_constant=bool)

# What ends nowhere is a string to the end: else each quote in it would be tried, to the end again.
_STRING: Final = re.compile(r""""((?:\\.|[^"\\])*+)(?:"|\\?\Z)|'((?:\\.|[^'\\])*+)(?:'|\\?\Z)""", re.DOTALL)
BLANK: Final = " \t\r\n\ufeff"
"""What may stand before a document; a byte order mark is none to some parsers, and to others it is."""

_CSP: Final = ("type", "csp-violation")
_SAMPLES: Final = frozenset(("script-sample", "sample"))
_LONGEST_SAMPLE: Final = 64  # browsers quote 40 characters, and may say that there were more
_LONGEST_TOKEN: Final = 16  # of those that are no texts, and are read as a whole
_NODES_OF_A_LEAF: Final = 2
_BREATH: Final = 1_024
_INNER_LIMITS: Final = Limits()


def json_values(body: bytes, limits: Limits, *, is_report: bool = False) -> Iterator[Value]:
    """Give out the texts of a JSON document, each named by the nearest key, and its keys.

    Args:
        body: as it was sent.
        limits: how deep it may be nested, and how many texts and keys it may have.
        is_report: whether it is said to be one of a browser's, which quotes what was kept from running.

    Raises:
        CrossedError: it is nested too deep, or has too many texts and keys.
    """
    written = body.decode(json.detect_encoding(body), "replace").removeprefix("\ufeff")
    try:
        document = _decoder.decode(written)
    except ValueError:
        return _strings(written, text(body), limits)
    except RecursionError:
        raise CrossedError("depth", 400) from None
    return leaves(_unquoted(document) if is_report else document, limits)


def may_be_json(beginning: bytes) -> bool:
    """Tell whether what begins like this may be JSON when it is whole: nothing was wrong before its end."""
    written = beginning.decode(json.detect_encoding(beginning), "replace").strip(BLANK)
    try:
        _decoder.decode(written)
    except json.JSONDecodeError as error:
        return error.pos >= len(written) - _LONGEST_TOKEN or error.msg.startswith("Unterminated string")
    except RecursionError:
        return True
    return True


def _unquoted(report: Any) -> Any:
    """Leave out what a browser quotes from a page (CSP 3, section 5.3), where it does: a short sample, and once."""
    if report.__class__ is list:  # application/reports+json
        return [_without_sample(one, "body") if one.__class__ is tuple and _CSP in one else one for one in report]
    return _without_sample(report, "csp-report") if report.__class__ is tuple else report


def _without_sample(report: Any, where: str) -> Any:
    return tuple(
        (key, tuple(pair for pair in inner if not _is_sample(*pair)))
        if key == where and inner.__class__ is tuple
        else (key, inner)
        for key, inner in report
    )


def _is_sample(name: str, value: Any) -> bool:
    return name in _SAMPLES and value.__class__ is str and len(value) <= _LONGEST_SAMPLE


def _strings(written: str, whole: str, limits: Limits) -> Iterator[Value]:
    """Give out what is no JSON as one text, and each string in it as a lenient parser would read it."""
    yield Value("body", "", whole)
    for count, match in enumerate(_STRING.finditer(written)):
        if count >= limits.leaves:
            raise CrossedError("leaves")
        string = match[1] if match[1] is not None else match[2]
        with suppress(ValueError):
            string = _decoder.decode(f'"{string}"') if "\\" in string else string
        yield Value("body", "", string)


def inner_values(value: Value, texts: Sequence[str]) -> Iterator[Value]:
    """Give out the texts and the keys of a value that is itself JSON, if it is; they stand where the value stood.

    Args:
        value: in a request.
        texts: what it may be, and become when it is decoded, that begins like JSON: an application parses one of them.

    Raises:
        CrossedError: it is nested deeper, or has more texts and keys, than a body may by default.
    """
    documents: list[Any] = []
    for each in texts:
        with suppress(ValueError, RecursionError):  # it was looked at as a text, and nothing is decoded any deeper
            documents.append(_decoder.decode(each.strip(BLANK)))
        if len(each) > PIECE:
            yield BREATH
    for document in documents[:1] + documents[1:][-1:]:  # as it was sent, and as it is in the end
        for inner in leaves(document, _INNER_LIMITS):
            yield Value("name" if inner.place == "name" else value.place, value.name or inner.name, inner.text)


def leaves(document: Any, limits: Limits) -> Iterator[Value]:
    """Give out the texts of a document in which an object is a tuple of pairs.

    Raises:
        CrossedError: it is nested too deep, or has too many texts and keys.
    """
    left = limits.leaves
    nodes = left * _NODES_OF_A_LEAF
    is_too_deep = False
    names: set[str] = set()
    waiting: list[tuple[str, int, Any]] = [("", 0, [document])]
    while waiting:
        name, depth, node = waiting.pop()
        if depth > limits.depth:
            is_too_deep = True
            continue
        if node.__class__ is list:
            items = ((name, item) for item in node)
        else:
            items = node
            new = {key for key, _ in node} - names
            names |= new
            left -= len(new)
            yield from [Value("name", key, key) for key in new]
        for key, item in items:
            kind = item.__class__
            if kind is str:
                left -= 1
                yield Value("body", key, item)
            elif kind is list or kind is tuple:
                waiting.append((key, depth + 1, item))
                nodes -= 1
                if not nodes % _BREATH:
                    yield BREATH
            if left < 0 or nodes < 0:  # what has nothing in it takes time as well
                raise CrossedError("leaves")
    if is_too_deep:  # what is not is looked at first
        raise CrossedError("depth", 400)
