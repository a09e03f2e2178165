"""The watch for blocking calls is awake: without this test, a broken watch would pass everything."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from blockbuster import BlockingError


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_blocking_call_on_the_event_loop_is_an_error() -> None:
    """Sleeping, waiting for a lock and reading a file are refused while a loop runs."""
    taken = threading.Lock()
    taken.acquire()

    for blocking_call in (lambda: time.sleep(0), taken.acquire, Path(__file__).read_bytes):
        with pytest.raises(BlockingError):
            blocking_call()


def test_the_same_calls_are_free_outside_a_loop() -> None:
    """A plain test may sleep on purpose and read files."""
    time.sleep(0)

    assert Path(__file__).read_bytes()
