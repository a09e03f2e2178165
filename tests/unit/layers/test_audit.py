"""Audit layer: what every part refuses, finds and answers is written down, and what the application reports."""

from __future__ import annotations

import gc
import json
import os
import weakref
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from asgi_guard import Audit, AuditMiddleware, Bans, ConfigError, Guard, IPFilter, TrustedHostMiddleware
from asgi_guard.audit import report
from asgi_guard.audit.log import served_var
from asgi_guard.audit.of_events import entry_of
from asgi_guard.audit.verify import verify
from asgi_guard.events import RequestAllowed, RequestRefused
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.events import RecoveryActed
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.testing import call, lifespan
from asgi_guard.watch.alert_events import AlertCleared, AlertFired

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX"),
]
KEY = "k" * 40


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Report a login, or fail."""
    if scope["type"] == "lifespan":
        for _ in range(2):
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
        return
    if scope["path"] == "/login":
        report("authn_login_fail", "failure", subject="u7", reason="bad password", tries=2)
    if scope["path"] == "/boom":
        raise ZeroDivisionError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log stands."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def no_file(path: Path) -> Path:
    """Where it cannot stand."""
    path.mkdir()
    return path


async def told(path: Path, *, own: bool = False) -> list[dict[str, Any]]:
    """Read a log, without what it says of itself, of the settings, and of a machine that is busy."""
    lines = [json.loads(line) for line in (await text(path)).splitlines()]
    return [
        line
        for line in lines
        if own or not line["event"].startswith(("audit_", "sys_", "guard_settings", "guard_alert"))
    ]


async def text(path: Path) -> str:
    """Read the log as it is."""
    return await anyio.Path(path).read_text(encoding="utf-8")


async def parts(path: Path) -> list[tuple[str, str]]:
    """Return the settings that were written, by their parts."""
    facts = [entry["facts"] for entry in await told(path, own=True) if entry["event"] == "guard_settings"]
    return [(fact["part"], fact["settings"]) for fact in facts]


async def test_what_every_part_refuses_is_written(path: Path) -> None:
    """By OWASP's names, with who asked for what, and the ids of the request."""
    guard = Guard(app, audit=Audit(path=str(path), key=KEY), rate_limit="4/minute", trusted_host="shop.example")
    asked = [
        ("/", {"host": "evil.example"}),
        ("/?q=1' union select password from users--", {"host": "shop.example"}),
        ("/" + "a" * 9_000, {"host": "shop.example"}),
        ("/boom", {"host": "shop.example"}),
        *[("/", {"host": "shop.example", "x-request-id": "ignored"})] * 3,
    ]
    async with lifespan(guard):
        statuses = [(await call(guard, "GET", where, headers=headers)).status for where, headers in asked]

    entries = await told(path)
    assert statuses == [421, 400, 414, 500, 200, 200, 429]
    assert [(entry["event"], entry["outcome"], entry["layer"]) for entry in entries] == [
        ("input_validation_fail", "refused", "trusted_host"),
        ("input_validation_discrete_fail", "refused", "validation"),
        ("input_validation_fail", "refused", "validation"),
        ("input_validation_fail", "refused", "request_limits"),
        ("guard_error", "failure", "error_envelope"),
        ("excess_rate_limit_exceeded", "refused", "rate_limit"),
    ]
    assert all(entry["request_id"].startswith("req_") for entry in entries)
    assert {entry["client"] for entry in entries} == {"198.51.100.7"}
    assert entries[1]["facts"]["rules"][0].startswith("AG-SQLI-")
    assert "union" not in await text(path)
    heads = [path.with_name("audit.jsonl.heads")]
    found = await anyio.to_thread.run_sync(lambda: verify([path], key=KEY.encode(), heads=heads))
    assert found.is_sound


async def test_the_application_reports_with_one_call(path: Path) -> None:
    """The log knows who asks, from where."""
    guard = Guard(app, audit=str(path), monitor=False)
    async with lifespan(guard):
        await call(guard, "POST", "/login")

    (entry,) = await told(path)
    assert entry["event"] == "authn_login_fail"
    assert (entry["subject"], entry["client"], entry["method"], entry["path"]) == (
        "u7", "198.51.100.7", "POST", "/login",
    )  # fmt: skip
    assert (entry["reason"], entry["facts"]) == ("bad password", {"tries": 2})
    assert "layer" not in entry


async def test_a_report_that_nobody_takes_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch) -> None:
    """A request without an audit log is served all the same."""
    monkeypatch.setattr("asgi_guard.audit.log._said", [])
    assert served_var.get() is None
    for _ in range(3):
        report("authn_login_fail")

    assert caplog.text.count("asgi_guard.audit.report was called where no guard") == 1


async def test_nothing_reports_in_the_name_of_a_request_that_is_over(path: Path) -> None:
    """A server may serve the next one, which no guard sees, on the same task."""
    guard = Guard(app, audit=str(path), monitor=False)
    async with lifespan(guard):
        await call(guard, "POST", "/login")
        assert served_var.get() is None
        await call(app, "POST", "/login")

    assert len(await told(path)) == 1


async def test_start_and_stop_are_written_with_the_settings(path: Path) -> None:
    """Of each part, without its secrets."""
    guard = Guard(
        app, audit=Audit(path=str(path), key=KEY), rate_limit="4/minute", monitor=False
    )  # no alerts of others
    async with lifespan(guard):
        pass

    entries = await told(path, own=True)
    assert [entries[index]["event"] for index in (0, 1, -2, -1)] == [
        "audit_start", "sys_startup", "sys_shutdown", "audit_end",
    ]  # fmt: skip
    settings = dict(await parts(path))
    assert "4/minute" in settings["rate_limit"]
    assert set(settings) == {layer.name for layer in guard.layers}
    assert KEY not in await text(path)


async def test_what_is_reconfigured_is_written(path: Path) -> None:
    """Who has changed the limits is asked later."""
    guard = Guard(app, audit=str(path), rate_limit="4/minute")
    async with lifespan(guard):
        guard.reconfigure(rate_limit="9/minute")

    limits = [settings for part, settings in await parts(path) if part == "rate_limit"]
    assert ["4/minute" in limits[0], "9/minute" in limits[-1], len(limits)] == [True, True, 2]


async def test_another_file_may_be_named_while_it_runs(path: Path) -> None:
    """The first one ends, and what follows stands in the other, with what belongs to no request."""
    other = path.with_name("other.jsonl")
    bans = Bans()
    guard = Guard(app, audit=str(path), ip_filter=IPFilter(bans=bans))
    async with lifespan(guard):
        first = guard.part("audit").log
        await call(guard, "POST", "/login")
        guard.reconfigure(audit=str(other))
        await call(guard, "POST", "/login")
        bans.ban("198.51.100.9", 60)
    await anyio.to_thread.run_sync(first.close)

    assert [entry["event"] for entry in await told(path)] == ["authn_login_fail"]
    assert [entry["event"] for entry in await told(other)] == ["authn_login_fail", "guard_banned"]
    assert [entry["event"] for entry in await told(path, own=True)][-2:] == ["sys_monitor_disabled", "audit_end"]


def files_of(path: Path) -> list[str]:
    """Return the descriptors of this process that lead to a file."""
    found = []
    for entry in Path("/dev/fd" if not Path("/proc/self/fd").is_dir() else "/proc/self/fd").iterdir():
        with suppress(OSError):
            found += [entry.name] if entry.samefile(path) else []
    return found


@pytest.mark.parametrize("has_lifespan", [True, False])
async def test_a_log_that_is_turned_off_says_so_and_closes_its_file(path: Path, has_lifespan: bool) -> None:
    """Whoever reads it later has to know that nothing was written, and not that nothing happened."""
    bans = Bans()
    guard = Guard(app, audit=Audit(path=str(path), key=KEY), ip_filter=IPFilter(bans=bans), monitor=False)
    async with lifespan(guard) if has_lifespan else nullcontext():
        await call(guard, "POST", "/login")
        log = guard.part("audit").log
        guard.reconfigure(audit=False)
        bans.ban("198.51.100.9", 60)
        assert (await call(guard, "POST", "/login")).status == 200
        await anyio.to_thread.run_sync(log.close)
        assert await anyio.to_thread.run_sync(files_of, path) == []
        log.record("authn_login_fail", "failure", subject="on its way")  # by a request that began before
        await anyio.to_thread.run_sync(log.close)
        assert await anyio.to_thread.run_sync(files_of, path) == []

    entries = await told(path, own=True)
    last = [entry["event"] for entry in entries if entry["event"] not in {"guard_settings", "audit_checkpoint"}]
    begins = "sys_startup" if has_lifespan else "sys_monitor_enabled"
    assert last == [
        *("audit_start", begins, "authn_login_fail", "sys_monitor_disabled", "audit_end"),
        *("audit_start", "authn_login_fail", "audit_end"),
    ]
    heads = [path.with_name("audit.jsonl.heads")]
    found = await anyio.to_thread.run_sync(lambda: verify([path], key=KEY.encode(), heads=heads))
    assert (found.findings, found.open_ended) == ([], [])


async def test_a_log_that_never_began_is_turned_off_without_a_file(path: Path) -> None:
    """Nothing was written, so that there is nothing to end."""
    guard = Guard(app, audit=str(path), monitor=False)
    guard.reconfigure(audit=False)

    assert not await anyio.Path(path).exists()


async def test_a_log_that_is_turned_on_while_the_service_runs_begins_and_ends(path: Path) -> None:
    """With the first request: its settings, and what belongs to no request from then on."""
    bans = Bans()
    guard = Guard(app, ip_filter=IPFilter(bans=bans), monitor=False)
    async with lifespan(guard):
        guard.reconfigure(audit=str(path))
        await call(guard, "POST", "/login")
        bans.ban("198.51.100.9", 60)

    assert [entry["event"] for entry in await told(path)] == ["authn_login_fail", "guard_banned"]
    entries = [entry["event"] for entry in await told(path, own=True)]
    assert entries[:3] == ["audit_start", "sys_monitor_enabled", "guard_settings"]
    assert entries[-2:] == ["sys_shutdown", "audit_end"]


async def test_a_guard_that_never_sees_a_lifespan_hears_of_bans_and_is_kept_alive_by_none(path: Path) -> None:
    """It may be mounted, or the server has none."""
    bans = Bans()
    guard = Guard(app, audit=str(path), ip_filter=IPFilter(bans=bans), monitor=False)
    await call(guard, "POST", "/login")
    bans.ban("198.51.100.9", 60)
    log, known = guard.part("audit").log, weakref.ref(guard.part("audit"))
    await anyio.to_thread.run_sync(log.close)
    del guard
    await anyio.to_thread.run_sync(gc.collect)

    assert [entry["event"] for entry in await told(path)] == ["authn_login_fail", "guard_banned"]
    assert known() is None


async def test_settings_need_not_be_written(path: Path) -> None:
    """Where they are a secret."""
    guard = Guard(app, audit=Audit(path=str(path), tells_settings=False), monitor=False)
    async with lifespan(guard):
        pass

    assert not [entry for entry in await told(path, own=True) if entry["event"] == "guard_settings"]


async def test_what_belongs_to_no_request_is_written(path: Path) -> None:
    """Circuits and bans, while the service runs; no more of them when it has stopped."""
    bans = Bans()
    breaker = CircuitBreaker("bank", BreakerPolicy(failure_threshold=1))

    def fails() -> None:
        raise OSError("gone")

    guard = Guard(app, audit=str(path), ip_filter=IPFilter(bans=bans))
    async with lifespan(guard):
        bans.ban("198.51.100.9", 60, "enough")
        with pytest.raises(OSError, match="gone"):
            breaker.call(fails)
    bans.ban("198.51.100.8", 60)

    banned, circuit = await told(path)
    assert (banned["event"], banned["reason"]) == ("guard_banned", "enough")
    assert banned["facts"] == {"network": "198.51.100.9", "seconds": 60}
    assert (circuit["event"], circuit["facts"]["circuit"], circuit["facts"]["after"]) == (
        "guard_circuit",
        "bank",
        "open",
    )


@pytest.mark.parametrize(("kind", "outcome"), [(AlertFired, "failure"), (AlertCleared, "success")])
def test_an_alert_is_an_entry(kind: Any, outcome: str) -> None:
    """With how grave it is."""
    event = kind(
        name="errors",
        signal="error_rate",
        severity="high",
        value=7.5,
        threshold=5.0,
        unit="%",
        message="too many",
        time=1.0,
    )
    entry = entry_of(event, 2.0)

    assert entry is not None
    assert (entry.event, entry.outcome, entry.reason) == ("guard_alert", outcome, "too many")
    assert entry.severity == ("high" if kind is AlertFired else "info")
    assert entry.facts["threshold"] == 5.0


def test_a_recovery_is_an_entry() -> None:
    """Whether it has worked or not."""
    entry = entry_of(
        RecoveryActed(name="database", action="reconnect", succeeded=False, seconds=1.23456, exception="OSError"), 2.0
    )

    assert entry is not None
    assert (entry.event, entry.outcome) == ("guard_recovery", "failure")
    assert entry.facts == {"of": "database", "action": "reconnect", "seconds": 1.235, "exception": "OSError"}


def test_what_was_let_pass_is_no_entry() -> None:
    """Nor is an event that somebody else has made."""
    where: dict[str, Any] = {"layer": "rate_limit", "scope_type": "http", "method": "GET", "path": "/"}

    class Own(RequestRefused):
        """One of an application's."""

    assert entry_of(RequestAllowed(**where), 1.0) is None
    assert entry_of(Own(**where, status=400, code="X", reason=""), 1.0) is None


def test_a_guard_says_where_it_writes() -> None:
    """`True` names no file."""
    with pytest.raises(ConfigError, match=r"Guard\.audit must say where it is written"):
        Guard(app, audit=True)  # type: ignore[arg-type]


async def test_a_file_that_cannot_be_used_does_not_start(no_file: Path) -> None:
    """Where there is a lifespan; without one, requests are served, and it is said once."""
    guard = Guard(app, audit=str(no_file))
    with pytest.raises(Exception, match="AG910"):
        async with lifespan(guard):
            pass


async def test_without_a_lifespan_requests_are_served_that_cannot_be_written_down(no_file: Path, caplog) -> None:
    """And it is said once."""
    guard = Guard(app, audit=Audit(path=str(no_file), tells_settings=False), monitor=False)
    for _ in range(3):
        assert (await call(guard, "POST", "/login")).status == 200
    await anyio.to_thread.run_sync(guard.part("audit").log.close)

    assert caplog.text.count("The audit log cannot be written") == 1
    assert guard.part("audit").log.lost == 4  # and that it began


async def test_it_stands_alone_with_others(path: Path) -> None:
    """As a middleware that is fused with those that refuse."""
    guarded = AuditMiddleware(TrustedHostMiddleware(app, hosts=["shop.example"]), path=str(path))
    stack: Callable[..., Any] = guarded
    async with lifespan(stack):
        await call(stack, "POST", "/login", headers={"host": "shop.example"})

    assert [entry["event"] for entry in await told(path)] == ["authn_login_fail"]
