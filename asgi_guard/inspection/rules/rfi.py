r"""Remote file inclusion (CWE-98) and redirects to other sites (CWE-601).

A URL is a harmless value; one that ends where the application's own suffix would follow is not, nor is one that is
written so that a filter reads another host in it than a browser.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RFI-001",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:ht|f)tps?://\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}[^?\s]{0,100}\?{1,4}$",
        needs=("://",),
        why="The question mark cuts off the suffix that the application appends.",
        positives=("http://198.51.100.7/shell.txt?", "https://198.51.100.7/x??"),
        negatives=("http://198.51.100.7/shell.txt?a=b", "https://example.com/?"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-002",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:(?:ht|f)tps?|s?ftp|php|ogg|data|zlib)://[^\s?#]{1,100}(?:\.(?:txt|inc|dat|cmd|log|tpl"
        r"|lib|phtml|phps?\d?|sh|pl|cgi)\?{1,4}$|\.(?:txt|inc|dat|jpe?g|gif|png|log|ico)(?:\x00|\?{2,4}$"
        r"|\?(?:cmd|c|exec)=)|/(?:c99|r57|b374k|wso|shell|cmd|id|webshell|backdoor|evil|mad"
        r"|x)\d{0,3}\.\w{2,5}(?:$|\?))",
        needs=("://",),
        why="A script on a server of the attacker's, which the application includes as its own.",
        positives=(
            "http://x.example/shell.txt?",
            "http://x.example/r57.txt",
            "ftp://x.example/a.inc?",
            "http://x.example/a.jpg??",
        ),
        negatives=(
            "http://x.example/a.jpg",
            "https://x.example/robots.txt",
            "https://x.example/a?b=c.txt",
            "https://x.example/?",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-003",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:ht|f)tps?://(?:[^\s/?#@]{0,60}@)?(?:\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}"
        r"|\[[0-9a-f:.]{2,45}\]|[0-9a-f]{1,4}:[0-9a-f:]{6,40})(?::\d{1,5})?/[^\s?#]{0,100}\.(?:txt|php\d?|inc"
        r"|sh|pl|py|exe|ps1|jspx?|aspx?|hta|dll|bat|vbs|jar|class|war|elf|bin|dtd|xml|svg|xsl)(?:[?#]|$)",
        needs=("://",),
        why="A script on a server without a name.",
        positives=("http://198.51.100.7/a.php", "http://198.51.100.7:8000/x.sh", "http://[2001:db8::7]/a.txt"),
        negatives=("http://198.51.100.7/photo.jpg", "https://x.example/a.php", "http://192.0.2.1:8080/api"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-004",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}/{0,5}(?:(?:https?"
        r"|ftp):/{0,4})?/{0,4}[\\;]{0,2}[^\s/?#@.]{1,60}\.[^\s/?#@]{1,60}@[\w\[][\w.:%\[\]-]{1,60}\.?\w(?:[/\\?"
        r"#]|$)",
        needs=("//", "http:", "https:"),
        why="What stands before the at sign looks like the host, and is not.",
        positives=(
            "https://good.example@evil.example/",
            "//good.example@evil.example",
            "http:good.example@203.0.113.9",
        ),
        negatives=(
            "https://social.example/@name",
            "name@x.example",
            "mailto:a@x.example",
            "git@x.example:a/b",
            "https://token@git.example/a.git",
            "https://x.example/?a=b@c.example",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-005",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:/{1,5}|(?:https?|ftp):/{0,4})(?:[\\\t\x00-\x08;]|%(?:09|0[ad]|5c"
        r"|00))[\\/\t\x00-\x08;%]{0,6}[\w@.%]|^/{0,4}(?:https?:)?/{1,3}[^\s/?#]{1,80}[\\\t\x00-\x08;](?:@|\w)"
        r"|^/{3,6}[a-z0-9][\w.-]{1,60}\.[a-z]{2,10}(?:/|$|[?#])|^https?:/{3,5}\w|^/{1,4}https?:/{1,4}[\\%]",
        needs=("//", "/\\", "/%", "https:", "http:", "/;", "/\t"),
        why="Browsers read a backslash or a third slash as the beginning of a host, and filters do not.",
        positives=(
            "/\\evil.example",
            "https:\\\\evil.example",
            "///evil.example",
            "//\tevil.example/",
            "https:///evil.example",
        ),
        negatives=("/path", "https://x.example", "//cdn.example/a.js", "a // b", "///"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-006",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\s{0,4}/{0,5}(?:https?:)?/{2,5}[^\s?#]{1,100}/(?:\.\.|%2e%2e)/?$|^/{1,5}(?:javascript"
        r"|vbscript):\w|^/{1,5}[^\s/]{0,40}javascript:\w",
        needs=("..", "%2e%2e", "script:"),
        why="A step upwards at the end makes the application append nothing to a foreign address.",
        positives=(
            "//evil.example/..",
            "https://evil.example/%2e%2e",
            "//javascript:confirm(4)",
            "/https:///evil.example/%2f..",
        ),
        negatives=("https://x.example/a/../b", "/a/..", "x.example/...", "javascript:;"),
        places=_FIELDS,
        views=("plain", "path"),
    ),
    Rule(
        id="AG-RFI-007",
        attack="rfi",
        score=5,
        level=2,
        pattern=r"^\s{0,4}(?:ftps?|sftp|url:file|url:https?|local_file)://\S"
        r"|^\s{0,4}/{0,4}(?:https?:)?//[^\s/?#@*\[]{1,60}@\w|^/{1,3}https?:/{1,3}\S"
        r"|^https?:[a-z0-9][\w-]{0,40}\.\w|^/{2}[a-z0-9-]{1,40}\.[a-z]{2,8}/?$|^/\S{0,20}\?(?:url|next"
        r"|redir\w{0,8}|rurl|return\w{0,6})=(?:https?:)?//[^\s&]{1,60}&",
        needs=("http:", "https:", "//"),
        why="Another scheme, or a foreign host where a path was expected.",
        positives=(
            "ftp://x.example/a",
            "/https://x.example",
            "https:x.example",
            "//x.example",
            "/go?url=//x.example&next=1",
        ),
        negatives=("https://x.example/a", "//cdn.example/a.js", "/path", "https: it works"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RFI-010",
        attack="rfi",
        score=5,
        level=1,
        pattern=r"^\\{2}[\w-]{1,60}(?:\.[\w-]{1,60}){0,4}\.(?:com|net|org|info|biz|io|co|me|top|xyz|site|online|example)(?:@\w{1,5})?"
        r"\\{1,2}[\w$.-]",
        needs=("\\\\",),
        why="A share on a host of the internet: Windows signs in to it, and runs what is there.",
        positives=("\\\\x.example\\share", "\\\\files.shop.com@80\\a.dll"),
        negatives=("\\\\nas\\share", "\\\\x.example", "see \\\\x.com\\share"),
    ),
    Rule(
        id="AG-RFI-011",
        attack="rfi",
        score=5,
        level=2,
        pattern=r"^https?://[\w.-]{1,60}(?:%2f|%5c|[/\\#?])[^\s/?#@]{0,60}:[^\s/?#@]{0,60}@(?:[^\s/@]{0,40}@)?[\w.-]{1,60}\.[a-z]{2,24}(?:[:/]|$)",
        needs=("@",),
        why="The host that is shown is the name of a user, and what comes behind the last sign is the host.",
        positives=("http://shop.example%2f:a@evil.example/", "https://shop.example/:a@b@evil.example"),
        negatives=("http://a.example/@me", "http://a.example/?mail=me@b.example", "https://me:pw@a.example/"),
    ),
)
