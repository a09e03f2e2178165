"""Django: guard `get_asgi_application()`, in the `asgi.py` that the server is told.

Django answers exceptions by itself, with a page of its own, which keeps the guard's headers and its id. Django's own
`SECURE_...` settings and `X_FRAME_OPTIONS` still count: what the application sends wins over the guard's default.
Leave `ALLOWED_HOSTS` to Django or to `trusted_host`, and `SECURE_SSL_REDIRECT` to one of the two as well.

Run: pip install django; python examples/38_django.py

Expect:
    GET /items/7    200 {"id": 7}, X-Frame-Options: SAMEORIGIN
    GET /boom       500, with an id, and nothing leaked
    an attack       400 VALIDATION_REFUSED
    the fourth in a second: 429
"""

import asyncio
import logging

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

from asgi_guard import Guard, RateLimit
from asgi_guard.testing import call

logging.disable()


def item(request, number):
    response = JsonResponse({"id": number})
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def boom(request):
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


urlpatterns = [path("items/<int:number>", item), path("boom", boom)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="of-an-example")
django.setup()
app = Guard(get_asgi_application(), rate_limit=RateLimit("3/second;100/minute"))


async def main():
    found = await call(app, "GET", "/items/7")
    print(
        f"GET /items/7    {found.status} {found.body.decode()}, X-Frame-Options: {found.headers.get('X-Frame-Options')}"
    )
    broken = await call(app, "GET", "/boom")
    is_told = broken.headers.get("X-Request-ID") and b"hunter2" not in broken.body
    print(f"GET /boom       {broken.status}, with an id, and {'nothing' if is_told else 'a secret'} leaked")
    attack = await call(app, "GET", "/items/7?q=1'%20UNION%20SELECT%20password%20FROM%20users--%20")
    print("an attack      ", attack.status, attack.json()["error"]["code"])
    print("the fourth in a second:", (await call(app, "GET", "/items/7")).status)


asyncio.run(main())
