"""Errors: what went wrong, and how a client is told.

`exceptions` holds the tree, `problem` turns an exception into what may be told and renders it, `negotiate` chooses the
format, `recognise` knows what other frameworks do with exceptions. Nothing here touches the wire.
"""

from __future__ import annotations

from asgi_guard.errors.exceptions import (
    ConfigError,
    ErrorCategory,
    ErrorSeverity,
    GuardError,
    MissingExtraError,
    NoResponseError,
    StoreError,
)

__all__ = [
    "ConfigError",
    "ErrorCategory",
    "ErrorSeverity",
    "GuardError",
    "MissingExtraError",
    "NoResponseError",
    "StoreError",
]
