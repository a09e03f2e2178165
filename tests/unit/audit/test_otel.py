"""OpenTelemetry: what a log provider gets, and that no entry harms what is exported with it."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from asgi_guard import AuditLog
from asgi_guard.audit.entry import Entry
from asgi_guard.errors.exceptions import MissingExtraError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")


def test_opentelemetry_gets_events() -> None:
    """By their names, as log records."""
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    set_logger_provider(provider)
    log = AuditLog(sinks=["otel"])
    log.record("authz_fail", "failure", subject="u7", tries=[1])
    log.close()

    record = exporter.get_finished_logs()[1].log_record
    assert (record.event_name, record.severity_text) == ("asgi_guard.audit.authz_fail", "ERROR")
    attributes = dict(record.attributes or {})
    assert attributes["asgi_guard.audit.subject"] == "u7"
    assert attributes["asgi_guard.audit.facts.tries"] == "[1]"


def test_without_opentelemetry_there_is_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """At construction, not with the first entry."""
    monkeypatch.setitem(sys.modules, "opentelemetry._logs", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'asgi-guard\[otel\]'"):
        AuditLog(sinks=["otel"])


def test_what_utf_8_cannot_hold_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else an exporter drops the whole batch, and with it what the attacker did before."""
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr("opentelemetry._logs.get_logger", provider.get_logger)
    log = AuditLog(sinks=["otel"])
    facts: dict[str, Any] = {"n\ud800": ["\ud800"]}
    log.record("authn_login_fail", "failure", subject="u\ud800", reason="\udfff", **facts)
    log.put(Entry(event="authz_\ud800", time=1.0, severity="odd"))  # type: ignore[arg-type]
    log.close()

    found = exporter.get_finished_logs()
    assert [record.log_record.body for record in found][1:3] == ["\\udfff", "authz_\\ud800"]
    assert encode_logs(found).SerializeToString()
