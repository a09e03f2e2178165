"""Log: what applications and layers write entries with.

    audit = AuditLog(Audit(path="audit.jsonl", key=os.environ["AUDIT_KEY"]))
    audit.record("authn_login_fail", "failure", subject="user7", reason="bad password")

Within a request that a guard with an audit log serves, `report` finds that log, and who asks from where.
Must never wait for a disk, unless the settings say so, and never fail a request for what could not be noted.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, Final, Unpack

from asgi_guard.audit.entry import KEPT, OUTCOMES, Entry, Outcome
from asgi_guard.audit.settings import Audit, AuditFields
from asgi_guard.audit.vocabulary import PREFIXES, SEVERITIES, VOCABULARY, Severity
from asgi_guard.audit.writer import CLOSE_SECONDS, Writer
from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.correlation import current_request_id, current_trace_id
from asgi_guard.errors.details import plain
from asgi_guard.events import printable
from asgi_guard.settings import build

_LONGEST_TEXT: Final = 256
_ALIKE: Final = 0.9  # of the letters: a name that is nearly one of the vocabulary is a mistake
_logger: Final = logging.getLogger("asgi_guard.audit")


class AuditLog:
    """An audit log.

    Args:
        settings: an `Audit`; or its fields as keywords.
        clock: tells the time.
        opens: whether the file is opened at once, and not by the thread that writes.

    Raises:
        ConfigError: a setting is wrong, or the file is not this user's alone.
        MissingExtraError: a sink is not installed.
    """

    __slots__ = ("__weakref__", "_clock", "_writer")

    def __init__(
        self,
        settings: Audit | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        opens: bool = True,
        **fields: Unpack[AuditFields],
    ) -> None:
        self._clock = clock
        self._writer = Writer(build(Audit, settings, fields), clock)
        if opens:
            self.open()

    def open(self) -> None:
        """Open the file, if that has not been done.

        Raises:
            ConfigError: it is not this user's alone.
        """
        self._writer.open()

    @property
    def lost(self) -> int:
        """How many entries found no place; the log says so, too."""
        return self._writer.lost

    def record(
        self,
        event: str,
        outcome: Outcome = "unknown",
        *,
        subject: str | None = None,
        reason: str | None = None,
        severity: Severity | None = None,
        **facts: object,
    ) -> None:
        """Write an entry about the request that is served, or about none.

        Args:
            event: what happened, by a name of OWASP's vocabulary, such as `authn_login_fail`.
            outcome: `success`, `failure`, `refused`, `would_be_refused` or `unknown`.
            subject: who did it, such as the id of a user.
            reason: one sentence, or a code.
            severity: `info`, `low`, `medium`, `high` or `critical`; by default as the vocabulary says.
            facts: what else there is to know; secrets by name and by look are hidden.

        Raises:
            ValueError: there is no such name, outcome or severity.
        """
        problem = "" if event in VOCABULARY else _problem_of(event)
        if problem:
            raise ValueError(problem)
        if outcome not in OUTCOMES:
            raise ValueError(f"outcome must be one of {', '.join(OUTCOMES)}")
        if severity is not None and severity not in SEVERITIES:
            raise ValueError(f"severity must be one of {', '.join(SEVERITIES)}")
        served = served_var.get()
        entry = Entry(
            event=event,
            outcome=outcome,
            time=self._clock.time(),
            severity=severity,
            subject=_text(subject),
            reason=_text(reason),
            client=None if served is None else served.client,
            method=None if served is None else served.method,
            path=None if served is None else served.path,
            request_id=current_request_id(),
            trace_id=current_trace_id(),
            facts=plain(facts),
        )
        self.put(entry)

    def put(self, entry: Entry) -> None:
        """Write an entry as it is."""
        self._writer.put(entry)

    @property
    def is_running(self) -> bool:
        """Whether something was recorded since it was made, or closed."""
        return self._writer.is_running

    def retire(self) -> None:
        """Close it for good, without waiting: a thread writes what waits, and each entry that still comes, and ends."""
        self._writer.retire()

    def close(self, wait_seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, and the end of the chain; the next entry begins another.

        Args:
            wait_seconds: for how long at most, in seconds.
        """
        self._writer.close(wait_seconds)


class Served:
    """What an entry about a request tells of it.

    Attributes:
        log: the log of the guard that serves it.
        client: the address that it came from.
        method: of the request.
        path: of the request.
    """

    __slots__ = ("client", "log", "method", "path")

    def __init__(self, log: AuditLog, client: str | None, method: str, path: str) -> None:
        self.log: AuditLog = log
        self.client: str | None = client and printable(client, 64)
        self.method: str = printable(method, 32)
        self.path: str = printable(path, KEPT)  # cut when secrets were looked for


served_var: ContextVar[Served | None] = ContextVar("asgi_guard_audit", default=None)
"""The request that is served, and by whose log; None outside of one."""


def report(event: str, outcome: Outcome = "unknown", **fields: Any) -> None:
    """Write an entry to the log of the guard that serves this request; see `AuditLog.record`.

    Outside of a request, or where the guard has no audit log, it is left out, and this is said once.

    Raises:
        ValueError: there is no such name, outcome or severity.
    """
    served = served_var.get()
    if served is not None:
        served.log.record(event, outcome, **fields)
    elif not _said:
        _said.append(event)
        _logger.warning("asgi_guard.audit.report was called where no guard with an audit log serves a request.")


@lru_cache(maxsize=1_024)
def _problem_of(event: str) -> str:
    """Return what is wrong with a name of an application's own; nothing of one in the manner of the vocabulary."""
    alike = get_close_matches(event[:_LONGEST_TEXT], VOCABULARY, 1, _ALIKE)
    if alike:
        return f"{event[:64]!r} is no event. Did you mean {alike[0]!r}?"
    return "" if event.startswith(PREFIXES) else f"{event[:64]!r} is no event: begin with one of {', '.join(PREFIXES)}."


_said: Final[list[str]] = []


def _text(given: object) -> str | None:
    """Return the beginning of a text; of what is none, the name of its type, which tells no secret."""
    if given is None:
        return None
    return given[:KEPT] if isinstance(given, str) else type(given).__name__
