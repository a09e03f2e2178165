r"""Server-side request forgery (CWE-918).

Addresses that no client has a reason to send, in every notation that a resolver takes. A developer's own
`http://localhost:3000` is a value as others are, so that plain internal addresses wait for level 2.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "xml")
_SCHEME: Final = r"(?:\b[a-z][a-z0-9+._-]{1,16}:/{1,4}|\bhttps?:)(?:[^\s/@]{1,60}@)?"
_PORT: Final = r"(?::\d{1,5})?(?:[/?#\s\"'),;\\]|$)"

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SSRF-001",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"\b169\.254\.(?:169\.25[34]|170\.2|169\.123)\b|\bmetadata\.(?:google|goog|tencentyun|azure"
        r"|oraclecloud|packet|nicira)\b|\b100\.100\.100\.200\b|://192\.0\.0\.192\b|\bfd00:ec2::254\b"
        r"|/latest/(?:meta-data|user-data|dynamic/instance)|/computemetadata/v1|/metadata/instance\?api"
        r"|/opc/v[12]/instance|/metadata/v1(?:\.json|/)",
        needs=("169.254.", "metadata", "100.100.100.200", "192.0.0.192", "fd00:ec2", "/latest/", "/opc/v"),
        why="The address under which clouds hand out credentials.",
        positives=(
            "http://169.254.169.254/latest/meta-data/",
            "http://metadata.google.internal/x",
            "http://100.100.100.200/latest/",
            "http://[fd00:ec2::254]/",
        ),
        negatives=("from 192.0.2.254", "the latest metadata", "at 10.169.254.1"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-002",
        attack="ssrf",
        score=5,
        level=1,
        pattern=_SCHEME + r"(?:(?:0x[0-9a-f]{1,16}|0{1,8}[1-7][0-7]{0,14}|\d{1,3})(?:\.(?:0x[0-9a-f]{1,8}|0[0-7]{1,11}"
        r"|\d{1,9})){0,2}\.(?:0x[0-9a-f]{1,10}|0[0-7]{1,12}|[1-9]\d{3,8})"
        r"|0x[0-9a-f]{2,16}|0[0-7]{6,14}|(?:0x[0-9a-f]{1,10}|0{1,8}[1-7][0-7]{0,14})(?:\.\w{1,12}){1,3}"
        r"|[1-4]\d{8,9}|\d{1,3}\.\d{1,3}|127\.1|[3-9]\d{2}\.\d{3}\.\d{3}\.\d{3})" + _PORT,
        needs=(":/", "http:", "https:"),
        why="An address as a number, in octal, in hexadecimal or with parts left out, so that filters do not see it.",
        positives=(
            "http://2852039166/latest/",
            "http://0xa9.0xfe.0xa9.0xfe/latest/",
            "http://0251.0376.0251.0376/latest/",
            "http://127.1:80/",
            "http:0x7f000001",
            "http://169.16689662/latest/",
            "https://user@017700000001",
        ),
        negatives=(
            "https://x.example/2852039166",
            "at 12:30.5",
            "http://192.0.2.1/a",
            "ratio: 1.5",
            "id:1234567890",
            "https://1.example",
            "urn:1.2",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-003",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"://[^/\s]{0,60}(?:[①-⓿。｡]|\[(?:(?:0{1,4}:){1,7}|::|(?:0{1,4}:){0,6}:)(?:0{0,4}1|ffff:[\w.:]{3,20}"
        r"|0{0,4})\]|\[[0:]{1,20}(?:ffff)?:?(?:[0-9a-f]{1,4}:[0-9a-f]{1,4}"
        r"|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})\]|\[(?:fe80|f[cd][0-9a-f]{2})?:?[0-9a-f]{0,4}::[\w.:%]{0,20}\])"
        r"|^https?:\[|^https?://[^/\s\"'<>\\]{0,40}\\{1,2}[a-z0-9@.][^\s\"'<>]{0,60}$",
        needs=("://", "http:[", "https:["),
        why="An address in IPv6, in letters that become digits, or behind a backslash.",
        positives=(
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://①②⑦.⓪.⓪.①/",
            "http://[::]:80/",
            "http://[0:0:0:0:0:ffff:7f00:1]",
        ),
        negatives=(
            "a[::1]",
            "http://x.example/a[0]",
            "std::vector",
            '{\\"a\\": \\"https://x.example\\"}',
            "see https://x.example\\nand",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-004",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:url:)?(?:(?:gopher|dict|ldapi|tftp|netdoc|jar|rmi|iiop|corba|local_file|acap|finger"
        r"|view-source|nntp|wais|dns|jndi)(?::/{2,3}\S|:(?:https?|file):/)"
        r"|ldaps?://[^\s/]{1,60}/[^\s=]{0,60}$)|\bgopher://\S{1,80}:\d|\bjar:(?:https?|file)://?\S",
        needs=(
            *(
                "gopher:",
                "dict:",
                "ldap",
                "tftp:",
                "netdoc:",
                "jar:",
                "rmi:",
                "iiop:",
                "corba:",
                "local_file:",
                "acap:",
            ),
            *("finger:", "view-source:", "nntp:", "wais:", "dns:", "jndi:"),
        ),
        why="Schemes by which a client of the server speaks to any service.",
        positives=(
            "gopher://127.0.0.1:6379/_x",
            "dict://127.0.0.1:11211/stat",
            "ldap://127.0.0.1/shop",
            "jar:http://x.example/a!/b",
        ),
        negatives=(
            "https://x.example",
            "we use ldap://host in it",
            "redis://localhost:6379/0",
            "ldap://ldap.example",
            "gopher holes",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-005",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"^\s{0,4}(?:(?:https?|ftp|file|php"
        r"|ws):)?/{0,3}(?:[^\s/@]{1,60}@)?(?:[\w.-]{1,40}\.)?(?:localtest\.me|lvh\.me|(?:nip|xip|sslip)\.io"
        r"|vcap\.me|localho\.st|lacolhost\.com|yoogle\.com|rbndr\.us|1u\.ms|host\.docker\.internal"
        r"|gateway\.docker\.internal|kubernetes(?:\.default|\.docker)[\w.]{0,30}"
        r"|localhost4?\.localdomain4?|localhost6?\.localdomain6?|ip6-(?:localhost|loopback)|instance-data"
        r"|burpcollaborator\.net|oast\.(?:pro|live|site|online|fun|me)|oastify\.com|interact\.sh|dnslog\.cn"
        r"|ceye\.io|requestbin\.\w{2,4}|canarytokens\.com)" + _PORT,
        needs=(
            ".me",
            ".io",
            "localho.st",
            "lacolhost",
            "yoogle",
            "rbndr.us",
            "1u.ms",
            "docker.internal",
            "kubernetes",
            "localdomain",
            "ip6-",
            "instance-data",
            "burpcollaborator",
            "oast",
            "interact.sh",
            "dnslog",
            "requestbin",
            "canarytokens",
        ),
        why="Names that resolve to the server itself, or to a listener of the attacker's.",
        positives=(
            "http://127.0.0.1.nip.io/",
            "http://spoofed.oastify.com",
            "http://localhost.localdomain/shop",
            "https://a.lvh.me:8000/x",
            "http://ip6-loopback/shop",
        ),
        negatives=("about.me", "see lvh.me for it", "https://github.io/a", "kubernetes"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-006",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"^\s{0,4}https?:/{1,3}[^\s/@:]{1,60}@(?:localhost|127(?:\.\d{1,3}){1,3}|0\.0\.0\.0|\[::1?\])(?::\d{1,5})?"
        r"(?:[/?#]|$)|^\s{0,4}https?:/{1,3}[^\s/@]{1,60}@(?:localhost|127(?:\.\d{1,3}){1,3}|0\.0\.0\.0)(?::\d{1,3})?"
        r"(?:[/?#]|$)|^\s{0,4}(?:https?|ftps?|wss?|tcp|udp|php|netdoc|ssl|tls):/{1,3}(?:[^\s/@]{1,60}@)?(?:localhost"
        r"|127(?:\.\d{1,3}){1,3}|0\.0\.0\.0|0|\[::1?\])(?::(?:2[1-5]|53|110|111|139|143|2049|2375|2376|2379"
        r"|3306|3389|445|5432|5984|5985|6379|6443|8500|9000|9200|9300|10250|11211|27017|50070)\b"
        r"|/(?:admin|server-status|server-info|manager|console|actuator|phpmyadmin|etc/|nginx_status|jmx|_cat"
        r"|_cluster|v1\.\d{1,2}/|containers/))",
        needs=("localhost", "127.", "/0", "@0", "[::"),
        why="A service behind the application that trusts whoever is on the same machine.",
        positives=(
            "http://127.0.0.1:22/",
            "http://localhost/server-status",
            "http://localhost:6379",
            "http://[::1]:2375/x",
            "http://shop.example@127.0.0.1/",
            "http://me:me@127.0.0.1/",
        ),
        negatives=(
            "http://localhost:3000/callback",
            "http://127.0.0.1:8000/",
            "http://me:secret@localhost:8000/",
            "localhost:22 is open",
            "redis://localhost:6379/0",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-007",
        attack="ssrf",
        score=5,
        level=2,
        pattern=r"^\s{0,4}(?:(?:https?|ftp|file|php|ws)://?(?:[^\s/@]{1,60}@)?(?:localhost|127(?:\.\d{1,3}){1,3}"
        r"|0(?:\.0){0,3}|10\.\d{1,3}\.\d{1,3}\.\d{1,3}|192\.168\.\d{1,3}\.\d{1,3}|172\.(?:1[6-9]|2\d"
        r"|3[01])\.\d{1,3}\.\d{1,3}|169\.254\.\d{1,3}\.\d{1,3}|\[::1?\]|[\w-]{1,40}\.(?:internal|local"
        r"|localhost|corp|intranet))(?::\d{1,3})?(?:[/?#]|$)"
        r"|(?:localhost|127\.0\.0\.1)(?::\d{1,3})?/|(?:ldaps?|smb|rtsp|rtmp|imaps?|pop3s?|smtps?|telnet|sqlite"
        r"|memcached?|unix|cvs|svn\+ssh|a?cap|dav|fish|ftps|ipps?|iris|irc[6s]?|mms|modem|mumble|nfs|prospero|rsync|rtsps|scp|snmp|ssh\d?"
        r"|svn|udp|vnc|z39\.50[rs]|php|zlib|bzip2|resource|local-file"
        r"|afp|aaas?|beep|dict|gopher|git|h323|iscsi|nntp|rlogin|rmi|sctp|shttp|tcp|tftp|xmlrpc\.beeps?)://\S"
        r"|(?:localhost6|kubernetes(?:\.default)?(?:\.svc)?)/|docker\.for\.(?:mac|win)\.localhost)",
        needs=(
            "localhost",
            "://",
            "127.",
            "10.",
            "192.168.",
            "172.",
            "169.254.",
            "[::",
            ".internal",
            ".local",
            ".corp",
            ".intranet",
            "kubernetes",
            "docker.for",
        ),
        why="An address of the inner network, at the port of a server.",
        positives=(
            "http://127.0.0.1/shop",
            "http://localhost",
            "http://10.0.0.1/admin",
            "https://192.168.1.1/",
            "http://db.internal/",
        ),
        negatives=("http://localhost:3000/callback", "127.0.0.1", "localhost", "http://10.example/"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SSRF-008",
        attack="ssrf",
        score=5,
        level=1,
        pattern=r"^unix:[^|\n]{0,100}\|(?:(?:ht|f)tps?|ajp|fcgi|uwsgi|scgi|wss?):",
        needs=("unix:",),
        why="A socket of the machine and where to go from there: Apache's proxy follows it (CVE-2021-40438).",
        positives=("unix:AA|http://x.example/", "unix:/run/x.sock|fcgi://x.example"),
        negatives=("unix: a | b", "unix:/run/x.sock", "in unix:a|http://x"),
    ),
)
