"""SIGHUP in a process that serves: the guard is reconfigured, and no connection notices.

The work is done in a thread of its own: the loop goes on, and a signal may interrupt code that holds the very locks
that a new configuration needs. The thread is a raw one, since starting a `Thread` takes locks of its own.
Must never take the signal from whoever had it before, and must never end the process: what is wrong with the new
configuration is logged, and the one before stays.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from _thread import start_new_thread
from collections.abc import Callable
from types import FrameType

from asgi_guard.errors.exceptions import ConfigError, MissingExtraError

logger: logging.Logger = logging.getLogger("asgi_guard")

_one_at_a_time = threading.Lock()


def on_hangup(renew: Callable[[], None]) -> None:
    """Call a function on each SIGHUP from now on, and after it whatever was called before.

    Does nothing where there is no such signal, and outside the main thread, where Python lets nobody take one.

    Args:
        renew: called in another thread, never twice at the same time.
    """
    if not hasattr(signal, "SIGHUP") or threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGHUP)

    def handle(number: int, frame: FrameType | None) -> None:
        try:
            start_new_thread(_renew, (renew,))
        except RuntimeError as error:  # the process has as many threads as it may
            not_reloaded(error)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGHUP, handle)


def not_reloaded(error: Exception) -> None:
    """Say it on stderr, from within the handler of a signal: it may have interrupted a log, whose locks are held."""
    text = f"asgi-guard: the configuration is not reloaded, the one before stays: {error}\n"
    os.write(2, text.encode("utf-8", "backslashreplace"))


def _renew(renew: Callable[[], None]) -> None:
    with _one_at_a_time:
        try:
            renew()
        except (ConfigError, MissingExtraError) as error:
            logger.error("The configuration is not reloaded, the one before stays: %s", error)  # noqa: TRY400
        except Exception:
            logger.exception("The configuration is not reloaded, the one before stays.")
        else:
            logger.info("The configuration is reloaded.")
