"""SQL injection (CWE-89): pieces of a query as a whole value, by which scanners learn how the query goes on.

A piece ends where a sentence would not: behind a bracket, an operator or a quote that nothing closes, or in a
comment.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import EQUATIONS, OPEN, OPERAND, QUOTES, SIGN
from asgi_guard.inspection.rules.sql_words import OFTEN, ONLY_SQL

_NAMED: Final = r"^(?:\w{1,16}=)?"
"""The name of a parameter, encoded together with its value."""

_ENDED: Final = r"^[\w@.+-]{0,40}\\?['\"`]{1,3} ?"
"""A word that a quote ends."""

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-080",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[^a-z_=]{0,8}(?:select\w{0,6} )?" + ONLY_SQL + r" ?\( ?$",
        needs=("(",),
        why="The beginning of a call: the error that it makes tells that there is a query.",
        positives=("ltrim(", "select user(", "') concat_ws ("),
        negatives=("use concat(", "count(me) in", "trim (it)", "=char("),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-081",
        attack="sqli",
        score=5,
        level=1,
        pattern=_NAMED + r"[^a-z_=\s]{0,3}" + OFTEN + r"[^a-z0-9(]{0,5}\( ?$",
        needs=("(",),
        why="The beginning of a call, whatever stands before its bracket.",
        positives=("month=(", "floor (", "x=left')(", "year. ("),
        negatives=("my day (", "day (off)", "to day (", "if (you) ("),
        views=("sql",),
        places=("query", "body", "cookie", "header", "referer"),
    ),
    Rule(
        id="AG-SQLI-082",
        attack="sqli",
        score=5,
        level=1,
        pattern=_NAMED
        + r"[) ;'\"]{0,4}(?:x?or\b|and\b|having\b|\|\||&&)"
        + OPEN
        + SIGN
        + OPERAND
        + r"[) ]{0,8}(?:[=!]?==?|<>|!=|[<>]=?) ?"
        r"(?:[=!]?\(? ?['\"`(]? ?$|\d{1,12}[ )]{0,3}['\"]?$|['\"`]\w{0,24}['\"`]? ?[<>=]?$)",
        needs=("=", "<", ">"),
        why="The value is a condition to be added, cut off where the query of the application goes on.",
        positives=("and name = 'x", 'or job!="', "|| c == '", "xor 7>", "&&(c=1)", "a=and 3=(", "or 2='"),
        negatives=("or so = yes", "and now = later on", "&& make", "|| true", "and x = y", "or when a > b it is"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-083",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"(?:^[^a-z]{0,12}|[\d'\"`)]\W{0,4})union (?:all |distinct )?"
        r"(?:select\b ?(?:[/(*;\"'`]{0,3}$|(?:group_)?concat\b(?: ?\(|$)"
        r"|[\w`]{1,32} from(?: ?$| [`\w.]{1,40} ?(?:$|--|#|where [\w`]{1,32} ?=)))|values ?\()"
        r"|^[^a-z]{0,8}except values ?\(",
        needs=("union", "except values"),
        why="A second result is to be appended, and the value ends before it is named.",
        positives=("union select", "boss' union all select /", "union select pw from", "7 union all select concat"),
        negatives=("the union select from", "UNION SELECT combines two results", "union of three"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-084",
        attack="sqli",
        score=5,
        level=1,
        pattern=_NAMED
        + r"(?:[`'\")] {0,2}as ['`\"]?\w{1,40}['`\"]? from ?$|\d{1,12} as [\"'`]\w{1,40}[\"'`] from [\w`\"]"
        r"|\) ?when \d{1,9} then\b|[ (]{0,3}case when \w{1,24} then \w|[) ]{0,4}exec ?\( ?@"
        r"|[) ;]{0,4}declare @\w{0,24} ?$|[) ;]{0,4}set @{1,2}\w{1,40} ?:?="
        r"|from [`\w.]{1,80} (?:where [`\w.]{1,40} ?(?:=|like\b|in ?\()|group by [`\w.]{1,40}(?: ?[;,&]|$)"
        r"|limit(?: ?$| \d))|from `[^`]{1,60}`[`.\w]{0,60} (?:where|limit|group by|order by)\b|having \d{1,9} ?[=<>]"
        r"|create (?:or replace )?(?:function|procedure) \w{1,40} ?\([^()]{0,40}(?:\(\d{1,5}\))?[^()]{0,40}\) ?"
        r"returns )",
        needs=(" from", " then", "exec", "declare @", "set @", "from ", "having ", "create "),
        why="A part of a query as a whole value, as no sentence is.",
        positives=(
            ") as x from",
            "` as `x` from",
            ") when 7 then",
            "exec (@",
            "declare @a",
            "set @old_x = ",
            "from t where c = ",
            "from `a`.`b` limit",
            "having 3=",
            "case when a then b",
            "7 AS 'a' FROM t",
            "create function f (a char(9)) returns int",
        ),
        negatives=(
            "known as 'the boss' from",
            "from here where we are",
            "just in case when it rains",
            "set @home",
            "exec summary",
            "create function f(a) {}",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-085",
        attack="sqli",
        score=5,
        level=1,
        pattern=_ENDED
        + r"(?:[<>&=|/*+%^!~-]{1,3} ?\w{1,30}|(?:x?or|and|mod|div|is not|is|in|like|not|collate|sounds like|glob"
        r"|regexp|rlike|isnull|notnull|between|escape|match)\b[ (-]{0,3}[^;'\"`\s]{0,24}(?: [^;'\"`\s]{1,16}){0,4}"
        r"|(?:or|and|collate) ?[\"`][^\"`]{1,32}[\"`]|= ?\d{1,9}) ?\)? ?(?:--[ +-]{0,3}|/\*)$"
        r"|" + _ENDED + r"(?:x?or|and) (?:not )?\w{2,24} ?\(\w{0,16}(?:, ?\w{1,16})?\) ?;$"
        r"|" + _ENDED + r"x?or ?\(\w{2,16} \d{1,6}\)--",
        needs=("--", "/*", ";"),
        why="A text is ended, something is done with it, and the rest of the query becomes a comment.",
        positives=(
            "boss'/clerk--",
            "boss' is not age-- ",
            "boss'or?--",
            "boss'=3--+",
            "a@b.example\\' or json (id);",
            'boss\'collate"utf8_bin"--',
            "'or(like 1)--",
        ),
        negatives=(
            "boys' and girls",
            "it's a--b",
            "rock'n'roll--",
            "the 'x' or 'y' --",
            "the boys' -- and girls' -- rooms",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-086",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"(?:['\"`] ?|^[\d.]{1,12} ?)(?:[|&/+*<>=!^%-]{1,2}|\b(?:x?or|and|like)\b) ?[( -]{0,3}"
        r"(?:current_(?:date|time|timestamp|user)|localtime(?:stamp)?|utc_(?:date|time)|rowid)(?: ?[*/+=!<>)|-]|$)"
        r"|\b(?:x?or|and|\|\||&&) ?\(? ?\d{1,9} ?= ?pi ?\( ?\)"
        r"|(?:\b(?:x?or|and)|\|\||&&) ?[( ]{0,4}(?:version|user|database|current_user|schema) ?\( ?\) ?"
        r"(?:=|like|in|<|>)"
        r"|\b(?:ascii|unhex) ?\( ?(?:mid|substr(?:ing)?|length|version|user|database|lower) ?\("
        r"|\d ?into (?:out|dump)file\b|select\w{1,60}from(?:information_schema|all_tab|sysobjects|user_tab|pg_catalog)",
        needs=(
            "current_",
            "localtime",
            "utc_",
            "rowid",
            "pi(",
            "pi (",
            "version(",
            "version (",
            "user(",
            "user (",
            "database(",
            "database (",
            "schema(",
            "schema (",
            "ascii",
            "unhex",
            "outfile",
            "dumpfile",
            "frominformation_schema",
            "fromall_tab",
            "fromsysobjects",
            "fromuser_tab",
            "frompg_catalog",
        ),
        why="What only a database can tell, joined to a value.",
        positives=(
            "boss'/current_date",
            "3 and (3=pi())",
            "x' && (version() like '8%')",
            "ascii(mid(pw,1,1))",
            "1 into outfile 'a'",
            "selectnamefromall_tab_columns",
        ),
        negatives=(
            "the current_user variable",
            "area = pi() * r",
            "if version() is called",
            "put it into outfile",
            "'localtime' is set",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-087",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"['\"] ?(?:not )?(?:regexp|rlike|sounds like) ?['\"]"
        r"|\} ?['\"] ?(?:\?[|&]?|@>|<@|#>>?|->>?|@@|@\?) ?(?:array ?\[|['\"]\{?)"
        r"|^['\"][^'\"]{0,24}['\"] ?, ?['\"]\w{1,12}['\"] ?= ?['\"]\w{1,12}['\"]"
        r"|^[^'\"]{0,12}['\"]?\w{0,12}['\"] ?!= ?['\"]\w{1,12}['\"]?$|^['\"]{2,4} ?x?or ?-?\d{1,6}$"
        r"|^['\"]?\w{0,16}['\"] ?; ?(?:select|drop|insert|delete|update|exec|declare|print|waitfor)\b"
        r"[ *@'\w]{0,40}['\"]?[*@#(){}-]{0,12}$",
        needs=QUOTES,
        why="Operators of a query between texts, or a second statement.",
        positives=(
            "boss' not regexp 'x",
            "'{\"a\":1}' ?| array['a','b']",
            "'a', '1'='1'",
            "a'!='b",
            "''or 3",
            "';select p",
        ),
        negatives=(
            "if (a != 'b') then",
            "the 'a', the 'b' = 'c'",
            "'quoted'; select one of them if you can, please",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-088",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\b(?:select|union|drop|insert|delete|update|from|where)/\*[^*]{0,40}\*/ ?\w"
        r"|\bselect (?:0x[0-9a-f]{2}|pg_sleep|\( ?case\b|\d,\d,\d)|[=|] ?\( ?select ?(?:$|\( ?case\b)"
        r"|select\*/ ?\d{1,3}(?: ?, ?\d{1,3}){1,20} ?,|^drop \w{1,40} ?; ?(?:--|#)"
        r"|^[\w'\"=]{1,40} (?:x?or|and) ?-- ?-?$",
        needs=("/*", "*/", "select", "--", "drop"),
        why="Keywords that comments hide, or what is selected to learn about the query.",
        positives=("3=3 or--", "drop/*x*/t", "select 0x41", "a=(select", "drop t;--", "select*/ 4,5,6,user("),
        negatives=("select 0 of", "drop it; then", "return/*x*/a", "this or -- that"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-SQLI-089",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[\w,'\")(]{0,12}\b\d{1,6} ?(?:[=!]=?|<>|<=>| (?:is|is not|r?like|regexp) ) ?\d{1,6}['\")]{0,2}$"
        r"|^[^a-z]{0,3}(?:not )?in ?\( ?['\"\d-][\w'\" -]{0,24}(?:,[\w'\" -]{1,24}){1,20}\)?$"
        r"|^values ?\( ?['\"\d]"
        r"|^(?:\w{1,16}=)?; ?(?:select|drop|insert|delete|update|alter|exec|union)\b[^a-z]{0,3}$"
        r"|^(?:\w{1,16}=)?/\w{1,40} (?:or|and) ?\(? ?$|^or \{ ?if |^[\d.]{1,12} (?:or|and) \{ ?\w{1,10} ",
        needs=(
            *EQUATIONS,
            *(f"{digit}{word}" for digit in "0123456789" for word in (" is", " like", " rlike", " regexp")),
            *("in (", "in(", "values", "or {"),
            *(
                f";{blank}{verb}"
                for blank in ("", " ")
                for verb in ("select", "drop", "insert", "delete", "update", "alter")
            ),
            *(f";{blank}{verb}" for blank in ("", " ") for verb in ("exec", "union")),
            *(" or", " and"),
        ),
        why="What is hardly anything but a condition, a list or a keyword of a query.",
        positives=(
            "3=3",
            "4 is not 5",
            "in (7,8)",
            "values ('a', 'b')",
            ";drop",
            "/Tea AND ",
            "7 or {if a}",
        ),
        negatives=("a=b", "in (parentheses)", "this is null and void", "values (we share)", "; then drop it", "12=a"),
        views=("sql",),
        places=("query", "body", "cookie", "referer", "name"),
    ),
    Rule(
        id="AG-SQLI-090",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^['\"](?:union|alter|drop|exec|create|truncate|insert|delete) [^'\"]{1,24}$"
        r"|^['\"][ ?=*%-]{0,8}[#=?][ ?=*%-]{0,12}(?:#|--)[ '\"-]{0,3}$|^['\"][ *]{1,3}(?:from|where|or) ?[=<>] ?\d"
        r"|^['\"] ?x?or \w{2,16}(?:!| \d{1,4})$|^\d{1,4}['\"] ['\"] ?\d{1,4}$"
        r"|^[^'\"]{0,24}['\"]{1,3}(?:x?or|and)['\"]\w{0,8}$|^(?:and|or) ['\"]\d{1,6}['\"]\w",
        needs=("'", '"'),
        why="A quote that nothing closes, and what is hardly anything but a keyword or an operator of a query.",
        positives=("'alter t", "'? = # '", "' or clerk 7", "7' ' 3", "x''or'x", "and '7'x"),
        negatives=("'Delete account' is broken", "5' 10", "boss's", "'quoted'", "rock 'n' roll"),
        views=("sql",),
        places=("query", "body", "cookie", "referer", "name"),
    ),
    Rule(
        id="AG-SQLI-091",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^select (?:\w{1,8}\()?\w{1,40}\(['\"\w@]{0,64}\){1,3} ?;?$"
        r"|^select ?[*-]? ?(?:\w{1,8}\(){0,3}@{1,2}\w|^@{1,2}\w{1,24} ?--|^\d{1,6}\) from \w{1,40} where\b"
        r"|\b(?:ascii|length|hex|lower) ?\( ?(?:version|user|database|current_user|length|substring) ?\(",
        needs=("select", "@", " from ", "ascii", "length", "hex", "lower"),
        why="A value is a small query, or asks the database about itself.",
        positives=("select current_x('a');", "length(version())", "@version --", "7) from t where", "select @a"),
        negatives=("select all (3)", "user@x.example --", "the length (of it)", "selected @home"),
        views=("sql",),
    ),
)
