"""Doctor: what is missing in front of an application, and the fix for each; the command is `asgi-guard doctor`.

It calls the application in this process, and sends nothing over a network. In CI its exit code is what counts: 1 where
something was found that is as grave as `--fail-on`.

Run: pip install starlette; python examples/35_doctor.py

Expect:
    plain: exit code 1, DR001 no guard stands in front of the application
    its fix: app = Guard(app), or asgi-guard run MODULE:APP
    its page: F
    guarded: exit code 0, no warning, its page: A+
"""

import contextlib
import io
import json
import logging
import sys

from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from asgi_guard import Audit, Endpoints, Guard
from asgi_guard.cli import main

logging.disable()
sys.modules["shop"] = sys.modules[__name__]  # what a server would import


async def home(request):
    return HTMLResponse("<!doctype html><title>Shop</title><h1>Shop</h1>")


plain = Starlette(routes=[Route("/", home), Route("/", home, methods=["POST"])])
guarded = Guard(
    plain,
    security_headers="strict",
    https=True,
    trusted_host=["shop.example"],
    audit=Audit(sinks=["log"]),
    endpoints=Endpoints(token="correct-horse-battery-staple"),
)


def examine(name):
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = main(["doctor", f"shop:{name}", "--server", "hypercorn", "--json"])
    return code, json.loads(said.getvalue())


code, told = examine("plain")
first = next(finding for finding in told["findings"] if finding["check"] == "DR001")
print(f"plain: exit code {code}, {first['check']} {first['title']}")
print("its fix:", first["fix"])
print("its page:", told["score"]["grade"])
code, told = examine("guarded")
graves = [finding["check"] for finding in told["findings"] if finding["severity"] != "note"]
print(f"guarded: exit code {code}, {', '.join(graves) or 'no warning'}, its page: {told['score']['grade']}")
