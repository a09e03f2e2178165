"""Quiet: what is logged about questions that nobody but the doctor has asked goes nowhere.

Clients, hosts and failures are made up here, and advice about them (an address to trust, a traceback of a failure that
was wanted) would be taken for advice about those who are real. The finding tells what matters.
Rule 1: the entries of an audit log are written all the same: a gap in them would look like a forgery. Must never leave
a handler changed.
"""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_AUDIT: Final = "asgi_guard.audit"


@contextmanager
def quiet() -> Generator[None]:
    """Let no handler that is there write anything, but for audit entries."""
    handlers = _handlers()
    for handler in handlers:
        handler.addFilter(_is_audit)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_is_audit)


def _handlers() -> list[logging.Handler]:
    """Return every handler: filters of a logger do not see what its children log."""
    loggers = [one for one in list(logging.root.manager.loggerDict.values()) if isinstance(one, logging.Logger)]
    handlers = [handler for logger in (logging.root, *loggers) for handler in logger.handlers]
    return list(dict.fromkeys([*handlers, *([logging.lastResort] if logging.lastResort else [])]))


def _is_audit(record: logging.LogRecord) -> bool:
    return record.name.startswith(_AUDIT)
