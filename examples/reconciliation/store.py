"""Store: what is written and read, each function a transaction of its own: see `Database.do`.

Rule 1: each can be done twice without harm.
Rule 2: who is no auditor finds what is their own, and of everything else not even that it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice
from time import time
from typing import IO, Any, Final

from anyio import to_thread
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from asgi_guard import NotFoundError
from reconciliation.matching import Kind, Outcome
from reconciliation.models import DONE, MATCHED, STORED, Finding, Money, Reconciliation, Row
from reconciliation.settings import User
from reconciliation.transactions import Side, Transaction
from reconciliation.upload import read

BATCH: Final = 1_000
LEASE_SECONDS: Final = 10.0
"""How long a process has what it has claimed to itself; where it dies, another one goes on then."""


class NoReconciliationError(NotFoundError):
    error_code = "NO_RECONCILIATION"
    message = "There is no reconciliation with this id."


@dataclass(frozen=True, slots=True)
class Upload:
    """Two files that somebody sent.

    Attributes:
        id: of the reconciliation, if it is a new one.
        files: each side's file, and its name.
    """

    id: str
    owner: str
    fingerprint: str
    window_days: int
    files: dict[Side, tuple[IO[bytes], str]]


async def store_upload(session: AsyncSession, upload: Upload) -> tuple[Reconciliation, bool]:
    """Write both files, line by line as they are read; return what is there now, and whether it is new.

    Raises:
        BadFileError: a line is wrong; nothing is written then.
    """
    values = {
        "id": upload.id,
        "owner": upload.owner,
        "fingerprint": upload.fingerprint,
        "window_days": upload.window_days,
        "left_name": upload.files[Side.LEFT][1],
        "right_name": upload.files[Side.RIGHT][1],
        "created_at": time(),
    }
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    added = await session.execute(dialect.insert(Reconciliation).values(values).on_conflict_do_nothing())
    if added.rowcount:
        for side, (file, name) in upload.files.items():
            file.seek(0)
            number = await _store_rows(session, upload.id, side, read(file, name, side))
            counted = {f"{side}_rows": number}
            await session.execute(update(Reconciliation).where(Reconciliation.id == upload.id).values(counted))
    same = (Reconciliation.owner == upload.owner, Reconciliation.fingerprint == upload.fingerprint)
    found = (await session.scalars(select(Reconciliation).where(*same))).one()
    return found, found.id == upload.id


async def _store_rows(session: AsyncSession, reconciliation: str, side: Side, read: Iterator[Transaction]) -> int:
    number = 0
    while batch := await to_thread.run_sync(partial(_values, reconciliation, side, read)):
        await session.execute(insert(Row), batch)
        number += len(batch)
    return number


def _values(reconciliation: str, side: Side, read: Iterator[Transaction]) -> list[dict[str, Any]]:
    return [
        {
            "reconciliation_id": reconciliation,
            "side": side.value,
            "id": each.id,
            "on": each.on,
            "reference": each.reference,
            "amount": each.amount,
            "currency": each.currency,
            "description": each.description,
        }
        for each in islice(read, BATCH)
    ]


async def find(session: AsyncSession, user: User, reconciliation: str) -> Reconciliation:
    """Find one that the user may see.

    Raises:
        NoReconciliationError: there is none.
    """
    found = await session.get(Reconciliation, reconciliation)
    if found is None or (user.role != "auditor" and found.owner != user.name):
        raise NoReconciliationError
    return found


async def newest(session: AsyncSession, user: User) -> Sequence[Reconciliation]:
    """Find the newest 50 that the user may see."""
    query = select(Reconciliation).order_by(Reconciliation.created_at.desc()).limit(50)
    return (
        await session.scalars(query if user.role == "auditor" else query.where(Reconciliation.owner == user.name))
    ).all()


async def due(session: AsyncSession) -> str | None:
    """Find the oldest one that is not done and that nobody works on."""
    is_due = (Reconciliation.status != DONE, Reconciliation.claimed_until < time())
    return await session.scalar(select(Reconciliation.id).where(*is_due).order_by(Reconciliation.created_at).limit(1))


async def claim(session: AsyncSession, reconciliation: str, process: str) -> Reconciliation | None:
    """Take it, unless another process has just done so."""
    now = time()
    this = (Reconciliation.id == reconciliation, Reconciliation.claimed_until < now, Reconciliation.status != DONE)
    until = {"claimed_by": process, "claimed_until": now + LEASE_SECONDS}
    taken = await session.execute(update(Reconciliation).where(*this).values(until))
    return await session.get(Reconciliation, reconciliation) if taken.rowcount else None


async def rows_of(session: AsyncSession, reconciliation: str) -> dict[Side, list[Transaction]]:
    """Read both files back, part by part, so that others are served in between."""
    found: dict[Side, list[Transaction]] = {Side.LEFT: [], Side.RIGHT: []}
    columns = (Row.side, Row.on, Row.id, Row.reference, Row.amount, Row.currency, Row.description)
    rows = await session.stream(
        select(*columns).where(Row.reconciliation_id == reconciliation), execution_options={"yield_per": BATCH}
    )
    async for part in rows.partitions():
        for side, *fields in part:
            found[Side(side)].append(Transaction(*fields))
    return found


async def store_outcomes(session: AsyncSession, reconciliation: str, outcomes: Sequence[Outcome]) -> bool:
    """Write all outcomes at once, unless somebody has; tell whether it was done now.

    Raises:
        RuntimeError: a transaction has no outcome; nothing is written then.
    """
    this = Reconciliation.id == reconciliation
    exceptions = sum(outcome.kind is Kind.EXCEPTION for outcome in outcomes)
    done = await session.execute(
        update(Reconciliation)
        .where(this, Reconciliation.status == STORED)
        .values(status=MATCHED, exceptions=exceptions)
    )
    if not done.rowcount:
        return False
    findings = [
        {
            "reconciliation_id": reconciliation,
            "number": number,
            "kind": outcome.kind.value,
            "reason": outcome.reason and outcome.reason.value,
            "difference": outcome.difference,
        }
        for number, outcome in enumerate(outcomes, 1)
    ]
    members = [
        {"reconciliation_id": reconciliation, "side": side, "id": each.id, "outcome": number}
        for number, outcome in enumerate(outcomes, 1)
        for side, each in _members(outcome)
    ]
    for each, batches in ((insert(Finding), findings), (update(Row), members)):
        for at in range(0, len(batches), BATCH):
            await session.execute(each, batches[at : at + BATCH])
    without = select(func.count()).where(Row.reconciliation_id == reconciliation, Row.outcome.is_(None))
    if await session.scalar(without):
        raise RuntimeError("a transaction has no outcome")
    return True


def _members(outcome: Outcome) -> Iterator[tuple[str, Transaction]]:
    yield from (("left", each) for each in outcome.left)
    yield from (("right", each) for each in outcome.right)


async def unexplained(session: AsyncSession, reconciliation: str, after: int, limit: int) -> Sequence[Finding]:
    """Find exceptions that nobody has suggested a reason for."""
    this = (Finding.reconciliation_id == reconciliation, Finding.kind == Kind.EXCEPTION.value)
    query = select(Finding).where(*this, Finding.suggestion.is_(None), Finding.number > after)
    return (await session.scalars(query.order_by(Finding.number).limit(limit))).all()


async def store_suggestions(
    session: AsyncSession, reconciliation: str, suggestions: Iterable[tuple[int, str | None]], explained: int
) -> None:
    """Write what was suggested, and how far that is."""
    told = [
        {"reconciliation_id": reconciliation, "number": number, "suggestion": suggestion}
        for number, suggestion in suggestions
        if suggestion is not None
    ]
    if told:
        await session.execute(update(Finding), told)
    progress = {"explained": explained, "claimed_until": time() + LEASE_SECONDS}
    await session.execute(update(Reconciliation).where(Reconciliation.id == reconciliation).values(progress))


async def finish(session: AsyncSession, reconciliation: str) -> None:
    """Say that nothing is left to do."""
    this = (Reconciliation.id == reconciliation, Reconciliation.status == MATCHED)
    await session.execute(update(Reconciliation).where(*this).values(status=DONE, finished_at=time()))


async def waiting(session: AsyncSession) -> int:
    """Count what is not done."""
    return await session.scalar(select(func.count()).where(Reconciliation.status != DONE)) or 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The money of one currency: of each file, and of what was matched in each."""

    left: Decimal
    right: Decimal
    matched_left: Decimal
    matched_right: Decimal


async def report(session: AsyncSession, reconciliation: str) -> tuple[dict[str, Totals], dict[str, int]]:
    """Sum up: the money by currency, and the outcomes by kind, exceptions by reason."""
    sums: dict[str, dict[tuple[str, bool], Decimal]] = {}
    is_matched = Finding.kind != Kind.EXCEPTION.value
    same = (Finding.reconciliation_id == Row.reconciliation_id) & (Finding.number == Row.outcome)
    query = (
        select(Row.currency, Row.side, is_matched, func.sum(Row.amount, type_=Money()))
        .join(Finding, same)
        .where(Row.reconciliation_id == reconciliation)
        .group_by(Row.currency, Row.side, is_matched)
    )
    for currency, side, is_it, amount in await session.execute(query):
        sums.setdefault(currency, {})[side, bool(is_it)] = amount
    totals = {}
    for currency, found in sorted(sums.items()):
        matched, open_ = (
            [found.get((side, is_it), Decimal(0)) for side in ("left", "right")] for is_it in (True, False)
        )
        totals[currency] = Totals(matched[0] + open_[0], matched[1] + open_[1], *matched)
    kinds = select(Finding.kind, Finding.reason, func.count()).where(Finding.reconciliation_id == reconciliation)
    counts = {
        reason or kind: number
        for kind, reason, number in await session.execute(kinds.group_by(Finding.kind, Finding.reason))
    }
    return totals, counts


async def exceptions(
    session: AsyncSession, reconciliation: str, after: int, limit: int
) -> list[tuple[Finding, list[Row]]]:
    """Read a page of exceptions, by number, each with its transactions."""
    this = (Finding.reconciliation_id == reconciliation, Finding.kind == Kind.EXCEPTION.value, Finding.number > after)
    page = (await session.scalars(select(Finding).where(*this).order_by(Finding.number).limit(limit))).all()
    rows: dict[int | None, list[Row]] = {}
    numbers = [finding.number for finding in page]
    query = select(Row).where(Row.reconciliation_id == reconciliation, Row.outcome.in_(numbers))
    for row in await session.scalars(query.order_by(Row.side, Row.id)):
        rows.setdefault(row.outcome, []).append(row)
    return [(finding, rows[finding.number]) for finding in page]
