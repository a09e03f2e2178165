"""Rollback: what fails half-way has never been, and what is done twice is done once."""

from __future__ import annotations

import io

import pytest
from anyio import create_task_group
from sqlalchemy import func, select

from reconciliation import store
from reconciliation.matching import match
from reconciliation.models import DONE, MATCHED, STORED, Finding, Reconciliation, Row
from reconciliation.stage import LEFT, RIGHT, Service
from reconciliation.transactions import Side

pytestmark = pytest.mark.anyio

MANY = LEFT + "".join(f"M{number},M{number},2026-01-01,1.00,EUR\n" for number in range(2_500))


async def count(service: Service, *models: type) -> list[int]:
    async def counted(session) -> list[int]:
        return [await session.scalar(select(func.count()).select_from(model)) for model in models]

    return await service.state.database.do(counted)


async def stored(service: Service, fingerprint: str = "f") -> Reconciliation:
    """Store an upload that nobody works on: it is claimed already."""
    files = {side: (io.BytesIO(text.encode()), "f.csv") for side, text in zip(Side, (LEFT, RIGHT), strict=True)}
    upload = store.Upload(f"id-{fingerprint}", "ann", fingerprint, 3, files)

    async def store_claimed(session) -> Reconciliation:
        found, _ = await store.store_upload(session, upload)
        found.claimed_until = 1e12
        return found

    return await service.state.database.do(store_claimed)


async def test_a_bad_line_at_the_end_leaves_nothing_of_either_file(service: Service) -> None:
    answer = await service.upload(MANY, RIGHT + "R9,X,2026-01-01,many,EUR\n")

    assert answer.status == 422
    assert await count(service, Reconciliation, Row) == [0, 0]


async def test_a_failure_while_outcomes_are_written_leaves_none(service: Service) -> None:
    """One outcome is missing, so that what was written before is found to be incomplete."""
    found = await stored(service)
    rows = await service.state.database.do(store.rows_of, found.id)
    outcomes = match(rows[Side.LEFT], rows[Side.RIGHT])
    with pytest.raises(RuntimeError, match="no outcome"):
        await service.state.database.do(store.store_outcomes, found.id, outcomes[:-1])

    assert await count(service, Finding) == [0]
    assert (await service.ask("GET", f"/reconciliations/{found.id}")).json()["status"] == STORED


async def test_outcomes_are_written_once_by_two_who_matched_the_same(service: Service) -> None:
    found = await stored(service)
    rows = await service.state.database.do(store.rows_of, found.id)
    outcomes = match(rows[Side.LEFT], rows[Side.RIGHT])
    done = []

    async def write() -> None:
        done.append(await service.state.database.do(store.store_outcomes, found.id, outcomes))

    async with create_task_group() as tasks:
        tasks.start_soon(write)
        tasks.start_soon(write)

    assert sorted(done) == [False, True]
    assert await count(service, Finding) == [len(outcomes)]


async def test_the_same_upload_many_times_at_once_is_stored_once(service: Service) -> None:
    answers = []

    async def upload() -> None:
        answers.append(await service.upload())

    async with create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(upload)

    assert sorted(answer.status for answer in answers) == [200] * 7 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await count(service, Reconciliation, Row) == [1, 6]


async def test_a_claim_goes_to_one(service: Service) -> None:
    found = await stored(service)
    claims = []

    async def claim(process: str) -> None:
        claims.append(await service.state.database.do(store.claim, found.id, process))

    async def release(session) -> None:
        (await session.get(Reconciliation, found.id)).claimed_until = 0.0

    await claim("early")
    await service.state.database.do(release)
    async with create_task_group() as tasks:
        for process in ("one", "other"):
            tasks.start_soon(claim, process)

    assert claims[0] is None
    assert len([claim for claim in claims if claim is not None]) <= 1  # the service's own process may have been first


@pytest.mark.long
@pytest.mark.parametrize("status", [STORED, MATCHED])
async def test_what_a_dead_process_has_left_is_worked_off(service: Service, status: str) -> None:
    """Whatever step it was at: the claim is over, and the step is begun anew."""
    found = await stored(service)
    if status == MATCHED:
        rows = await service.state.database.do(store.rows_of, found.id)
        await service.state.database.do(store.store_outcomes, found.id, match(*rows.values()))

    async def release(session) -> None:
        (await session.get(Reconciliation, found.id)).claimed_until = 1.0

    await service.state.database.do(release)
    done = await service.until_done(found.id)

    assert (done["status"], done["exceptions"], done["explained"]) == (DONE, 1, 1)
