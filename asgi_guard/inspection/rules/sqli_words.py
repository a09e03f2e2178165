"""SQL injection (CWE-89), for the stricter levels: the words of a database, as a whole value or behind a quote.

The names of functions, of system tables and of operators, and statements that are hardly begun. They are what is sent
first, to learn from the error or the refusal that there is a query.
Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import QUOTES

_FIELDS: Final = ("query", "body", "cookie", "referer", "name")
_THING: Final = r"[\w`.\[\]\"]{1,48}"
_VERBS: Final = (
    *("select", "drop", "insert", "delete", "update", "alter", "exec", "union", "create", "truncate", "rename", "desc"),
    *("load", "grant", "replace"),
)
_VERB: Final = "|".join(_VERBS)
_SYMBOLS: Final = ("!=", "<>", "&&", "||", "<<", ">>", "->", "<=", ">=", ":=")

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-092",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^\W{0,3}(?:msdb|tempdb|northwind|dbo|sqloledb|msdasql|schema_name|table_name"
        r"|constraint_type|attnotnull|atttypid|attrelid|textpos|autonomous_transaction|n?varchar|cmdshell|systables"
        r"|sysibm|inner join)\W{0,3}$",
        needs=(
            *("msdb", "tempdb", "northwind", "dbo", "sqloledb", "msdasql", "_name", "_type", "attnotnull", "atttypid"),
            *("attrelid", "textpos", "autonomous_", "varchar", "cmdshell", "systables", "sysibm", "inner join"),
        ),
        why="A word that only those know who look for the tables of a database.",
        positives=("'dbo'", "northwind", "`table_name`", "nvarchar"),
        negatives=("table_names", "inner joints", "the northwind example", "dbo.users", "varchars"),
        views=("sql",),
        places=("query", "body", "cookie", "referer"),
    ),
    Rule(
        id="AG-SQLI-093",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^ ?(?:!=|<>|<=>|&&|\|\||<<|>>|->>?|[<>]=|:="
        r"|n?xor|rlike|regexp(?: binary)?|is null|is not null|isnull|notnull|not (?:like|between|in|null|regexp)"
        r"|collate \w{3,24}|(?:not )?between \S{1,12} and \S{1,12}"
        r"|(?:not )?in ?\( ?(?:['\"]?\d{1,12}['\"]?|-?\w{1,4}(?: ?, ?-?\w{1,4}){1,20}) ?\)?) ?$",
        needs=(*_SYMBOLS, "xor", "rlike", "regexp", "null", "not ", "collate", "between", "in (", "in("),
        why="An operator of a query as a whole value.",
        positives=("<>", " || ", "not between 3 and 8", "rlike", "collate utf8_bin"),
        negatives=("a <> b", "=", "like", "not like this", "between you and me, it is", "->x"),
        views=("sql",),
        places=("query", "body", "cookie", "referer"),
    ),
    Rule(
        id="AG-SQLI-094",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^\"[) ]{0,3}(?:x?or|rlike|regexp|having|group by|order by|procedure|union|collate) [^'\"\n]{1,40}$"
        r"|^'[) ]{0,3}(?:x?or|and|not|r?like|regexp|glob|in|is|between|having|group by|order by|limit"
        r"|procedure|union|into|collate|escape|sounds like|where) [^'\"\n]{1,40}$"
        r"|^\d{1,6}['\"] ?(?:x?or|and|r?like|having|union|[|&^*<>=]{1,2}) ?[\w(@]{0,12}$"
        r"|^['\"] ?(?:[|&^%*/+<>=~-]{1,3}|div|mod|xor|r?like|regexp|glob) ?[-@]?\w{1,12}$"
        r"|^[a-z]{2,16} ['\"]$|^(?:\"'|'\")['\"]{0,4}$|^'\w{0,16}' '\w{1,16}'?$"
        r"|^['\"]{1,2} ?[=|<>]{1,2} ?['\"]{1,2}[a-z'\"=]{0,6}$"
        r"|^['\"][ ?=*%<>+|&!-]{0,8}(?:#|--)[ ?=*%<>'\"#-]{0,8}$",
        needs=QUOTES,
        why="A quote that ends a text of the query, and what goes on with it.",
        positives=("' or clerk boss", "7' and", "' div 2", "'a' 'b", "''='", "' < # --", "' having 3"),
        negatives=("'n' roll", "5' 10\"", "'order' by", "'tis", "the boys' and", '"in short"', "'-'"),
        views=("sql",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SQLI-095",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^[) ;'\"]{0,4}(?:select ?(?:\* ?from\b|(?:distinct |all )[\w`\[*.]{1,30}$"  # noqa: S608
        r"|null\b[ ,;]{0,2}$"
        r"|case$|\( ?select\b|\[\w{1,30}\]|top \d{1,4} [\w*]{1,30}$|[\w`.,]{1,60} from [\w`.]{1,40} where$)"
        rf"|update {_THING} set(?:$| {_THING} ?=)|delete from {_THING} ?(?:;|where\b)|(?:create|alter|truncate|rename)"
        rf" (?:table|database|schema|login|view|function|procedure) {_THING} ?(?:[(;]|(?:as|to|add|drop|character"
        rf"|identified|modify|change|set)\b)|(?:truncate|alter) table {_THING}$|create database {_THING}$"
        r"|execute [a-z_]\w{0,32}$|grant \w{2,12}(?: privileges)? on \S|merge (?:into \w{1,40} )?using ?\("
        r"|handler \w{1,40} (?:open|read|close)$|fetch (?:next|prior|first) from|do sleep ?\("
        r"|prepare \w{1,30} from ?['\"@]|(?:show|describe) (?:tables|databases|columns|grants|schemas)\b"
        r"|use (?:master|mysql|msdb|tempdb|information_schema) ?;?$|purge binary logs|lock tables \w"
        r"|order by \d{1,3} ?(?:,|--|#|;|asc\b|desc\b|$)|limit \d{1,9} ?, ?\d{1,9}\b|union \w{1,2}$"
        r"|call \w{1,30}(?:\.\w{1,30})?\( ?\)|case \w{1,12} when\b|set @@\w|shutdown ?(?:;|--)"
        r"|\{ ?(?:(?:d|t|ts) ?['\"]|(?:fn|oj|call) \w|`))",
        needs=(
            *("select", "update ", "delete from", "create ", "alter ", "truncate ", "rename ", "execute ", "grant "),
            *("merge ", "handler ", "fetch ", "do sleep", "prepare ", "show ", "describe ", "use m", "use t", "use i"),
            *("purge ", "lock tables", "order by", "limit ", "union ", "call ", " when", "set @@", "shutdown", "{"),
        ),
        why="The beginning of a statement as a whole value.",
        positives=(
            "select*from",
            "update t set",
            "delete from t where",
            "alter table t",
            "execute job",
            "order by 7--",
            "{fn now()}",
            "merge using (",
            "show tables",
            "call p()",
        ),
        negatives=(
            "select a size",
            "update the settings",
            "delete from here",
            "create function foo in bar",
            "execute the plan",
            "in order by 5",
            "call me (maybe)",
            "{d}",
            "use it",
        ),
        views=("sql",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SQLI-096",
        attack="sqli",
        score=5,
        level=2,
        pattern=rf"^(?:[-\d.]{{1,10}}|[\d.]{{0,4}}e[\d(]{{1,3}}|\\n|@?`\w{{0,12}}`|@\.|null) ?union\b|; ?(?:{_VERB})$"
        r"|^[\w.,-]{1,20} (?:or|and) ?\{ ?\w{1,10} |^/[\w.-]{1,40} (?:xor|div|mod|like|&&|\|\|) ?\(? ?$"
        r"|^(?:div|mod|rlike|regexp|xor) -?\d{1,9}$|^\d{1,6} (?:div|mod|xor|sounds like) \d{1,6}$"
        r"|^['\"`]?\w{1,12}['\"`] ?(?:=|<>|!=|<|>|r?like) ?['\"`]\w{1,12}['\"`]?$|^@\w{0,16} ?:= ?"
        r"|^@['\"`]\w{1,16}['\"`]$|^\W{0,3}[a-z_]\w{2,40} ?\($|\b\d ?::(?:int|text|varchar|numeric|bool)\b"
        r"|\bnull ?::(?:int|text|varchar)"
        r"|^\W{0,3}(?:cast|convert) ?\( ?['\"\w@]{1,24} ?(?:as|,)|^\d\.?e\d{0,2}(?:\(|union\b)",
        needs=(
            *(
                "union",
                " or{",
                " or {",
                " and{",
                " and {",
                " xor",
                " div",
                " mod",
                " like",
                "&&",
                "||",
                "rlike ",
                "regexp ",
            ),
            *("xor ", "div ", "mod ", ":=", "@'", '@"', "@`", "(", "::"),
            *(f";{blank}{verb}" for blank in ("", " ") for verb in _VERBS if verb != "union"),
            *(
                f"{quote}{blank}{sign}"
                for quote in QUOTES
                for blank in ("", " ")
                for sign in ("=", "<", ">", "!=", "rlike")
            ),
        ),
        why="Numbers, texts and variables as databases write them, joined to a keyword.",
        positives=(
            "-1union",
            ";truncate",
            "3 or{x 1}",
            "/tea mod (",
            "4 div 4",
            "'a'='a'",
            "@x:=1",
            "7::int",
            "cast(1 as",
        ),
        negatives=("a union", "5 and a half", "x; select it", "a = 'b'", "std::text", "castle (a)", "0xff", "me@x.y"),
        views=("sql",),
        places=_FIELDS,
    ),
    Rule(
        id="AG-SQLI-097",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"\b(?:group_concat|concat_ws|load_file|extractvalue|updatexml|name_const|make_set|pg_(?:sleep"
        r"|read_\w{4,16}|ls_dir)"
        r"|substring_index|find_in_set|(?:from|to)_base64|unhex|[ad]es_(?:en|de)crypt|xmltype|randomblob|zeroblob"
        r"|char(?:acter)?_length"
        r"|octet_length|bit_length|str_to_date|unix_timestamp|last_insert_(?:id|rowid)|inet6?_(?:aton|ntoa)"
        r"|export_set|period_(?:add|diff)"
        r"|sec_to_time|time_to_sec|to_(?:days|seconds|number)|weight_string|is_(?:free|used)_lock|(?:get"
        r"|release)_lock|uuid_short"
        r"|connection_id|coercibility|old_password|rawtohex|json_(?:extract|arrayagg|objectagg|keys|value)|(?:session"
        r"|system)_user"
        r"|suser_s?name|db_name|sys_context|sqlite_\w{4,24}|lo_(?:import|export)|query_to_xml|dblink_\w{3,12}|row_count"
        r"|gtid_sub\w{3,5}|sp_password) ?\((?:[^)]|$)"
        r"|\b(?:information_schema|pg_catalog|sqlite_(?:temp_)?master|mysql\.(?:db|user)|all_tab_columns"
        r"|user_tab_columns"
        r"|sysobjects|syscolumns|msysobjects|master\.\.?(?:sys|xp_)|sys\.user_objects)\b[\w.`]{0,40}(?:\W{0,3}$"
        r"|[ )\]'\"`](?:where|limit"
        r"|--|#|group|order|union))",
        needs=(
            *(
                "_concat",
                "concat_ws",
                "load_file",
                "extractvalue",
                "updatexml",
                "name_const",
                "make_set",
                "pg_",
                "_index",
            ),
            *(
                "find_in_set",
                "base64",
                "unhex",
                "crypt",
                "xmltype",
                "blob",
                "_length",
                "_to_",
                "_timestamp",
                "last_insert",
            ),
            *(
                "inet",
                "export_set",
                "period_",
                "to_days",
                "to_seconds",
                "to_number",
                "weight_string",
                "_lock",
                "uuid_short",
            ),
            *(
                "connection_id",
                "coercibility",
                "_password",
                "rawtohex",
                "json_",
                "_user",
                "suser_",
                "db_name",
                "sys_context",
            ),
            *(
                "sqlite_",
                "lo_import",
                "lo_export",
                "dblink_",
                "row_count",
                "gtid_",
                "information_schema",
                "mysql.",
                "tab_columns",
            ),
            *("sysobjects", "syscolumns", "master.", "sys.user"),
        ),
        why="A function or a table that only a database has, wherever it stands.",
        positives=("a b unhex(41)", "x from information_schema where", "me group_concat(a", "in sqlite_master"),
        negatives=(
            "the group_concat() function",
            "information_schema is a schema",
            "unhexed (x)",
            "the session_user is",
            "mysql.users",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-098",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"/\*!(?:\d{4,6}|select|union|or|and|from|where|sleep|insert|drop)\b|[a-z]/\*[^*\n]{0,40}\*/?[a-z]"
        r"|[a-z]/\*[^*\n/]{1,40}\*[a-z]",
        needs=("/*",),
        why="A comment within a word, or one that only MySQL reads.",
        positives=("/*!50000 1", "dr/**/op t", "dr/*a*op", "/*!union*/ x"),
        negatives=("/*! a licence */", "a /* b */ c", "text/*", "image/*, text/*"),
        places=("query", "body", "cookie", "referer", "name"),
    ),
)
