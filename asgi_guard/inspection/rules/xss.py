"""Script injection (CWE-79) by markup: elements, event handlers, the URLs that run scripts, styles.

Markup is no attack, and neither is a sentence about it; markup that runs a script is, and so is a value that leaves the
attribute or the element which it was written for. What needs no markup stands in `xss_script`.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

_NAMES: Final = (
    "abort", "activate", "after", "animation", "auxclick", "before", "begin", "blur", "bounce", "cancel", "canplay",
    "change", "click", "close", "contextmenu", "copy", "cuechange", "cut", "dblclick", "deactivate", "drag", "drop",
    "emptied", "end", "error", "filterchange", "finish", "focus", "formdata", "fullscreen", "gesture", "hashchange",
    "help", "input", "invalid", "key", "load", "message", "mouse", "moz", "page", "paste", "pause", "play",
    "pointer", "popstate", "progress", "propertychange", "ratechange", "readystatechange", "repeat", "reset",
    "resize", "scroll", "search", "security", "seek", "select", "show", "start", "storage", "submit", "suspend",
    "timeupdate", "toggle", "touch", "transition", "unhandled", "unload", "volumechange", "waiting", "webkit",
    "wheel",
)  # fmt: skip
HANDLERS: Final = tuple(f"on{name}" for name in _NAMES)
"""How the attributes begin that handle the events of HTML, SVG and of old browsers."""

EVENTS: Final = f"(?:{'|'.join(HANDLERS)})[a-z]{{0,20}}"
SCHEMES: Final = "(?:(?:java|vb|live|j)script|mocha|vbs)"
_SINKS: Final = (
    "(?:alert|confirm|prompt|eval|execscript|settimeout|setinterval|msgbox|fetch|import|function|print|open)"
)
_BEFORE_HANDLER: Final = r"[a-z!?/%][^>]{0,100}[\s/+\"'`\x1c-\x1f;]"
_BEHIND_HANDLER: Final = r"[\s\x01-\x1f/+]{0,10}="
_ASKED: Final = frozenset(("change", "click", "dblclick", "input", "key", "mouse", "reset", "select", "submit"))
_UNASKED: Final = tuple(f"on{name}" for name in _NAMES if name not in _ASKED)  # for which nobody has to do anything
_NONE: Final = "\ufffd"  # what is no UTF-8
_EVERYWHERE: Final = (*VALUES, "user_agent")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XSS-001",
        attack="xss",
        score=5,
        level=1,
        pattern=r"<script(?:[\s/+][^<]{0,60}(?:src|href)[\s+]{0,8}=[\s+\"'`]{0,8}(?:[a-z]{2,10}:|[/\\]{2})|"
        r"[^>]{0,60}>[\s;]{0,20}(?:<!|//|/\*|[\w$]{1,40}(?:[(\[]|`[^`]{1,60}`|\s?=|\.[\w$])|[\w$]{1,20}[+-]{2}))"
        r"|^[^\w<]{0,8}<script[^>]{0,60}>[^\s<]{1,60}(?:</script|$)"
        r"|<script[^>]{0,60}>(?:[(\[{\\!~]|(?:var|let|const|throw|new|if|try|with|do|while|for|function)[\s({])",
        needs=("<script",),
        why="An element that runs what is in it, or what it loads.",
        positives=(
            "<script>draw(4)</script>",
            "%3CScRiPt%20src=//x.example%3E",
            "<script/x>\nlocation='//x.example'</script>",
            "<script>throw name</script>",
            "<script type=module src=https://x.example/m.js>",
            "<script>x",
        ),
        negatives=(
            "<scripture>",
            "the <scripts> folder",
            "escape `<script>` in the page title",
            "a <script> tag (see the notes) is not closed",
            "move the <script src=app.js> to the end",
        ),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-XSS-002",
        attack="xss",
        score=5,
        level=1,
        pattern=r"^[^<]{0,60}</(?:script|style|title|textarea|noscript|noembed|xmp|template|iframe|select|math|svg|"
        r"object|video|audio|button|option|frameset)[\s/]{0,8}>\s{0,10}<[a-z!?%]",
        needs=("</",),
        why="The value closes the element that it was written into, and opens another one.",
        positives=("x</title><img src=y>", "</textarea ><b>", "</script><!--"),
        negatives=("<style>a</style><p>b", "close it with </title>", "text</p><p>more"),
    ),
    Rule(
        id="AG-XSS-003",
        attack="xss",
        score=5,
        level=1,
        pattern=r"^[^<>]{0,60}[\"'`][\s\\)};,/-]{0,10}>{1,3}[\s,;}\])-]{0,10}<(?:!--|!\[|[?%/]?[a-z](?:[a-z0-9]{0,20}(?:[\s/>+]|$)|[a-z]{0,8}:[a-z]))",
        needs=("<",),
        why="The value closes the attribute and the element that it was written into, and opens another element.",
        positives=('"><img src=x>', "x' /><b>y", '">\n<marquee>'),
        negatives=(
            '<a href="x"><b>y</b></a>',
            '"John" <john@example.com>',
            "5 > 3 and 'a' < 'b'",
            '"> <https://x.example>',
        ),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-XSS-004",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"(?:^|[^\s`(])<{_BEFORE_HANDLER}on[a-z]{{3,25}}{_BEHIND_HANDLER}"
        rf"|<{_BEFORE_HANDLER}(?:{'|'.join(_UNASKED)})[a-z]{{0,20}}{_BEHIND_HANDLER}"
        rf"|<{_BEFORE_HANDLER}on[a-z]{{3,25}}{_BEHIND_HANDLER}[\s\"'`+(]{{0,8}}(?:{_SINKS}[\s)]{{0,4}}[(`\"]|[a-z]{{1,12}}script:"
        r"|(?:document|window|location|self|top|parent|this|globalthis)[.\[=]|[^\sa-z\"'>….]|[^>]{0,40}(?:&#|\\[xu]))",
        needs=("<",),
        why="A handler of an event in an element: it runs when a picture is not found, or as soon as it is shown.",
        positives=(
            "<img src=x onerror=alert(1)>",
            "<svg/onload=alert(1)>",
            '<a href="#"onmouseover="x()">y</a>',
            "<x\nontoggle\n=\nprompt`1`>",
        ),
        negatives=(
            "<br> online=1",
            "if a<b then once = 1",
            "<b>only</b> on top = fine",
            'write <button onclick="save()">Save</button> there',
        ),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-XSS-015",
        attack="xss",
        score=5,
        level=2,
        pattern=rf"<{_BEFORE_HANDLER}on[a-z]{{3,25}}{_BEHIND_HANDLER}",
        needs=("<",),
        why="A handler of an event in an element, also in a sentence.",
        positives=('write <button onclick="save()">Save</button> there',),
        negatives=("<br> online=1", "if a<b then once = 1"),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-XSS-005",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"(?:[\"'>]|[^\s`(]`)[\s/+\\]{{0,12}}(?:(?:autofocus|contenteditable|[a-z-]{{1,16}}=[^\s<>]{{0,30}})[\s/+]{{1,6}}){{0,3}}"
        rf"{EVENTS}[\s\x01-\x1f/+]{{0,10}}=",
        needs=HANDLERS,
        why="The value closes its attribute, and adds a handler to the element.",
        positives=('" onfocus=alert(1) autofocus x="', "' tabindex=1 autofocus onfocus='x()", '"onclick="y()'),
        negatives=('{"onclick": "x"}', '"a" on load = 5', "'online=1'", '"on" once=1'),
        places=_EVERYWHERE,
    ),
    Rule(
        id="AG-XSS-006",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"(?:^|[\s/+;]){EVENTS}[\s+]{{0,8}}=[\s+]{{0,8}}[\"'`]?[\s(;!+~-]{{0,8}}"
        rf"(?:{_SINKS}[\s(]{{0,4}}[(`)]|(?:document|window|location|self|top|parent|this|frames)[.\[=])",
        needs=HANDLERS,
        why="A handler beside an attribute without quotes, and a call that shows whether it runs.",
        positives=("x onmouseover=alert(1)", "1 onfocus=document.write(name) autofocus", "/onload=(alert)(1)"),
        negatives=("the button has onclick=save", "turn onload = true", "based on input = 5"),
    ),
    Rule(
        id="AG-XSS-007",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"(?:^|[^a-z]){SCHEMES}\s{{0,4}}:(?:\W{{0,40}}{_SINKS}[\s)]{{0,4}}[(`\"]|"
        r"[\s(]{0,4}(?:document[.\[][\"'`]?(?:cookie|write|domain|location|body|createelement|documentelement)|"
        r"window[.\[][\"'`]?(?:location|name|on[a-z]|alert|eval)|(?:top|self|parent|this|globalthis|frames)\[|"
        r"location[.=]|string\.fromcharcode|x=|var )|[\"'`<\\\[!~]|/[/*]|%[0-9a-f]|-[a-z(])",
        needs=("script", "mocha", "vbs"),
        why="A URL that runs a script; browsers ignore what cannot be seen inside of its scheme.",
        positives=(
            "javascript:confirm(4)",
            "java\tscript:confirm(4)",
            "&#106;avascript&colon;confirm`1`",
            "javascript://%0aalert(1)",
            'vbscript:msgbox("x")',
            "javascript:document.cookie='a=b'",
        ),
        negatives=(
            "we use javascript: it works",
            "javascript:void(0)",
            "javascript:;",
            "javascript:toggleMenu()",
            "typescript: open the file",
            "JavaScript: The Good Parts",
        ),
        places=_EVERYWHERE,
        views=("compact",),
    ),
    Rule(
        id="AG-XSS-008",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"<[a-z!/][^>]{{0,100}}[=(,][\s\"'`+\\(]{{0,10}}&?{SCHEMES}\s{{0,4}}:\s{{0,4}}[^v;#\"'`\s>]",
        needs=("script", "mocha", "vbs"),
        why="An attribute or a style whose URL runs a script.",
        positives=("<a href=javascript:x()>y</a>", '<img src="java\nscript:y()">', "<a href='&#14; vbscript:x'>"),
        negatives=(
            '<a href="javascript:void(0)">menu</a>',
            '<a href="javascript:;">',
            "<a title='about javascript: why'>",
        ),
        views=("compact",),
    ),
    Rule(
        id="AG-XSS-009",
        attack="xss",
        score=5,
        level=1,
        pattern=r"data:[\s\"'`]{0,4}(?:[a-z/+]{0,30};[^,]{0,40};?)?(?:text/(?:html|xml|javascript|xsl|vbscript)|"
        r"application/(?:xhtml\+xml|xml|(?:x-)?javascript|ecmascript))[\s;,]|"
        r"<(?:object|embed|iframe|frame|script|use|a|area|base|form|link|svg|animate|set|math|isindex)"
        r"[\s/+][^>]{0,80}=[\s\"'`+]{0,6}data:",
        needs=("data:",),
        why="A document or a script inside of its own address.",
        positives=(
            "data:text/html,<b>x</b>",
            "data:text/html;base64,PHNjcmlwdD4=",
            "<embed src='data:image/svg+xml;base64,PHN2Zz4='>",
        ),
        negatives=(
            "data:image/png;base64,iVBORw0KGgo=",
            "the data: text/htmlx",
            "<img src='data:image/gif;base64,R0l'>",
        ),
        views=("compact",),
    ),
    Rule(
        id="AG-XSS-010",
        attack="xss",
        score=5,
        level=1,
        pattern=r"(?:^|[\s/+\"'`])srcdoc[\s/+]{0,8}=|<[a-z]{1,12}:script[\s/>]|"
        r"<(?:set|animate[a-z]{0,9})[\s/+][^>]{0,100}attributename[\s+]{0,4}=[\s\"'`+]{0,4}(?:xlink:)?(?:href|on[a-z])",
        needs=("srcdoc", ":script", "attributename"),
        why="A document inside of an attribute, a script of another namespace, an attribute that turns into a script.",
        positives=("<iframe srcdoc='&lt;b'>", "<svg:script>", "<set attributeName=onmouseover to=x()>"),
        negatives=("the srcdoc attribute", "<animate attributeName=cx from=0 to=9>"),
    ),
    Rule(
        id="AG-XSS-011",
        attack="xss",
        score=5,
        level=1,
        pattern=r"(?:style[\s/+]{0,6}=|<style|\{|;|:)[^>{;:]{0,80}(?::\s?e ?x ?p ?r ?e ?s ?s ?i ?o ?n\s?\(|"
        r"-moz-binding\s?:|-o-link(?:-source)?\s?:|behaviou?r\s?:\s?url\s?\(|"
        r"url\s?\(\s?(?:java|vb)script\s?:)|<style[^<]{0,80}@import",
        needs=("style", "-moz-", "-o-link", "behavio", "script"),
        why="A style that runs a script, or loads one.",
        positives=(
            '<b style="a:expre/**/ssion(x())">',
            "<style>b{-moz-binding:url(//x.example/y)}</style>",
            "<p style='behavior: url(x.htc)'>",
            "<style>@import'//x.example/y.css';</style>",
        ),
        negatives=('<p style="color:red">expression (of art)</p>', "a regular expression (see above)"),
        views=("plain", "sql", "shell"),
    ),
    Rule(
        id="AG-XSS-012",
        attack="xss",
        score=5,
        level=1,
        pattern=r"<(?:applet|bgsound|i?layer|isindex|basefont|(?:[a-z]{1,8}:)?vmlframe)[\s/+]|"
        r"<\??import[\s+][^>]{0,100}(?:implementation|namespace)[\s+]{0,4}=|<\?xml-stylesheet[\s+]|"
        r"[\s/\"']data(?:src|formatas)[\s+]{0,4}=|<xml[\s+][^>]{0,60}src[\s+]{0,4}=|"
        r"<meta[\s/+][^>]{0,80}http-equiv[\s+]{0,4}=[\s\"'`+]{0,4}(?:refresh|set-cookie|link)|"
        r"<base[\s/+][^>]{0,40}href[\s+]{0,4}=|<link[\s/+][^>]{0,80}=[\s\"'`+]{0,4}import\b|"
        r"<(?:object|embed|link)[\s/+](?:[^>]{0,80}[\s/+\"'`])?(?:data|src|href|code)[\s+]{0,4}=[\s\"'`+]{0,4}(?:https?:)?[/\\]{2}",
        needs=("<",),
        why="An element that loads, redirects or runs something, and that no text has.",
        positives=(
            "<applet code=x.class>",
            '<?import namespace="q" implementation="//x.example/q.htc">',
            "<meta http-equiv=refresh content='0;url=//x.example'>",
            "<base href=//x.example/>",
            "<object data=//x.example/y>",
            "<link rel=stylesheet href=//x.example/y.css>",
        ),
        negatives=(
            '<meta http-equiv="content-type" content="text/html">',
            "<basement>",
            "<link rel=stylesheet href=a>",
        ),
    ),
    Rule(
        id="AG-XSS-013",
        attack="xss",
        score=5,
        level=1,
        pattern=rf"(?:^|[+ ])adw-[^-]{{1,60}}[+ ]ad4-|[¼{_NONE}]/?script[¾{_NONE}]|<!\[cdata\[ ?[<>] ?\]\]>|"
        r"x-imap4-modified-utf7",
        needs=("adw-", "script", "<![cdata[", "utf7"),
        why="Angle brackets in another character set, or each in a section of its own.",
        positives=("+ADw-script+AD4-x()", "¼script¾alert(1)¼/script¾", "<![CDATA[<]]>script<![CDATA[>]]>"),
        negatives=("adw-123-ad4-5", "<![CDATA[ a < b ]]>", "a script"),
    ),
    Rule(
        id="AG-XSS-014",
        attack="xss",
        score=5,
        level=1,
        pattern=r"<[a-z][^>]{0,100}[\s/+\"'`](?:(?:data-)?ng-(?:init|click|focus|blur|mouse[a-z]{2,5}|bind-html)|"
        r"v-(?:on:[a-z]{2,20}|html)|x-(?:init|data|html|on:[a-z]{2,20})|"
        r"@(?:click|error|load|focus|mouse[a-z]{2,5}|toggle))[.a-z]{0,20}[\s+]{0,4}=|"
        r"\{\{[^{}]{0,80}(?:constructor|\$on|\$eval|\$event)[\s.(\[\"'\]]",
        needs=("<", "{{"),
        why="An expression that a framework in the browser evaluates.",
        positives=(
            "{{constructor.constructor('alert(1)')()}}",
            "{{$on.constructor('x()')()}}",
            '<p ng-init="x()">',
            "<p @click='y()'>",
        ),
        negatives=("{{ name }}", "{{ the constructors }}", "<a href=@click>"),
    ),
)
