"""Endpoints: what is uploaded is matched, told and explained, to those who may know it."""

from __future__ import annotations

import json

import pytest

from asgi_guard.testing import websocket
from reconciliation.stage import LEFT, RIGHT, TOKEN, USERS, Service, multipart

pytestmark = pytest.mark.anyio


async def test_two_files_become_a_report(service: Service) -> None:
    answer = await service.upload()
    found = await service.until_done(answer.json()["id"])
    report = (await service.ask("GET", f"/reconciliations/{found['id']}/report")).json()

    assert answer.status == 202
    assert answer.headers.get("location") == f"/reconciliations/{found['id']}"
    assert report["outcomes"] == {"exact": 1, "dated": 1, "amount_differs": 1}
    assert report["money"] == {"EUR": {"left": "20.50", "right": "20.40", "matched": "13.00", "difference": "0.10"}}


async def test_an_exception_is_told_with_a_suggestion(service: Service) -> None:
    found = await service.until_done((await service.upload()).json()["id"])
    (exception,) = (await service.ask("GET", f"/reconciliations/{found['id']}/exceptions")).json()["exceptions"]

    assert (exception["reason"], exception["difference"]) == ("amount_differs", "0.10")
    assert [row["id"] for side in ("left", "right") for row in exception[side]] == ["L2", "R2"]
    assert exception["suggestion"].startswith("A fee or a discount")
    assert found["explained"] == 1


async def test_exceptions_come_page_by_page(service: Service) -> None:
    rows = "".join(f"L{number},,2026-01-01,{number}.01,EUR\n" for number in range(1, 8))
    found = await service.until_done((await service.upload("id,reference,date,amount,currency\n" + rows)).json()["id"])
    seen, after = [], 0
    while after is not None:
        page = (await service.ask("GET", f"/reconciliations/{found['id']}/exceptions?after={after}&limit=4")).json()
        seen += [row["id"] for each in page["exceptions"] for side in ("left", "right") for row in each[side]]
        after = page["next_after"]

    assert sorted(seen) == [*(f"L{number}" for number in range(1, 8)), "R1", "R2", "R3"]


@pytest.mark.long
async def test_the_same_upload_again_is_the_same_reconciliation(service: Service) -> None:
    first, second = await service.upload(), await service.upload()

    assert (first.status, second.status) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert len((await service.ask("GET", "/reconciliations")).json()) == 1


async def test_another_window_or_another_user_is_another_reconciliation(service: Service) -> None:
    answers = [await service.upload(), await service.upload(window_days="1"), await service.upload(user="bob")]

    assert len({answer.json()["id"] for answer in answers}) == 3


async def test_json_lines_are_read_and_their_numbers_are_exact(service: Service) -> None:
    line = '{"id": "%s", "reference": "A", "date": "2026-01-01", "amount": 0.1, "currency": "EUR"}\n'
    both = {"left": ("l.jsonl", line % "L1"), "right": ("r.ndjson", line % "R1")}
    content_type, body = multipart(both)
    answer = await service.ask("POST", "/reconciliations", headers={"Content-Type": content_type}, body=body)
    found = await service.until_done(answer.json()["id"])
    report = (await service.ask("GET", f"/reconciliations/{found['id']}/report")).json()

    assert report["money"]["EUR"]["matched"] == "0.10"


async def test_the_progress_is_fed_until_it_is_done(service: Service) -> None:
    found = (await service.upload()).json()["id"]
    headers = {"Authorization": f"Bearer {USERS['ann'][0]}"}
    async with websocket(service.app, f"/reconciliations/{found}/progress", headers=headers) as feed:
        told = []
        while (message := await feed.receive()) is not None:
            told.append(json.loads(message)["status"])

    assert told[-1] == "done"
    assert sorted(told, key=["stored", "matched", "done"].index) == told
    assert feed.close_code == 1000


@pytest.mark.long
async def test_who_talks_to_the_feed_is_not_answered_sooner(service: Service) -> None:
    service.stand_in.follow([{"latency_seconds": 0.5}])
    found = (await service.upload()).json()["id"]
    headers = {"Authorization": f"Bearer {USERS['ann'][0]}"}
    async with websocket(service.app, f"/reconciliations/{found}/progress", headers=headers) as feed:
        for _ in range(50):
            feed.send("now?")
            feed.send(b"now?")
        told = 0
        while await feed.receive() is not None:
            told += 1

    assert told <= 4


async def test_an_auditor_sees_everything(service: Service) -> None:
    found = (await service.upload()).json()["id"]

    assert [each["id"] for each in (await service.ask("GET", "/reconciliations", "eve")).json()] == [found]
    assert (await service.ask("GET", f"/reconciliations/{found}", "eve")).status == 200


@pytest.mark.parametrize("path", ["/health", "/readyz", "/metrics", "/performance/summary", "/performance"])
async def test_how_it_is_can_be_seen_with_the_token(service: Service, path: str) -> None:
    await service.until_done((await service.upload()).json()["id"])
    answer = await service.ask("GET", path, None, headers={"Authorization": f"Bearer {TOKEN}"})

    assert answer.status == 200
    if path == "/metrics":
        assert b"reconciliation_matched_total" in answer.body
        assert b"reconciliation_database_seconds" in answer.body


async def test_the_health_names_the_database(service: Service) -> None:
    answer = await service.ask("GET", "/health", None, headers={"Authorization": f"Bearer {TOKEN}"})

    found = [found for name, found in answer.json()["checks"].items() if name.startswith("database")]
    assert [each["status"] for each in found[0]] == ["pass"]  # a busy machine may be warned of beside it


@pytest.mark.parametrize(
    ("left", "line", "why"),
    [
        ("id,date,amount\nL1,2026-01-01,1\n", 1, "the head names"),
        (LEFT + "L4,D,2026-13-01,1,EUR\n", 5, "date is a day"),
        (LEFT + "L4,D,2026-01-01,1e9,EUR\n", 5, "amount is a decimal"),
        (LEFT + "L4,D,2026-01-01,NaN,EUR\n", 5, "amount is a decimal"),
        (LEFT + "L4,D,2026-01-01,0.00001,EUR\n", 5, "amount is a decimal"),
        (LEFT + "L4,D,2026-01-01,1,euro\n", 5, "currency is three"),
        (LEFT + "L1,D,2026-01-01,1,EUR\n", 5, "id is there twice"),
        (LEFT + ",D,2026-01-01,1,EUR\n", 5, "id cannot be read"),
        (LEFT + "L4,D,2026-01-01,1\n", 5, "not as many fields"),
        (LEFT + 'L4,"D,2026-01-01,1,EUR\n', 5, "a quote is not closed"),
        (LEFT + "x" * 5_000, 5, "longer than 4,096 bytes"),
        ("", 0, "the head names"),
    ],
)
async def test_a_bad_line_is_told_by_its_number(service: Service, left: str, line: int, why: str) -> None:
    answer = await service.upload(left)

    assert answer.status == 422
    assert answer.json()["error"]["code"] == "BAD_FILE"
    assert f"line {line}: " in answer.json()["error"]["message"]
    assert why in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("files", "fields", "code"),
    [
        ({"left": ("l.csv", LEFT)}, {}, "NO_FILE"),
        ({"left": ("l.csv", LEFT), "right": ("r.exe", RIGHT)}, {}, "BAD_FILE"),
        ({"left": ("l.csv", LEFT), "right": ("r.csv", RIGHT)}, {"window_days": "61"}, "BAD_WINDOW"),
        ({"left": ("l.csv", LEFT), "right": ("r.csv", RIGHT)}, {"window_days": "-1"}, "BAD_WINDOW"),
    ],
)
async def test_a_wrong_form_is_refused(service: Service, files: dict, fields: dict, code: str) -> None:
    content_type, body = multipart(files, fields)
    answer = await service.ask("POST", "/reconciliations", headers={"Content-Type": content_type}, body=body)

    assert (answer.status, answer.json()["error"]["code"]) == (422, code)
