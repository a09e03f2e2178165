"""Shell commands (CWE-78), for the stricter levels: what only a script has, and commands that other commands start.

Loops, conditions and variables of a shell, the verbs of PowerShell, the words of mail servers, and a command behind the
name of a host or of a tool that starts it.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "filename", "user_agent", "name")

COMMANDS: Final = (
    r"(?:id|ls|ll|rm|cp|mv|ps|pwd|cat|tac|nl|sed|gawk|mawk|nawk|awk|grep|egrep|fgrep|sh|bash|zsh|ksh|csh|tcsh|dash"
    r"|ash|fish"
    r"|nc|ncat|netcat|wget|curl|ping6?|dig|nslookup|telnet|t?ftp|ssh|scp|rsync|tar|gzip|gunzip|bzip2|bunzip2|xz|unxz"
    r"|unlzma"
    r"|unzip|[bx]?z(?:cat|less|more|e?grep|diff)|7z[ar]?|chmod|chown|chgrp|mkdir|rmdir|unlink|mkfifo|whoami|uname"
    r"|hostname"
    r"|ifconfig|ipconfig|netstat|uptime|printenv|env|df|du|wc|xargs|sudo|su|perl[\d.]{0,4}|python[\d.]{0,4}|php\d?|ruby"
    r"|node|lua|tclsh|gcc|cc|g\+\+|vim?|rvim|nano|emacs|ed|base64|xxd|od|hexdump|strings|nohup|crontab|kill|killall"
    r"|pkill"
    r"|useradd|adduser|usermod|passwd|getent|lsof|mount|umount|systemctl|htop|tee|echo|printf)"
)
"""Commands of Unix, most of which are no words."""

_STARTS: Final = (
    r"(?:sudo|doas|nohup|strace|ltrace|ionice|stdbuf|setarch|setsid|chroot|unshare|xargs|busybox|timeout|flock|unbuffer"
    r"|taskset|chrt|linux(?:32|64)|fakeroot|pkexec|runuser|gosu|faketime|proxychains4?|torsocks|rlwrap|valgrind)"
)
_VERBS: Final = (
    r"(?:get|set|new|add|remove|invoke|start|stop|restart|import|export|out|clear|copy|move|rename|test|write|read"
    r"|select"
    r"|sort|measure|compare|convertto|convertfrom|enable|disable|register|unregister|enter|exit|wait|resume|suspend"
    r"|update)"
)
_NOUNS: Final = (
    r"(?:acl|alias|authenticodesignature|childitem|cim\w{3,20}|clixml|computer|content|credential|csv|culture|eventlog"
    r"|executionpolicy|expression|filehash|file|formatdata|hotfix|itemproperty|item|job|localuser|localgroup\w{0,8}"
    r"|location"
    r"|module|netadapter|netipaddress|object|path|process|ps(?:breakpoint|drive|provider|session\w{0,14}|snapin)|random"
    r"|restmethod|scheduledtask|securestring|service|stringdata|string|tracesource|transcript|type(?:data)?|uiculture"
    r"|variable|webrequest|wmi(?:object|event|method)|wmievent|wsman\w{0,20}|xml|command|host|history|help|member)"
)

_TOOLS: Final = (
    r"(?:strace|ltrace|pipx|busctl|dmsetup|knife|crowdsec|cscli|minikube|kubectl|podman|start-stop-daemon"
    r"|update-alternatives"
    r"|run-(?:parts|mailcap)|ldconfig|readelf|jrunscript|rpm(?:query|verify)?|tshark|whiptail|logsave|pidstat|mpstat"
    r"|iostat"
    r"|vmstat|(?:xe|pdf|lua)?latex|(?:xe|pdf|lua)tex|latexmk|hping3|sqlmap|pg_(?:dump|restore)|mysqldump|rsync|socat"
    r"|tclsh"
    r"|ghci?|irb|jjs|kotlinc|octave|[gmn]awk|dmidecode|genisoimage|ginsh|iftop|iotop|nasm|openvpn|pkexec|redcarpet"
    r"|restic"
    r"|rlwrap|sash|tasksh|valgrind|vigr|xmodmap|xmore|xpad|zathura|zypper|cowsay|cowthink|efax|facter|mtr|nroff|troff"
    r"|groff"
    r"|sshpass|smbclient|rvim|rview|vimdiff|cupsfilter|csplit|dosbox|dvips|elvish|enscript|exiftool|fping|hexdump"
    r"|ispell"
    r"|ksshell|msfconsole|msg(?:attrib|cat|conv|filter|merge|uniq)|ntpdate|perlbug|psftp|ptx|pwsh|scanmem|soelim"
    r"|softlimit"
    r"|tcpdump|tmate|torify|uudecode|uuencode|varnishncsa|volatility|w3m|xdotool|unlzma|bzcat|lzcat|zless|bzless|xzless"
    r"|bzmore|gdb|nmap|masscan|systemd-(?:run|resolve)|loginctl|systemd-\w{3,12}|apt-(?:get|cache)|dpkg|perf|bpftrace"
    r"|crash)"
)
"""Tools whose names are no words."""

_RARE: Final = (
    r"(?:authenticodesignature|childitem|cim\w{3,20}|clixml|executionpolicy|filehash|hotfix|itemproperty|localuser"
    r"|localgroup\w{0,8}|netipaddress|ps(?:breakpoint|drive|provider|session\w{0,14}|snapin)|restmethod|securestring"
    r"|tracesource|uiculture|webrequest|wmi(?:object|event|method)|wsman\w{0,20}|expression)"
)
"""Nouns that nobody else has."""

_MORE_TOOLS: Final = (
    r"(?:aa-exec|aoss|arj|atobm|base(?:32|58|nc)|bsd(?:cat|diff|tar)|bundler|byebug|capsh|certbot|check_[a-z]{2,12}"
    r"|choom|cobc"
    r"|cpan|cpio|cpulimit|dmesg|dstat|easy_install|fmt|gcore|grc|gtester|iconv|ip6?tables(?:-save)?|jq|julia|last(?:b"
    r"|comm|log)"
    r"|ld\.so|lscpu|lsmod|lspci|lsusb|lwp-[a-z]{4,8}|lz(?:4cat|cat|cmp|diff|e?grep|less|more)|mail[qx]|mawk|multitime"
    r"|mysql(?:dump\w{0,8}|show|hotcopy|admin)|neofetch|nsenter|nstat|opkg|pax|pftp|pip\d?|pkill|pgrep|psed"
    r"|ptar(?:diff|grep)?|puppet"
    r"|rake|rbash|rcp|realpath|redis-cli|rlogin|rmuser|rtorrent|runc|sendmail|setcap|setfattr|sftp|shuf|smbmap"
    r"|sqlite3|ssh-[a-z]{3,8}"
    r"|stty|svn|sysctl|systemctl|taskset|tcpdump|tcpping|tcptraceroute|timedatectl|tmux|traceroute6?|ttyname|unexpand"
    r"|unlz4|unpigz"
    r"|unrar|unxz|unzstd|uucp|vagrant|vgimport|vimtutor|vipw|virsh|visudo|vncviewer|wireshark|xargs|xfce4-\w{3,12}"
    r"|xz(?:cmp|dec|diff)"
    r"|zip(?:cloak|details|grep|info|merge|note|split|tool)|zmore|zrun|zsoelim|zstd(?:cat|e?grep|less|mt)?|znew"
    r"|zforce|yarn|npx|npm)"
)
_NAMES: Final = (
    *("path", "username", "userdomain", "systemroot", "systemdrive", "windir", "comspec", "temp", "tmp", "appdata"),
    *("userprofile", "programfiles", "programdata", "computername", "errorlevel"),
)
"""Variables of Windows."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RCE-025",
        attack="rce",
        score=5,
        level=2,
        pattern=rf"^[\w.:/@-]{{1,60}}\s?(?:;|&&|\|{{1,2}})\s?(?:/(?:usr/)?s?bin/)?{COMMANDS}(?:\s{{1,3}}[^\s|]{{1,60}}){{1,4}}\s?$"
        r"|^[;|&`]{1,2}\s{0,2}[a-z0-9][a-z0-9_.+-]{1,24}(?:\s{1,2}[\w./:@*=,!%\\-]{1,40}){0,4}\s{0,2}[;|&`]?$"
        r"|^\S{0,60}[;|`]\s?(?:find|sort|tail|head|more|less|time|host|w|who|last|top|cut|tr|make|split|join|read|test)"
        r"\s(?:-{1,2}\w|[~.]{0,2}(?:/|\s-)|\S{1,24}\.[a-z]{2,4}$)",
        needs=(";", "&", "|", "`"),
        why="A command behind the name of a host or a file.",
        positives=("shop.example;echo x", "a.txt && cat b", "x;rm y", "boss|perl5.36 x", "a;find . -name b"),
        negatives=(
            "a; b",
            "cats; dogs and rm",
            "yes; more of it",
            "one|two|three",
            "R&D; su is a name of ours, is it not",
        ),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-026",
        attack="rce",
        score=5,
        level=2,
        pattern=rf"^{_STARTS}\s{{1,4}}(?:-{{1,2}}\S{{1,16}}\s{{1,4}}|\d{{1,4}}\s{{1,4}}|/\s)?"
        r"(?:whoami|ifconfig|ipconfig|uname|hostname|printenv|netstat|lsof|(?:ba|z|k|da|c)?sh|id|ls|ps|pwd|nc|curl|wget"
        r"|chmod|python\d?|perl)(?:\s{1,4}[\w./:-]{1,40}){0,4}\s{0,2}$"
        r"|^(?:env|exec|command|builtin|time|nice|watch|script|eval)[ \t]{1,4}(?:whoami|ifconfig|ipconfig|uname"
        r"|printenv|netstat|lsof"
        r"|(?:ba|z|k|da|c)?sh|id|ls|pwd|wget|curl|chmod)(?:\s{1,4}[-/~.$]\S{0,40}){0,4}\s{0,2}$",
        needs=(
            *(
                "sudo",
                "doas",
                "nohup",
                "trace",
                "ionice",
                "stdbuf",
                "setarch",
                "setsid",
                "chroot",
                "unshare",
                "xargs",
                "busybox",
            ),
            *(
                "timeout",
                "flock",
                "unbuffer",
                "taskset",
                "chrt",
                "linux32",
                "linux64",
                "fakeroot",
                "runuser",
                "gosu",
            ),
            *(
                "faketime",
                "proxychains",
                "torsocks",
                "rlwrap",
                "valgrind",
                "env",
                "exec",
                "command",
                "builtin",
                "time ",
                "time\t",
            ),
            *("nice ", "nice\t", "watch ", "watch\t", "script ", "script\t", "eval ", "eval\t"),
        ),
        why="A command that another one starts, or that is given a file, as a whole value.",
        positives=("strace -f id", "timeout 5 whoami", "sudo ls /x", "time id", "nohup sh -c id"),
        negatives=("time to ls", "watch this", "nice id card", "sudo make me", "exec ls or not"),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-030",
        attack="rce",
        score=5,
        level=2,
        pattern=rf"^{_TOOLS}\s{{1,4}}\S{{1,40}}(?:\s{{1,4}}\S{{1,40}}){{0,3}}\s{{0,2}}$"
        rf"|^(?:rc|bzcat|{COMMANDS})\s{{1,4}}(?:-\w{{1,8}}\s{{1,4}})?[\w./-]{{1,40}}\.(?:sh|py|pl|rb|php|txt|gz|bz2"
        rf"|xz|zst|log|conf"
        r"|so|c|tar|tgz|zip|sql|passwd)\s{0,2}$",
        needs=(" ",),
        why="A tool that is given a file or a host, as a whole value.",
        positives=("pipx run shop", "rc boss.sh", "zcat shop.gz", "strace -f id"),
        negatives=(
            "setup.py",
            "make it.sh so",
            "host a party",
            "echo of it",
            "nmap by Gordon; a book about it, and more",
        ),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-032",
        attack="rce",
        score=5,
        level=2,
        pattern=rf"^{_MORE_TOOLS}\s{{1,4}}\S{{1,40}}(?:\s{{1,4}}\S{{1,40}}){{0,2}}\s{{0,2}}$",
        needs=(" ", "\t"),
        why="A tool of few sites with what it is given, as a whole value.",
        positives=("base32 shop.txt", "zstdless x.zst", "systemctl stop x", "xzdiff a b", "lwp-mirror x y"),
        negatives=("based on it", "npm is a tool that is often used", "the systemctl stop x", "julian day"),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-031",
        attack="rce",
        score=5,
        level=2,
        pattern=r"^(?:ping6?|dig|host|nslookup|whois|traceroute)[ \t]{1,4}(?:-\w{1,4}\s{1,4}(?:\d{1,4}\s{1,4})?)?"
        r"[\w-]{1,40}(?:\.[\w-]{1,40}){1,4}\s{0,2}$"
        r"|^echo\s[^\n>|]{0,60}>{1,2}\s?[\w./-]{1,40}$|^(?:ps[ \t]{1,4}(?:aux|-ef)|ll[ \t]{1,4}[/~.]\S{0,40}"
        r"|ping\s{1,4}-[cn]\s{0,2}\d{1,4}\s\S{1,40}|uptime\s{1,4}--?\w{1,8}|ls[ \t]{1,4}\.\.|ls[ \t]{1,4}-[a-z]{1,6}"
        r"|cat[ \t]{1,4}\*)\s{0,2}$",
        needs=(
            *(
                "ping",
                "dig ",
                "dig\t",
                "host ",
                "host\t",
                "nslookup",
                "whois",
                "traceroute",
                "echo",
                "ps ",
                "ps\t",
                "ll ",
                "ll\t",
            ),
            *("uptime", "ls ", "ls\t", "cat ", "cat\t"),
        ),
        why="A command of few letters with what only a shell is given, as a whole value.",
        positives=("ps aux", "dig x.example", "echo a > b.c", "ls -la", "ping -c 3 x"),
        negatives=("host a party", "echo of it", "ping pong", "ps: see x.example", "a > b"),
        views=("shell",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-027",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^(?:(?:while|until)\s(?:true|:|!|read|sleep|\d|\[|[^\s;]{0,8}\$)[^;\n]{0,60};[ \t\n]?do"
        r"|for\s\w{1,16}\sin\s[^;\n]{1,60};[ \t\n]?do"
        r"|if\s(?:true|!|\[|test\s|[^\s;]{0,8}\$)[^;\n]{0,60};[ \t\n]?then)(?:\s|$)|^case\s\S{1,20}\sin\s\S{1,20}\)"
        r"|^\[{1,2}[ \t]-[a-z]\s\S{1,40}\s\]{1,2}\s?(?:&&|\|\||;)|^if\s{1,16}[^\n]{1,60} (?:equ|neq|lss|leq|gtr|geq) "
        r"|^[<>]\([a-z][^)\n]{0,60}\)$|^\w{1,16}=\$\([a-z][^()\n]{0,60}\)$",
        needs=(
            *(
                "; do",
                ";do",
                "; then",
                ";then",
                ";\tdo",
                ";\ndo",
                ";\tthen",
                ";\nthen",
                "case",
                "[ -",
                "[\t-",
                "<(",
                ">(",
                "=$(",
            ),
            *(" equ ", " neq ", " lss ", " leq ", " gtr ", " geq "),
        ),
        why="A loop, a condition or a command in the place of a file, as only shells write them.",
        positives=(
            "while true; do id; done",
            "for x in a b; do echo $x; done",
            "[ -f /x ] && id",
            "if 7 gtr 3 (dir)",
            "<(id)",
            "x=$(id)",
        ),
        negatives=("if it rains; then", "for all; do it", "while (x) { y; }", "if a equals b", "<(x", "case in point"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-028",
        attack="rce",
        score=5,
        level=2,
        pattern=r"^(?:export|declare|typeset|readonly|local)(?: -\w{1,3})? [a-z_]\w{0,30}=\S{1,60}$"
        r"|^\{(?:[a-z/._-][a-z0-9/._-]{0,24})?(?:,[a-z0-9/._'\"$-]{0,24}){0,6},(?:\}|-[a-z0-9][^{},\s]{0,24}\}"
        r"|/[^{},\s]{1,24}\})\w{0,8}$"
        r"|\{[a-z]{1,10},-[a-z]{1,6}\}|^%(?:path|username|userdomain|system(?:root|drive)|windir|comspec|temp|tmp"
        r"|appdata"
        r"|localappdata|userprofile|programfiles|programdata|computername|homepath|errorlevel)%$"
        r"|^(?:[a-z]\w{0,16}=[^\s;&]{1,40}(?:;|&&)\s?){1,6}[^\s=$]{0,8}\$\{?[a-z]"
        r"|^(?:\$\{?[a-z]\w{0,12}\}?){2,8}$|\s<<<\s?['\"\w$]|^\$(?:ifs|shell|path|home|user|pwd|oldpwd)$",
        needs=(
            "export ",
            "declare ",
            "typeset ",
            "readonly ",
            "local ",
            ",}",
            ",-",
            ",/",
            "$",
            "<<<",
            *(f"{name}%" for name in _NAMES),
        ),
        why="Variables, lists and lines of input, as only shells write them.",
        positives=("export shop=x", "{ls,}", "{l,-la}s", "%PATH%", "a=c;b=d;$a$b", "$a$b", "tr a b <<<c", "$HOME"),
        negatives=("{a,b}", "100%", "export to x", "a=b;c=d", "$5$6", "{1,}", "local news = x", "<<< back"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-108",
        attack="rce",
        score=5,
        level=1,
        pattern=rf"(?:^|[;|&=]\s{{0,3}}){_VERBS}-(?:{_NOUNS}(?:\s{{1,4}}(?:-[a-z]|[$'\"(@{{\\/.]|[a-z]:\\)|\s?[|;)])"
        rf"|{_RARE}(?:\s|$))",
        needs=(
            *(
                "-acl",
                "-alias",
                "-authent",
                "-child",
                "-cim",
                "-clixml",
                "-computer",
                "-content",
                "-credential",
                "-csv",
            ),
            *(
                "-culture",
                "-event",
                "-exec",
                "-expr",
                "-file",
                "-format",
                "-hotfix",
                "-item",
                "-job",
                "-local",
                "-module",
            ),
            *("-net", "-object", "-path", "-process", "-ps", "-random", "-rest", "-sched", "-secure", "-service"),
            *("-string", "-trace", "-trans", "-type", "-uiculture", "-variable", "-web", "-wmi", "-wsman", "-xml"),
            *("-command", "-host", "-history", "-help", "-member"),
        ),
        why="A command of PowerShell: a verb and a noun that nobody else joins.",
        positives=(
            "Get-ChildItem C:\\",
            "; Invoke-Command -c x",
            "Set-ExecutionPolicy Bypass",
            "x|Out-File ./y",
            "Get-WmiObject",
        ),
        negatives=(
            "get-content-marketing",
            "the Get-Process command",
            "add-on",
            "set-top box",
            "start-up",
            "re-export-file",
            "add-item",
            "clear-history",
            "update-location x",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-029",
        attack="rce",
        score=5,
        level=2,
        pattern=r"\r\n\s?(?:(?:data|quit|rset|noop|starttls|stls|capa|uidl|stat)\s{0,2}(?:$|[\r\n])"
        r"|(?:dele|retr|uidl|top|list)\s\d{1,6}\b|apop\s\S{1,40}\s[0-9a-z]|auth\s(?:login|plain|cram|digest|xoauth"
        r"|ntlm)"
        r"|[a-z]{0,4}\d{1,4}\s(?:capability|noop|logout|starttls|authenticate|login|expunge|lsub|(?:un)?subscribe"
        r"|uid\s\w)\b"
        r"|a\d{1,4}\s(?:create|delete|rename|list|check|close|select|status|search|fetch|store|copy|examine|append)\b)",
        needs=("\r\n",),
        why="A command of mail servers on a line of its own.",
        positives=("\r\nQUIT", "x\r\nDELE 3", "\r\na2 LSUB b c", "\r\nA7 CREATE x", "\r\nAUTH CRAM-MD5"),
        negatives=("\r\nquit it", "\r\nlist of 5", "we login", "\nnoop", "\r\ndata for you", "\r\nv2 create it"),
        places=("query", "body", "cookie", "header", "name"),
    ),
)
