"""The integration of the earlier system: its three names do what they did."""

from __future__ import annotations

import pytest

from asgi_guard import DatabaseError, Endpoints, performance_monitor
from asgi_guard.testing import call, lifespan
from reconciliation.ai_stand_in import StandIn
from reconciliation.earlier import SECURITY_CONFIG, create_earlier_app, error_handler
from reconciliation.settings import Settings
from reconciliation.stage import TOKEN, Service

pytestmark = pytest.mark.anyio


def earlier(settings: Settings, **changed: object) -> Service:
    return Service(settings, StandIn(), lambda _: create_earlier_app(settings, {**SECURITY_CONFIG, **changed}))


async def test_the_service_works_behind_it(settings: Settings) -> None:
    service = earlier(settings)
    async with lifespan(service.app, timeout_seconds=20):
        answer = await service.upload()
        found = await service.until_done(answer.json()["id"])

    assert (answer.status, found["exceptions"]) == (202, 1)
    assert answer.headers.get("x-content-type-options") == "nosniff"
    assert answer.headers.get("x-request-id")


async def test_its_middleware_refuses(settings: Settings) -> None:
    service = earlier(settings, rate_limit_requests=3)
    async with lifespan(service.app, timeout_seconds=20):
        blocked = await call(service.app, "GET", "/reconciliations", client=("203.0.113.66", 4711))
        attack = await service.ask("GET", "/reconciliations?q=%3Cscript%3Ealert(1)%3C/script%3E")
        statuses = [(await service.ask("GET", "/reconciliations")).status for _ in range(3)]

    assert (blocked.status, attack.status, statuses) == (403, 400, [200, 200, 429])


async def test_its_handler_answers_what_is_raised(settings: Settings) -> None:
    service = earlier(settings)

    @service.app.get("/database")
    async def database() -> None:
        raise DatabaseError("host 10.0.0.7", details={"operation": "query"})

    @service.app.get("/unforeseen")
    async def unforeseen() -> None:
        raise ZeroDivisionError("secret")

    async with lifespan(service.app, timeout_seconds=20):
        told = await service.ask("GET", "/database")
        stranger = await service.ask("GET", "/reconciliations", None)
        with pytest.raises(ZeroDivisionError):  # as Starlette does after a handler for Exception has answered
            await service.ask("GET", "/unforeseen")

    assert (told.status, told.json()["error"]["code"]) == (503, "DATABASE_ERROR")
    assert told.json()["error"]["retryable"] is True
    assert told.json()["request_id"] == told.headers.get("x-request-id")
    assert b"10.0.0.7" not in told.body
    assert stranger.status == 401


async def test_handle_error_returns_a_response() -> None:
    answer = await error_handler.handle_error(KeyError("secret"), {"request_id": "req_123456"})

    assert answer.status_code == 500
    assert b"req_123456" in answer.body
    assert b"secret" not in answer.body


async def test_its_monitor_counts_by_route(settings: Settings) -> None:
    service = earlier(settings, endpoints=Endpoints(token=TOKEN))
    async with lifespan(service.app, timeout_seconds=20):
        await service.ask("GET", "/reconciliations/a-path-that-is-no-name")
        answer = await service.ask("GET", "/metrics", None, headers={"Authorization": f"Bearer {TOKEN}"})
    found = 'http_route="/reconciliations/{reconciliation}"'
    counted = [line for line in answer.body.decode().splitlines() if "tracked_request_duration_seconds_count" in line]

    assert any(f'{found},http_response_status_code="404"' in line for line in counted)
    assert not any("a-path-that-is-no-name" in line for line in counted)
    assert {"cpu_usage", "memory_usage", "disk_usage"} == {*performance_monitor.get_system_metrics()}
