"""Shell commands (CWE-78): what only a shell has as a whole value, and the tools of administrators.

Expansions, functions of a shell and conditions of Windows at level 1; at level 2 the name of a tool that is no word of
English, behind a separator or with arguments.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.rce_script import COMMANDS

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "filename", "user_agent", "name")
_START: Final = r"^[\s'\"]{0,3}(?:(?:sudo|time|nohup|env|exec|command|setsid|busybox)['\"]?[\s;]{1,4})?"
"""The beginning of a value, with what starts another command."""

_TOOLS: Final = (
    r"(?:ansible(?:-[a-z]{2,12})?|chef-[a-z]{2,12}|puppet|salt-(?:call|run|ssh)|terraform|cscli|s?trace|ltrace|gdb|perf"
    r"|bpftrace|tcpdump|nmap|masscan|pipx?\d?|npm|npx|gem|composer|aptitude|apt(?:-get|-cache)?|dpkg|yum|dnf|zypper"
    r"|pacman|apk|snap|flatpak|systemctl|journalctl|loginctl|crontab|visudo|vipw|useradd|adduser|usermod|userdel|deluser"
    r"|groupadd|gpasswd|chpasswd|lastlog|lastb|ifconfig|iptables|ip6tables|nft|ufw|ethtool|arping|traceroute|nslookup"
    r"|ssh-(?:copy-id|keygen|keyscan|agent|add)|sshpass|rsync|rclone|sftp|scp|tftp|rmt-(?:tar|dump)|cpio|zstd(?:cat|grep)?"
    r"|zcat|bzcat|xzcat|lz4cat|zgrep|bzgrep|xzgrep|flock|chroot|unshare|nsenter|mkfifo|mknod|insmod|modprobe|rmmod"
    r"|lsof|lsblk|lscpu|lsmod|lspci|dmesg|sysctl|getent|getfacl|setfacl|chattr|openssl|gpg2?|docker|podman|kubectl|helm"
    r"|crictl|ctr|runc|aws|gcloud|az|gsutil|mysqldump|pg_dump(?:all)?|psql|sqlite3|mongodump|redis-cli|tmux|screen|vim"
    r"|gcc[\d.]{0,5}|g\+\+|clang|cmake|pkexec|doas|capsh|dd|xxd|socat|ncat|netcat|telnet|aria2c|axel|lwp-download|wget2?)"
)
_WINDOWS: Final = (
    "regedit", "regsvr32", "rundll32", "bcdboot", "bcdedit", "bitsadmin", "certutil", "cmstp", "cscript", "diskpart",
    "diskshadow", "dsquery", "esentutl", "forfiles", "fsutil", "icacls", "installutil", "mshta", "msiexec", "netsh",
    "nltest", "ntdsutil", "pcalua", "qprocess", "quser", "qwinsta", "robocopy", "schtasks", "taskkill", "takeown",
    "vssadmin", "wbadmin", "wevtutil", "wmic", "wscript", "xcopy",
)  # fmt: skip

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-RCE-018",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^~[-+]\d{0,2}/?$|^(?:!-\d{1,3}\s?){1,6}$|^\$\[[\d\s+*/%-]{0,40}\]$|^\$\(\(.{0,60}\)\)$"
        r"|\$\(\s?(?:whoami|id|uname|hostname|pwd|env)\s?\$\(|\$\{?(?:shell|bash)\}?\s{1,4}-c\b|\s-wrapper\s{1,4}\w{1,12},-",
        needs=("~", "!", "$", "-wrapper"),
        why="An expansion of a shell is the whole value: a shell that gives another text for it is one to write for.",
        positives=("~+", "~-2", "!-3", "$[3+4]", "$((3*4))", "$(id$())", '${SHELL} -c "x"', "a -wrapper zsh,-c,x"),
        negatives=("~5", "~/x", "!important", "$[name]", "$(x)", "$((i)) is a number", "!!"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-019",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^alias\s{1,4}(?:[-+][a-z+]{1,6}\s{1,4}|\+\w\+\s{1,4})?[\w.-]{1,20}=\S"
        r"|^if\s{1,16}(?:(?:not|/i)\s{1,16}){0,2}[\"'(\w!%][^\n]{0,40}?(?:==|\s(?:equ|neq|lss|leq|gtr|geq)\s)"
        r"[^\n,]{1,40}?\s@?(?:echo|set|goto|call|start|copy|del|type)\b"
        r"|[<>]\(\s?(?:cat|ls|id|curl|wget|echo|sh|bash|nc|head|tail|grep|find|sed|awk)\s[^)]{1,60}\)"
        r"|[|;&]\s{0,2}\$\{?\w{1,12}\}?\s{1,4}(?:cat|ls|id|curl|wget|echo|sh|bash|nc|ping|rm|cp)\s"
        r"|[;\n]\s{0,2}\.[\"']?(?:shell|system|import)\s{1,4}\S",
        needs=(
            "alias",
            "==",
            " equ ",
            " neq ",
            " lss ",
            " leq ",
            " gtr ",
            " geq ",
            "<(",
            ">(",
            "$",
            ".shell",
            ".system",
            ".import",
            ".'",
            '."',
        ),
        why="An alias, a condition of Windows, a command as a file, or behind a variable that is empty.",
        positives=(
            "alias -p a=b",
            "alias go-up='cd ..'",
            "if not (3 equ 4) echo no",
            'if "A" == "A" @echo x',
            "<(cat notes)",
            "; $x cat notes.txt",
            "x;.shell date",
        ),
        negatives=(
            "an alias -s a=b",
            "if a == b then it holds",
            "a<(b c)",
            "f <(x)",
            "$x cat",
            "if x is == y, see echo",
            ".importer x",
        ),
        views=("plain", "shell"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-020",
        attack="rce",
        score=5,
        level=1,
        pattern=r"^(?:\S{0,40}\s{0,2}|(?:time|view|cmd)\s?)(?:[;|&`]|\$\()\s{0,4}(?:sudo\s)?"
        + _TOOLS
        + r"(?:\s{1,4}[\w./:@'\"=-]{1,40}){0,5}[\s;|&`)]{0,3}$"
        rf"|^[;|&`]{{1,2}}\s{{0,2}}{COMMANDS}(?:\s{{1,2}}[\w./:@*-]{{1,40}}){{0,3}}\s{{0,2}}[;|&`]?$",
        needs=(";", "|", "&", "`", "$(", "\n"),
        why="A tool of administrators behind a separator, or a command behind one that begins the value.",
        positives=(";tmux", "x|lsblk -f", "& aptitude", "time; chef-shell one two", "|cat one"),
        negatives=("docker", "the dnf", "screen & keyboard", "nmap by Gordon; a book", "a; b"),
        places=("query", "body", "cookie", "header", "referer", "filename"),
    ),
    Rule(
        id="AG-RCE-024",
        attack="rce",
        score=5,
        level=1,
        pattern=_START + _TOOLS + r"['\"]?(?:\s{1,4}[a-z]{1,24}){0,2}\s{1,4}(?:--?\w|[./~]|\w{1,24}(?:[.@=/]|:[/\d]))"
        r"\S{0,40}(?:\s{1,4}(?:-{1,2}\w[\w=./-]{0,30}|[\w-]{0,30}[./:@=][\w./:@=-]{0,40})){0,4}(?:\s{1,4}\w{1,30})?[\s'\"]{0,3}$"
        r"|^['\"]?(?:ansible-(?:config|console|doc|galaxy|inventory|lint|playbook|pull|vault)|chef-[a-z]{2,12}|cscli)['\"]?(?:\s-{0,2}[\w./@'\"][\w./@'\"=-]{0,40}){0,3}\s{0,2}$"
        r"|^(?:visudo|lastlog)$",
        needs=(" ", "visudo", "lastlog", "cscli", "ansible-", "chef-"),
        why="A tool of administrators as a whole value, with what only a tool is given.",
        positives=("openssl version -a", "docker ps -a", "ansible-lint play", '"cscli" hub list', "sudo gdb -p 1"),
        negatives=("docker in practice", "composer of the year", "screen and keyboard", "gem", "vim 9 is out"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-021",
        attack="rce",
        score=5,
        level=2,
        pattern=r"^['\"]?[a-z][\w.-]{1,20}['\"]?(?:\s{1,4}-{1,2}[\w-]{1,12}){0,2}"
        r"\s{1,4}/(?:etc|var|usr|s?bin|home|root|tmp|proc|opt|dev|srv|sys)/\S{0,80}\s{0,2}$"
        r"|^/?(?:usr/(?:local/)?)?s?bin/[a-z][\w.+-]{0,24}(?:\s[^\n]{0,60})?$|/s?bin/[a-z]{0,4}[?*\[][\w?*\]]{0,8}(?:\s|$)",
        needs=(
            "/etc/",
            "/var/",
            "/usr/",
            "bin/",
            "/home/",
            "/root/",
            "tmp/",
            "/proc/",
            "/opt/",
            "/dev/",
            "/srv/",
            "/sys/",
        ),
        why="A word and a path of the system, or a program by its path, as a whole value.",
        positives=("ll /var/www/", "'zstdcat' /var/log/x.zst", "bin/x", "/usr/local/bin/tool", "a;/bin/c?t x"),
        negatives=("it is in /etc/x", "see that /tmp/ is", "the bin/x script", "/bin", "cabin/x"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-022",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:^|[\s;|&=])(?:\$\w{1,10}){4}|^[a-z]\w{0,16}=[^\s;]{1,40}\s?;\s?[a-z]{0,8}\$\{?[a-z]|[a-z]\$\(\)\s{0,2}\S"
        r"|^\$\{[a-z]\w{0,16}[#%^,@/]\S{0,24}\}$|^\$\{(?:cmd|shell|path|ifs|home)\}$"
        r"|^[^\n|]{1,24}\|\s{0,2}(?:(?:ba|z|k|da)?sh|python\d?|perl|php|ruby|gcc[\d.]{0,4})\s{0,2}$"
        r"|\{[a-z]{2,10},-[a-z]{1,6}\}|^find\s{1,4}\S{1,40}\s{1,4}-[a-z]{3,10}\s[^\n]{1,60}-exec\b"
        r"|^python[23](?:\.\d{1,2}\s{1,4}\S{1,40}$|\s{1,4}(?:-[a-z]\s|[\w-]{0,40}[./])\S{0,40}$)",
        needs=("$", "|", ",-", "-exec", "python"),
        why="A command that is put together from variables, ends in a shell, or begins as commands do.",
        positives=(
            "$a$b$c$d",
            "x=al;${x}pha",
            "p='a';c$p",
            "nmap$() x",
            "${x%a}",
            "ls | sh",
            "{ls,-a}",
            "find /x -type f -exec cat {} +",
            "python3.11 x",
        ),
        negatives=(
            "$a + $b",
            "x=3; y=4",
            "$() of it",
            "${name}",
            "a | b",
            "{a,b}",
            "python 3",
            "python3 support",
            "~5",
            "find -x",
        ),
        views=("plain", "shell"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-RCE-023",
        attack="rce",
        score=5,
        level=1,
        pattern=r"(?:^|[;|&\n=]\s{0,3})" + rf"(?:{'|'.join(_WINDOWS)})(?:\.exe)?"
        r"\s{1,4}(?:/[a-z]{1,12}\b|[<>]\s{0,3}\S|-[a-z]{2,12}\s|[a-z]:\\|\\\\)",
        needs=_WINDOWS,
        why="A tool of Windows with what it is given.",
        positives=("regedit /s c:\\x.reg", "a&bcdboot < b.txt", "; certutil -urlcache x", "x; netsh /q"),
        negatives=("netsh", "mshta is old", "the regedit /s switch", "robocopy or xcopy"),
        places=_FIELDS,
    ),
)
