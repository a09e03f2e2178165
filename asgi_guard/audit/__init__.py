"""Audit: what happened that matters to security, one line each, in a chain that shows whether a line was changed."""

from __future__ import annotations

from asgi_guard.audit.entry import Entry, Outcome
from asgi_guard.audit.log import AuditLog, report
from asgi_guard.audit.ocsf import to_ocsf
from asgi_guard.audit.settings import Audit
from asgi_guard.audit.vocabulary import VOCABULARY, Kind

__all__ = ["VOCABULARY", "Audit", "AuditLog", "Entry", "Kind", "Outcome", "report", "to_ocsf"]
