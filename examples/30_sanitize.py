"""Sanitising: what comes from outside, made clean or refused with a reason; and URLs that cannot lead inside.

Each function returns the clean value or raises `SanitizeError`, a `ValueError` whose `.field` and `.reason` are stable.
A URL that somebody else names is fetched with `SafeTransport`: it looks the host up once, refuses every address that is
not public, and connects to what it checked, through every redirect.

Common mistakes:
    requests to a URL that was only cleaned     clean_url is for links; a clean URL may lead to 127.0.0.1
    a check of the name, then a request         the name is looked up again, and the DNS of an attacker answers again
    cleaning for SQL or a shell                 there is none: pass values as parameters

Needs: pip install 'asgi-guard[httpx,sanitize]'

Run: python examples/30_sanitize.py

Expect:
    'Zoë Smith'
    '_CON.txt'
    'report.pdf'
    'Zoe@example.com'
    '<b>Hi</b>'
    'https://xn--bcher-kva.example/b'
    name is too long
    url not_public
    url odd_address
    url not_public
    93.184.216.34 for example.com
"""

import httpx

from asgi_guard.sanitize import (
    SafeTransport,
    SanitizeError,
    clean_email,
    clean_filename,
    clean_html,
    clean_text,
    clean_url,
    resolve_url,
)

print(repr(clean_text("Zoe\u0308\u202e Smith\n", max_length=100)))
print(repr(clean_filename("CON.txt")))
print(repr(clean_filename("../../report.pdf")))
print(repr(clean_email("Zoe@EXAMPLE.com")))
print(repr(clean_html("<b onclick=steal()>Hi</b><script>steal()</script>")))
print(repr(clean_url("HTTPS://Bücher.example/a/../b")))
try:
    clean_text("x" * 101, max_length=100, field="name")
except SanitizeError as error:
    print(error)
with httpx.Client(transport=SafeTransport(), follow_redirects=True) as client:
    for url in ("http://169.254.169.254/latest/meta-data/", "http://0x7f.1/", "http://localhost:8000/admin"):
        try:
            client.get(url)
        except SanitizeError as error:
            print(error.field, error.reason)
found = resolve_url("https://example.com/", resolver=lambda host, port: ["93.184.216.34"])  # or the system's
print(*found.addresses, "for", found.host)
