"""SIGHUP in a process whose workers serve: they are replaced, if the file is right.

`python -m asgi_guard.serve.master SERVER ...` is `python -m SERVER ...` with one difference. A server's own master
answers SIGHUP by starting new workers, and most stop altogether when a new worker does not start: a slip of the pen in
the configuration file would take the service down. So here the master's handler is called only when the file is right;
otherwise every problem is said on stderr, and the old workers stay.
Must never touch any other signal, nor SIGHUP in the workers.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

from asgi_guard.serve.guarded import settings
from asgi_guard.serve.reload import not_reloaded


def main() -> None:
    """Become the server that the first argument names, with the others as its own."""
    take = signal.signal

    def take_with_care(signalnum: int, handler: Any) -> Any:
        return take(signalnum, _careful(handler) if signalnum == signal.SIGHUP and callable(handler) else handler)

    # Each server takes the signal itself once it is up; there is no other way to come in between.
    signal.signal = take_with_care
    os.register_at_fork(after_in_child=partial(setattr, signal, "signal", take))
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _careful(handler: Callable[[int, FrameType | None], Any]) -> Callable[[int, FrameType | None], Any]:
    def handle(number: int, frame: FrameType | None) -> None:
        try:
            settings(os.environ)
        except Exception as error:  # noqa: BLE001  whatever it is, it must not end the master
            not_reloaded(error)
        else:
            handler(number, frame)

    return handle


if __name__ == "__main__":
    main()
