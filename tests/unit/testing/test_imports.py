"""What the toolkit asks for: nothing but the package itself."""

from __future__ import annotations

import subprocess
import sys

import asgi_guard.testing

PROGRAM = "import sys, asgi_guard.testing; print(*{name.partition('.')[0] for name in sys.modules})"


def test_it_needs_no_test_framework() -> None:
    """Whoever tests with another one, or with none, can use it."""
    loaded = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout.split()

    assert {"pytest", "_pytest", "hypothesis", "unittest", "starlette", "httpx"}.isdisjoint(loaded)


def test_every_public_name_is_there() -> None:
    """Once."""
    assert all(hasattr(asgi_guard.testing, name) for name in asgi_guard.testing.__all__)
    assert len(set(asgi_guard.testing.__all__)) == len(asgi_guard.testing.__all__)
