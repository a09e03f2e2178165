"""Attack and load your own application: planted faults are found, and what a guard changes is seen.

The search below puts what it is told into SQL, and one of its routes is slow. In a suite these are two tests, with
`report.raise_for_holes()` and `report.raise_unless_passed()`; there are commands, too: `asgi-guard attack` and `load`.

Run: pip install starlette; python examples/34_attack_and_load.py

Expect:
    holes: sqli in GET /search, query q
    let through: 77 of 77
    behind a guard, let through: 0 of 77, and ordinary texts refused: 0
    load: p95 of GET /slow is over 0.2 s
"""

import asyncio
import logging
import sqlite3

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from asgi_guard import Guard
from asgi_guard.testing import ATTACKS, BENIGN, LoadRule, attack_application, run_load

logging.disable()
database = sqlite3.connect(":memory:")
database.executescript("create table items (name text); insert into items values ('chair'), ('lamp');")


async def search(request):
    wanted = request.query_params.get("q", "")
    try:
        rows = database.execute(f"select name from items where name = '{wanted}'").fetchall()
    except sqlite3.Error:
        rows = []
    return JSONResponse({"found": rows})


async def slow(request):
    return await asyncio.sleep(0.3, JSONResponse({}))


app = Starlette(routes=[Route("/search", search), Route("/slow", slow)])
ROUTES = [("GET", "/search", {"q": "query"})]
COMMON = [payload for payload in ATTACKS if payload.attack in {"sqli", "xss", "traversal", "command", "ssi"}]


async def main():
    report = await attack_application(app, routes=ROUTES, payloads=COMMON, benign=BENIGN)
    print("holes:", *[f"{hole.attack} in {hole.route}, {hole.place} {hole.name}" for hole in report.holes])
    print(f"let through: {report.passed} of {report.passed + report.refused}")
    report = await attack_application(Guard(app), routes=ROUTES, payloads=COMMON, benign=BENIGN)
    told = f"{report.passed} of {report.passed + report.refused}, and ordinary texts refused"
    print(f"behind a guard, let through: {told}: {len(report.blocked_benign)}")
    load = await run_load(app, ["/search", "/slow"], requests=40, rule=LoadRule(p95_seconds=0.2))
    print("load:", load.failures[0].partition(" is ")[0], "is over 0.2 s")


asyncio.run(main())
