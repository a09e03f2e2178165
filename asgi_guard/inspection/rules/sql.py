r"""SQL: what the rules of SQL injection have in common: the parts of a query, written as patterns.

They are matched on the view `sql`, in which comments and runs of white space are one blank. Must never match an empty
text where a rule relies on it being there: a keyword alone is a word of English.
"""

from __future__ import annotations

from typing import Final

OPEN: Final = r"[( ]{0,8}"
SHUT: Final = r"[) ]{0,8}"
"""Blanks and brackets before and behind an operand."""

JOIN: Final = r"(?:x?or\b|and\b|\|\||&&)"
"""What adds a condition to another one."""

SIGN: Final = r"(?:(?:not|binary|distinct|all|any) ?|[-+!~]){0,4}"
"""What stands before an operand and changes nothing for an attacker."""

COMPARE: Final = (
    r"(?:[=<>^]|!=|\b(?:not )?(?:like|rlike|regexp|between|glob|in)\b|\bis (?:not )?null|\b(?:not|is)null\b"
    r"|\bsounds like)"
)
"""What compares two operands."""

FUNCTION: Final = (
    r"\b(?:(?:user|version|database|schema|pi|current_\w{4,10}|session_user|system_user|db_name|host_name) ?\( ?\)"
    r"|(?:ascii|ord|substr(?:ing)?(?:_index)?|mid|left|right|(?:char_|octet_|bit_)?length|len|lower|upper|[ul]case|hex"
    r"|unhex|bin|n?chr|n?char|cast|convert|i?if|ifnull|nullif|isnull|nvl|elt|make_set|exists|db_name|suser_s?name|cos"
    r"|sin|concat(?:_ws)?|group_concat|json_\w{3,12}|updatexml|extractvalue|row|sleep|benchmark|pg_sleep|count|rand"
    r"|floor|exp|md5|sha1|load_file|coalesce|randomblob|like|glob|strcmp|find_in_set|locate|instr|position"
    r"|regexp_\w{4,9}|reverse|stuff|quote|unicode)(?:\(| \( ?(?:['\"\d@*(]|select)))"
)
"""A function that queries call."""

OPERAND: Final = (
    r"""(?:(?:(?:[benx]|u&|_\w{2,12} ?)?['"`])(?:[^'"` ][^'"`]{0,32})?['"`]|['"`]?[@$]{0,2}[\w.-]{1,32}['"`]?)"""
)
"""A literal, which may have its kind or its charset before it, or a name; quotes of the query may be missing."""

END: Final = r"(?:$|--|#|/\*|;)"
"""Where what an attacker has added ends, or has the rest of the query ignored."""

FIRST: Final = r"""^[^'"`]{0,80}['"`]"""
"""The first quote of a value: in an attack it ends a text, in a sentence or in source code it begins one."""

QUOTES: Final = ("'", '"', "`")

SELECTED: Final = (
    r"""[( ](?:(?:distinct|all|top \d{1,6}) ?){0,2}[( ]{0,4}(?:\*|null\b|[-+~]?\d{1,20} ?(?:[,;)/-]|$|from|union"""
    r"""|where|limit|#)"""
    r"""|@|['"`\[]|0x|case\b|(?:\w{1,32}\.){0,3}\w{1,32} ?\("""
    r"""|[\w.@`"\[\]]{1,48}(?: ?, ?[\w.@`"\[\]*()']{1,48}){1,20} from )"""
)
"""What a query selects, as nobody writes it who means the English word."""

STATEMENT: Final = (
    r"(?:select" + SELECTED + r"|insert (?:ignore )?into [\w`\"\[.]{1,64} ?(?:\(|values|select)"  # noqa: S608
    r"|update [\w`\"\[\].]{1,64} set [\w`\"\[\].]{1,64} ?=|delete from [\w`\"\[]"
    r"|(?:drop|create|alter|truncate) (?:or replace |temp(?:orary)? )?(?:table|database|function|view|user|schema"
    r"|proc(?:edure)?"
    r"|index|trigger|login|role|event|alias) [\w`\"\[]"
    r"|exec(?:ute)? ?(?:[@(]|immediate|[\w.]{0,64}[sx]p_|[\"'\[])|declare @?\w{1,32} |waitfor (?:delay|time)"
    r"|shutdown\b|set @\w"
    r"|grant \w{1,24} (?:on|to) |truncate table|i?if ?[( ]{1,4}(?:\d{1,10} ?=|\(? ?select|not ?\()|begin (?:declare"
    r"|try|goto|exec|\w{2,10}_lock)|bulk insert"
    r"|(?:vacuum|reindex|checkpoint|reconfigure)(?: \w{1,32}){0,2} ?(?:;|--|#|$)|(?:lock|optimize|repair) tables? \w"
    r"|flush (?:privileges|tables|hosts|logs|status)|kill (?:\d|query |connection )|prepare \w{1,32} from "
    r"|attach database|copy \w{1,64} (?:from|to) |merge into|rename table|load data|backup database|call \w{1,32}\.\w)"
)
"""The beginning of a statement with what makes it one."""

STATEMENTS: Final = (
    "select",
    "insert ",
    "update ",
    "delete from",
    "drop ",
    "create ",
    "alter ",
    "truncate ",
    "exec",
    "declare ",
    "waitfor ",
    "shutdown",
    "set @",
    "grant ",
    "if(",
    "if ",
    "begin ",
    "bulk insert",
    "attach database",
    "copy ",
    "merge into",
    "rename table",
    "load data",
    "backup database",
    "call ",
    "vacuum",
    "reindex",
    "checkpoint",
    "reconfigure",
    "lock table",
    "optimize table",
    "repair table",
    "flush ",
    "kill ",
    "prepare ",
)
"""One of which stands in each statement."""

JOINS: Final = (
    *(f"{word}{behind}" for word in ("or", "and", "having", "like", "div", "where") for behind in " ("),
    "||",
    "&&",
)
"""One of which stands where a condition is added that begins with a blank or a bracket."""

EQUATIONS: Final = tuple(
    f"{digit}{behind}" for digit in "0123456789)" for behind in ("=", " =", "!", " !", "<", ">", " <", " >")
)
"""One of which stands where a number is compared by a sign."""
