"""SQL injection (CWE-89), for the stricter levels: fragments, lone functions, and conditions that other languages have.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import FIRST, FUNCTION, JOIN, OPEN, OPERAND, QUOTES, SHUT, SIGN
from asgi_guard.inspection.rules.sql_words import IN_TABLES, ONLY_SQL, TABLES

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-060",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[^a-z_]{0,8}(?:select )?"
        rf"(?:{ONLY_SQL}|version|schema|bin|md5|sha[12]?|elt|(?:en|de)code|length|lower|upper|chr)"
        r"(?: ?\( ?$|\((?:\d{1,9}|['\"(@\\]|0x)[^;)]{0,60}\){1,4} ?(?:--|#|/\*|;|=|$))",
        needs=("(",),
        why="A value is the call of a function, or the beginning of one.",
        positives=("+md5(3) --", "+ltrim(", "length('a')", "select md5("),
        negatives=("count(me) in", "if (you) can", "user (1)2"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-061",
        attack="sqli",
        score=5,
        level=1,
        pattern=rf"^\W{{0,4}}{TABLES}\b[\w.`]{{0,40}}\W{{0,3}}$",
        needs=IN_TABLES,
        why="A value is the name of a part of the database.",
        positives=("`information_schema`", "pg_catalog.pg_tables", "all_tables", "xp_dirtree"),
        negatives=("the information_schema views", "msdb for beginners", "user_name", "xp_points", "sp_atk"),
        views=("sql",),
        places=("query", "body", "cookie", "header", "referer", "path"),
    ),
    Rule(
        id="AG-SQLI-062",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"(?:^|[\d'\"`)/]) ?[) ]{0,4}(?:union|except|intersect)[( ]{1,4}(?:(?:all"
        r"|distinct)\b[( ]{0,4})?(?:select\b|a$|values ?\(|table \w|$)"
        r"|\bunion all select\b",
        needs=("union", "except", "intersect"),
        why="A second result is appended to the one that the query was for.",
        positives=("1 union select pass", "boss' union all select", "' union(", "9 except values(1,2)"),
        negatives=("the trade union select committee", "5 unions selected", "credit union"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-063",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^(?:\w{1,16}=)?[) ;]{0,4}(?:x?or\b|and\b|having\b|\|\||&&)"
        + OPEN
        + SIGN
        + OPERAND
        + SHUT
        + r"(?:(?:=|<>|!=|[<>]=?) ?(?:['\"`(\d@!=]|\w{1,24}$|$)|\bnot like\b|\bin ?\()",
        needs=("or", "and", "having", "||", "&&"),
        why="The value begins as a condition that is added to another one.",
        positives=("and name = 'x", 'or job!="', "|| c == 'a", " or (a.b=3)", "&&(c=1)"),
        negatives=("or so", "and now = later on", "&& make", "|| true"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-064",
        attack="sqli",
        score=5,
        level=2,
        pattern=FIRST
        + SHUT
        + r"(?:"
        + JOIN
        + r" ?(?:\( ?(?:\d|['\"@]|not |exists|\w{1,24} ?[=<>(])|[?\\-]|['\"`]{1,2} ?[-+*/&|^=]{0,2} ?['\"`]? ?$"
        r"|\d{1,9} ?(?:$|[=<>-])|\w{1,24} \d$"
        r"|(?:not )?\w{1,24}\()|\|\||(?:collate|mod|div|glob|regexp|rlike|is not|sounds like"
        r"|procedure) ?[-'\"`(\\]{0,2}\w{1,32}[\"'`]? ?(?:--|#|/\*|\())",
        needs=QUOTES,
        why="A text of the query is ended, and a condition begins.",
        positives=("boss' or ?", "boss' or clerk 7", "boss' mod age--", "boss' collate latin1#", "boss' or (exists)"),
        negatives=(
            "boys' and girls",
            "rock 'n' roll or jazz",
            "the teachers' and the parents' room",
            "it's or it isn't",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-065",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^[\w@./ -]{0,24}['`] ?(?:[-+*/%^&|=<>!~]{1,3}|(?:not )?like|r?like|regexp|div|mod"
        r"|sounds like)(?:[ +!(]{0,3}['`(][\w )(]{0,24}|\d{0,12})['`]?\w{0,8} {0,2}$",
        needs=("'", "`"),
        why="Two texts are added, compared or joined.",
        positives=("boss '|' clerk", "' << 'b", "'-1", "'|'", "1' * 'x"),
        negatives=("o'neill", "'n'", "rock'n'roll", "the parents' room", "ladies' & kids"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-066",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"(?:^ ?\([^;]{1,80}\)|[\w)]['\"`]|^-?\d{1,12}|[\w)] ?[=*<>"
        r"|] ?\(?-?\d{1,12}) ?[;) ]{0,3}(?:--[ -]{0,3}$|#$|/\*$|;%00)",
        needs=("--", "#", "/*", "%00"),
        why="What follows in the query is a comment.",
        positives=("(a) -- ", "boss=3--", "1)#", "x=(3)/*"),
        negatives=("see issue #", "a -- b", "file.h--", "(see below)"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-SQLI-067",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"(?:^|[;(] ?)select[( ]{1,6}(?:"
        + SIGN
        + r"\(?(?:"
        + FUNCTION
        + r"[^;]{0,60}|@@?\w{1,32}|['\"`]\w{0,16}['\"`]|-?\d{1,9}) ?\){0,4} ?(?:,|from\b|$|;|--)"
        r"|[\w.`]{1,40} from [\w.`]{1,40} ?(?:where [\w`]{1,40} ?[=<>]|limit \d|group by|order by|union|;|$))",
        needs=("select",),
        why="A value is a query as a whole.",
        positives=("select 1", "select sin(1),2 from", "select version()", "(select 'a')", "select pw from users"),
        negatives=("select a from b to c", "select all", "select one of 1, 2 and 3"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-068",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"(?:^|[;'\"] ?)(?:dr ?op (?:\w{1,40} ?;|(?:table|database|view) \w{1,40} ?(?:;|$))"
        r"|insert into \w{1,40} ?(?:values|select|\([\w, ]{1,60}\) ?values)|alter (?:table )?[\w`]{1,64} (?:add"
        r"|drop)|execute immediate"
        r"|exec (?:master|xp_|sp_|\(?@)|declare @|set @\w|print ?'|create (?:function|procedure|table) \w{1,40} ?\()"
        r"|^[ (]{0,3}case when \w{1,24} then|\bcase when[( ]{1,4}[^;]{0,40}[=<>(][^;]{0,40} then"
        r"|\) when \d|\bgroup by [\w.,`\" ]{1,80} having\b|\b(?:from|limit|where) [`\[][\w`.\[\]]{1,64} ?(?:where"
        r"|limit|=|set)\b|[`'\")] as ['`\"]?\w{1,40}['`\"]? from\b"
        r"|\bwaitfor delay|\b\d\.e[.(]",
        needs=(
            "op ",
            "insert into",
            "alter ",
            "exec",
            "declare @",
            "set @",
            "print",
            "create ",
            " when ",
            "group by",
            "from",
            "limit",
            "where",
            "waitfor",
            ".e",
        ),
        why="A part of a statement that changes the database or runs commands.",
        positives=(
            "drop table t",
            "'; print '1",
            "group by a having b",
            "` as `x` from",
            "case when a then b",
            "7.e(age)",
        ),
        negatives=("drop by later", "insert a coin", "just in case when it rains", "exec summary"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-069",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"(?:^-?\d{0,12}|^[^(]{0,32}\)|[%/])[) ]{0,4}\b(?:or|and|having|where|&&|\|\||xor|rlike|like"
        r"|div) [( ]{0,4}"
        + SIGN
        + r"(?:true|false|null|[\w.]{1,32} ?(?:=|<>|!=|[<>]=?|like) ?(?:['\"@(]|\d|true|false|null|(?:user|version"
        r"|current_\w{4,10}|database)\b)|[\w.]{1,32} is (?:not )?null\b|['\"]\w{0,16}['\"]? ?(?:=|like|<|>|!=)|\(\d)",
        needs=("or ", "and ", "having ", "where ", "&& ", "|| ", "like ", "div "),
        why="Behind a number, a condition is added.",
        positives=("1 or true", "5 and user='a'", "1 or 'a'='a", "7) and x is null", "2 and ((1))"),
        negatives=("2 and a half of it", "size 5 or larger", "1 and only"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-072",
        attack="sqli",
        score=4,
        level=3,
        pattern=r"['\"`][) ;]{0,4}(?:or|and|union|select|having|where|like|in|is|between|\|\||&&|--|#|/\*|;)"
        r"|\b(?:select|insert|update|delete|drop|union|exec|alter|create)\b[^;]{1,64}\b(?:from|into|set|where|table"
        r"|select|database|user)\b"
        r"|\b0x[0-9a-f]{8,100}|\b(?:or|and) ?\(?['\"]?[\w.]{1,32}['\"]? ?(?:[=<>]|like)|\border by \d|\d ?(?:--|#"
        r"|/\*)|;(?:select|drop|insert|delete|update)",
        needs=(
            "'",
            '"',
            "`",
            "select",
            "insert",
            "update",
            "delete",
            "drop",
            "union",
            "exec",
            "alter",
            "create",
            "0x",
            "or",
            "and",
            "--",
            "#",
            "/*",
        ),
        why="Whatever looks like a part of a query.",
        positives=("it' or b", "select a from b", "5 --", "0x73656c656374"),
        negatives=("just a word", "rock and roll"),
        views=("sql",),
    ),
)
