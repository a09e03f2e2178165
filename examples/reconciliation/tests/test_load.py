"""Load: many at once are all served right, and what is more than may be is refused and not half done."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from anyio import CapacityLimiter, create_task_group

from asgi_guard.testing import lifespan
from reconciliation.ai_stand_in import StandIn
from reconciliation.settings import Settings
from reconciliation.stage import Service

pytestmark = pytest.mark.anyio

HEAD = "id,reference,date,amount,currency\n"


def files(seed: int) -> tuple[str, str, dict[str, int]]:
    """Write two files of which it is known what comes out."""
    random = Random(seed)
    counts = {"exact": 40, "amount_differs": 5, "missing_right": 4, "missing_left": 3, "split": 2}
    left, right = [], []
    for number, kind in enumerate(kind for kind, times in counts.items() for _ in range(times)):
        amount = Decimal(random.randrange(100, 100_000)) / 100
        row = f"{number},{kind}-{number},2026-01-{1 + number % 28:02}"
        if kind != "missing_left":
            left.append(f"{row},{amount},EUR\n")
        if kind == "split":
            right += [f"{number}{part},{row.partition(',')[2]},{amount / 2},EUR\n" for part in "ab"]
        elif kind != "missing_right":
            right.append(f"{row},{amount + (kind == 'amount_differs')},EUR\n")
    return HEAD + "".join(random.sample(left, len(left))), HEAD + "".join(random.sample(right, len(right))), counts


@pytest.mark.long
async def test_many_uploads_at_once_are_each_reconciled_right(service: Service) -> None:
    reports: dict[int, dict[str, int]] = {}
    at_a_time = CapacityLimiter(12)

    async def one(seed: int) -> None:
        left, right, _ = files(seed)
        async with at_a_time:
            answer = await service.upload(left, right, user="ann" if seed % 2 else "bob")
            assert answer.status == 202
            found = await service.until_done(answer.json()["id"])
            reports[seed] = (await service.ask("GET", f"/reconciliations/{found['id']}/report", "eve")).json()[
                "outcomes"
            ]

    async with create_task_group() as tasks:
        for seed in range(30):
            tasks.start_soon(one, seed)

    assert reports == {seed: files(seed)[2] for seed in range(30)}


@pytest.mark.long
async def test_who_asks_too_often_is_told_and_nobody_else_is(settings: Settings) -> None:
    service = Service(replace(settings, rate="20/minute"), StandIn())
    async with lifespan(service.app, timeout_seconds=20):
        of_ann = Counter([(await service.ask("GET", "/reconciliations", "ann")).status for _ in range(30)])
        of_bob = Counter([(await service.ask("GET", "/reconciliations", "bob")).status for _ in range(10)])

    assert of_ann == {200: 20, 429: 10}
    assert of_bob == {200: 10}


@pytest.mark.long
async def test_a_file_as_large_as_may_be_is_matched_whole(service: Service) -> None:
    rows = HEAD + "".join(f"{number},R{number},2026-01-01,{number}.25,EUR\n" for number in range(20_000))
    answer = await service.upload(rows, rows)
    found = await service.until_done(answer.json()["id"])
    report = (await service.ask("GET", f"/reconciliations/{found['id']}/report")).json()

    assert report["outcomes"] == {"exact": 20_000}
    assert report["money"]["EUR"]["matched"] == "199995000.00"


@pytest.mark.long
async def test_a_row_more_is_refused(service: Service) -> None:
    rows = HEAD + "".join(f"{number},R,2026-01-01,1,EUR\n" for number in range(20_001))

    assert "more than 20,000 rows" in (await service.upload(rows, HEAD)).json()["error"]["message"]
