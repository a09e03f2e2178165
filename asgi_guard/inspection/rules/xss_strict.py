"""Script injection (CWE-79), for strict and paranoid validation: what only users who may write HTML send.

The elements that draw forms, load documents or styles, and code that reads a page. In a sentence they stand between
back-ticks, which is why these are let through.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.xss import EVENTS, HANDLERS, SCHEMES

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XSS-060",
        attack="xss",
        score=5,
        level=2,
        pattern=r"^\s{0,8}</[a-z][a-z0-9]{0,20}\s{0,4}>\s{0,8}[^\s]|"
        r"(?:^|[^`])</?(?:(?:svg|html|xsl|x|xss|v):[a-z]|(?:script|i?frame|frameset|object|embed|form|input|"
        r"textarea|keygen|base|link|meta|style|svg|math|html|body|head|xml|marquee|noscript|template|xmp|plaintext|"
        r"foreignobject|feimage|xss|image|stylesheet)(?:[\s/>+#<]|$))",
        needs=("<",),
        why="An element that draws a form, or loads a document, a style or a script.",
        positives=(
            '<iframe src="//x.example">',
            "<style media=all>",
            "</body >x",
            "<svg:rect>",
            "x<form action=//y.example>",
        ),
        negatives=("show it in an `<iframe>` only", "<b>bold</b>", "a < form", "<bodywork>", "<p style='color:red'>"),
    ),
    Rule(
        id="AG-XSS-061",
        attack="xss",
        score=5,
        level=2,
        pattern=r"^[^\s]{0,60}\b(?:document[\s\])]{0,3}(?:\.|\[[\"'`])\s?(?:cookie|write|domain|body|location|"
        r"queryselector|getelement|createelement|forms|referrer)|(?:window|self|top|parent)\.(?:location|name|open)\b|"
        r"reflect\.\w{2,14}\.call|\w{1,30}\.innerhtml\s?=)|"
        r"^\W{0,3}(?:alert|confirm|prompt|eval|atob|btoa|settimeout|setinterval|execscript)\s?\([^)]{0,100}\)\W{0,3}$|"
        r"^new\s{1,3}function\s?\(",
        needs=(
            "document",
            "window.",
            "self.",
            "top.",
            "parent.",
            "reflect.",
            "innerhtml",
            "alert",
            "confirm",
            "prompt",
            "eval",
            "atob",
            "btoa",
            "settimeout",
            "setinterval",
            "execscript",
            "function",
        ),
        why="A value that is nothing but code of a page.",
        positives=("document.cookie", "x=window.location", 'prompt("who")', "(document)['cookie']", "new Function (x)"),
        negatives=("we read document.cookie in the app", "a prompt (for the user)", "documents.write", "function of x"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-XSS-062",
        attack="xss",
        score=5,
        level=2,
        pattern=rf"(?:^|[=\"'`(]){SCHEMES}\s{{0,4}}:(?:[^v;#\s]|v[^o]|\s{{1,4}}[\w.]{{1,40}}\s?[(=`])",
        needs=("script", "mocha", "vbs"),
        why="A link that runs a script, whatever the script does.",
        positives=("javascript:x()", "url(javascript:y)", "java\nscript:z"),
        negatives=("javascript:void(0)", "javascript:;", "typescript:x", "JavaScript: The Good Parts"),
        views=("compact",),
    ),
    Rule(
        id="AG-XSS-063",
        attack="xss",
        score=3,
        level=2,
        pattern=rf"(?:^|[\s\"'`/;>]){EVENTS}[\s+]{{0,8}}=",
        needs=HANDLERS,
        why="A handler of an event, in whatever it stands.",
        positives=("onload=x", " onclick = save()"),
        negatives=("once=1", "the onload event"),
    ),
    Rule(
        id="AG-XSS-064",
        attack="xss",
        score=3,
        level=2,
        pattern=r"^[^<>]{0,40}[\"'`][\s/);]{0,6}>|^[^\s<]{0,20}(?:--!?>|\]\]>)|<!--|;!--|=&\{|"
        r"<[a-z][^>]{0,60}xmlns(?::[a-z]{1,8})?[\s+]{0,4}=",
        needs=(">", "<!--", ";!--", "=&{", "xmlns"),
        why="The value closes an attribute, a comment or a section, or opens one.",
        positives=('x">', "-->", "<!--x", "]]>"),
        negatives=("a -> b", "1 > 0", "<b>x</b>", "a and b --> c"),
    ),
    Rule(
        id="AG-XSS-065",
        attack="xss",
        score=3,
        level=2,
        pattern=r"\b(?:alert|confirm|prompt|eval|execscript|document\s?\.\s?(?:cookie|write(?:ln)?|domain)|"
        r"(?:window|self|top|parent)\s?\.\s?location|innerhtml|string\.fromcharcode|atob)\s?[(=`\[]|\bjavascript:[^;v\s]",
        needs=(
            "alert",
            "confirm",
            "prompt",
            "eval",
            "execscript",
            "document",
            "location",
            "innerhtml",
            "fromcharcode",
            "atob",
            "javascript:",
        ),
        why="Code of a page, in whatever it stands.",
        positives=("then alert(x) is called", "a.innerHTML = b"),
        negatives=("an alert for the user", "javascript:void(0)", "evaluate (a)"),
    ),
    Rule(
        id="AG-XSS-066",
        attack="xss",
        score=4,
        level=3,
        pattern=r"<[a-z!/?%]|&#x?[0-9a-f]{1,7};?[&\w]|\bon[a-z]{3,20}\s{0,4}=\s{0,4}[\"'`\w]|script:",
        needs=("<", "&#", "on", "script:"),
        why="Anything that looks like markup.",
        positives=("<b>", "onx12=1 onabc=2", "javascript:;"),
        negatives=("1 < 2", "salt & pepper", "on = 5"),
    ),
    Rule(
        id="AG-XSS-067",
        attack="xss",
        score=5,
        level=2,
        pattern=r"<[a-z][^>]{0,80}[\s/\"'`]style\s{0,4}=[^>]{0,80}(?:url\s?\([\s\"']{0,2}(?:https?:|//)|[{}\[])|(?:(?:&|<wbr>)#x?[0-9a-f]{2,7};?){2}"
        r"|(?:(?:\?|\|\|)\s?['\"]{2}:?['\"]?[^;]{0,16};\s?\w{1,8}\s?=|['\"][a-z]{1,6}['\"]\s?(?:\+|\|\|)\s?['\"][a-z]{1,6}['\"]\s?\|\|)",
        needs=("style", "#", "?", "||"),
        why="A style that loads or leaves its attribute, letters by their numbers, a name made of pieces.",
        positives=(
            "<b style='background:url(//x.example/y)'>",
            "<b style='x{color:red'>",
            "<wbr>#x6a<wbr>#x61",
            "a=0||'ev'+'al'||0",
        ),
        negatives=("<b style='color:red'>x</b>", "issue #12 & #13", "a ? '' : 'b'"),
    ),
)
