"""Script injection (CWE-79), for the stricter levels: elements that no editor writes, and code that reads a page.

Tags that are not closed, attributes behind the end of another one, and values that begin as code of a page.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "path", "cookie", "header", "referer", "name", "filename")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-XSS-074",
        attack="xss",
        score=5,
        level=1,
        pattern=r"^[(\s]{0,2}(?:\w{1,16}\s?=\s?)?(?:document[\s\])]{0,3}(?:\.|\[[\"'`])\s?(?:cookie|write(?:ln)?"
        r"|domain|body|location"
        r"|queryselector(?:all)?|getelement\w{3,20}|createelement|forms|referrer|documentelement"
        r"|execcommand)\b[^;,\n]{0,80}"
        r"|(?:window|self|top|parent)\.(?:location|name|open)\b[^;,\n]{0,80}|(?:local"
        r"|session)storage\.\w{1,24}\b[^;,\n]{0,60}"
        r"|reflect\.\w{2,14}\.(?:call|apply)\b[^\n]{0,80}|(?:alert|confirm|prompt|eval|atob|btoa|set(?:timeout"
        r"|interval)"
        r"|execscript)\s?(?:\([^)]{0,60}\)|`[^`]{0,60}`)\W{0,3})$|^new\s{1,3}function\s?\(",
        needs=(
            *("document", "window.", "self.", "top.", "parent.", "storage.", "reflect.", "alert", "confirm", "prompt"),
            *("eval", "atob", "btoa", "settimeout", "setinterval", "execscript", "function"),
        ),
        why="One expression that reads or changes a page is the whole value.",
        positives=("document.cookie", "x=window.location", 'prompt("who")', "(document)['cookie']", "new Function (x)"),
        negatives=(
            "the document.cookie",
            "document.write(a);b()",
            "a prompt (for the user)",
            "documents.write",
            "function of x",
        ),
        views=("plain", "sql"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-XSS-071",
        attack="xss",
        score=5,
        level=2,
        pattern=r"(?:^|[^`])</?(?:applet|isindex|button|select|option|optgroup|datalist|video|audio|bgsound|i?layer"
        r"|blink|no(?:embed"
        r"|frames|layer|br)|area|map|animate\w{0,9}|set|dialog|param|title|portal|slot|listing|comment|server|custom"
        r"|fieldset|legend|output|progress|meter|menuitem|command|rt|shadow|element|content)(?:[\s/>+]|$)"
        r"|^[^\s<]{0,4}<[a-z][a-z0-9:-]{0,20}(?:[\s/'\"+][^<>]{0,60}[\s/'\"+])?(?:[\s/'\"+](?:on[a-z]{3,20}|src|href"
        r"|style|background"
        r"|action|data|formaction|srcdoc|xmlns|ng-\w{2,12})\s{0,3}=?[^<>]{0,40})$"
        r"|^[^\s<]{0,4}</?(?:x|a|p|br|td|tr|div|img|table|source|track)['\"/\s]{0,3}(?:size\s?=)?$|^<(?:!(?:entity"
        r"|element|attlist|notation|\[)|\?(?:import|xml-stylesheet)|%[a-z])",
        needs=("<",),
        why="An element that no editor of text writes, or one that is not closed.",
        positives=(
            "<button form=x>",
            "<x/onclick=y",
            "<img src",
            "<video src=x>",
            "<?import",
            "</title>",
            "<td background",
        ),
        negatives=("<b>bold</b>", "<p style='color:red'>x</p>", "a <b", "x < y", "<a href='/x'>x</a>", "`<button>`"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-XSS-072",
        attack="xss",
        score=5,
        level=2,
        pattern=r"^[^\s]{0,40}\b(?:document\s?(?:\?\.|\.)\s?(?:title|ur[il]|baseuri|documentelement|documenturi"
        r"|implementation"
        r"|all|anchors|links|images|scripts|stylesheets|execcommand|open|close|body|head|forms|referrer|location"
        r"|domain|cookie"
        r"|write(?:ln)?|queryselector(?:all)?|getelements?by\w{2,12}|create\w{4,20}|doctype|defaultview|activeelement"
        r"|evaluate"
        r"|currentscript|adoptnode|importnode|append\w{0,5}|designmode)\b(?:\s?[.=(\[;]|$)|(?:local"
        r"|session)storage(?:\.|\[)"
        r"|location\.(?:href|hash|search|assign|replace|reload|host|pathname)\b|location ?=\s?['\"`]"
        r"|history\.\w{3,12}\("
        r"|navigator\.(?:useragent|sendbeacon|cookieenabled|geolocation|mediadevices|credentials|clipboard"
        r"|serviceworker)\b|xmlhttprequest\s?[(.]|new xmlhttprequest\b|fetch\s?\(\s?['\"`/]|import\s?\(\s?['\"`/]"
        r"|importscripts\s?\("
        r"|websocket\s?\(|new (?:image|worker|eventsource)\s?\(|string\.(?:fromcharcode|raw)\b|array\.from\b"
        r"|(?:reflect|object"
        r"|promise|symbol|proxy)\.[a-z]{2,16}\s?(?:`|\.(?:call|apply|bind)\b)|set(?:immediate|timeout|interval)\s?\("
        r"|requestanimationframe\s?\("
        r"|(?:alert|confirm|prompt|eval|print) ?(?:\?\.\(|\.(?:call|apply|bind)\b|`)|(?:window|self|top|parent|frames"
        r"|globalthis"
        r"|this) ?(?:\?\.|\.)?\[\s?['\"`/]|parent\.document|globalthis\."
        r"|frames\[|\.(?:inner|outer)html\b|\.parentnode\b"
        r"|insertadjacent\w{4,7}\b|\.textcontent\s?=|(?:unescape|decodeuri(?:component)?|encodeuri(?:component)?)\s?\("
        r"|[a-z]=alert\b)"
        r"|^[^\s]{0,24}\]\s?\.\s?(?:map|find|filter|sort|some|every|reduce|foreach|constructor)\b"
        r"|^\W{0,4}\(?(?:async )?(?:function\s?\(\s?\)\s?\{|\(\s?\)\s?=>)",
        needs=(
            *(
                "document",
                "storage",
                "location.",
                "location=",
                "location =",
                "history.",
                "navigator.",
                "xmlhttprequest",
                "fetch",
            ),
            *(
                "import",
                "websocket",
                "new image",
                "new worker",
                "new eventsource",
                "string.",
                "array.",
                "reflect.",
                "object.",
            ),
            *(
                "promise.",
                "symbol.",
                "proxy.",
                "setimmediate",
                "settimeout",
                "setinterval",
                "requestanim",
                "alert",
                "confirm",
            ),
            *(
                "prompt",
                "eval",
                "print?.",
                "print.",
                "print`",
                "print ",
                "window",
                "self[",
                "self.[",
                "self?.[",
                "self ",
                "top[",
            ),
            *(
                "top.[",
                "top?.[",
                "top ",
                "parent",
                "frames",
                "globalthis",
                "this[",
                "this.[",
                "this?.[",
                "this ",
                "html",
            ),
            *(
                "insertadjacent",
                ".textcontent",
                "unescape",
                "decodeuri",
                "encodeuri",
                "].",
                "] .",
                "function",
                "=>",
            ),
        ),
        why="A value that begins as code of a page.",
        positives=(
            "document.title",
            "fetch('//x.example')",
            "location.href=x",
            "localStorage.x",
            "alert?.(1)",
            "[].map.call`x`",
            "x.outerHTML",
            "(()=>x)()",
            "String.fromCharCode(7)",
        ),
        negatives=(
            "the document.title is",
            "fetch it",
            "location: here",
            "my navigator",
            "object.",
            "settings (of it)",
        ),
        views=("plain", "sql"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-XSS-073",
        attack="xss",
        score=5,
        level=2,
        pattern=r"(?:^|[\s\"'/;])(?:xlink:href|formaction|srcdoc|ng-(?:app|init|click|bind\w{0,12}|focus|controller)"
        r"|v-(?:on|bind|html)"
        r"(?::[\w.]{1,16})?|x-(?:data|init|html|on:\w{2,12}))\s{0,3}=|^[\s\"'>]{1,4}/?(?:src|href|style|background"
        r"|action|data"
        r"|xmlns(?::\w{1,8})?|pattern|dynsrc|lowsrc) ?="
        r"|^[\s\"'>/]{0,4}on(?:load|error|click|focus|blur|mouse\w{2,8}|key\w{2,5}|change|submit|toggle|start|end"
        r"|begin|pointer\w{2,9}) ?="
        r"|-moz-binding\b|^@import\b|^[^\s]{0,24}\bexpression\s?\(|^behaviou?r\s?:\s?url|^;base64\b"
        r"|^\s{0,4}data\s?:\s?(?:text|\*|;|application/(?:x-)?(?:php|javascript|xhtml|xml))"
        r"|^\s{0,4}data:image/svg\+xml[,;]|^(?:view-source|wyciwyg):[a-z]|^feed:(?:javascript|https?|data):|^(?:vb"
        r"|live)script\s?:\s?$"
        r"|^(?:<!\[cdata\[|\]\]>|<!--|['\"`]{1,2}\s?/?>{1,2}\s?<?)\s{0,3}$|^\+ad[wx]-|^(?:src|href|url)\s?[=(]\s?[\"']?(?:java|vb)script:"
        r"|^a href\s?="
        r"|^[\"'] {0,4}(?:[^\w~_:' ]|in\b)[^=\n]{0,40}(?:location|valueof|onerror|\bname) ?="
        r"|^[\"'] {0,4}(?:in )?valueof {0,2}=|^[+!\[\](){}$=~]{0,24}(?:[+!~]\[\]|\+\{\}|!!\[)[+!\[\](){}$=~]{0,80}$",
        needs=(
            *(
                "xlink:href",
                "formaction",
                "srcdoc",
                "ng-",
                "v-on",
                "v-bind",
                "v-html",
                "x-data",
                "x-init",
                "x-html",
                "x-on:",
            ),
            *(
                f"{name}{blank}="
                for name in ("src", "href", "style", "background", "data", "xmlns", "pattern")
                for blank in ("", " ")
            ),
            *(" action=", " action =", "'action", '"action', ">action", "/action", "\taction", "\naction", "xmlns:"),
            *(
                "onload",
                "onerror",
                "onclick",
                "onfocus",
                "onblur",
                "onmouse",
                "onkey",
                "onchange",
                "onsubmit",
                "ontoggle",
            ),
            *(
                "onstart",
                "onend",
                "onbegin",
                "onpointer",
                "-moz-",
                "@import",
                "expression",
                "behavio",
                ";base64",
                "data:",
            ),
            *(
                "data :",
                "view-source:",
                "feed:",
                "wyciwyg:",
                "vbscript",
                "livescript",
                "javascript:",
                "<!",
                "]]>",
                "'>",
                '">',
                "`>",
                "'/>",
                '"/>',
                "`/>",
                "' >",
                '" >',
                "` >",
                "' />",
                '" />',
                "` />",
                "+ad",
            ),
            *("location=", "location =", "valueof", "name=", "name =", "[]", "!![", "+{}"),
        ),
        why="An attribute behind the end of another one, a style or an address that runs, a piece of markup.",
        positives=(
            'xlink:href="x',
            " formaction=x",
            '" style=x',
            "-moz-binding",
            "@import 'x'",
            "data:text/html",
            "<!--",
            "onload=",
            '"in x.name=',
            "(![]+[])[+[]]",
        ),
        negatives=(
            "the style = x",
            "data: x",
            "image/png;base64",
            "on time =",
            "a 'b' in c=d",
            "expression of (x)",
            "[1]",
        ),
        places=("query", "body", "cookie", "header", "referer"),
    ),
)
