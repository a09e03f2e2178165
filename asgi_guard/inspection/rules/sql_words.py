"""SQL: the functions that only databases have, and the names of their own tables, written as patterns.

Must never hold a word of English: what is one belongs to the rule that asks for more beside it.
"""

from __future__ import annotations

from typing import Final

ONLY_SQL: Final = (
    r"(?:ascii|substr(?:ing(?:_index)?)?|mid|concat(?:_ws)?|group_concat|coalesce|database|user|current_user"
    r"|session_user"
    r"|system_user|extractvalue|updatexml|benchmark|sleep|pg_\w{3,24}|load_file|name_const|(?:un)?hex|oct|ord|strcmp"
    r"|[rl]?trim|[rl]pad|rand|insert|(?:un)?compress|make_set|ifnull|nullif|nvl2?|char|cast|convert|json_\w{3,12}"
    r"|a(?:cos"
    r"|sin|tan2?)|cos|cot|(?:add|sub)(?:date|time)|aes_\w{7}|des_\w{7}|(?:from|to)_(?:base64|days|unixtime|seconds|char"
    r"|date|number)|bit_\w{2,8}|(?:char|character|octet)_length|charset|coercibility|collation|connection_id"
    r"|conv(?:ert_tz)?"
    r"|crc32|cur(?:date|time)|current_(?:date|time|timestamp|setting|schemas?)|local(?:time|timestamp)|date(?:diff"
    r"|_\w{3,6})"
    r"|day(?:name|of\w{4,5})|week(?:day|ofyear)|monthname|yearweek|degrees|radians|export_set|find_in_set|found_rows"
    r"|row_count|get_lock|release_lock|is_\w{4}_lock|inet6?_(?:aton|ntoa)|instr|last_(?:day|insert_id|insert_rowid)"
    r"|[lu]case"
    r"|make(?:date|time)|master_pos_wait|microsecond|old_password|period_\w{3,4}|sec_to_time|soundex|sqrt"
    r"|std(?:dev\w{0,9})?|str_to_date|sysdate|time(?:diff|_format|_to_sec|stamp(?:add|diff))|unix_timestamp|utc_\w{4,9}"
    r"|uuid(?:_short)?|var(?:iance|_pop|_samp)|weight_string|xml(?:type|agg|element)|rawtohex|starts_with|unistr"
    r"|sys_context|dblink\w{0,16}|lo_\w{3,8}|(?:query|database|table)_to_xml\w{0,12}|(?:string|array)_agg|zeroblob"
    r"|randomblob"
    r"|sqlite_\w{4,24}|load_extension|total_changes|julianday|strftime|typeof|(?:un)?likely|suser_s?name|db_name"
    r"|host_name"
    r"|is_(?:member|srvrolemember)|object_(?:id|name)|col_name|char_?index|patindex|nchar|quotename|newid|datalength)"
)
"""Functions."""

OFTEN: Final = (
    r"(?:abs|ceil(?:ing)?|floor|round|ln|log(?:2|10)?|exp|pi|pow|sin|tan|sha2?|format|left|right|replace|if|i?if"
    r"|(?:not )?in"
    r"|day|month|year|hour|minute|second|week|quarter|date|time(?:stamp)?|now|password|version|user|char|cast|convert"
    r"|(?:en|de)code|encrypt|md5|sha1?|lower|upper|length|insert|values?|like|count|min|max|sum|avg|mod|sign|power"
    r"|space"
    r"|repeat|reverse|position|locate|field|greatest|least|interval|isnull|quote|truncate|extract|elt|bin|std|ascii"
    r"|database|rand|mid|oct|hex|ord|substr(?:ing)?|trim|schema|session_user|current_\w{4,9}|char(?:acter)?_length"
    r"|rtrim"
    r"|ltrim|concat)"
)
"""Functions whose names are words as well."""

TABLES: Final = (
    r"(?:information_schema|pg_(?:catalog|tables|class|attribute|toast|shadow|user|roles|proc|stat_\w{3,24})|msdb"
    r"|tempdb"
    r"|msys(?:aces|columns|modules2?|objects|queries|relationships)|mysql\.(?:db|user)|sys(?:objects|columns|users"
    r"|databases"
    r"|logins|indexes|constraints|comments)|sys\.(?:tables|objects|columns|databases|schemas|user_\w{3,20})"
    r"|sqlite_(?:master|temp_master|schema|sequence)|(?:user|all|dba)_(?:tab_columns|tables|objects|users|constraints"
    r"|ind_columns|source|triggers|views|catalog|cons_columns)|xp_(?:cmdshell|reg[a-z]{3,20}|dirtree|file\w{3,12}"
    r"|fixeddrives"
    r"|enum\w{2,20}|login\w{3,12}|availablemedia|ntsec\w{0,20}|terminate\w{0,16}|servicecontrol|makecab|subdirs|msver"
    r"|execresultset)|sp_(?:password|executesql|makewebtask|oacreate|oamethod|addextendedproc|sqlexec|prepare|addlogin"
    r"|addsrvrolemember|replwritetovarbin|configure|help\w{0,12}|who2?)|open(?:rowset|query|datasource)"
    r"|utl_(?:http|file|inaddr|smtp|tcp)|dbms_\w{2,20}|ctxsys|is_srvrolemember)"
)
"""The tables in which databases describe themselves, and their procedures."""

IN_TABLES: Final = (
    *("information_schema", "pg_", "msdb", "tempdb", "msys", "mysql.", "sysobjects", "syscolumns", "sysusers"),
    *("sysdatabases", "syslogins", "sysindexes", "sysconstraints", "syscomments", "sys.", "sqlite_", "user_", "all_"),
    *("dba_", "xp_", "sp_", "openrowset", "openquery", "opendatasource", "utl_", "dbms_", "ctxsys", "is_srvrole"),
)
"""One of which stands in each of them."""
