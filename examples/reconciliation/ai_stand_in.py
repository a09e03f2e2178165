"""A stand-in for the AI service: knows a sentence for each reason, and can be told to be slow, to fail, and to recover.

    POST /suggest   {"reason": "duplicate", ...}                     {"suggestion": "..."}
    POST /script    [{"latency_seconds": 0.5, "calls": 3}, {"status": 503, "calls": 5}]

A script is for the calls to come, step by step; after its last step all is well again. The whole of it is an ASGI
application without a framework: `uvicorn reconciliation.ai_stand_in:app --app-dir examples --port 8001`
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any, Final

from anyio import sleep

SENTENCES: Final = {
    "duplicate": "It was probably entered twice: compare the two, and reverse one.",
    "amount_differs": "A fee or a discount may have been taken off: look at the difference.",
    "currency_differs": "It was paid in another currency: look for the exchange.",
    "missing_left": "It may belong to an earlier or a later file of the left.",
    "missing_right": "It may belong to an earlier or a later file of the right.",
}
MAX_STEPS: Final = 1_000
MAX_BYTES: Final = 65_536


class StandIn:
    """The service; each of its own has a script of its own.

    Attributes:
        calls: how many asked for a suggestion.
    """

    def __init__(self) -> None:
        self.calls: int = 0
        self._script: deque[dict[str, Any]] = deque()

    def follow(self, steps: list[dict[str, Any]]) -> None:
        """Do as a script says: each step has `calls`, and `latency_seconds`, `status` or `suggestion`."""
        self._script = deque(dict(step) for step in steps[:MAX_STEPS])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        if scope["type"] != "http":
            return
        status, answer = await self._answer(scope["path"], await _body(receive))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _answer(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        try:
            said = json.loads(body or b"null")
        except ValueError:
            return 400, {}
        match path:
            case "/suggest" if isinstance(said, dict):
                return await self._suggest(said)
            case "/script" if isinstance(said, list) and all(isinstance(step, dict) for step in said):
                self.follow(said)
                return 200, {"steps": len(self._script)}
            case "/health":
                return 200, {"status": "pass"}
        return 404, {}

    async def _suggest(self, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls += 1
        step = self._next()
        await sleep(min(float(step.get("latency_seconds", 0)), 60))
        status = int(step.get("status", 200))
        if status != 200:
            return status, {}
        return 200, {"suggestion": step.get("suggestion", SENTENCES.get(str(said.get("reason"))))}

    def _next(self) -> dict[str, Any]:
        if not self._script:
            return {}
        step = self._script[0]
        step["calls"] = int(step.get("calls", 1)) - 1
        if step["calls"] <= 0:
            self._script.popleft()
        return step


async def _body(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MAX_BYTES:
            return body[:MAX_BYTES]


app = StandIn()
