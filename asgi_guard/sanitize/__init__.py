"""Sanitising: values from outside, each returned clean or refused with a reason.

    clean_text(form["name"], max_length=100, field="name")
    clean_filename(upload.filename)
    clean_email(form["email"])
    clean_html(form["comment"])             # extra `sanitize`, as e-mail and host names that are not ASCII
    clean_url(form["homepage"])             # for a link; it may lead anywhere
    resolve_url(form["webhook"])            # to fetch: the addresses to connect to, all public
    SafeTransport()                         # to fetch with httpx, through every redirect

Whatever is wrong with a value is a `SanitizeError`, a `ValueError` with `.field` and a stable `.reason`. Each is
idempotent: what came out goes in again unchanged, whatever follows.
There is no cleaning for SQL, shells and templates, and must never be: pass values as parameters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgi_guard.sanitize.errors import REASONS, Reason, SanitizeError
from asgi_guard.sanitize.filenames import clean_filename
from asgi_guard.sanitize.mail import clean_email
from asgi_guard.sanitize.markup import HTML_ATTRIBUTES, HTML_TAGS, clean_html
from asgi_guard.sanitize.resolve import AsyncResolver, PinnedURL, Resolver, resolve_url, resolve_url_async
from asgi_guard.sanitize.text import clean_text
from asgi_guard.sanitize.urls import URLPolicy, clean_url

if TYPE_CHECKING:
    from asgi_guard.sanitize.transports import AsyncSafeTransport, SafeTransport

__all__ = [
    "HTML_ATTRIBUTES",
    "HTML_TAGS",
    "REASONS",
    "AsyncResolver",
    "AsyncSafeTransport",
    "PinnedURL",
    "Reason",
    "Resolver",
    "SafeTransport",
    "SanitizeError",
    "URLPolicy",
    "clean_email",
    "clean_filename",
    "clean_html",
    "clean_text",
    "clean_url",
    "resolve_url",
    "resolve_url_async",
]


def __getattr__(name: str) -> object:
    if name not in {"AsyncSafeTransport", "SafeTransport"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from asgi_guard.sanitize import transports
    except ImportError:
        from asgi_guard.errors.exceptions import MissingExtraError

        raise MissingExtraError(name, "httpx") from None
    value = globals()[name] = getattr(transports, name)
    return value
