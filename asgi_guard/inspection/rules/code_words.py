"""Code injection (CWE-94), for the stricter levels: functions, settings and variables of PHP, and modules of Node.

A call is a whole value: behind a blank it would be prose.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule

_FIELDS: Final = ("query", "body", "cookie", "header", "name")

_CALLS: Final = (
    r"(?:getenv|getcwd|glob|include(?:_once)?|require(?:_once)?|f(?:read|write|puts|gets|eof|open|close|scanf|stat"
    r"|passthru"
    r"|(?:put|get)csv)|copy|rename|mkdir|rmdir|ch(?:mod|own|grp|dir|root)|touch|tempnam|tmpfile|file(?:size|mtime"
    r"|perms|type"
    r"|owner)?|l?stat|(?:dir|base)name|realpath|(?:read|rewind|close)dir|u[ak]?sort|(?:un)?serialize|crypt|hash"
    r"|m?t?_?rand"
    r"|mktime|date|u?sleep|exit|die|print|v?[sf]?printf|echo|define|constant|defined|mail|header|setcookie"
    r"|gethostbyn?\w{3,6}"
    r"|ip2long|long2ip|urlencode|urldecode|rawurl\w{6}|htmlspecialchars|htmlentities|addc?slashes|stripc?slashes|nl2br"
    r"|str(?:len|i?pos|rchr|str|rev|tolower|toupper|tr|cmp)|explode|implode|join|compact|extract|list|current|reset"
    r"|shuffle"
    r"|getmy[ugp]id|getmyinode|getlastmod|getrusage|gethostname|link|readlink|symlink|getimagesize|iptcembed|(?:md5"
    r"|sha1|hash)_file"
    r"|reflection\w{5,12}|dl|popen|syslog|openlog|debug_\w{4,20}|error_log|phpversion|sys_getloadavg|gettype|settype"
    r"|intval"
    r"|lcfirst|ucfirst|ucwords|trim|range|array|ob_\w{3,16}|is_[a-z]{3,12}|usleep|time|unlink|assert|eval|exec|system"
    r"|readline|readfile|scandir|opendir|unpack|pack)"
)
"""Functions of PHP, many of which are words."""

_SETTINGS: Final = (
    r"(?:allow_url_\w{4,8}|arg_separator\.\w{5,6}|asp_tags|assert\.\w{4,12}|auto_\w{6,16}|browscap|curl\.cainfo"
    r"|date\.timezone|default_(?:charset|mimetype|socket_timeout)|disable_\w{7,9}|display_\w{4,8}_?errors"
    r"|display_errors"
    r"|doc(?:ref)?_root|enable_dl|enable_post_data_reading|error_(?:log|reporting|\w{6,7}_string)|exit_on_timeout"
    r"|expose_php"
    r"|extension_dir|fastcgi\.\w{5,16}|file_uploads|filter\.default\w{0,6}|gd\.jpeg_ignore_warning|hard_timeout"
    r"|highlight\.\w{2,8}|html_errors|ignore_(?:repeated_\w{6}|user_abort)|implicit_flush|include_path"
    r"|(?:input|output|internal)_encoding|log_errors\w{0,8}|magic_quotes\w{4,8}|mail\.\w{3,24}|max_(?:execution_time"
    r"|input_\w{4,13}"
    r"|file_uploads|multipart_body_parts)|memory_limit|open_basedir|output_(?:buffering|handler)|post_max_size"
    r"|serialize_precision|realpath_cache_\w{3,4}|register_(?:argc_argv|globals|long_arrays)|report_\w{8,12}"
    r"|safe_mode\w{0,24}|sendmail_\w{4}|short_open_tag|smtp_port|sys_temp_dir|track_(?:errors|vars)"
    r"|unserialize_\w{9,13}"
    r"|upload_(?:max_filesize|tmp_dir)|url_rewriter\.\w{4,5}|user_ini\.\w{8,9}|variables_order|xbithack"
    r"|xmlrpc_error\w{1,9}|zend_\w{4,12}|(?:apc|bcmath|dba|exif|iconv|ibase|ibm_db2|imagick|imap|intl|ldap"
    r"|mbstring|mcrypt|memcached?|mongo|mssql|mysqli?|mysqlnd|odbc|oci8|opcache|openssl|pcre|pdo_\w{3,8}|pgsql|phar"
    r"|runkit|session"
    r"|soap|sql|sqlite3?|suhosin|sysvshm|tidy|uploadprogress|wincache|xdebug|xsl|yaml|zend|zlib)\.[a-z_]{3,40})"
)
"""Settings of PHP."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CODE-018",
        attack="code",
        score=5,
        level=2,
        pattern=rf"^\W{{0,8}}{_CALLS}\(\s{{0,4}}(?:['\"$][^\n]{{0,80}}\)\W{{0,4}}$|['\"$][^)\n]{{0,80}}$|\)\W{{0,4}}$"
        rf"|-?\d{{1,9}}\s{{0,2}}(?:,|\)\W{{0,4}}$))"
        rf"|^\W{{0,3}}(?:include|require)(?:_once)?\s{{1,4}}['\"](?:[^\s'\"]{{0,60}}(?:\.\.|://|\.(?:php|inc|txt"
        rf"|log))[^\s'\"]{{0,40}}['\"]"
        rf"|[^\s'\"]{{1,80}}['\"]\s?;)|^\W{{0,3}}(?:echo|print)\s{{0,4}}['\"][^'\"\n]{{0,60}}['\"]\s?;\s?(?:$|[}}?/])",
        needs=("(", "include", "require", "echo", "print"),
        why="A function of PHP with what it is given as a whole value.",
        positives=("getcwd()", "fread($a)", "date('y')", "usleep(9)", "include 'shop.inc'", "echo 'x';"),
        negatives=(
            "a date('y')",
            "list (of it)",
            "time (9)",
            "print it",
            "include the 'x'",
            "Require 'shop' in tests",
            "copying('a')",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-CODE-019",
        attack="code",
        score=5,
        level=2,
        pattern=rf"^(?:-d\s{{0,2}})?(?:{_SETTINGS}\s{{0,2}}=|(?:engine|extension|precision|smtp|user_agent|user_dir"
        rf"|from)"
        r"\s{0,2}=\s{0,2}(?:on|off|true|false|yes|no|[01]|\S{1,40}\.(?:so|dll))$)",
        needs=("=",),
        why="A setting of PHP with its value, which CGI and old panels take from a request.",
        positives=("display_errors=1", "session.save_path = /x", "engine=1"),
        negatives=("the engine=1", "engines=2", "user=me", "session=1", "mail=me@x.example"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-CODE-020",
        attack="code",
        score=5,
        level=1,
        pattern=r"^\W{0,3}\$(?:globals|http_(?:(?:cookie|env|get|post|request|server|session)_vars|post_files"
        r"|raw_post_data"
        r"|response_header)|php_errormsg)\b|^\$arg[cv]\b|^(?:globals|_(?:server|request|session|cookie|files"
        r"|env))\[\w{1,32}\]"
        r"|^[\"'](?:\\x[0-9a-f]{2}|\\[0-7]{2,3}){3,24}[\"']\s?\(",
        needs=(
            "$globals",
            "$http_",
            "$php_errormsg",
            "$argc",
            "$argv",
            "globals[",
            "_server[",
            "_request[",
            "_session[",
            "_cookie[",
            "_files[",
            "_env[",
            "\\x",
            "\\1",
        ),
        why="The variables in which PHP keeps what it knows, old names of them too.",
        positives=("$GLOBALS", "$HTTP_POST_VARS['a']", "$argv", "_SERVER[a]", "GLOBALS[x]"),
        negatives=("$global", "the $argument", "my_server[a]", "$http_client", "globals"),
        places=_FIELDS,
    ),
    Rule(
        id="AG-CODE-207",
        attack="code",
        score=5,
        level=2,
        pattern=r"^[^\s]{0,40}\b(?:require\s?\(\s?['\"`][\w:./-]{1,40}['\"`]\s?\)|(?:read|write"
        r"|append)file(?:sync)?\s?\(\s?['\"`$]"
        r"|(?:readdir|createreadstream|createwritestream|unlink|execfile|rmdir|mkdir)(?:sync)?\s?\(\s?['\"`$]"
        r"|(?:execsync|spawn(?:sync)?|fork)\s?\(\s?['\"`]|fs\.[a-z]{4,20}\s?\(|process\.(?:env(?:\.\w{1,24})?$"
        r"|(?:exit|cwd|kill|hrtime|memoryusage|uptime)\s?\(|(?:pid|argv|version|platform)$)|module\.(?:constructor"
        r"|exports|paths|require)\b|\w{3,12}\.prototype(?:$|\s?[\[=])|_load\s?\(\s?['\"`]"
        r"|buffer\.from\s?\(|globalthis[.\[]|this\.process\b|child_process)"
        r"|^\W{0,4}console\s?(?:\.\s?[a-z]{3,10}|\[['\"][a-z]{3,10}['\"]\])\s?\(|^\W{0,4}for\s?\(\s?;\s?;\s?\)"
        r"|^\W{0,4}while\s?\(\s?[!\w+\[\]-]{1,12}\s?\)\W{0,4}$|^\W{0,4}do\s?\{[^}]{0,20}\}\s?while\s?\("
        r"|^\W{0,4}\([\w, ]{0,16}\)\s?=>\s?[\w{(]",
        needs=(
            "require",
            "file",
            "create",
            "unlink",
            "dir",
            "exec",
            "spawn",
            "fs.",
            "process",
            "module.",
            "prototype",
            "_load",
            "buffer",
            "global",
            "console",
            "for",
            "while",
            "function",
            "=>",
        ),
        why="A value that begins as code of Node.",
        positives=(
            "require('x').a",
            "process.env",
            "fs.unlink(a",
            "console.table(7)",
            "while(x)",
            "for(;;){}",
            "(a)=>{b}",
        ),
        negatives=(
            "we require('x')",
            "the process.env variable",
            "while (a) of it",
            "for (a; b)",
            "global market",
            "functions (a)",
        ),
        places=_FIELDS,
    ),
    Rule(
        id="AG-CODE-208",
        attack="code",
        score=5,
        level=2,
        pattern=r"^\W{0,4}(?:(?:file|dir|io|process|kernel|pathname|tempfile|object|open[34])\.(?:read(?:lines)?|open"
        r"|entries"
        r"|glob|children|spawn|exec|fork|popen\d?|const_get|new|write|foreach|capture\w{1,3})|(?:instance|class"
        r"|module)_(?:eval|exec))"
        r"\s?\(?\s?['\"`:|]|^\W{0,3}(?:system|exec|spawn|syscall|open)\s{1,3}['\"][^'\"\n]{1,60}['\"]\W{0,3}$"
        r"|^%[{(][\w\s.*+'\"()/-]{1,60}[})]$|^@\[[^\]\n]{1,40}\]$",
        needs=(
            "file.",
            "dir.",
            "io.",
            "process.",
            "kernel.",
            "pathname",
            "tempfile",
            "object.",
            "open",
            "_eval",
            "system",
            "exec",
            "spawn",
            "syscall",
            "%{",
            "%(",
            "@[",
        ),
        why="A value that begins as code of Ruby or Perl.",
        positives=("File.read('/x')", "Process.spawn('x')", "system 'id'", "%{7*7}", "instance_eval('x')"),
        negatives=("the File.read('x')", "system of x", "%s", "open 'til late", "@[", "profile.read"),
        places=_FIELDS,
    ),
)
