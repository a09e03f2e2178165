"""The dashboard of a real guard, with live traffic behind it: the page shows what the summary of that moment says."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from dashboard_stage import Stage, Visit, on_stage

from asgi_guard import Endpoints, Guard, Monitor, Telemetry
from asgi_guard.monitor.cells import Aggregate

DASHBOARD = "/performance"
TOKEN = "correct-horse-battery"


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Sell things, and fail at one of them."""
    scope["asgi_guard.route"] = "/items/{id}"
    status = 500 if scope["path"].endswith("broken") else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def test_the_page_shows_what_the_summary_says(browser: Any) -> None:
    """Requests, errors, refusals, alerts and workers; without a complaint, and without asking anybody else."""
    stage = Stage()
    guard = Guard(
        shop,
        telemetry=Telemetry(aggregate=Aggregate()),
        monitor=Monitor(period_seconds=1, log_alerts=False),
        endpoints=Endpoints(local=True),
        security_headers="strict",
        rate_limit="40/minute",
    )
    stage.app = guard  # type: ignore[assignment]
    with on_stage(stage) as served:
        host = served.address.removesuffix("/performance/dashboard")
        served.address = host + DASHBOARD
        visit = Visit(browser, served)
        page = visit.open()
        for number in range(60):
            ask(f"{host}/items/{'broken' if number % 4 == 0 else number}")
        visit.wait("summaryShown !== null && summaryShown.windows['1m'].all.requests >= 60")
        page.get_by_role("button", name="Pause", exact=True).click()
        visit.wait("!poll.isAsking")
        shown = page.evaluate("summaryShown")
        values = page.locator("#figures .value").evaluate_all("cells => cells.map(c => +c.dataset.value)")

        minute = shown["windows"]["1m"]["all"]
        assert values[:4] == [
            minute[name] for name in ("requests_per_second", "error_rate", "p95_seconds", "p99_seconds")
        ]
        assert values[4] == sum(refusal["count"] for refusal in shown["refusals"]) == 20
        assert (minute["requests"], minute["errors"], minute["client_errors"]) == (60, 10, 20)
        told = json.loads(ask(f"{host}/performance/summary?windows=1m"))
        assert told["windows"]["1m"]["all"]["requests"] == 60
        assert "error_rate" in page.locator("#alerts").inner_text()
        assert visit.complaints == []
        assert visit.origins == {host}
        visit.context.close()
    guard.part("monitor").watcher.end()


@pytest.mark.parametrize("dashboard", ["/performance", "/ops/board"])
def test_a_password_shows_the_page_wherever_it_is(browser: Any, dashboard: str) -> None:
    """Also where the summary is in another folder, to which no browser sends it unasked."""
    stage = Stage()
    guard = Guard(
        shop,
        telemetry=Telemetry(aggregate=Aggregate()),
        monitor=Monitor(period_seconds=1, log_alerts=False),
        endpoints=Endpoints(token=TOKEN, challenge=True, dashboard=dashboard),
    )
    stage.app = guard  # type: ignore[assignment]
    with on_stage(stage) as served:
        served.address = served.address.removesuffix("/performance/dashboard") + dashboard
        visit = Visit(browser, served, http_credentials={"username": "me", "password": TOKEN})
        visit.open()
        visit.wait("summaryShown !== null")
        visit.context.close()
    guard.part("monitor").watcher.end()


def ask(url: str) -> bytes:
    """Ask for something, whatever the answer is."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.read()
