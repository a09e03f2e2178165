"""Attack queries: whether what was sent as a value has become part of a query that is written in words or operators.

Where no quote is around a value, as in `ORDER BY`, no quote breaks it: an expression of SQL works there, and the same
with one keyword misspelled does not. Where a field of JSON may be an object, it may be an operator of a document store.
Must never change anything: expressions here compute nothing, and operators only compare.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.testing.attack_markup import MARK
from asgi_guard.testing.attack_probes import Context, Evidence, is_broken, shape_of

_EXPRESSION: Final = "(case when 1=1 then {0} else {0} end)"
_MISSPELLED: Final = (("else", "els"), ("end", "edn"), ("when", "whne"), ("case", "csae"))
_TRUE: Final[tuple[object, ...]] = ({"$ne": MARK}, {"$gt": ""}, {"$nin": [MARK]})
_FALSE: Final[tuple[object, ...]] = ({"$eq": MARK}, {"$lt": ""}, {"$in": [MARK]})


async def by_expression(context: Context) -> Evidence | None:
    """SQL: an expression is answered like its value, and not where any one of its keywords is misspelled."""
    if context.ordinary.status >= 400 or is_broken(context.ordinary):
        return None
    sound = _EXPRESSION.format(context.value)
    found = shape_of(await context.ask(sound), sound)
    if found not in {shape_of(context.ordinary, echoed) for echoed in ("", context.value)}:  # it may be shown, or not
        return None
    for right, misspelled in _MISSPELLED:
        text = sound.replace(right, misspelled)
        if shape_of(await context.ask(text), text) == found or shape_of(await context.ask(sound), sound) != found:
            return None
    return Evidence("sqli", sound, "answered like its value, and otherwise where one of its keywords is misspelled")


async def by_operator(context: Context) -> Evidence | None:
    """Document stores: operators that are true of anything are answered alike, and those that are not like nobody."""
    put = context.put
    if put is None:
        return None
    nobody = shape_of(await put(MARK), MARK)
    found: set[tuple[int, str]] = set()
    for true, false in zip(_TRUE, _FALSE, strict=True):
        answer = await put(true)
        found.add(shape_of(answer, ""))
        if len(found) > 1 or is_broken(answer) or answer.status >= 400 or nobody in found:
            return None
        if shape_of(await put(false), "") != nobody:
            return None
    return Evidence("nosql", str(_TRUE[0]), f"answered otherwise than {_FALSE[0]}, which is answered like nobody")
