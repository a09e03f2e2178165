"""Security: who may what, what is refused before it is read, and what the audit log says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from asgi_guard.audit.verify import verify
from asgi_guard.testing import lifespan, websocket
from reconciliation import store
from reconciliation.ai_stand_in import StandIn
from reconciliation.settings import Settings
from reconciliation.stage import LEFT, RIGHT, USERS, Service, multipart

pytestmark = pytest.mark.anyio

PATHS = [
    ("POST", "/reconciliations"),
    ("GET", "/reconciliations"),
    ("GET", "/reconciliations/x"),
    ("GET", "/reconciliations/x/report"),
    ("GET", "/reconciliations/x/exceptions"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("shown", [None, "Bearer wrong", "Bearer ", "Basic YW5uOmFubg==", "Bearer " + "x" * 300])
async def test_nobody_is_let_in_without_a_token(service: Service, method: str, path: str, shown: str | None) -> None:
    answer = await service.ask(method, path, None, headers={"Authorization": shown} if shown else {})

    assert answer.status == 401
    assert answer.headers.get("www-authenticate") == "Bearer"
    assert answer.json()["error"]["code"] == "UNKNOWN_TOKEN"
    assert answer.headers.get("x-request-id")


async def test_the_body_of_a_stranger_is_not_asked_for(service: Service) -> None:
    """The answer comes while nothing of the body has: `incoming` has no message that could be received."""
    headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": "1000000"}
    answer = await service.ask("POST", "/reconciliations", None, headers=headers, incoming=[], afterwards="never")

    assert answer.status == 401


async def test_a_feed_is_refused_without_a_token(service: Service) -> None:
    async with websocket(service.app, "/reconciliations/x/progress") as feed:
        assert feed.accepted is None


@pytest.mark.parametrize("path", ["", "/report", "/exceptions"])
async def test_what_is_others_is_not_there(service: Service, path: str) -> None:
    found = (await service.upload()).json()["id"]
    theirs = await service.ask("GET", f"/reconciliations/{found}{path}", "bob")
    nobodys = await service.ask("GET", f"/reconciliations/none{path}", "bob")

    assert (theirs.status, theirs.json()["error"]) == (
        404,
        {**nobodys.json()["error"], "timestamp": theirs.json()["error"]["timestamp"]},
    )


async def test_an_auditor_uploads_nothing(service: Service) -> None:
    answer = await service.upload(user="eve")

    assert (answer.status, answer.json()["error"]["code"]) == (403, "READ_ONLY")


async def test_what_is_too_large_is_not_read(service: Service) -> None:
    answer = await service.ask("POST", "/reconciliations", headers={"Content-Length": "8000001"})

    assert (answer.status, answer.json()["error"]["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize("query", ["?q=1'+union+select+password+from+users--", "?q=%3Cscript%3Ealert(1)%3C/script%3E"])
async def test_an_attack_is_refused(service: Service, query: str) -> None:
    answer = await service.ask("GET", f"/reconciliations{query}")

    assert (answer.status, answer.json()["error"]["code"]) == (400, "VALIDATION_REFUSED")


async def test_what_looks_like_an_attack_in_a_file_is_data(service: Service) -> None:
    """It is stored by parameters and told as JSON, so it is what somebody wrote, and comes back as it was."""
    attack = "'; DROP TABLE outcomes; --"
    head = "id,reference,date,amount,currency,description\n"
    found = (await service.upload(f"{head}L1,Q,2026-01-01,1,EUR,{attack}\n", head)).json()["id"]
    await service.until_done(found)
    (exception,) = (await service.ask("GET", f"/reconciliations/{found}/exceptions")).json()["exceptions"]

    assert exception["left"][0]["description"] == attack


async def test_guessing_tokens_ends_soon(service: Service) -> None:
    answers = [await service.ask("GET", "/reconciliations", None) for _ in range(12)]
    of_a_user = await service.ask("GET", "/reconciliations")

    assert [answer.status for answer in answers] == [401] * 10 + [429] * 2
    assert of_a_user.status == 200


@pytest.mark.long
async def test_an_error_tells_nothing_of_the_database(service: Service) -> None:
    async def newest(session, user):
        await session.execute(text("SELECT secret FROM nowhere"))

    before, store.newest = store.newest, newest
    try:
        answer = await service.ask("GET", "/reconciliations")
    finally:
        store.newest = before

    assert (answer.status, answer.json()["error"]["code"]) in {(500, "INTERNAL_ERROR"), (503, "DATABASE_UNAVAILABLE")}
    assert b"nowhere" not in answer.body


async def test_the_audit_log_is_whole_and_names_no_token(settings: Settings, tmp_path: Path) -> None:
    service = Service(settings, StandIn())
    async with lifespan(service.app, timeout_seconds=20):
        found = (await service.upload()).json()["id"]
        await service.until_done(found)
        await service.ask("GET", f"/reconciliations/{found}/report")
        await service.ask("GET", f"/reconciliations/{found}", "bob")
        await service.ask("GET", "/reconciliations", None)
        await service.upload(user="eve")
    path = tmp_path / "audit.jsonl"
    told = [json.loads(line) for line in path.read_text().splitlines()]
    by_name = {(entry["event"], entry.get("subject")) for entry in told}

    assert verify([path], key=b"k" * 32).is_sound
    assert {
        ("upload_stored", "ann"),
        ("sensitive_update", "ann"),
        ("sensitive_read", "ann"),
        ("authz_fail", "bob"),
        ("authz_fail", "eve"),
        ("authn_login_fail", None),
    } <= by_name
    assert not any(token in path.read_text() for token, _ in USERS.values())
    assert all(entry.get("request_id") for entry in told if entry["event"] == "upload_stored")


async def test_a_files_name_is_made_safe(service: Service) -> None:
    content_type, body = multipart({"left": ("CON.csv", LEFT), "right": ("a\\b.csv", RIGHT)})
    answer = await service.ask("POST", "/reconciliations", headers={"Content-Type": content_type}, body=body)

    assert (answer.status, answer.json()["left"]["name"], answer.json()["right"]["name"]) == (202, "_CON.csv", "b.csv")


async def test_a_files_name_that_is_an_attack_is_refused(service: Service) -> None:
    content_type, body = multipart({"left": ("../../etc/passwd.csv", LEFT), "right": ("r.csv", RIGHT)})
    answer = await service.ask("POST", "/reconciliations", headers={"Content-Type": content_type}, body=body)

    assert (answer.status, answer.json()["error"]["code"]) == (400, "VALIDATION_REFUSED")


@pytest.mark.parametrize(
    ("switch", "parts"),
    [
        ("ENABLE_SECURITY_MIDDLEWARE", {"audit", "rate_limit", "validation", "security_headers"}),
        ("ENABLE_PERFORMANCE_MONITORING", {"telemetry", "monitor"}),
        ("ENABLE_ERROR_HANDLING", {"error_envelope"}),
    ],
)
async def test_a_switch_of_the_earlier_system_switches_off(settings: Settings, switch: str, parts: set[str]) -> None:
    service = Service(replace(settings, environ={switch: "false"}), StandIn())
    async with lifespan(service.app, timeout_seconds=20):
        answer = await service.upload()

    assert answer.status == 202
    assert not parts & {layer.name for layer in service.app.layers}
