"""Cookies: the flags that one should have, by what the application wrote of it.

Without `Secure` a cookie is sent in the clear to whoever asks for `http://`; without `HttpOnly` an injected script
reads it; without `SameSite` older browsers send it along with requests of other sites (RFC 6265bis section 4.1.2).
Must never change or drop what the application said: flags are only added at the end.
"""

from __future__ import annotations

from collections.abc import Collection


def name_of(cookie: bytes) -> bytes:
    """Return the name in a `Set-Cookie` line."""
    return cookie.partition(b";")[0].partition(b"=")[0].strip()


def missing_flags(cookie: bytes, readable: Collection[bytes] = ()) -> bytes:
    """Return what to add at the end of a `Set-Cookie` line; empty where nothing is missing.

    Args:
        cookie: the value of the line.
        readable: names of cookies that scripts have to read.
    """
    given = {attribute.partition(b"=")[0].strip().lower() for attribute in cookie.split(b";")[1:]}
    flags = b"" if b"secure" in given else b"; Secure"
    if b"httponly" not in given and name_of(cookie) not in readable:
        flags += b"; HttpOnly"
    return flags if b"samesite" in given else flags + b"; SameSite=Lax"
