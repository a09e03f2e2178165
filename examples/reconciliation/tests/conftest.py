"""What the tests of the service stand on: the package beside them, and the event loop that SQLAlchemy knows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that they also run without the project's settings


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
