"""All shops in one process, for a real server: `/<shop>/<guard>/<path of the endpoint>`.

It is a function in front of the shops that chooses one by the first two segments and takes them off, as if each had a
server of its own.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any

from asgi_guard.testing import lifespan
from shops import GUARDS, SHOPS

APPS = {
    (name, guard): wrap(shop.make())
    for name, shop in SHOPS.items()
    if find_spec(shop.distribution) is not None
    for guard, wrap in GUARDS.items()
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send each request to its shop, and open and close all of them with the server."""
    if scope["type"] == "lifespan":
        async with AsyncExitStack() as open_shops:
            for (name, _), shop in APPS.items():
                if SHOPS[name].has_lifespan:
                    await open_shops.enter_async_context(lifespan(shop))
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    _, name, guard, path = scope["path"].split("/", 3)
    await APPS[name, guard]({**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}, receive, send)
