"""Prototype pollution (CWE-1321).

The names by which JavaScript reaches what all objects share. As the name of a parameter they are an attack; in a value
they are a word, until something is set through them.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_NEXT: Final = r"[\].\[\"'\s]{1,6}"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-PROTOTYPE-001",
        attack="prototype",
        score=5,
        level=1,
        pattern=rf"(?:^|[^a-z0-9_])__(?:pro__proto__to|proto|definegetter|definesetter|lookupgetter|lookupsetter)__(?:$|[^a-z0-9_])|"
        rf"(?:^|[^a-z0-9_])constructor{_NEXT}prototype(?:$|[^a-z0-9_])|"
        r"__pro(?:__proto__|constructor)to__|construc(?:constructor|prototype)tor",
        needs=("__proto__", "getter__", "setter__", "prototype", "constructor"),
        why="A key that changes every object of the process.",
        positives=(
            "__proto__",
            "a[__proto__][admin]",
            "constructor.prototype.x",
            "constructor[prototype][x]",
            "__pro__proto__to__",
        ),
        negatives=("__prototype__", "constructor", "prototype", "constructor_prototype"),
        places=("name",),
    ),
    Rule(
        id="AG-PROTOTYPE-002",
        attack="prototype",
        score=5,
        level=1,
        pattern=rf"__proto__(?:[\"']?\s{{0,4}}:\s{{0,4}}[\[{{\"]|{_NEXT}[\w$-]{{1,40}}[\"'\]]{{0,2}}\s{{0,3}}=\s{{0,3}}[^=\s]|\]?\s{{0,3}}=\s{{0,3}}[^=\s])|"
        rf"constructor{_NEXT}prototype(?:{_NEXT}[\w$-]{{1,40}}[\"'\]]{{0,2}}\s{{0,3}}=\s{{0,3}}[^=\s])|"
        r"[\"']constructor[\"']\s{0,4}:\s{0,4}\{\s{0,4}[\"']prototype[\"']\s{0,4}:|"
        r"\bobject\.prototype(?:\.|\[[\"'])[\w$]{1,40}[\"'\]]{0,2}\s?=\s?[^=\s]|"
        r"^[\[.\"'\w]{0,30}(?:__proto__|constructor[\].\[\"']{1,3}prototype[\].\[])[\]\"'\w.\[]{0,40}$",
        needs=("__proto__", "constructor", "object.prototype"),
        why="A path or a text of JSON that sets what all objects share.",
        positives=(
            "__proto__[admin]=1",
            '{"__proto__": {"admin": true}}',
            "a.constructor.prototype.x=1",
            '{"constructor":{"prototype":{"x":1}}}',
            "Object.prototype.x = 1",
            "__proto__.x",
            "constructor.prototype.admin",
        ),
        negatives=(
            "guard against __proto__ in keys",
            "the constructor of a prototype",
            "if (a.__proto__ == null) return",
            "Object.prototype.toString.call(x)",
        ),
        places=("query", "body", "path", "cookie", "header", "referer"),
    ),
    Rule(
        id="AG-PROTOTYPE-003",
        attack="prototype",
        score=5,
        level=2,
        pattern=r"(?:^|[^\w`])__proto__(?:[^\w`]|$)|constructor[\].\[\"']{1,3}prototype",
        needs=("__proto__", "constructor"),
        why="The way to what all objects share, in whatever it stands.",
        positives=("dog.__proto__", "x.constructor.prototype"),
        negatives=("`__proto__`", "__prototype__", "a constructor, a prototype"),
        places=("query", "body", "path", "cookie", "header", "referer", "filename"),
    ),
    Rule(
        id="AG-PROTOTYPE-004",
        attack="prototype",
        score=4,
        level=3,
        pattern=r"(?:^|[\[.])(?:constructor|prototype|hasownproperty|valueof)(?:[\].]|$)",
        needs=("constructor", "prototype", "hasownproperty", "valueof"),
        why="The name of something that every object has.",
        positives=("constructor.name", "a[constructor]"),
        negatives=("constructors", "prototypes"),
        places=("name",),
    ),
)
