"""GraphQL abuse (CWE-770, CWE-200).

Depth and aliases are counted where the body is read; here stands what a pattern can tell. Introspection is what tools
of developers ask for: the strictest level alone refuses it.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-GRAPHQL-001",
        attack="graphql",
        score=4,
        level=3,
        pattern=r"\b__schema\b\s{0,8}(?:[{(@}]|$)|\b__type\b\s{0,8}\(\s{0,8}name\s{0,8}:|\bintrospectionquery\b",
        needs=("__schema", "__type", "introspectionquery"),
        why="Introspection tells the whole schema.",
        positives=(
            "{ __schema { types { name } } }",
            '{__type(name:"User"){fields{name}}}',
            "query IntrospectionQuery {a}",
        ),
        negatives=("the __schema field", "__typename", "an introspection query"),
        places=("query", "body"),
    ),
    Rule(
        id="AG-GRAPHQL-002",
        attack="graphql",
        score=5,
        level=1,
        pattern=r"(?:@[a-z_]\w{0,20}[\s,]{0,4}(?:\([^)]{0,40}\)\s{0,2})?){8}[^\w]|(?:\b__typename[\s,]{1,4}){8}",
        needs=("@", "__typename"),
        why="Directives or fields by the hundred: each costs the server, and the client nothing.",
        positives=("{a @x@x@x@x@x@x@x@x@x}", "{ " + "__typename " * 9 + "}"),
        negatives=("{a @include(if: $b) @skip(if: $c)}", "__typename id name", "@ann @bob @cid look at this"),
        places=("query", "body"),
    ),
    Rule(
        id="AG-GRAPHQL-003",
        attack="graphql",
        score=5,
        level=1,
        pattern=r"fields[\s,]{0,4}(?:\([^)]{0,40}\)\s{0,4})?\{[^{}]{0,60}type\s{0,4}\{[^{}]{0,60}fields\s{0,4}\{[^{}]{0,60}"
        r"type\s{0,4}\{[^{}]{0,60}fields|fragment\s{1,4}\w{1,40}\s{1,4}on\s{1,4}\w{1,40}\s{0,4}\{[^{}]{0,60}"
        r"\.\.\.\s{0,4}\w{1,40}[^{}]{0,60}\}\s{0,4}fragment\s{1,4}\w{1,40}\s{1,4}on\s{1,4}\w{1,40}\s{0,4}\{[^{}]{0,60}"
        r"\.\.\.\s{0,4}\w{1,40}[^{}]{0,60}\}\s{0,4}$",
        needs=("fields", "fragment"),
        why="Introspection that goes round in circles, and fragments that spread each other.",
        positives=(
            "{__schema{types{fields{type{fields{type{fields{name}}}}}}}}",
            "query{...A} fragment A on Q { ...B } fragment B on Q { ...A }",
        ),
        negatives=("{__schema{types{fields{name type{name}}}}}", "fragment A on Q { id name }"),
        places=("query", "body"),
    ),
    Rule(
        id="AG-GRAPHQL-004",
        attack="graphql",
        score=5,
        level=2,
        pattern=r"(?:first|last|limit|take|pagesize|perpage)\s{0,4}:\s{0,4}[1-9]\d{5,12}\b|"
        r"\[\s{0,4}\{\s{0,4}\"query\"(?:[^{}]{0,100}\{[^{}]{0,100}\}[^{}]{0,40}\}\s{0,4},\s{0,4}\{\s{0,4}\"query\"){5}",
        needs=("first", "last", "limit", "take", "pagesize", "perpage", '"query"'),
        why="A page of a million objects, or a batch of queries in one value.",
        positives=("{users(first: 1000000){id}}", "{ posts(limit:9999999) { id } }"),
        negatives=("{users(first: 100){id}}", "first: 12 then 13", "limit: 99999"),
        places=("query", "body"),
    ),
)
