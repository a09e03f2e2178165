"""Routes: what the service answers.

| | |
|---|---|
| `POST /reconciliations` | two files, `left` and `right`, and `window_days`: 202, or 200 where they were sent before |
| `GET /reconciliations` | the newest 50 |
| `GET /reconciliations/{id}` | how far one has come |
| `GET /reconciliations/{id}/report` | its money by currency, and its outcomes by kind |
| `GET /reconciliations/{id}/exceptions` | what did not match, `?after=` a number and `?limit=` 200 at most |
| `WS /reconciliations/{id}/progress` | each step, until it is done |

Rule 1: nobody's body is read before it is known who sends it; so the upload is read by hand.
Rule 2: money is told as text: a number of JSON becomes a float in many a client.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Any

from anyio import move_on_after, to_thread
from fastapi import APIRouter, Depends, Query, Request, Response, WebSocket
from starlette.datastructures import UploadFile
from starlette.websockets import WebSocketDisconnect

from asgi_guard import ConflictError, GuardError, ValidationError, performance_monitor
from asgi_guard.audit import report
from asgi_guard.sanitize import clean_filename
from asgi_guard.tokens import new_token
from reconciliation import store
from reconciliation.models import DONE, STORED, Finding, Reconciliation, Row
from reconciliation.settings import User
from reconciliation.transactions import Side, shown
from reconciliation.upload import digest, format_of

MAX_WINDOW_DAYS = 60
PROGRESS_SECONDS = 0.2

router = APIRouter(prefix="/reconciliations")


class NotMatchedYetError(ConflictError):
    error_code = "NOT_MATCHED_YET"
    message = "It is not matched yet."
    retryable = True
    retry_after = 1


def user_of(request: Request) -> User:
    return request.app.state.users.must_be_known(request.headers.get("authorization"))


Known = Annotated[User, Depends(user_of)]


@router.post("", status_code=202)
async def upload(request: Request, response: Response, user: Known) -> dict[str, Any]:
    request.app.state.users.must_be_clerk(user)
    async with request.form(max_files=2, max_fields=1, max_part_size=64) as form:
        files = {side: _file(form.get(side), side) for side in Side}
        window_days = _window(form.get("window_days", "3"))
        digests = [await to_thread.run_sync(digest, file) for file, _ in files.values()]
        formats = [format_of(name).__name__ for _, name in files.values()]
        fingerprint = sha256("\n".join([*digests, *formats, str(window_days)]).encode()).hexdigest()
        given = store.Upload(new_token(16), user.name, fingerprint, window_days, files)
        found, is_new = await request.app.state.database.do(store.store_upload, given)
    if is_new:
        rows = {"left_rows": found.left_rows, "right_rows": found.right_rows}
        report("upload_stored", "success", subject=user.name, reconciliation=found.id, **rows)
        performance_monitor.increment("reconciliation.uploads")
        request.app.state.jobs.wake()
    else:
        response.status_code = 200
    response.headers["location"] = f"/reconciliations/{found.id}"
    return told(found)


@router.get("")
async def newest(request: Request, user: Known) -> list[dict[str, Any]]:
    return [told(found) for found in await request.app.state.database.see(store.newest, user)]


@router.get("/{reconciliation}")
async def one(request: Request, reconciliation: str, user: Known) -> dict[str, Any]:
    return told(await _find(request, user, reconciliation))


@router.get("/{reconciliation}/report")
async def summary(request: Request, reconciliation: str, user: Known) -> dict[str, Any]:
    found = await _matched(request, user, reconciliation)
    totals, counts = await request.app.state.database.see(store.report, found.id)
    money = {
        currency: {
            "left": shown(each.left),
            "right": shown(each.right),
            "matched": shown(each.matched_left),
            "difference": shown(each.left - each.right),
        }
        for currency, each in totals.items()
    }
    report("sensitive_read", "success", subject=user.name, reconciliation=found.id)
    return {**told(found), "outcomes": counts, "money": money}


@router.get("/{reconciliation}/exceptions")
async def exceptions(
    request: Request,
    reconciliation: str,
    user: Known,
    after: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> dict[str, Any]:
    found = await _matched(request, user, reconciliation)
    page = await request.app.state.database.see(store.exceptions, found.id, after, limit)
    report("sensitive_read", "success", subject=user.name, reconciliation=found.id, after=after)
    return {
        "exceptions": [_exception(finding, rows) for finding, rows in page],
        "next_after": page[-1][0].number if len(page) == limit else None,
    }


@router.websocket("/{reconciliation}/progress")
async def progress(websocket: WebSocket, reconciliation: str) -> None:
    state = websocket.app.state
    user = state.users.must_be_known(websocket.headers.get("authorization"))
    found = await _find(websocket, user, reconciliation)
    await websocket.accept()
    last: dict[str, Any] = {}
    try:
        while last.get("status") != DONE:
            if found is not None and told(found) != last:
                last = told(found)
                await websocket.send_json(last)
                continue
            with move_on_after(PROGRESS_SECONDS):
                while (await websocket.receive())["type"] != "websocket.disconnect":
                    pass  # whatever a client says, the database is asked no sooner
                return
            try:
                found = await state.database.see(store.find, user, reconciliation)
            except GuardError:  # the database is away; the feed goes on when it is back
                found = None
        await websocket.close()
    except WebSocketDisconnect:  # while something was sent
        return


def told(found: Reconciliation) -> dict[str, Any]:
    """Tell how far a reconciliation has come."""
    return {
        "id": found.id,
        "owner": found.owner,
        "status": found.status,
        "left": {"name": found.left_name, "rows": found.left_rows},
        "right": {"name": found.right_name, "rows": found.right_rows},
        "window_days": found.window_days,
        "exceptions": found.exceptions,
        "explained": found.explained,
    }


def _exception(finding: Finding, rows: list[Row]) -> dict[str, Any]:
    return {
        "number": finding.number,
        "reason": finding.reason,
        "difference": None if finding.difference is None else shown(finding.difference),
        "suggestion": finding.suggestion,
        **{side.value: [_row(row) for row in rows if row.side == side] for side in Side},
    }


def _row(row: Row) -> dict[str, str]:
    return {
        "id": row.id,
        "reference": row.reference,
        "date": row.on.isoformat(),
        "amount": shown(row.amount),
        "currency": row.currency,
        "description": row.description,
    }


async def _find(request: Request | WebSocket, user: User, reconciliation: str) -> Reconciliation:
    try:
        return await request.app.state.database.see(store.find, user, reconciliation)
    except store.NoReconciliationError:
        report("authz_fail", "refused", subject=user.name, reason="not there, or not theirs")
        raise


async def _matched(request: Request, user: User, reconciliation: str) -> Reconciliation:
    found = await _find(request, user, reconciliation)
    if found.status == STORED:
        raise NotMatchedYetError
    return found


def _file(sent: object, side: Side) -> tuple[Any, str]:
    if not isinstance(sent, UploadFile) or not sent.filename:
        raise ValidationError(f"Send a file as {side}.", error_code="NO_FILE")
    name = clean_filename(sent.filename)
    format_of(name)
    return sent.file, name


def _window(sent: object) -> int:
    if isinstance(sent, str) and sent.isascii() and sent.isdigit() and len(sent) < 3 and int(sent) <= MAX_WINDOW_DAYS:
        return int(sent)
    raise ValidationError(f"window_days is a number from 0 to {MAX_WINDOW_DAYS}.", error_code="BAD_WINDOW")
