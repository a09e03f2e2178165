r"""Code injection (CWE-94): the ways of PHP and JavaScript to write a call so that it does not look like one.

A function in a variable, in brackets or behind a comment, a name that is put together, a tag that is only opened.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.code import NAMES

_COMMENT: Final = r"(?:/\*[^*]{0,40}\*/|(?:#|//)[^\n]{0,40}\n)"
_BETWEEN: Final = rf"(?:\s|{_COMMENT}){{0,6}}"
"""What PHP passes over between a name and its bracket."""

_RUNS: Final = r"(?:system|exec|passthru|shell_exec|popen|proc_open|assert|eval|phpinfo|call_user_func)"
_PLAIN: Final = (
    r"(?:substr|unpack|pack|implode|explode|chr|ord|printf|sprintf|usort|phpversion|exec|system|eval|assert)"
)

_SETTINGS: Final = (
    "mbstring",
    "assert",
    "phar",
    "zlib",
    "iconv",
    "intl",
    "soap",
    "pcre",
    "mysqli",
    "opcache",
    "xdebug",
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-CODE-012",
        attack="code",
        score=5,
        level=1,
        pattern=r"^\$\s{2,60}\{\s{0,60}\$?\w{1,30}\s{0,60}\}$|\$\{\s?['\"]\w{1,30}['\"]\s?\}"
        rf"|^\W{{0,3}}\$[a-z_]\w{{0,30}}{_BETWEEN}(?:\[[^\]\n]{{1,20}}\]{_BETWEEN}){{0,3}}\([^()]{{0,60}}\)\s?;?\s?$",
        needs=("$",),
        why="A variable that is named by another one, or called: PHP runs what its value is the name of.",
        positives=("$  { a }", "${'x'}", "$f(1)", "$f //x\n()", "$a['b'] #c\n[2] ('d');"),
        negatives=("${a}", "$ 5", "$(a)", "call $f(1) here", "$5(a)", "$f(x)$"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CODE-013",
        attack="code",
        score=5,
        level=1,
        pattern=rf"[\[(]\s?(?:{_COMMENT}\s?)?['\"]?{_RUNS}['\"]?\s?[\])]\s?(?:\[\s?\d\s?\]\s?)?\(\s?['\"/$\w]"
        r"|['\"](?:s|sy|sys|syst|syste|e|ex|exe|as|ass|asse|pass|shell_?|php)['\"]\s?\.\s?['\"]"
        r"(?:y?s?t?e?m|x?e?c|s?e?r?t|thru|exec|info)['\"]"
        rf"|\b(?:{NAMES}|{_RUNS})\s?{_COMMENT}{_BETWEEN}\(",
        needs=(
            "system",
            "exec",
            "passthru",
            "popen",
            "proc_open",
            "assert",
            "eval",
            "phpinfo",
            "call_user",
            "'.",
            "' .",
            '".',
            '" .',
            "*/",
            "\n",
        ),
        why="A function of PHP in brackets, put together from texts, or cut from its bracket by a comment.",
        positives=(
            "[ exec ][0]( ls );",
            "(/*x*/system)('ls')",
            "'sy'.'stem'",
            "don't gzencode/*x*/(1)",
            "exec //a\n (b)",
        ),
        negatives=("(system) and (b)", "the exec // a comment", "'a'.'b'", "[exec]", "exec(b)"),
        places=("query", "body", "cookie", "header", "name"),
    ),
    Rule(
        id="AG-CODE-014",
        attack="code",
        score=5,
        level=1,
        pattern=r"<\?\s?$|\b2\.225073858507201[12]\d{0,8}e-308\b"
        r"|[=(]\s?['\"](?:node:)?child_process['\"]\s?[;)]",
        needs=("<?", "e-308", "child_process"),
        why="A tag of PHP that is only opened, a number on which old parsers hang, code of Node alone.",
        positives=("x<?", "2.2250738585072011e-308", 'a=require;b="child_process";a(b)'),
        negatives=("<?xml version='1.0'?>", "1e-308", "the child_process module"),
        places=("query", "body", "cookie", "header", "name", "path"),
    ),
    Rule(
        id="AG-CODE-015",
        attack="code",
        score=5,
        level=2,
        pattern=rf"(?:^|/)(?:{NAMES}|{_PLAIN})\s?\(\)?/?$",
        needs=("(",),
        why="The path ends in a function of PHP.",
        positives=("/x/substr()", "/x/array_diff ("),
        negatives=("/wiki/unpack", "/wiki/Foo_(bar)", "/substrate()"),
        places=("path",),
    ),
    Rule(
        id="AG-CODE-016",
        attack="code",
        score=5,
        level=2,
        pattern=r"^\W{0,3}[a-z]{2,20}(?:_[a-z0-9]{1,40}){2,8}\s?\($|^(?:\w{1,16}=)?"
        rf"(?:(?:{'|'.join(_SETTINGS)})\.[a-z_]{{3,40}}|zend_extension|sendmail_path)\s?="
        r"|^console\s?\.\s?(?:log|info|warn|error|debug|dir)\s?\(.{0,60}\)\W{0,2}$",
        needs=("(", *(f"{name}." for name in _SETTINGS), "zend_extension", "sendmail_path", "console"),
        why="A call that is only opened, or a setting of PHP, or a line of a console.",
        positives=("sodium_x_y_z (", "mbstring.language=x", "zend_extension=/x.so", "console.log(7)"),
        negatives=("snake_case_name", "my_func (", "assert.x", "the zend_extension = x", "see console.log(7) there"),
        places=("query", "body", "cookie", "name"),
    ),
    Rule(
        id="AG-CODE-017",
        attack="code",
        score=5,
        level=2,
        pattern=rf"^\W{{0,3}}[a-z]{{2,20}}(?:_[a-z0-9]{{1,20}}){{1,4}}{_BETWEEN}\([^()]{{0,60}}\){{1,3}}\s?;?\s?$"
        r"|^\W{0,3}[a-z][a-z0-9]{2,30}\s?\(\s?(?:['\"$][^()\n]{0,60})?\s?\)\W{0,3}$",
        needs=("(",),
        why="A call of a function with the names that PHP, Python and databases give to theirs is the whole value.",
        positives=("disk_free_space('/')", "do_it()", "get_it /*a*/ (1);"),
        negatives=("snake_case (see above) is", "snake_case", "my_file(1).txt", "call x_y() there"),
        places=("query", "body", "cookie", "name"),
    ),
)
