"""Rules: which file has those of which class of attack. They are loaded when a validator is built that wants them.

Must never be imported by `import asgi_guard`: the tables are long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from asgi_guard.inspection.rule import Rule

MODULES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sqli": ("sqli", "sqli_statements", "sqli_functions", "sqli_pieces", "sqli_strict", "sqli_words"),
        "xss": ("xss", "xss_script", "xss_pieces", "xss_strict", "xss_words"),
        "traversal": ("traversal", "traversal_files", "traversal_pieces", "traversal_words"),
        "rfi": ("rfi",),
        "rce": ("rce", "rce_windows", "rce_pieces", "rce_script", "rce_strict"),
        "code": ("code", "code_java", "code_script", "code_pieces", "code_words"),
        "log4shell": ("log4shell",),
        "nosql": ("nosql",),
        "ldap": ("ldap",),
        "xpath": ("xpath",),
        "xxe": ("xxe",),
        "ssrf": ("ssrf",),
        "ssti": ("ssti", "ssti_java"),
        "ssi": ("ssi",),
        "crlf": ("crlf",),
        "prototype": ("prototype",),
        "graphql": ("graphql",),
        "session": ("session",),
        "scanner": ("scanner",),
    }
)
"""The modules of this package that hold the rules of a class, each in `RULES`.

`sqli` SQL injection, `xss` script injection, `traversal` paths out of their folder and files that nobody asks for,
`rfi` remote file inclusion, `rce` shell commands and shellshock, `code` PHP, Python, JavaScript, Java and OGNL,
`log4shell` JNDI look-ups, `nosql` operators of document databases, `ldap` and `xpath` filters, `xxe` external entities,
`ssrf` internal addresses, `ssti` templates, `ssi` server-side includes, `crlf` lines for response and mail headers,
`prototype` pollution, `graphql` introspection and abuse, `session` fixation of it, `scanner` tools by their user agent.
"""

WORDS: Final = frozenset(
    [
        "cmdshell",
        "ctxsys",
        "cs7qaf",
        "dbo",
        "isnull",
        "kztaau",
        "msdb",
        "msysaces",
        "msyscolumns",
        "msysmodules",
        "msysobjects",
        "msysqueries",
        "northwind",
        "notnull",
        "nvarchar",
        "openquery",
        "openrowset",
        "regexp",
        "rlike",
        "ro0abq",
        "ro0abx",
        "syscolumns",
        "sysibm",
        "sysobjects",
        "systables",
        "sysusers",
        "tempdb",
        "varchar",
        "xor",
    ]
)
"""The short words that a rule is about: all others are not looked at, since most values are such a word."""

ATTACKS: Final[tuple[str, ...]] = tuple(MODULES)


def load(attacks: Iterable[str] = ATTACKS) -> tuple[Rule, ...]:
    """Return the rules of some classes, in the order of their files."""
    return tuple(
        rule for attack in attacks for module in MODULES[attack] for rule in import_module(f"{__name__}.{module}").RULES
    )
