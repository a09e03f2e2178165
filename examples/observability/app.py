"""The application of the compose file: two routes, of which one fails now and then.

Run: docker compose up
"""

import random


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    scope["asgi_guard.route"] = "/orders/{id}" if scope["path"].startswith("/orders/") else "/"
    status = 500 if random.random() < 0.01 else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})
