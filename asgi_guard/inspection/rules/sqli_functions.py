"""SQL injection (CWE-89): functions that wait, that raise errors with data in them, and that spell texts out.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import COMPARE, FUNCTION, JOINS, OPEN, SIGN

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-040",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\bbenchmark ?\( ?[\d'\"(]{1,20} ?,|\bpg_sleep(?:_for|_until)? ?\( ?[\d'\"(]|\bwaitfor ?(?:delay"
        r"|time) ?\(?['\"@]"
        r"|\buser_lock\.sleep|\bdbms_(?:pipe\.receive_message|lock\.sleep|session\.sleep|xmlgen|xmlquery|java"
        r"|scheduler|ldap)|\brandomblob ?\( ?\d"
        r"|\bregexp_substring ?\( ?repeat|\bgenerate_series ?\( ?\d{1,9} ?, ?\d{6}",
        needs=(
            "benchmark",
            "pg_sleep",
            "waitfor",
            "user_lock",
            "dbms_",
            "randomblob",
            "regexp_substring",
            "generate_series",
        ),
        why="The answer comes later where a condition is true.",
        positives=(
            "benchmark(7000000,sha1(2))",
            "age||pg_sleep(7)--",
            "; waitfor delay '0:0:5'",
            "dbms_pipe.receive_message('a',5)",
            "like('a',upper(hex(randomblob(1000))))",
        ),
        negatives=("benchmark(f, n)", "the pg_sleep() function", "wait for delay", "waitfor (delay)"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-041",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"(?:^ ?(?:or|and|xor) ?\(?|^[^'\"`]{0,80}['\"`] [-+*/|]{0,2} ?|[\d'\"`)%] ?\)? ?(?:x?or|and|\|"
        r"\||&&"
        r"|r?like|regexp|div|mod|[-+*/,;=^&|.])[( ]{1,6}|['\"`\d)][-+*/,;=^|.&]{1,2}"
        r"|\bselect[( ]{1,4}|\b(?:then|else|when|if ?\([^)]{1,60},|order by|by \d{1,3},) ?\(?)sleep ?\( ?['\"\d(/_@]",
        needs=("sleep",),
        why="The answer comes later where a condition is true.",
        positives=(
            "7) and sleep(3) #",
            "(select(sleep(5)))",
            "boss' or sleep(3)='",
            "if(1=1,sleep(3),0)",
            "1'-sleep(3)-'",
            "or sleep(3) -- z",
        ),
        negatives=("time.sleep(5)", "call sleep(5) and wait", "asyncio.sleep(1), then go on", "it can sleep(1) or run"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-042",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\b(?:extractvalue|updatexml) ?\( ?[\w'\"@.]{1,32} ?,|\bfloor ?\( ?rand ?\(|\bexp ?\( ?~"
        r"|\bgtid_subset ?\(|\bname_const ?\( ?['\"(s\d]"
        r"|\b(?:geometrycollection|multipoint|polygon|multipolygon|linestring|json_keys|convert|cast|row|elt"
        r"|make_set|concat|count|ascii|substr|substring|mid|length|hex|exists|if)"
        r" ?\([( ]{0,5}select[ (*@'\"]|\bconvert ?\( ?int ?,|\b(?:make_set|elt) ?\( ?\d{1,9} ?= ?\d|\butl_(?:inaddr"
        r"|http|file|smtp)\.|\bctxsys\.|\bxmltype ?\( ?(?:chr|'|\()"
        r"|\bcase when[( ]{1,4}[^;]{0,40}[=<>(][^;]{0,40} then [^;]{1,60}(?:else|end)\b|\bcrypt_key ?\("
        r"|\bi?if ?\( ?\d{1,9} ?= ?\d{1,9} ?,",
        needs=(
            "extractvalue",
            "updatexml",
            "floor",
            "exp",
            "gtid_subset",
            "name_const",
            "select",
            "convert",
            "make_set",
            "elt",
            "utl_",
            "ctxsys",
            "xmltype",
            "case when",
            "crypt_key",
            "if(",
            "if (",
        ),
        why="An error message, or a condition inside an expression, tells what the query does not show.",
        positives=(
            "extractvalue(1,concat(0x7e,version()))",
            "concat(version(),floor(rand(0)*2))",
            "1 and 1=convert(int,@@version)",
            "elt(5=5,sleep(1))",
            "utl_inaddr.get_host_address('a')",
            "case when (1=1) then 1 else 0 end",
            "ascii(substring((select user),1,1))",
        ),
        negatives=(
            "exp(-x)",
            "use updatexml() here",
            "convert(a, b)",
            "just in case when it rains",
            "if (select) is used",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-043",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\bn?cha?r ?\( ?(?:\d{1,4}|0x\w{1,8}) ?\) ?(?:\|\||\+|,|&| ) ?n?cha?r ?\( ?(?:\d|0x)"
        r"|\bn?char ?\( ?(?:0x[0-9a-f]{1,8}|\d{1,3})(?: ?, ?(?:0x[0-9a-f]{1,8}|\d{2,3})){2,100} ?\)"
        r"|\bconcat(?:_ws)? ?\( ?(?:0x[0-9a-f]{2,40}|char|user|version|database|@@|\(? ?select)"
        r"|\bgroup_concat ?\( ?(?:distinct )?[\w.@]{1,40} ?[,)]|\b(?:cast|unhex|hex|sin|char|ascii"
        r"|exec) ?\( ?[@0]x?[0-9a-f@\w]{2,100} ?(?:as |\))",
        needs=tuple(
            f"{name}{blank}("
            for name in ("char", "chr", "concat", "concat_ws", "cast", "hex", "sin", "ascii", "exec")
            for blank in ("", " ")
        ),
        why="A text is spelt out in numbers, or rows are made one text, so that no quote is needed.",
        positives=(
            "char(83)+char(81)+char(76)",
            "chr(65)||chr(66)",
            "concat(0x3a,user())",
            "concat_ws(0x3a,version())",
            "cast(0x73656c as varchar)",
        ),
        negatives=("string.fromcharcode(88,83,83)", "char(10)", "varchar(255), char(12)", "concat(a, b)"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-044",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"(?:^|[\d%/]|^[^(]{0,48}\))[ )]{0,6}\b(?:x?or|and|having|r?like|div|where|\|\||&&)[( ]{1,6}"
        + SIGN
        + r"(?:"
        + FUNCTION
        + r"|\( ?select\b|\(?@@?\w|\d{1,9}[) ]{0,4}"
        + COMPARE
        + OPEN
        + SIGN
        + r"(?:"
        + FUNCTION
        + r"|select\b|['\"`@]\w{0,32}))",
        needs=JOINS,
        why="Behind a number, what a function returns becomes a condition.",
        positives=(
            "1 and ascii(lower(user()))>1",
            "7) or exists(select 1)",
            "1 or 1=(select 1)",
            "5 and 1=@@version",
            "9 or 1='1",
        ),
        negatives=("2 and count (them)", "1 or (more)", "either 1 and like the other"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-045",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"(?:select|[=<>(,+|-]|\bor\b|\band\b) ?\(?@@(?:version|hostname|datadir|basedir|servername|global"
        r"|session|language|spid|tmpdir|innodb|secure_file|microsoft)"
        r"|['\"`}\])\d] ?::(?:jsonb?|text|int|varchar|name|numeric|regclass)\b ?(?:[<>@?#=|-]|$)|['\"`] ?(?:->>|#>>?"
        r"|<@|@>|\?[|&]) ?['\"`]|[}\]]['\"] ?(?:[?<>#@]|->)[>@]? ?(?:['\"][\w${]|\d|array\[)|\b\d\.e[(.]"
        r"|\bjson_(?:extract|value|query|contains|search|keys|length|valid|type"
        r"|depth) ?\([^)$]{1,64}(?:['\"] ?, ?['\"] ?\$|\) ?[=<>])",
        needs=("@@", "::", "->>", "#>", "<@", "@>", "?|", "?&", "}'", '}"', "]'", ']"', ".e(", ".e.", "json_"),
        why="What only a database understands: its variables, casts, and operators for JSON.",
        positives=(
            "select @@version, age",
            "x' or '{\"a\":1}'::jsonb <@ '{\"a\":2}'",
            "1 and '{}'::json->>'a'='1'",
            "or json_extract('{\"a\":1}','$.a')=1",
        ),
        negatives=("mail me @@ version", "std::text", "a->b", "json_extract() is slow"),
        views=("sql",),
    ),
)
