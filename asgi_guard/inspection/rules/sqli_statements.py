"""SQL injection (CWE-89): queries and statements that are appended, put inside, or sent whole.

Must never hold a row of somebody else's collection; every example was written for its rule.
"""

from __future__ import annotations

from typing import Final

from asgi_guard.inspection.rule import Rule
from asgi_guard.inspection.rules.sql import FIRST, SELECTED, STATEMENT, STATEMENTS

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="AG-SQLI-020",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\b(?:union|except|intersect|minus)[ ()]{0,6}(?:(?:all|distinct"  # noqa: S608
        r"|distinctrow)[ (]{0,6})?select ?"
        r"(?:"
        + SELECTED
        + r"|[*@'\"`{~+.!-]|n?char\(|[\w.`]{1,40} from [\w.`\"\[\]]{1,48} ?(?:$|--|#|/\*|where|limit|;|\)))",
        needs=("union", "except", "intersect", "minus"),
        why="A second result is appended to the one that the query was for.",
        positives=(
            "1 UNION SELECT name, pass FROM users",
            "-1/**/union/*!50000all*/ select 1,2",
            "0 union(select(@@version))",
            "1 except select null",
            "1 union all select*from t",
        ),
        negatives=(
            "the european union selected a new president",
            "union and select",
            "everything except selected ones",
            "how does union select work",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-021",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"""(?:['"`\d)] ?\)?|^ ?);[ (]{0,4}""" + STATEMENT,
        needs=STATEMENTS,
        why="A statement of its own follows the one that the value was for.",
        positives=(
            "1; drop table users",
            "x'; exec xp_cmdshell 'dir'",
            "boss');waitfor delay '0:0:7' --",
            "3;update t set a=1",
            "1';select pg_sleep(2)--",
            ";declare @q varchar(99)",
            "';vacuum full;--",
        ),
        negatives=(
            "open the menu (3); select one of them",
            "it's 5; create a new one",
            "a; drop us a line",
            "f(1);if(a){b()}",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-022",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\( ?select[ (]{1,4}(?:\*|@@|['\"`]|\d{1,9} ?(?:\)|,|from)|null|case when|char|\(? ?select\b|"
        r"[\w.`]{1,40} ?(?:, ?[\w.`]{1,40} ?){0,9}from [\w.`(\[]{1,40} ?(?:\)|where|limit|order|group|,|as )"
        r"|(?:distinct|top \d{1,4}) "
        r"|\w{1,24} ?\( ?[\w*@'.`,:( ]{0,64}\)|concat)",
        needs=("select",),
        why="A query stands where one value was expected.",
        positives=(
            "1-(select count(*) from users)",
            "(select 1)",
            "(select password from users limit 1)",
            "(select case when 1=1 then 1 else 2 end)",
            "(select(sleep(3)))",
        ),
        negatives=(
            "please choose (select one)",
            "(select a date)",
            "(select all that apply)",
            "(select one from the list)",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-023",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\bfrom[ (]{0,4}[`\"\[]?(?:information_schema|mysql[`\"\]]?\.[`\"\[]?user|pg_catalog|pg_shadow"
        r"|pg_user\b|pg_tables"
        r"|pg_database|sysobjects|syscolumns|sysusers|sys\.\w|master\.\.|master\.dbo|msysobjects|sqlite_(?:master"
        r"|schema)|all_tab(?:le|_)"
        r"|all_users|dba_\w|user_tab|sysibm\.|syscat\.|rdb\$|v\$|dual\b|generate_series|domain\.)",
        needs=("from",),
        why="The tables in which a database describes itself are read.",
        positives=(
            "select 1 from information_schema.tables",
            "1 and 5=(select count(*) from sysibm.systables as t1)",
            "select name from sqlite_master",
            "select null from dual",
        ),
        negatives=("from master to main", "a note from dba friends", "translated from mysql users' manual"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-024",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"""(?:^|[\d'"`)]) ?\)* ?""".replace("*", "{0,6}")
        + r"""(?:order|group) by (?:\d{1,4}(?: ?, ?\d{1,4}){0,80}(?: (?:a|de)sc)? ?(?:--|#|/\*|;|limit|having|union)"""
        r"""|[\w.`]{1,40} having\b|(?:\d{1,3}, ?){0,9}(?:sleep|if|case|concat|benchmark|elt|rand|\(? ?select"""
        r"""|extractvalue|updatexml)[ (])|^-?\d{1,12}['"]?[) ]{0,6}order by \d{1,3}$""",
        needs=("order by", "group by"),
        why="The columns of the query are counted, or a function is called where it is sorted.",
        positives=(
            "boss' order by 3--",
            "1 order by 10#",
            "5 order by 7",
            "boss' group by age having 3=3--",
            "1 order by 1,sleep(3)",
        ),
        negatives=("sorted: 1 order by 3 people", "order by phone", "in order by 5 o'clock"),
        views=("plain", "sql"),
    ),
    Rule(
        id="AG-SQLI-025",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\binto ?(?:out|dump)file ?[(\s]?['\"0@]|\bload data (?:local |low_priority |concurrent )?infile\b"
        r"|\bload_file ?\( ?['\"0-9c@]"
        r"|\blo_import ?\( ?['\"]|\bpg_read_(?:binary_)?file ?\(|\bcopy \w{1,40} (?:from|to) (?:program '|'(?:/"
        r"|[a-z]:|\\))|\bopen(?:rowset|datasource|query) ?\("
        r"|\bbulk insert \w{1,40} from",
        needs=(
            "outfile",
            "dumpfile",
            "infile",
            "load_file",
            "lo_import",
            "pg_read",
            "copy ",
            "openr",
            "opend",
            "openq",
            "bulk insert",
        ),
        why="A file or another server is read or written by the database.",
        positives=(
            "1 into outfile '/var/www/a.php'",
            "load_file('/etc/passwd')",
            "lo_import('/etc/passwd')",
            "openrowset('sqloledb','a';'b';'c','select 1')",
            "copy t from program 'id'",
        ),
        negatives=("write it into outfile", "copy that from here to there", "a file from into_file()"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-026",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\bexec(?:ute)?[ (]{1,4}(?:master\b ?\.|msdb|sp_\w{3,40}|xp_\w{3,40}|@\w{1,32}|immediate ['\"(]"
        r"|\(? ?['\"]\w{1,32}['\"] ?(?:\+|\|\|))"
        r"|\bxp_(?:cmdshell|reg\w{3,20}|dirtree|fileexist|servicecontrol|availablemedia|enumdsn|loginconfig|makecab"
        r"|ntsec\w{0,20}|terminate_process)\b"
        r"|\bsp_(?:oacreate|oamethod|executesql|addlogin|addsrvrolemember|addextendedproc|configure|makewebtask"
        r"|password|execute)\b"
        r"|\bdeclare @\w{1,32} (?:as )?(?:n?var)?(?:char|int|table|cursor|sysname|binary)",
        needs=("exec", "xp_", "sp_", "declare @"),
        why="A stored procedure runs commands, or a text is run as a statement.",
        positives=(
            "exec master..xp_cmdshell 'dir'",
            "execute immediate 'sel'||'ect 1'",
            "declare @s varchar(99)",
            "exec (@query)",
        ),
        negatives=("exec summary", "the xp_bonus field", "sp_name and xp_total", "execute immediately"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-027",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"^[ (]{0,4}(?:drop (?:table|database|schema|user|view"
        r"|function) (?:if exists )?[\w`\"\[\].]{1,64} ?(?:;|--|#|cascade)"
        r"|insert into [\w`\"\[\].]{1,64} ?(?:\([^)]{1,100}\) ?)?values ?\("
        r"|delete from [\w`\"\[\].]{1,64} (?:where [\w`.]{1,64} ?(?:[=<>]|like|in)|;|--)"
        r"|update [\w`\"\[\].]{1,64} set [\w`.]{1,64} ?= ?['\"\d(\w]{1,64}(?: ?, ?[\w`.]{1,64} ?=| where )"
        r"|truncate table [\w`.]{1,64} ?(?:;|--|#)"
        r"|grant (?:all|select|insert|update|delete|execute|create|usage|connect|dba"
        r"|resource)\b[\w, ]{0,64}(?:on [\w`.*]{1,64} )?to |alter table [\w`.]{1,64} (?:add|drop|modify|rename"
        r"|alter) "
        r"|create (?:user|login) [\w`\"\[\].]{1,64} ?(?:identified|with password))",
        needs=("drop ", "insert into", "delete from", "update ", "truncate table", "grant ", "alter table", "create "),
        why="A whole statement changes the database.",
        positives=(
            "DROP TABLE users;",
            "insert into users (a, b) values (1, 2)",
            "delete from users where id > 0",
            "update users set admin=1 where name='x'",
        ),
        negatives=(
            "drop table support",
            "update users set up in 2020",
            "delete from the list",
            "create table t (id int);",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-032",
        attack="sqli",
        score=5,
        level=2,
        pattern=r"^[ (]{0,4}create (?:table|function|procedure) [\w`\"\[\].]{1,64} ?(?:\(|returns|as )",
        needs=("create ",),
        why="A whole statement makes a table, as lessons about databases do as well.",
        positives=("create table t (id int);", "CREATE FUNCTION f() returns int"),
        negatives=("create table tests", "to create table t (a int)"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-028",
        attack="sqli",
        score=5,
        level=1,
        pattern=r"\bgroup by [\w.,`\" ]{1,80} having [\w`(. ]{1,40}[=<>)]|(?:, ?null ?){1,60}\)[) ]{0,4}(?:--|#|/\*"
        r"|waitfor|union)|\bwhere ?[( ]{0,4}\d{1,9} ?= ?\d{1,9}\b|\bprocedure analyse ?\(",
        needs=("having", "null", "where", "procedure"),
        why="The rest of a list, of a condition or of a query is made up.",
        positives=("x',null,null)--", "boss) where 5=5 or age--", "1 procedure analyse(extractvalue(1,2),1)"),
        negatives=("[null,null,null]", "f(a,null)", "where 1 = one"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-029",
        attack="sqli",
        score=4,
        level=1,
        pattern=r"\bselect (?:\*|[\w.`@\[\]]{1,40}(?: ?, ?[\w.`@\[\]]{1,40}){0,20}"
        r"|count ?\(\*\)) from [\w.`\"\[\]]{1,48}(?:$|[ ;)-])",
        needs=("select",),
        why="A query, which sentences about databases have as well.",
        positives=("select * from users", "select a, b from t where a=1"),
        negatives=("select from the list", "please select a, b or c from", "selected items from cart"),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-030",
        attack="sqli",
        score=3,
        level=2,
        pattern=r"^[ (]{0,4}select (?:\*|[\w.`@\[\]]{1,40}(?: ?, ?[\w.`@\[\]]{1,40}){0,20}"
        r"|[\w.]{1,32} ?\([\w.,'\"*@() -]{0,80}\)) from [\w.`\"\[\]]{1,48} ?(?:;|--|#|$|where [\w.`]{1,40} ?(?:[=<>]"
        r"|like|in\b|is\b|between)|limit \d|union)",
        needs=("select",),
        why="A value is a query as a whole.",
        positives=("SELECT * FROM users;", "select version() from dual--", "select user, pw from t where id=1"),
        negatives=(
            "Select one from the list below",
            "how to select a from b",
            "select a plan from the menu where possible",
        ),
        views=("sql",),
    ),
    Rule(
        id="AG-SQLI-031",
        attack="sqli",
        score=5,
        level=1,
        pattern=FIRST + r"[) ]{1,8}" + STATEMENT,
        needs=STATEMENTS,
        why="A text of the query is ended, and another statement follows, for which some databases need no semicolon.",
        positives=("x' exec sp_addlogin 'a'", "' insert into t (a) values (1) --", "1') select * from t--"),
        negatives=("'select * from t' is slow", "the parents' select committee", 'a 6" table lamp'),
        views=("sql",),
    ),
)
