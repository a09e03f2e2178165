"""Audit log: what matters to security, one line each, in a chain that shows a change.

The guard writes what it refuses, and the application reports logins and what somebody was not allowed to do, with one
call. Each line is sealed with a key and with the line before it.

Common mistakes:
    the key beside the log              who can change the one can then seal the other
    names and addresses as the subject  write the id of the user: a log is kept longer than a person may want
    deleting old files                  verify the others with --from-the-middle: they begin with a checkpoint

Run: python examples/32_audit_log.py

Expect:
    excess_rate_limit_exceeded refused GET /login
    authn_login_fail failure user7 bad password
    as it was written: True
    with a changed line: changed, line 3
"""

import asyncio
import json
import tempfile
from pathlib import Path

from asgi_guard import Audit, Guard
from asgi_guard.audit import report
from asgi_guard.audit.verify import verify
from asgi_guard.testing import call, lifespan

KEY = "a secret of thirty-two bytes or more"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    report("authn_login_fail", "failure", subject="user7", reason="bad password")
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def serve(path):
    guard = Guard(app, audit=Audit(path=str(path), key=KEY, tells_settings=False), rate_limit="1/minute")
    async with lifespan(guard):
        await call(guard, "GET", "/login")
        await call(guard, "GET", "/login")


path = Path(tempfile.mkdtemp()) / "audit.jsonl"
asyncio.run(serve(path))
lines = {told["event"]: told for told in map(json.loads, path.read_text().splitlines())}
refused, failed = lines["excess_rate_limit_exceeded"], lines["authn_login_fail"]
print(refused["event"], refused["outcome"], refused["method"], refused["path"])
print(failed["event"], failed["outcome"], failed["subject"], failed["reason"])
print("as it was written:", verify([path], key=KEY.encode()).is_sound)
path.write_text(path.read_text().replace("user7", "user8"))
(found,) = verify([path], key=KEY.encode()).findings
print(f"with a changed line: {found.fault}, line {found.line}")
