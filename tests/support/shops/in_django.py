"""The shop in Django, whose one set of settings and URLs is the process's own."""

# ruff: noqa: D103  the docstring of the package says what each endpoint does
from __future__ import annotations

import json
from typing import Any
from zlib import crc32

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import path

from shops import SECRET, pieces


async def answer_json(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"id": request.scope.get("state", {}).get("request_id")})


async def take_upload(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse({"sizes": [len(request.body)]})


async def take_whole(request: HttpRequest) -> HttpResponseBase:
    return JsonResponse(json.loads(request.body))


async def take_form(request: HttpRequest) -> HttpResponseBase:
    content = request.FILES["file"].read() if request.FILES else b""
    return JsonResponse({"note": request.POST["note"], "file": crc32(content)})


async def answer_stream(request: HttpRequest) -> HttpResponseBase:
    return StreamingHttpResponse(pieces(), content_type="text/plain")


async def crash(request: HttpRequest) -> HttpResponseBase:
    raise RuntimeError(SECRET)


urlpatterns = [
    path("json", answer_json),
    path("upload", take_upload),
    path("whole", take_whole),
    path("form", take_form),
    path("stream", answer_stream),
    path("crash", crash),
]


def make() -> Any:
    """Make the shop."""
    if not settings.configured:
        settings.configure(ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, ROOT_URLCONF=__name__, SECRET_KEY="not one")
        django.setup()
    return get_asgi_application()
