"""Plain applications of several frameworks, for the doctor."""

from __future__ import annotations

from typing import Any


def of_fastapi() -> Any:
    """Make one."""
    from fastapi import FastAPI

    return FastAPI()


def of_quart() -> Any:
    """Make one."""
    from quart import Quart

    return Quart("shop")


def of_litestar() -> Any:
    """Make one."""
    from litestar import Litestar

    return Litestar([], logging_config=None)


def of_django() -> Any:
    """Make one, with the settings that every test shares: a process has one set of them."""
    from shops.in_django import make

    return make()
