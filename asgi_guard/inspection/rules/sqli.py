"""SQL injection (CWE-89): conditions that are made true or false, and texts that are ended.

A keyword alone is a word of English: a rule wants the operand or the operator beside it, and where a quote ends a text
of the query it is the first one of the value.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import (
    COMPARE,
    END,
    EQUATIONS,
    FIRST,
    FUNCTION,
    JOIN,
    OPEN,
    OPERAND,
    QUOTES,
    SHUT,
    SIGN,
)

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-001",
        attack="sqli",
        score=5,
        level=1,
        pattern=FIRST + SHUT + JOIN + OPEN + SIGN + OPERAND + SHUT + COMPARE,
        needs=QUOTES,
        why="A text of the query is ended, and a comparison is added.",
        positives=(
            "boss' or 3=3 -- z",
            "x' AND 'a'='a",
            'a") or ("b"="b',
            "'||'1' like '1",
            "x' or name is not null",
            "boss'or''='",
            "x' or n'a'='a",
            "x' or b'1'=1",
        ),
        negatives=(
            "rock 'n' roll or jazz",
            "'this' or 'that'",
            "when a == 'x' and b == 'y'",
            "disallow 'or' in queries",
            "the parents' and the teachers' room",
            "5' and 6' tall",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-002",
        attack="sqli",
        score=5,
        level=1,
        pattern=FIRST
        + SHUT
        + r"(?:"
        + JOIN
        + r"|[-+*/%^&|=<>,]{1,3}|(?:div|mod|like|rlike|regexp|in|is|where|having|limit|by)\b)"
        + OPEN
        + SIGN
        + r"(?:"
        + FUNCTION
        + r"|\( ?select\b|@@\w|case when )",
        needs=QUOTES,
        why="A text of the query is ended, and a function or a query takes part in what follows.",
        positives=(
            "1' and sleep(3)='",
            "'-(select 1)-'",
            "x' or exists(select 1 from t)",
            "' rlike sleep(2)#",
            "'-@@version-'",
        ),
        negatives=("a 'like (it) or not' thing", "the parents' and (some) teachers", "it's like (almost) new"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-003",
        attack="sqli",
        score=5,
        level=1,
        pattern=FIRST
        + SHUT
        + JOIN
        + OPEN
        + SIGN
        + r"""(?:true|false|null|\d{1,9}(?:\.\d{1,4})?|['"`][\w]{1,16}['"`]?)"""
        + SHUT
        + END,
        needs=QUOTES,
        why="A text of the query is ended, and what counts for true is added.",
        positives=("' or 1 -- ", "admin'||1#", "x' or true;", "boss'or'7", "a') and false--"),
        negatives=("the parents' or one", "5' or 6' tall", "'yes' or 'no'"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-004",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"""^(?:[^'"`]{0,80}['`]|(?:[^'"`]{0,80}[^'"`\d])?")"""
        + SHUT
        + r"""(?:;? ?--(?:[- ]{0,3}|[- ]{1,3}\w{1,8})$|;? ?# ?$|;? ?/\*[^*]{0,8}$|; ?$|;? ?--[ +-]{0,3}&|;\x00)""",
        needs=QUOTES,
        why="A text of the query is ended, and what follows in the query is a comment.",
        positives=("boss'--", "boss' #", "boss'/*", "x')) -- -", "root';"),
        negatives=(
            "'--help'",
            "pass'--word",
            "the parents' -- and the teachers'",
            "it's 5' # 3 on the list",
            'a "quoted";',
            'a screen of 27" --',
        ),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-SQLI-005",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"""(?:^|[ '"`)(%\]}*/\d])(?:(?:x?or|and|where|having|when|rlike|like)\b ?[( ]{0,6}|(?:\|\|"""
        r"""|&&) ?\(?)(?:not |[-+~!] ?){0,3}"""
        r"""(?:0x[0-9a-f]{1,32}|\d{1,12}(?:[-+*/% .&|^]\d{1,12}){0,8})[) ]{0,4}(?:={1,2}|<>|!=|[<>]=|like |rlike """
        r"""|regexp |between )[( ]{0,6}(?:not |[-+~] ?){0,3}(?:0x[0-9a-f]{1,32}|\d{1,12})(?:$|[^\w ]| (?:$|[^a-z]"""
        r"""|(?:x?or|and|union|order|group|limit|select|having|where|like|rlike|procedure|into|between|in|then|else)\b"""
        r"""|is (?:not )?(?:null|true|false|unknown)\b))""",
        needs=(*EQUATIONS, "0x", "like ", "regexp ", "between "),
        why="Two numbers are compared: the outcome was known before.",
        positives=(
            "7 or 3=3 or 4",
            "7) AND (4=5",
            "boss or 3=3 #",
            "x) where 12=12;select 1",
            "3 having 1=1",
            "-1 OR 2+9-7-1=0+0+0+1 --",
            "a' or (8=2)*3",
            "0x31 or 0xf=0xf",
            "7 or 4|0=4 -- ",
            "7 and 6&3=2",
        ),
        negatives=(
            "the condition or 1=1 is always true",
            "either 1 or 2 = fine",
            "from 2 and 3 to 4",
            "x and y=1",
            "color 1=red and 2=blue",
            "between 5 and 6 = 1 hour",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-009",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"""^[^<>=]{0,80}(?:^|[ '"`)(%*/\d])(?:(?:x?or|and|where|having)\b ?[( ]{0,6}|(?:\|\|"""
        r"""|&&) ?\(?)(?:not |[-+~!] ?){0,3}"""
        r"""\d{1,12}[) ]{0,4}[<>][( ]{0,6}(?:not |[-+~] ?){0,3}\d{1,12}\b""",
        needs=("<", ">"),
        why="One number is compared with another one; where others are compared before, it may be mathematics.",
        positives=("1 and 5>2", "x' or (8<2)*3", " or 2>1"),
        negatives=("5 > 3 and 2 < 4", "from 2 and 3 > all"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-010",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"['\"`]"
        + SHUT
        + JOIN
        + OPEN
        + r"""(?:'[^']{0,24}' ?(?:=|<>|!=|like) ?[( ]{0,4}'[^']{0,24}'?|"[^"]{0,24}" ?(?:=|<>|!="""
        r"""|like) ?[( ]{0,4}"[^"]{0,24}"?) ?""" + END,
        needs=("'=", "' =", "'<>", "'!=", "' like", '"=', '" =', '"<>', '"!=', '" like'),
        why="Two texts are compared that stand in the value itself, however much stands before them.",
        positives=("a 'b' c' or 'd'='d", 'it"s "x" or "y"="y" --'),
        negatives=("a='b' or c='d'", "if 'a' == 'b' or 'c' == 'd':", "'a'||'b'=='c'"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-011",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^ ?-?\d{1,12}['\"`]?[) ]{0,6}(?:(?:x?or|and) |\|\| ?|&& ?)[( ]{0,4}(?:not |!){0,2}(?:(?:true"
        r"|false)[) ]{0,4}" + END + r"|(?:null|\d{1,12})[) ]{0,4}(?:--|#|/\*|;))",
        needs=("or ", "and ", "||", "&&"),
        why="Behind a number, what counts for true is added.",
        positives=("1 or true", " 4 and true", "5 and false -- ", "3) or 1#", "7' || true"),
        negatives=("1 or 2 of them", "true or false", "3 and nothing else", "2 and true friends"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-006",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[\w.@%/-]{0,32}['`] ?(?:=|\|\||&&|[<>]=?|!=|<>) ?['`]\w{0,16}$"
        r"|^[\w.@%/-]{1,32}' ?(?:(?:not )?r?like|regexp|div|mod|xor|sounds like) ?'\w{1,16}$"
        r"|^[\w.@%/-]{0,32}' ?(?:=|<>|!=|like) ?'{1,2} ?(?:x?or\b|and\b|\|\||&&) ?'",
        needs=QUOTES,
        why="Two texts are compared or joined, and the last quote is that of the query.",
        positives=("'='", "x'||'y", "boss' like 'clerk", "7'xor'1", "'=''or'", "boss'='' or ''='"),
        negatives=("'and'", "'unlike'", "it's a dog's life", "'yes'", "o'neill's"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-007",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[\d]{0,6}[) ;]{0,6}(?:or|and|having|where) [( ]{0,4}"
        + OPERAND
        + r" ?(?:(?:=|<>|!=) ?"
        + OPERAND
        + r"|like ?['\"`]\w{0,32}['\"`]?) ?"
        + END
        + r"|^-?\d{1,12}['\"]?[) ]{0,6}(?:x?or|and|having|where) [( ]{0,4}[\w.`]{1,64} is (?:not )?null[) ]{0,4}(?:$|--"
        r"|#|/\*|;|(?:or|and)\b)",
        needs=("or ", "and ", "having ", "where "),
        why="The value is a condition that is added to the query.",
        positives=(" or age=age--", "1 or a=a#", "or 'a'='a'", ") and b=c --", "7 or mail is not null"),
        negatives=(
            "or else",
            "and a = b would be fine",
            "where x is 5",
            "and things like that",
            "2 or more is nullified",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-008",
        attack="sqli",
        score=5,
        level=1,
        pattern=FIRST
        + SHUT
        + JOIN
        + r"[^'`;]{1,64}(?:[=<>^*]|like|in|between|is (?:not )?null|[-+|&])[^'`;]{0,32}['`]\w{0,8}$",
        needs=QUOTES,
        why="A condition is added whose last quote is that of the query.",
        positives=("a'or b+(1)='1", "x' and b is not null or '1", "a' or current_date*0='0"),
        negatives=("the parents' or the teachers' room", "'n' or 'm'"),
        views=("sql",),
    ),
)
