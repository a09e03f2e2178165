"""Jobs: works off what was uploaded, one at a time in each process, and goes on with what a dead process has left.

A job is claimed for some seconds. Who dies loses its claim, and another process begins that step anew: it comes to the
same outcomes, since matching is a function, and they are written once, since only one of the two finds it unmatched.
Rule 1: what was answered with 202 is worked off, whatever fails in between, as long as one process serves.
Rule 2: a job that fails keeps nobody from the others.
"""

from __future__ import annotations

import logging
import os
import secrets

from anyio import Event, create_task_group, move_on_after, sleep, to_thread

from asgi_guard import AuditLog, GuardError, PerformanceTracker, performance_monitor
from reconciliation import store
from reconciliation.ai import Advisor
from reconciliation.database import Database
from reconciliation.matching import match
from reconciliation.models import STORED, Finding, Reconciliation
from reconciliation.transactions import Side, shown

MAX_EXPLAINED = 200
"""So many exceptions of a reconciliation are shown to the advisor."""

_AT_A_TIME = 8
_IDLE_SECONDS = 0.5
logger = logging.getLogger("reconciliation")


class Jobs:
    """The jobs of one process.

    Args:
        database: where they are.
        advisor: suggests reasons.

    Attributes:
        audit: the log of the guard, where there is one.
    """

    def __init__(self, database: Database, advisor: Advisor) -> None:
        self.audit: AuditLog | None = None
        self._database = database
        self._advisor = advisor
        self._process = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._news = Event()

    def wake(self) -> None:
        """Say that there is something to do."""
        self._news.set()

    async def run(self) -> None:
        """Work until it is cancelled."""
        while True:
            self._news = Event()
            try:
                performance_monitor.set_gauge("reconciliation.waiting", await self._database.see(store.waiting))
                if due := await self._database.see(store.due):
                    if found := await self._database.do(store.claim, due, self._process):
                        await self.work_off(found)
                    continue
            except GuardError as error:  # the database is away: it has been said, and will be back
                logger.debug("jobs wait: %s", error)
            except Exception:
                logger.exception("a job failed; it is tried again when its claim is over")
                await sleep(_IDLE_SECONDS)
            with move_on_after(_IDLE_SECONDS):
                await self._news.wait()

    async def work_off(self, found: Reconciliation) -> None:
        """Do what is left to do of a reconciliation."""
        if found.status == STORED:
            rows = await self._database.see(store.rows_of, found.id)
            with PerformanceTracker(performance_monitor, "reconciliation.match"):
                outcomes = await to_thread.run_sync(match, rows[Side.LEFT], rows[Side.RIGHT], found.window_days)
            if await self._database.do(store.store_outcomes, found.id, outcomes):
                performance_monitor.increment("reconciliation.matched")
                self._note(found, outcomes=len(outcomes))
        await self._explain(found.id)
        await self._database.do(store.finish, found.id)

    async def _explain(self, reconciliation: str) -> None:
        number = explained = 0
        while explained < MAX_EXPLAINED:
            page = await self._database.see(store.unexplained, reconciliation, number, _AT_A_TIME)
            if not page:
                return
            number, explained = page[-1].number, explained + len(page)
            suggestions: list[tuple[int, str | None]] = []

            async def ask(finding: Finding, suggestions: list[tuple[int, str | None]] = suggestions) -> None:
                difference = None if finding.difference is None else shown(finding.difference)
                told = {"reason": finding.reason, "difference": difference}
                suggestions.append((finding.number, await self._advisor.suggest(told)))

            async with create_task_group() as tasks:
                for finding in page:
                    tasks.start_soon(ask, finding)
            await self._database.do(store.store_suggestions, reconciliation, suggestions, explained)

    def _note(self, found: Reconciliation, **facts: int) -> None:
        if self.audit is not None:  # outside of requests `report` knows no log
            self.audit.record("sensitive_update", "success", subject=found.owner, reconciliation=found.id, **facts)
