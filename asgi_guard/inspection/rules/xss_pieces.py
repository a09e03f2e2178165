"""Script injection (CWE-79): tags and code that are written so as not to look like any, and pieces of pages.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XSS-068",
        attack="xss",
        score=5,
        level=1,
        pattern=r"<[a-z](?: [a-z]){3,9}(?:[^\w ]|$)|<\s?[a-z]{0,12}:\s?(?:script|iframe|object|embed|vmlframe)\b"
        r"|^\W{0,3}<\s[a-z]{1,12}:\s?(?:script|form|iframe)\b"
        r"|[a-z]&(?:tab|newline);?[a-z]{1,12}(?:&(?:tab|newline|colon);|\s?:)"
        r"|^\s{0,4}data:[^,<>\n]{0,40},\s{0,4}<"
        r"|\bstyle\s?=.{0,20}:\s?url\(\s?['\"]?(?:java|vb)script"
        r"|\bdocument\s{0,8}(?:/\*[^*]{0,40}\*/|//[^\n]{0,40}\n)\s{0,8}[.)\[]|"
        "[\ufffd\u00bc]/?script[\ufffd\u00be]",
        needs=("<", "&tab", "&newline", "data:", "style", "document", "script"),
        why="A tag of letters apart or in a namespace, a scheme with entities for blanks, a name cut by a comment.",
        positives=(
            "<f r a m e>",
            "<:iframe src=",
            "< y:form",
            "ja&tab;vascript: x",
            "data: , <p>",
            "style=a:url(javascript",
            "document/*a*/.cookie",
            "\ufffdscript\ufffd",
        ),
        negatives=(
            "a <b c> d",
            "a < b c d e f g",
            "1 < x: y",
            "?a=1&tab=2",
            "data:image/png;base64,aWQ=",
            "the document // a comment",
        ),
    ),
    Rule(
        id="AG-XSS-069",
        attack="xss",
        score=5,
        level=1,
        pattern=r"^\s{0,4}on[a-z]{3,30}\s{0,4}=",
        needs=("on",),
        why="A parameter is named as a handler of an event, with the sign that gives it its code.",
        positives=("onload=", "  onpointerxyz = "),
        negatives=("once", "only", "onload", "option=", "online[a]"),
        places=("name",),
    ),
    Rule(
        id="AG-XSS-070",
        attack="xss",
        score=5,
        level=2,
        pattern=r"^\W{0,4}--!?>\W{0,3}$"
        r"|^[^<>]{0,24}<[a-z][\w:-]{0,20}\s[^<>]{0,100}schemalocation\s?=\s?['\"][^'\"<>]{0,80}\s(?:ht|f)tps?:",
        needs=("-->", "--!>", "schemalocation"),
        why="The end of a comment as a whole value; a document in a parameter that has its reader load another one.",
        positives=("-->", "<a xsi:schemaLocation='http://a.example/ http://b.example/x.xsd'>"),
        negatives=("a --> b", "the schemaLocation of http://a.example/ http://b.example/"),
        places=("query", "body", "cookie", "name", "header"),
    ),
)
