"""Pieces of attacks as whole values are refused: what scanners send to learn how a query or a command goes on."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, blocks_header, blocks_name, blocks_path, table

AT_LEVEL_1 = {
    "sqli": {
        "a call that is only opened": "group_concat(",
        "a selected call that is only opened": "select load_file(",
        "a condition before a quote": "and colour = '",
        "a condition before a bracket": "or 12=(",
        "a condition of two bars": '||(shade="',
        "an exclusive condition": "xor 4>",
        "a second result without columns": "7 union all select",
        "a second result of a table": "x' union select pin from cards--",
        "an alias and its table": ") as total from",
        "a branch": ") when 5 then",
        "a variable": "declare @n",
        "the tail of a query": "from `shop`.`cards` limit",
        "a comparison and a comment": "x'<pin--",
        "a collation": 'x\'collate"utf8mb4_bin"--',
        "the time of the database": "x'-current_timestamp",
        "a number that all know": "3 and (3=pi())",
        "JSON of PostgreSQL": '\'{"a":1}\'@>\'{"b":2}',
        "a comment for a blank": "union/*a*/select",
        "a second statement": "x'; drop",
    },
    "rce": {
        "the folder before": "~-",
        "a folder of the stack": "~+3",
        "the command before": "!-2",
        "arithmetic": "$[6*7]",
        "newer arithmetic": "$((6*7))",
        "a nested command": "$(id$())",
        "the user's shell": "${SHELL} -c 'date'",
        "an alias": "alias -s txt='date'",
        "a condition of Windows": 'if not "a" == "b" echo c',
        "numbers of Windows": "IF 3 EQU 3 ECHO c",
        "a command as a file": "<(head notes.txt)",
        "behind an empty variable": "; $z cat notes.txt",
        "a console of a database": "1;\n.shell date",
        "a compiler's wrapper": "cc -wrapper zsh,-c,date .",
        "a command of mail": "x\r\nA7 STATUS inbox",
    },
    "code": {
        "a spaced variable": "$   {name}",
        "a quoted variable": "${'name'}",
        "a variable that is called": "$run(12)",
        "a variable behind a comment": "$run #x\n(12)",
        "an item that is called": "$list['a'][1]('b')",
        "a name in a list": "['exec'][0]('date')",
        "a name in brackets": "(passthru)('date')",
        "a name behind a comment": "(/*x*/exec)(date)",
        "a name put together": "'sys'.'tem'",
        "a bracket behind a comment": "gzinflate/*x*/($a)",
        "a bracket on the next line": "exec //x\n ('date')",
        "a tag that is only opened": "name<?",
        "a number without end": "2.2250738585072012e-308",
        "a module by its name": 'm="child_process";load(m)',
    },
    "xss": {
        "letters apart": "<i f r a m e>",
        "a namespace without a name": "<:iframe src=x",
        "tabs by their name": "ja&tab;va&tab;script: x",
        "lines by their name": "vb&newline;script&colon;x",
        "a document in a link": "data: , <b>",
        "a style with a script": "STYLE=a:url(javascript:x)",
        "a comment in a name": "document /*x*/ .cookie",
        "signs of another character set": "\xbcscript\xbex()\xbc/script\xbe",
    },
    "traversal": {
        "a chain of filters": "convert.iconv.utf8.utf7",
        "a filter": "convert.base64-decode",
        "percents twice": "%%2e%%2e%%2fx",
        "a server's settings": "C:\\Program Files\\Shop\\conf\\shop.conf",
        "a folder of Windows": "\\winnt\\repair\\sam",
    },
    "others": {
        "a directory's filter": "x)&(mail=a",
        "another filter": "x)|(uid=*",
        "a socket and an address": "unix:/run/x.sock|http://x.example/",
    },
}
AT_LEVEL_2 = {
    "sqli": {
        "any call that is only opened": "month=(",
        "a truth": "12=12",
        "no truth": "12!=13",
        "words for it": "4 is not 5",
        "a list": "in (7,8,9)",
        "a row": "values ('a', 'b')",
        "nothing": "is not null",
        "a statement alone": ";drop",
        "a quote and a statement": "'alter t",
        "a name and a quote": "boss '",
        "signs alone": "' # = --",
        "two quotes": "7' ' 3",
        "a small query": "select current_schema('a');",
        "a question about itself": "length(database())",
        "a variable of the system": "select @@version",
    },
    "rce": {
        "a tool behind a separator": ";lsblk",
        "a tool with options": "tcpdump -i any",
        "a tool behind a timer": "time; kubectl get pods",
        "a tool in quotes": "'chef-shell' one",
        "a word and a path": "zstdgrep /var/backups/a.zst",
        "a program by its path": "bin/shop-admin",
        "a pattern for a program": "a;/bin/l? -a",
        "names put together": "$a$b$c$d",
        "a name of halves": "h='d';$h",
        "nothing within": "date$() x",
        "a variable cut short": "${PATH%:x}",
        "into a shell": "date | zsh",
        "a list for a command": "{date,-u}",
        "a search": "find /srv -name a -exec head {} +",
        "a tool of Windows": "x & certutil -urlcache a",
    },
    "others": {
        "a host that is a user": "https://shop.example%2f:a@evil.test/",
        "a request in a request": "xGET /a HTTP/1.1\nHost: x.example\n",
        "a setting": "opcache.enable=0",
        "a console": "console.log(9)",
        "the end of a comment": "-->",
        "letters for slashes": "..o..o..oetc",
    },
}
HARMLESS = {
    "words": {
        "a union": "the union select committee",
        "a case": "just in case when it rains then",
        "a tilde": "~5",
        "a bang": "!!",
        "a price": "$5 (net)",
        "a number of things": "3 = three",
        "a group": "boys' and girls' shoes",
        "a name": "O'Neill or Smith",
        "an alias": "an alias for it",
        "a condition": "and now something completely different = fun",
        "brackets": "in (brackets, mostly)",
        "a value": "values (we share)",
        "a tool in a sentence": "docker in practice",
        "two tools": "screen & keyboard",
        "a function in a sentence": "the length (of it)",
        "a heart": "<3 you",
        "a comparison": "1 < x: y",
        "less than": "a < b c d e",
        "picture": "data:image/png;base64,iVBORw0KGgo=",
        "a range": "wait.. what.. why",
        "percents": "100%%20",
        "a formula": "$f(x)$",
        "a settings file": "see .npmrc",
        "a scheme": "unix:/run/x.sock",
    },
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(AT_LEVEL_1))
def test_a_piece_of_an_attack_is_refused_at_level_1(text: str, kind: str) -> None:
    """Nobody writes such a thing alone."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(AT_LEVEL_2))
def test_a_smaller_piece_is_refused_at_level_2(text: str, kind: str) -> None:
    """Where values are no prose, it is surely one."""
    assert blocks(text, kind, 2)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(HARMLESS))
def test_what_looks_alike_passes(text: str, kind: str, level: int) -> None:
    """With a word before or behind it, it is prose."""
    assert not blocks(text, kind, level)


@pytest.mark.parametrize(
    "path",
    [
        "/.windsurf/rules.md",
        "/.npmignore",
        "/a/.babelrc",
        "/blog/errors.log",
        "/docker-compose.prod.yml",
        "/terraform.tfstate",
    ],
)
def test_what_tools_leave_behind_is_refused_at_level_1(path: str) -> None:
    """A site that has such a file has it by mistake."""
    assert blocks_path(path, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    "path", ["/.well-known/security.txt", "/catalog", "/logs", "/wiki/Foo_(bar)", "/docker-compose/"]
)
def test_pages_of_everyday_pass(path: str, level: int) -> None:
    """A folder may have any name, and an article brackets."""
    assert not blocks_path(path, level)


@pytest.mark.parametrize("path", ["/x/substr()", "/x/array_merge("])
def test_a_function_as_a_page_is_refused_at_level_2(path: str) -> None:
    """It is tried on frameworks that run what a path names."""
    assert blocks_path(path, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handler_as_a_name_is_refused_at_level_1(kind: str) -> None:
    """The name is written into an element."""
    assert blocks_name(" onpointerxyz =", kind, 1)
    assert not blocks_name("once", kind, 1)


@pytest.mark.parametrize("agent", ["journalctl -u shop", "'cscli' hub list", "ansible-lint site"])
def test_a_command_as_a_user_agent_is_refused_at_level_2(agent: str) -> None:
    """Whatever writes it into a log line may hand it to a shell."""
    assert blocks_header("User-Agent", agent, 2)


@pytest.mark.parametrize(
    "agent", ["ansible-httpget", "curl/8.9.1", 'pip/24.2 {"ci":null}', "docker/27.1 go/1.22", "Wget/1.24"]
)
def test_a_tool_as_a_user_agent_passes(agent: str) -> None:
    """It says its name and version."""
    assert not blocks_header("User-Agent", agent, 2)
