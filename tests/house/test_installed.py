"""The suite tests what users install."""

from __future__ import annotations

import os
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

import asgi_guard


@pytest.mark.skipif("WHEEL_UNDER_TEST" not in os.environ, reason="runs on the built wheel, under nox")
def test_the_package_under_test_is_the_wheel() -> None:
    """The checkout's own package is not importable, so that a file missing from the wheel is missed here."""
    installed = Path(sysconfig.get_path("purelib")).resolve()

    assert Path(asgi_guard.__file__).resolve().parent == installed / "asgi_guard"
    assert version("asgi-guard") == asgi_guard.__version__
