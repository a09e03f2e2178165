"""What the tests inside frameworks stand on."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.rate import parse_rate


@pytest.fixture(scope="session", autouse=True)
def _rates_were_read_before() -> None:
    """Import the library that reads rates before a loop is watched: it reads files when it is imported."""
    parse_rate("1/second")
