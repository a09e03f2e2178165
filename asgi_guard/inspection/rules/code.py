r"""Code injection (CWE-94, CWE-502): PHP.

A call with its bracket and its argument; a function's name alone is prose, and behind a blank so is a call.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import VALUES, Rule

NAMES: Final = (
    r"(?:base64_(?:de|en)code|gz(?:inflate|deflate|uncompress|compress|decode|encode|open|file|read|passthru)"
    r"|bz(?:de)?compress|bzopen|str_rot13|strip_tags"
    r"|is_array|file_(?:get|put)_contents|file_exists|posix_\w{3,16}|pcntl_\w{3,16}|proc_(?:open|close|nice"
    r"|terminate)"
    r"|shell_exec|passthru|escapeshell\w{3,4}|call_user_func\w{0,6}|get_defined_\w{3,10}|move_uploaded_file"
    r"|highlight_(?:file|string)"
    r"|show_source|php(?:info|version|_uname|_sapi_name|credits)|preg_(?:replace|match|quote)\w{0,9}|array_(?:map"
    r"|filter|walk|diff\w{0,8}|pop|shift|merge|reduce|rand|flip)"
    r"|create_function|ini_(?:set|get|restore)|odbc_\w{3,40}|mysqli?_\w{3,30}|pg_\w{3,20}|sqlite_\w{3,20}"
    r"|zend_\w{3,50}|zlib_\w{3,20}|readgzfile|session_\w{3,24}|fsockopen|pfsockopen"
    r"|getallheaders|apache_\w{3,24}|func_get_args?|forward_static_call\w{0,6}|register_\w{3,20}_function"
    r"|iterator_apply|curl_(?:exec|init|setopt)\w{0,6}"
    r"|convert_uudecode|hex2bin|bin2hex|parse_str|extract|readfile|fpassthru|opendir|scandir|dir|fopen|unlink"
    r"|symlink|ftok|wordwrap|chr|strrev|implode|var_dump|print_r|error_log|putenv)"
)
"""Functions that only PHP has."""

_GAP: Final = r"(?:\s|/\*[^*]{0,20}\*/|#[^\n]{0,20}\n|//[^\n]{0,20}\n){0,4}"
"""What PHP passes over between a name and its bracket."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CODE-001",
        attack="code",
        score=5,
        level=1,
        pattern=r"<\?(?:php|=)(?:[^a-z]|$)|<\?\s{0,8}(?:php\b|@?(?:exec|system|eval|echo|print|include|require"
        r"|passthru|assert)\b|\$\w|`)"
        r"|<\?xml\s{0,20}(?::|\()|<script\s[^>]{0,20}language\s?=\s?['\"]?php|[\[{][/\\]?php[\]}]",
        needs=("<?", "language", "php]", "php}"),
        why="The tag that opens PHP.",
        positives=("<?php system('who am i'); ?>", "<?=`id`?>", "<? echo 1;", "<? $a();", "[php]echo 1[/php]"),
        negatives=("<?xml version='1.0'?>", "<?phpx", "why <? echoes"),
        places=VALUES,
    ),
    Rule(
        id="AG-CODE-002",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[;{&|\"'@=(,}]\s{0,4}|['\"]\s?\.\s?)@?(?:system|shell_exec|passthru|popen|proc_open"
        r"|pcntl_exec|assert|create_function|call_user_func(?:_array)?)"
        r"\s{0,4}(?:/\*[^*]{0,20}\*/\s{0,4})?\(\s{0,4}(?:(?:['\"$`@]|\w{2,20}\()[^\n)]{0,100}(?:\){1,3}\s{0,2}(?:$"
        r"|[;}'\".&|?#<\]/,])|$)|[a-z]{2,8}\)\s{0,2};?\s{0,2}$)"
        r"|(?:^|[;{&|\"'@=(,}]\s{0,4})@?exec\s{0,4}\(\s{0,4}['\"$][^\n)]{0,100}(?:\){1,3}\s{0,2}(?:$|[;}'\".&|?#<])"
        r"|$)|^\W{0,8}eval\s{0,4}\(\s{0,4}['\"$]"
        r"|\beval\s{0,4}(?:/\*[^*]{0,20}\*/)?\(\s{0,4}[@(]{0,2}(?:\$_|base64_decode|gz\w{6,10}\(|str_rot13|chr\s?\("
        r"|hex2bin|request|atob\(|stripslashes|urldecode)",
        needs=(
            "system",
            "exec",
            "passthru",
            "popen",
            "proc_open",
            "assert",
            "create_function",
            "call_user_func",
            "eval",
        ),
        why="A call that runs a command or a text, where a value should be.",
        positives=(
            "system('id')",
            "';system('id');//",
            "{${system('id')}}",
            "eval(base64_decode('aWQ='))",
            "exec($a)",
            "&& system('id');",
            "shell_exec(ls)",
            "'.system('id').'",
        ),
        negatives=(
            "call system('id') instead",
            "the exec() call",
            "/a/.exec('b')",
            "filesystem('x')",
            "eval is evil",
            "ecosystem (2)",
            "medieval('a')",
            "do not call os.system('x'); it blocks",
            "exec('x') is called by the driver",
            'system("pause") at the end',
        ),
        places=VALUES,
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-CODE-003",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[;{&|\"'@=(,}$]\s{0,4})phpinfo\s{0,4}\(\s{0,4}-?\d{0,2}\s{0,4}\)|\$\{@?\w{2,20}\(|\{\$\{",
        needs=("phpinfo", "${"),
        why="What shows that code runs: the page about PHP itself, or a call in a string.",
        positives=("phpinfo()", "x';phpinfo();//", "{${phpversion()}}", "${@print(1)}"),
        negatives=("the phpinfo() page", "use the `phpinfo()` page", "${name}", "phpinformation"),
        places=VALUES,
    ),
    Rule(
        id="AG-CODE-004",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[^\s`'\"(*])\$_(?:get|post|request|cookie|server|files|session|env)\s{0,2}[\[{]"
        r"|\$\{?globals\}?\s{0,2}\[|^\s{0,4}@?\$_(?:get|post|request|cookie|server|files|session|env)\b",
        needs=("$_", "globals"),
        why="The variables in which PHP keeps what a client sent.",
        positives=("$_GET['a']", "(a=$_POST[x])", "{$_GET[1]}", "$GLOBALS['x']"),
        negatives=("read `$_GET['a']` here", "the $_SERVER variable", "a $_ b"),
    ),
    Rule(
        id="AG-CODE-005",
        attack="code",
        score=5,
        level=2,
        pattern=r"(?:^|[^`])\$_(?:get|post|request|cookie|server|files|session|env)\s{0,2}[\[{]",
        needs=("$_",),
        why="The variables in which PHP keeps what a client sent, wherever they stand.",
        positives=("x = $_GET['a']", "echo $_POST[1]"),
        negatives=("the $_SERVER variable", "$_[0]", "it reads `$_GET[a]`"),
    ),
    Rule(
        id="AG-CODE-006",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[;{\s\"'=])[oc]:\+?\d{1,5}:\"[\w\\]{1,80}\":\d{1,5}:\{",
        needs=(':"',),
        why="A serialized object of PHP, whose methods run when it is read (CWE-502).",
        positives=('O:4:"Cart":1:{s:5:"price";i:2;}', 'a:1:{i:0;O:4:"Evil":0:{}}', 'O:+4:"Evil":0:{}'),
        negatives=('a:1:{s:1:"a";i:2;}', 'io:8:"a"', 'o:8:"a b":1'),
        views=("plain",),
    ),
    Rule(
        id="AG-CODE-007",
        attack="code",
        score=5,
        level=1,
        pattern=r"\(?['\"](?:system|exec|passthru|shell_exec|phpinfo|assert|eval)['\"]\)?\s{0,4}\(\s{0,4}['\"\w$)]"
        r"|['\"]s['\"]?\.?['\"]?y['\"]?\.?['\"]?s['\"]?\.?['\"]?t['\"]?\.?['\"]?e['\"]?\.?['\"]?m['\"]\)?\s"
        r"{0,2}\("
        r"|^\W{0,6}\$\{?_{0,8}\w{0,16}\}?\s{0,4}(?:\[[^\]\n]{1,20}\]|\{[^}\n]{1,20}\})\s{0,4}\("
        r"|^\W{0,6}\$\s{0,20}\{\s{0,20}(?:@|\$|')?[\w.]{1,20}'?\s{0,20}\}\s{0,4}(?:\[[^\]\n]{0,20}\]\s{0,4})?\("
        r"|^\$\$?_\w{0,16}\s?(?:\s?\[[^\]\n]{0,12}\]){1,4}\s{0,4}\("
        r"|^@?\$\$?[a-z_]\w{0,19}(?:->\s{0,2}\$\w{1,20}\s{0,2})?"
        r"\((?:[^\n$]|\$[a-z_{]){0,60}\)\s{0,2}(?:$|;|#|/[/*])",
        needs=("system", "exec", "passthru", "phpinfo", "assert", "eval", "'s", '"s', "$"),
        why="The name of a function is put together, so that filters do not see it.",
        positives=("('system')('id')", "'sys'.'tem'('id')", "$_[x](1)", "${'call'}(4)", "$f(1)", "$foo->$bar()"),
        negatives=(
            "('debug')('app')",
            "$(a)",
            "$a[0] is (b)",
            "$5 (or 6)",
            "${shop}",
            "x ${a}(b)",
            "t.$e[n](r)",
            "$f(x)$",
            "$f(x)=1$",
        ),
        places=VALUES,
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-CODE-008",
        attack="code",
        score=5,
        level=1,
        pattern=r"^\W{0,8}(?:"
        + NAMES
        + r"|exec|system|eval|assert|printf|file|fopen|chr)"
        + _GAP
        + r"\(\s{0,4}(?:$|\)\W{0,4}$|\)\[\d{1,3}\]$|(?:['\"$\d]|\w{1,20}[,)(.])[^\n]{0,80}\)\W{0,4}$"
        r"|['\"$][^)\n]{0,80}$)",
        needs=("(",),
        why="A function that only PHP has, with its argument as a whole value.",
        positives=("strip_tags('a')", "file_get_contents($a)", "gzuncompress/*a*/(1)", "eval (1)"),
        negatives=(
            "the file_get_contents function",
            "chr is (a)",
            "obj.is_array(x)",
            "the system (b)",
            "eval (short for it)",
        ),
        views=("plain", "sql"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CODE-021",
        attack="code",
        score=5,
        level=2,
        pattern=r"(?:^|[^\w.$>\s`-])" + NAMES + _GAP + r"\(\s{0,4}(?:['\"$\d)]|\w{1,20}[\s,)(]|$)",
        needs=("(",),
        why="A function that only PHP has, with its argument, wherever it stands.",
        positives=("strip_tags('a')", "x;file_get_contents($a)", "gzuncompress/*a*/(1)"),
        negatives=(
            "the file_get_contents function",
            "chr is (a)",
            "obj.is_array(x)",
            "the system (b)",
            "eval (short for it)",
        ),
        views=("plain", "sql"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CODE-009",
        attack="code",
        score=5,
        level=1,
        pattern=r"\.\s?(?:php\d{0,2}|phtml|phar|pht|phps|pgif|shtml|jspx?|jspf|jsw|aspx?|asmx|ashx|ascx|cer|asa|cfm"
        r"|cfml|htaccess|user\.ini|config)[\s.;:%\x00]{0,4}(?:\$data|;\.\w{2,4}|\x00.{0,8})?$"
        r"|^\.(?:htaccess|user\.ini)$",
        needs=(".",),
        why="A file that the server would run instead of handing it out.",
        positives=("shell.php", "a.pHp5", "a.phtml.", "x.asp;.jpg", "x.jsp", "a.php\0.png"),
        negatives=("photo.jpg", "php.txt", "a.phpx.png", "report.asp.pdf"),
        places=("filename",),
    ),
    Rule(
        id="AG-CODE-010",
        attack="code",
        score=5,
        level=1,
        pattern=r"^[^\s/:?#][^\s:?#]{0,99}\.\s?(?:php\d{0,3}|phtml|phar|pht|phps|jspx?|aspx?|ashx)[\s.]{0,30}$|(?:^"
        r"|[\\/])sess_[a-z0-9,-]{12,64}$",
        needs=(".", "sess_"),
        why="A script, or a session of PHP, as the name of an upload in a header.",
        positives=("shell.php", "a.phtml", "b.php5", "x.jsp."),
        negatives=("https://x.example/a.php", "/a.php", "a.php?b"),
        places=("header", "filename"),
    ),
    Rule(
        id="AG-CODE-011",
        attack="code",
        score=5,
        level=1,
        pattern=r"(?:^|[\s&;])(?:auto_(?:prepend|append)_file|allow_url_(?:include|fopen)|disable_functions"
        r"|open_basedir|safe_mode|suhosin\.simulation|cgi\.(?:force_redirect|redirect_status_env)"
        r"|opcache\.\w{2,30}|zend\.\w{2,20})\s{0,2}=",
        needs=(
            "auto_",
            "allow_url_",
            "disable_functions",
            "open_basedir",
            "safe_mode",
            "suhosin",
            "cgi.",
            "opcache.",
            "zend.",
        ),
        why="Settings of PHP, which CGI takes from the query (CVE-2012-1823, CVE-2024-4577).",
        positives=("-d allow_url_include=1 -d auto_prepend_file=php://input", "open_basedir=/"),
        negatives=("the open_basedir setting", "safe_mode is gone"),
    ),
)
