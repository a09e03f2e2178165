"""Server-side and edge-side includes (CWE-97).

Directives in a comment of HTML, or elements that a cache reads.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SSI-001",
        attack="ssi",
        score=5,
        level=1,
        pattern=r"<!--\s{0,4}#\s{0,4}(?:exec|include|echo|config|printenv|set|flastmod|fsize|if|elif|else|endif|odbc|email|"
        r"perl)(?:\s{1,8}[a-z\"-]|\s{0,4}-->|$)",
        needs=("<!--",),
        why="A directive that the web server runs.",
        positives=('<!--#exec cmd="uptime" -->', "<!--#printenv   -->x", '<!-- #include virtual="/x" -->'),
        negatives=("<!-- #12 include this -->", "<!-- exec -->", "<!--#includes-->"),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-SSI-002",
        attack="ssi",
        score=5,
        level=1,
        pattern=r"</?esi:(?:include|inline|vars|assign|debug|eval|try|choose|remove|comment|text|foreach|function)[\s/>]|"
        r"<!--esi[\s<]|\$\((?:http_(?:cookie|host|user_agent|header|referer)|query_string|remote_addr)",
        needs=("esi:", "<!--esi", "$("),
        why="A directive that a cache in front of the server runs.",
        positives=('<esi:include src="http://x.example/"/>', "<!--esi $(HTTP_COOKIE) -->", "$(HTTP_HOST{x})"),
        negatives=("<esi>", "esi: include", "$(query)"),
    ),
)
