r"""Path traversal and local file inclusion (CWE-22, CWE-98).

Steps upwards, however they are written, the file that every attacker asks for first, and the wrappers of PHP.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "referer", "name", "filename")
_ACCOUNTS: Final = r"/etc/(?:passwd|shadow|gshadow|master\.passwd|security/passwd|sudoers)\b"
_JUNK: Final = "\ufffd\ue000-\uf8ff"  # what is left of a broken encoding

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-TRAVERSAL-001",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:^/?|[=:;|&]|[^:.]/)\.\.[JUNK]?/\.\.[JUNK]?/?(?:\w|\.|$)|(?:^|[\w/=])/?\.\.;[^\s/;]{0,16}/".replace(
            "JUNK", _JUNK
        ),
        needs=("/..", "..;"),
        why="Two steps out of the folder that the application serves.",
        positives=(
            "../../srv/../etc/passwd",
            "..%5c..%5cboot.ini",
            "..%c0%af..%c0%afetc/shadow",
            "img/../../config",
            "..%c1%9c..%c1%9cx",
            "..\\..\\x",
            "..%c0%9v..%c0%9vx",
            "..%u2216..%u2216x",
            "%f8%80%80%80%ae.%2f../x",
            "..;/..;/admin",
            "/shop/..;a=1/admin",
        ),
        negatives=(
            "webpack:///../../../src/index.js",
            "and so on.../then",
            "./relative",
            "a .. b / c",
            "see ../docs",
            "x/../y",
        ),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-002",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:^\s{0,4}\S{0,40}|[^\s\"'`(,\[]|\(\s?[\"'`]|[;&|]\s{0,4}[\w/.-]{1,30}(?:\s-{1,2}[\w-]{1,12}){0,3}\s{1,4})"
        + _ACCOUNTS,
        needs=("/etc/",),
        why="A file of the system that every attacker asks for first: as a value, or where something reads it.",
        positives=(
            "x=/etc/passwd",
            "file:///etc/shadow",
            "/etc//passwd",
            "include('/etc/passwd')",
            "x; sort /etc/passwd",
        ),
        negatives=("trains/boats/etc/", "/etc/passwords", "See /etc/passwd", "the users (/etc/passwd) and groups"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-023",
        attack="traversal",
        score=5,
        level=2,
        pattern=_ACCOUNTS,
        needs=("/etc/",),
        why="A file of the system that every attacker asks for first, even in a sentence.",
        positives=("See /etc/passwd", "cat /etc//passwd"),
        negatives=("trains/boats/etc/", "/etc/passwords"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-003",
        attack="traversal",
        score=4,
        level=1,
        pattern=r"(?:^|[/=:])\.\./\w[^\s?]{0,60}\.(?:php\d?|ini|conf|cfg|log|inc|ya?ml|env|xml|asax?|aspx?|jsp|db"
        r"|sql|bak)"
        r"(?:$|[?\x00])",
        needs=("../",),
        why="One step upwards, to a file of code or settings.",
        positives=("../lib/config.php", "../inc/db.inc", "..\\web.xml"),
        negatives=("../images/logo.png", "and ../setup.cfg was moved", "../about"),
        views=("path",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-TRAVERSAL-004",
        attack="traversal",
        score=5,
        level=2,
        pattern=r"^(?:[^\s<>\"'():]{0,100}[/=])?\.\./[^\s<>\"'()]{0,100}$",
        needs=("../",),
        why="One step upwards is enough where the folder is known.",
        positives=("../admin", "a/../b", "..%2fx"),
        negatives=("...", "wait.../", "see ../docs", "<img src='../a.png'>", "import x from '../x'"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-005",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:\.{3,8}/\.{0,2}/?){2}|(?:\?\.|\?\?|\.\?)[/%]\S{0,8}(?:\?\.|\?\?|\.\?)[/%]",
        needs=("...", "?.", "??", ".?"),
        why="A filter that takes `../` out once leaves it behind; others take a question mark for a character.",
        positives=("....//....//x", ".../.../etc", "..../\\..../\\boot.ini", "??/??/etc/issue"),
        negatives=("wait ... what", "and so on.../then", "a??b", "what?? / why??", "<rootDir>/.../x"),
        views=("plain", "path"),
    ),
    Rule(
        id="AG-TRAVERSAL-006",
        attack="traversal",
        score=5,
        level=1,
        pattern=(
            r"(?:0x2e|\.){2}(?:[JUNK]|0x2f|0x5c|2f|5c|%\w{0,6}[^\w\s.]?){1,3}"
            r"(?:0x2e|\.){2}(?:[JUNK]|0x2f|0x5c|2f|5c|%)"
        ).replace("JUNK", _JUNK),
        needs=("..", "0x2e"),
        why="Steps upwards in encodings that are broken, and that lenient decoders take all the same.",
        positives=("0x2e0x2e0x2f0x2e0x2e0x2fx", "..2f..2f..2fx", "..%bx..%bx", "..%uf025..%uf025x"),
        negatives=("0x2e is a dot", "...%d...", "1..2f", "50%..60%", "so.. 2 of.. them"),
        views=("plain", "path"),
    ),
    Rule(
        id="AG-TRAVERSAL-015",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s]{0,24}(?:php://(?:filter|input|stdin|std(?:out|err)|output|fd|memory|temp)"
        r"|(?:phar|expect|zip|rar|ogg|glob|compress\.(?:zlib|bzip2)|ssh2(?:\.\w{3,6})?|data):/{2}\S)",
        needs=(
            *("php://", "phar://", "expect://", "zip://", "rar://", "ogg://", "glob://", "zlib://", "bzip2://"),
            *("ssh2", "data://"),
        ),
        why="Wrappers of PHP by which a file name becomes code, or code a file name.",
        positives=(
            "php://filter/convert.base64-encode/resource=index",
            "phar://a.phar/b",
            "expect://id",
            "file=zip://a",
        ),
        negatives=("we read php://input twice", "https://data.example", "zip code: //"),
    ),
    Rule(
        id="AG-TRAVERSAL-016",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"php://filter/\S{0,60}(?:resource=|convert\.|string\.|zlib\.)",
        needs=("php://filter/",),
        why="The source of a script is read in base64, wherever it stands in the value.",
        positives=("x=1 php://filter/read=string.rot13/resource=a",),
        negatives=("the php://filter/ wrapper",),
    ),
    Rule(
        id="AG-TRAVERSAL-017",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^[^\s\x00<>]{1,80}\x00[^\s\x00]{0,4}\.?[a-z0-9]{0,5}$",
        needs=("\0",),
        why="A NUL ends the name before the suffix that the application appends.",
        positives=("page.php\0.jpg", "/index\0html", "conf\0"),
        negatives=("conf", "\0\0\0\0", "a \0 b"),
        places=("query", "body", "path", "cookie", "filename"),
    ),
    Rule(
        id="AG-TRAVERSAL-019",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"^/?(?:[JUNK][^\w\s/]{0,4}/){2,20}\w".replace("JUNK", _JUNK),
        needs=("/",),
        why="Steps upwards of which a broken encoding has left nothing but the slashes.",
        positives=("%c0%5e%c0%5e/%c0%5e%c0%5e/x", "%c0%fe%c0%fe\\%c0%fe%c0%fe\\x"),
        negatives=("PK\x03\ufffd/\ufffd/x", "caf\ufffd/th\ufffd/x", "\ufffd\ufffd/x"),
        views=("path",),
    ),
    Rule(
        id="AG-TRAVERSAL-020",
        attack="traversal",
        score=5,
        level=1,
        pattern=r"(?:0x2e|%2e){2}|^/\.{4,100}(?:$|[/\w{])|^/?(?:\.\.?/){3,20}$",
        needs=("0x2e", "%2e", "/.", "./"),
        why="Steps upwards without a file behind them, or with the slashes filtered out.",
        positives=("/0x2e0x2e/x", "/............x", ".././../../"),
        negatives=("0x2e", "and so on....", "../"),
        views=("plain", "path"),
    ),
)
