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
    """Make one."""
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application

    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of-a-test")
        django.setup()
    return get_asgi_application()


urlpatterns: list[Any] = []
