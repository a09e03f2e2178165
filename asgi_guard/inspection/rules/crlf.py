"""CRLF, mail-header and request injection (CWE-93, CWE-113, CWE-444).

A line break is what every text has. It is an attack where a value has no business with lines, a path, a redirect, an
address of mail, and where the next line is a header or a request. Commit messages with `Cc:` lines must pass.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_HEADER: Final = (
    r"(?:(?:set-cookie2?|transfer-encoding|content-?(?:type|length|encoding|disposition|location|security-policy)|"
    r"access-control-[a-z-]{4,30}|x-[a-z-]{2,32}|remote-addr)\s{0,4}:|location\s{0,4}:\s{0,4}(?:https?:|[/\\.?])|"
    r"refresh\s{0,4}:\s{0,4}(?:\d|https?:|url|[\w-]{1,40}\.)|host\s{0,4}:\s{0,4}[\w-]{1,40}\.[a-z])"
)
_ANY_HEADER: Final = r"(?:location|refresh|link|status|host|server|expires|cache-control|referer|connection)\s{0,4}:"
_LOOKALIKES: Final = "\u560a\u560d"  # become line breaks where only the last octet of a character is kept

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CRLF-001",
        attack="crlf",
        score=5,
        level=1,
        pattern=rf"^[^\r\n]{{0,100}}[\r\n{_LOOKALIKES}][\s\\{_LOOKALIKES}]{{0,6}}{_HEADER}",
        needs=(
            "set-cookie",
            "transfer-encoding",
            "content",
            "access-control-",
            "x-",
            "remote-addr",
            "location",
            "refresh",
            "host",
        ),
        why="A second header, or a second response, is written into the first.",
        positives=(
            "x\r\nSet-Cookie: a=b",
            "/%0d%0aLocation: //x.example",
            "\nX-Forwarded-Host: y",
            "en\rRefresh : 0;",
            "\u560d\u560aLocation:/x",
        ),
        negatives=("first line\nsecond line: more", "a\nhostess: b", "see\nlocation of it: there"),
        places=("query", "path", "cookie", "header", "referer", "name", "filename"),
    ),
    Rule(
        id="AG-CRLF-002",
        attack="crlf",
        score=5,
        level=1,
        pattern=rf"^(?:[^\s]{{0,99}}[^\s:{{}}\[\],])?(?: http/[0-9.]{{1,3}})?[\r\n]{{1,4}}(?: ?set-cookie:|{_HEADER})|"
        r"[\r\n]\s{0,4}http/[0-9](?:\.[0-9])?\s{1,4}[1-5][0-9]{2}\s[^\r\n]{0,40}[\r\n]{1,4}\s{0,4}[a-z-]{3,30}\s?:"
        r"[^\r\n]{0,60}[\r\n]{2,4}\s{0,4}<",
        needs=(
            "set-cookie",
            "transfer-encoding",
            "content",
            "access-control-",
            "x-",
            "remote-addr",
            "location",
            "refresh",
            "host",
            "http/",
        ),
        why="A header behind a value without blanks, such as the address of a redirect; or a whole response.",
        positives=("/home\r\nSet-Cookie: a=b", "x\nContent-Type: text/html\n\n<b>"),
        negatives=("Notes\nLocation: Paris", "headers:\n  Content-Type: text/html", "HTTP/1.1 200 OK\nServer: x"),
        places=("body", "query", "cookie", "header", "referer", "name"),
    ),
    Rule(
        id="AG-CRLF-003",
        attack="crlf",
        score=5,
        level=1,
        pattern=r"^[^\s@]{0,64}@[^\s@]{1,64}[ >]{0,4}[\r\n]{1,4}\s{0,4}"
        r"(?:b?cc|to|from|subject|reply-to|return-path|sender|content-(?:type|transfer-encoding|disposition)|mime-version|x-mailer|x-priority)\s{0,4}:|"
        r"^[^\r\n]{0,60}[\r\n]{1,4}bcc\s{0,2}:[^\r\n]{1,60}@|"
        r"^[^\s]{0,60}[\r\n]{1,4}(?:rcpt to|mail from|data\r?\n|quit\b|vrfy|expn|helo|ehlo)\s{0,2}:?[ <\r\n]",
        needs=("\r", "\n"),
        why="More recipients, or a text of his own, in a mail that the application sends.",
        positives=(
            "me@example.com\r\nBcc: you@example.com",
            "a@example.com\nSubject: x",
            "Hi\nbcc:b@example.com,c@example.com",
            "x@example.com\r\nRCPT TO: <y@example.com>",
        ),
        negatives=(
            "Fix the parser\n\nCc: john@example.com",
            "Signed-off-by: a@example.com\nCc: b@example.com",
            "john@example.com\njane@example.com",
        ),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CRLF-004",
        attack="crlf",
        score=5,
        level=1,
        pattern=r"^[^\s]{0,60}[\r\n]{1,4}\s{0,4}(?:get|post|put|head|delete|options|patch|trace|connect|propfind)\s{1,4}"
        r"(?:/|https?:)[^\s]{0,100}\s{1,4}http/[0-9]|^(?:get|post|head|put)\s{1,4}https?://[^\s]{1,100}\s{1,4}http/[0-9]|"
        r"^[^\r\n]{0,60}[\r\n]{1,4}\s{0,4}(?:flushall\b|slaveof\s|config\sset\s(?:dir|dbfilename))",
        needs=("http/", "flushall", "slaveof", "config"),
        why="A request of its own behind the first one, for a server behind or for a store that takes lines.",
        positives=(
            "x\r\nGET /admin HTTP/1.1",
            "\nPOST /shop HTTP/1.0",
            "GET http://x.example/ HTTP/1.1",
            "a\r\nFLUSHALL",
        ),
        negatives=('10.0.0.1 - "GET / HTTP/1.1" 200', "Send it with\nGET / HTTP/1.1", "first\nset it up"),
        places=("query", "body", "path", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CRLF-005",
        attack="crlf",
        score=5,
        level=1,
        pattern=r"[\r\n]{1,4}[^\s/\r\n][^\r\n]{0,100}",
        needs=("\r", "\n"),
        why="A line break in a path ends the line of a log or of a header.",
        positives=("/a%0d%0ab", "/x\ny"),
        negatives=("/a", "/a%0a", "/a%20b"),
        places=("path",),
    ),
    Rule(
        id="AG-CRLF-006",
        attack="crlf",
        score=5,
        level=2,
        pattern=r"[\r\n]{1,4}[^\s]|\w[\r\n]{1,4}$",
        needs=("\r", "\n"),
        why="A line break in a name.",
        positives=("a\r\nb", "parameter\n"),
        negatives=("name", "\n", "first name"),
        places=("name", "filename"),
    ),
    Rule(
        id="AG-CRLF-007",
        attack="crlf",
        score=5,
        level=2,
        pattern=rf"[\r\n]\s{{0,6}}(?:{_HEADER}|{_ANY_HEADER})|[\r\n]{{1,2}}(?:b?cc|reply-to)\s{{0,2}}:[^\r\n]{{1,60}}@|"
        r"^[^\s]{0,40}[\r\n]{1,4}[a-z_-]{1,30}=[^\s]{0,60}$|"
        r"^(?:get|post|head|put)\s{1,4}(?:/|https?://)[^\s]{0,100}\s{1,4}http/[0-9]",
        needs=("\r", "\n", "http/"),
        why="A header or a request behind any line, where a line is not expected.",
        positives=("two words\r\nLocation: //x.example", "a\nnext=b", "GET / HTTP/1.1"),
        negatives=("first\nsecond: line", "a\nb = c", "over HTTP/1.1"),
        places=("query", "path", "cookie", "header", "referer"),
    ),
    Rule(
        id="AG-CRLF-008",
        attack="crlf",
        score=5,
        level=2,
        pattern=r"(?:^|[\w\n])(?:get|post|put|head|delete|options|trace|connect)\s/[^\s]{0,100}\shttp/[0-9](?:\.[0-9])?\s{0,2}\n"
        r"\s{0,2}[a-z][\w-]{1,40}:[^\n]{1,100}(?:\n|$)",
        needs=("http/",),
        why="A request within a body: a server that mistakes where the first one ends answers it (CWE-444).",
        positives=("xGET /a HTTP/1.1\r\nHost: x.example\r\n", "0\r\n\r\nPOST / HTTP/1.1\nHost: y"),
        negatives=("the line GET / HTTP/1.1", "get / http/2 only", "GET /a\nHost: x"),
        places=("query", "body"),
    ),
    Rule(
        id="AG-CRLF-009",
        attack="crlf",
        score=5,
        level=1,
        pattern=r"^(?:application|text|image|audio|video|font|model)/[^;,]{1,80};[^,]{0,80}\b(?:boundary|charset|name)\s?=\s?"
        r"[\"']?[a-z][\w-]{1,32}/[\w.+-]{1,80}[\"']?\s{0,4}$"
        r"|^(?:application|text|image|audio|video|font|model|multipart)/[^;,\"']{1,80};[^,\"']{0,80};?\s?(?:application|text|multipart)/[a-z]",
        needs=("boundary", "charset", "name", ";application/", "; application/", ";text/", "; text/", "multipart/"),
        why="A content type within another one: a filter reads the body by one, the application by the other.",
        positives=(
            'text/plain;boundary="text/html"',
            "application/json; charset=application/xml",
            "text/plain; text/html",
        ),
        negatives=(
            "multipart/form-data; boundary=a/b",
            'multipart/related; boundary="x"; type="text/xml"',
            "application/json; charset=utf-8",
            'application/soap+xml; action="http://x.example/a/b"',
        ),
        places=("header",),
    ),
)
