"""Shell commands (CWE-78) for the stricter levels: commands behind any text, and commands that are a whole value.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.rce import FIRST, FOLDER, LAUNCHED

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RCE-016",
        attack="rce",
        score=5,
        level=2,
        pattern=LAUNCHED + r"(?:(?:cat|tac|head|tail|more|less|strings|od|xxd)\s{1,4}(?:[~.]{0,2}/\S|-n \d)"
        r"|ls\s{1,4}(?:-[a-z]|[~.]{0,2}/)|(?:nc|ncat|netcat)\s{1,4}-\w|python[23]?\s{1,4}-c\b|perl\s{1,4}-[mlne]{1,4}\b"
        r"|ruby\s{1,4}-\w{0,8}e|php\s{1,4}-r|rm\s{1,4}-[rf]{1,2}\s|(?:useradd|adduser|nslookup)\s|netstat\s{1,4}-"
        r"|type\s{1,4}[a-z]:|telnet\s{1,4}\d"
        r"|kill\s{1,4}-9|find\s{1,4}[/.~]\S{0,40}\s{1,4}-\w)\S{0,60}(?:\s{1,2}\S{1,40}){0,5}\s{0,2}$",
        needs=(" ",),
        why="A command with its argument as a whole value: the application hands it to a shell as it is.",
        positives=("ls -la", "cat ./shop.log", "python -c 'print(1)'", "find . -name x", "nc -zv x.example 443"),
        negatives=("cat food", "less is more", "type c", "find me -one", "telnet is old"),
        views=("shell",),
        places=("query", "body", "cookie", "header", "referer", "filename", "user_agent"),
    ),
    Rule(
        id="AG-RCE-011",
        attack="rce",
        score=5,
        level=2,
        pattern=r"(?:[;&]|\|\||\$\(|[^\s`(\[>*_:,-]`)[\s;&|(@{]{0,6}"
        + FOLDER
        + r"(?:cat|ls|id|rm|nc|sh|bash|wget|curl|ping6?|chmod|chown|sleep|perl|python[23]?|ruby|php|nslookup|telnet"
        r"|t?ftp"
        r"|gcc|e?grep|uname|whoami|ifconfig|netstat|kill|mkdir|rmdir|useradd|adduser|zsh|ksh|lynx|lwp-download|xxd"
        r"|base64)"
        r"[\s<]{1,4}(?:-[a-z0-9]|[~.]{0,2}/\w|\$|\d{1,3}\.\d{1,3}\.|(?:ht|f)tps?:)",
        needs=(
            "cat",
            "ls",
            "id",
            "rm",
            "nc",
            "sh",
            "get",
            "curl",
            "ping",
            "chmod",
            "sleep",
            "perl",
            "python",
            "ruby",
            "php",
            "nslookup",
            "net",
            "ftp",
            *(
                "chown",
                "gcc",
                "grep",
                "uname",
                "whoami",
                "ifconfig",
                "kill",
                "mkdir",
                "adduser",
            ),
            *("useradd", "lynx", "lwp-", "xxd", "base64"),
        ),
        why="A command with its argument after a separator, however much stands before it.",
        positives=("two words here; cat /srv/x", "a b c && rm -rf /srv", "a b c=`curl -s x`"),
        negatives=(
            "we like cats; dogs -a lot",
            "run `ls -la`",
            "ps aux | grep -i x",
            "node 18; python 3",
            "one; the cat /is here",
        ),
        views=("shell",),
    ),
    Rule(
        id="AG-RCE-012",
        attack="rce",
        score=5,
        level=2,
        pattern=FIRST
        + r"(?:[|;]\s{0,4}"
        + FOLDER
        + r"(?:id|ls|ps|pwd|dir|env|who|w|cat|sh|bash|sleep|ping|echo)\s{0,2}(?:$|[;`)#}&]|\|$)"
        r"|[;&|]\s{0,4}[a-z_]\w{0,16}=\S{1,40}\s{0,4}[;&]{1,2}\s{0,4}\$)"
        r"|^[;|&`\n]{1,3}\s{0,4}[a-z][\w.-]{1,20}\s{1,4}[-/$\d]|^sleep\s{1,4}\d{1,4}$|^\$(?:\[|\(\()"
        r"|^\$\([^()\s]{2,20}\)$|^`[^`\s]{2,20}`$",
        needs=("|", ";", "&", "`", "\n", "$", "sleep"),
        why="A separator and what may be a command, in a value that is hardly anything else.",
        positives=("shop|id", "x;id", "; htop -x", "| sleep", "sleep 10", "x;a=id;$a", "`reboot`"),
        negatives=("a | b", "salt & pepper", "sleep well", "name;value", "$(name of it)", "5 & 6", "a; b=c"),
        views=("shell",),
        places=("query", "body", "cookie", "header", "referer", "filename"),
    ),
)
