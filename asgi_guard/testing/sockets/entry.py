"""Entry: what a server loads: the application, in what `CONFORMANCE_WRAP` names.

Must never be imported by the process that asks.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from asgi_guard.testing.sockets.application import WRAP, serve


def _wrapped() -> Any:
    module, _, attribute = os.environ[WRAP].partition(":")
    return getattr(import_module(module), attribute)(serve) if module else serve


app: Any = _wrapped()
"""The application."""
