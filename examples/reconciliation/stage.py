"""Stage: the service in process, as tests ask it: three users, two small files, and the advisor's stand-in."""

from __future__ import annotations

from collections.abc import Callable

import httpx
from anyio import fail_after, sleep

from asgi_guard import Guard
from asgi_guard.testing import Response, call
from reconciliation.ai import Advisor
from reconciliation.ai_stand_in import StandIn
from reconciliation.app import create_api, guarded
from reconciliation.settings import Settings
from reconciliation.users import new_user

TOKEN = "a-token-of-the-tests"
USERS = {name: new_user(name, role) for name, role in (("ann", "clerk"), ("bob", "clerk"), ("eve", "auditor"))}
LEFT = "id,reference,date,amount,currency\nL1,A,2026-01-01,10.00,EUR\nL2,B,2026-01-02,7.50,EUR\nL3,,2026-01-03,3,EUR\n"
RIGHT = "id,reference,date,amount,currency\nR1,A,2026-01-01,10.00,EUR\nR2,B,2026-01-02,7.40,EUR\nR3,,2026-01-05,3,EUR\n"


class Service:
    """The service, and how it is asked.

    Attributes:
        app: the guard around it.
        stand_in: the advisor's.
        settings: what it was told.
    """

    def __init__(self, settings: Settings, stand_in: StandIn, build: Callable[..., Guard] | None = None) -> None:
        self.settings = settings
        self.stand_in = stand_in
        advisor = Advisor("http://advisor", transport=httpx.ASGITransport(stand_in))
        api = create_api(settings, advisor=advisor)
        self.state = api.state
        self.app = guarded(api) if build is None else build(api)

    async def ask(self, method: str, path: str, user: str | None = "ann", **given) -> Response:
        headers = {**({"Authorization": f"Bearer {USERS[user][0]}"} if user else {}), **given.pop("headers", {})}
        return await call(self.app, method, path, headers=headers, timeout_seconds=30, **given)

    async def upload(self, left: str = LEFT, right: str = RIGHT, user: str | None = "ann", **fields: str) -> Response:
        content_type, body = multipart({"left": ("left.csv", left), "right": ("right.csv", right)}, fields)
        return await self.ask("POST", "/reconciliations", user, headers={"Content-Type": content_type}, body=body)

    async def until_done(self, reconciliation: str) -> dict:
        with fail_after(20):
            while True:
                answer = (await self.ask("GET", f"/reconciliations/{reconciliation}", "eve")).json()
                if answer["status"] == "done":
                    return answer
                await sleep(0.05)


def multipart(files: dict[str, tuple[str, str]], fields: dict[str, str] | None = None) -> tuple[str, bytes]:
    """Write a form; return its type and its body."""
    request = httpx.Request("POST", "http://service", files=files, data=fields or {})
    return request.headers["content-type"], request.read()
