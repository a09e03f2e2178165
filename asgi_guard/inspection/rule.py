r"""Rule: one sign of an attack, as data, with the examples that prove it.

A rule is a pattern for the subset of regular expressions that can be matched in linear time (RE2's), and it must mean
the same to `re2` and to `re`. So a pattern

* is matched on text in lower case (and written so), anywhere in it, `.` being any character at all;
* has no look-around, no back-reference, no `\Z`: `^` and `$` are the ends of the text;
* repeats with a bound of at most 100 (`{0,40}`, not `*`), and nothing that repeats stands in what repeats without a
  first character of its own: without `re2` a hostile value would otherwise take for ever (CWE-1333);
* needs a literal: one of `needs` stands in every text that it may match, and the text is not even looked at otherwise.

A sign that a sentence may show as well scores less than `THRESHOLD`, and blocks only beside another one in the same
value. Prose gates belong into the pattern: an operand and an operator beside a keyword, an argument behind a command.
Must never hold a row of somebody else's collection: examples are written for their rule.

| id    | rule that was broken                                                             |
|-------|----------------------------------------------------------------------------------|
| AG700 | an id, such as `AG-SQLI-012`                                                     |
| AG701 | a score from 2 to 5, and a level from 1 to 3                                     |
| AG702 | a pattern that both engines take, in lower case, without look-around             |
| AG703 | repeats have a bound of at most 100                                              |
| AG704 | at least one literal that the rule needs, in lower case and ASCII                |
| AG705 | places and views are known, at least one of each                                 |
| AG706 | a positive example that the rule matches, and no negative one                    |
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

Place: TypeAlias = Literal[
    "query",
    "body",
    "path",
    "cookie",
    "header",
    "referer",
    "name",
    "filename",
    "user_agent",
    "xml",
    "linked",
]
"""Where a value stood in the request.

`query` a parameter's value; `body` a form field, a JSON leaf, XML text or an attribute, a text, a WebSocket message;
`path` the path as it was sent; `cookie`, `header` (but for the standard ones), `referer` (values of its query) a value;
`name` the name of any of these, and a key of a JSON object; `filename` of a multipart part; `user_agent`; `xml` the
beginning of an XML document up to its root element, with its DOCTYPE; `linked` the name of a parameter of the query
with its `=`, where a page of another site linked to it.
"""

View: TypeAlias = Literal["plain", "sql", "shell", "compact", "path"]
"""How a rule looks at a text, each time after it was decoded (percent, entities, escapes, base64) as often as can be.

`plain` as it is; `sql` comments and runs of white space are one blank; `shell` without quotes, carets and backslashes,
`$IFS` being a blank and `{a,b}` being `a b`; `compact` without control characters, line breaks and tabs; `path` with a
slash for a backslash, and neither `//` nor `/./`.
A rule that names a view sees the plain text where the view changes nothing.
"""

PLACES: Final[tuple[Place, ...]] = get_args(Place)
VIEWS: Final[tuple[View, ...]] = get_args(View)
VALUES: Final[tuple[Place, ...]] = ("query", "body", "path", "cookie", "header", "referer", "name", "filename")
"""The places that rules look at unless they say otherwise: whatever an application may take for input."""

LEVELS: Final = (1, 2, 3)
"""Balanced, strict, paranoid: a level has the rules of those below it."""

SCORES: Final = (2, 3, 4, 5)
"""How sure a sign of an attack may be."""

THRESHOLD: Final = {1: 5, 2: 5, 3: 4}
"""The score from which a value is an attack, by level."""


_ID: Final = re.compile(r"[A-Z][A-Z0-9]{1,15}(-[A-Z0-9]{1,24}){1,4}")


def is_id(text: str) -> bool:
    """Tell whether a text could be the id of a rule."""
    return _ID.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One sign of an attack.

    Attributes:
        id: its stable name, `AG-` the class in capitals and a number: `AG-SQLI-012`.
        attack: the class, such as `sqli`.
        score: how sure a sign it is, from 2 to 5; a value is an attack from the sum `THRESHOLD` on.
        level: the lowest level that has the rule, from 1 to 3.
        pattern: what it looks for; see above.
        needs: lower-case ASCII literals, one of which stands in every text that may match: the rarest there are.
        why: what attackers do with it, a sentence.
        positives: values, as the application would get them, in which the rule is found in the first of `places`.
        negatives: harmless values that look alike, in which it is not found.
        places: where it is looked for.
        views: how the text is looked at.
    """

    id: str
    attack: str
    score: int
    level: int
    pattern: str
    needs: tuple[str, ...]
    why: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    places: tuple[Place, ...] = VALUES
    views: tuple[View, ...] = ("plain",)
