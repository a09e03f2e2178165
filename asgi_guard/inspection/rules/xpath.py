"""XPath injection (CWE-643): steps, axes and functions of a path expression.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import FIRST, JOIN

_FUNCTION: Final = (
    r"(?:(?:local-|namespace-)?name|position|last|text|node|comment|true|false|not|starts-with|contains|ends-with"
    r"|matches|string-length|string"
    r"|count|number|normalize-space|id|lang|sum|translate|substring(?:-before|-after)?|doc|collection"
    r"|codepoints-to-string|boolean|unparsed-text)"
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XPATH-001",
        attack="xpath",
        score=5,
        level=1,
        pattern=r"\b(?:name|local-name|string-length|count|substring|starts-with|contains|normalize-space|translate"
        r"|doc|sum|concat) ?\("
        r"(?:(?:name|local-name|string|concat)\()?(?:/{1,2}[\w*@]|\.\.?[/),]|parent::|child::|\(/)",
        needs=tuple(
            f"({begin}" for begin in ("/", ".", "parent::", "child::", "name", "local-name", "string", "concat")
        ),
        why="The document is read out through its structure.",
        positives=("' or count(/*)=1 or 'a'='b", "string-length(//user[1]/name)", "substring(name(/*[1]),1,1)='u'"),
        negatives=("count(1)", "substring(a, 1)", "contains(a/b)"),
    ),
    Rule(
        id="AG-XPATH-002",
        attack="xpath",
        score=5,
        level=1,
        pattern=FIRST
        + r" ?[)\]]{0,3} ?"
        + JOIN
        + r" ?\(? ?(?:"
        + _FUNCTION
        + r" ?\(|\.{0,2}/{1,2}[\w*@.]|@\w{1,32} ?[=<>!]|\.{1,2} ?=)",
        needs=("'", '"', "`"),
        why="A text of the expression is ended, and a condition on the document is added.",
        positives=(
            "x' or true() or 'a'='a",
            "boss') and contains(../room,'7",
            "' or //user/name",
            "a' or position()=2 or 'x'='y",
            "' or @id=1 or '",
        ),
        negatives=("the parents' or teachers' text", "'a' and text (b)"),
    ),
    Rule(
        id="AG-XPATH-003",
        attack="xpath",
        score=5,
        level=1,
        pattern=r"['\")] ?\]? ?\| ?/{1,2}[\w*@]|/(?:parent|child|ancestor|descendant|following|preceding|self"
        r"|attribute|namespace)(?:-or-self|-sibling)?::"
        r"|\b(?:parent|child|ancestor|descendant|following|preceding|self|attribute)(?:-or-self|-sibling)?::(?:\*"
        r"|node\(|text\(|comment\()|\*\|(?:\*\||//)",
        needs=("|", "::"),
        why="Another path is appended, or an axis leads away from where the query was.",
        positives=("'] | //user/*", "x']/parent::*", "' or ../child::node()", "*|*|//node()", "')|//a"),
        negatives=("self::new()", "parent::__construct()", "a | b", "`x` | `y`"),
    ),
)
