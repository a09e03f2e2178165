"""The monitor in the stack: what its endpoints show to whom, and how it begins without a word from the server."""

from __future__ import annotations

import gc
import json
import os
from base64 import b64encode
from collections.abc import Callable
from threading import Thread
from typing import Any
from weakref import WeakSet

import pytest
from anyio import fail_after, sleep

from asgi_guard import SLO, Alert, AlertFired, ConfigError, Endpoints, Guard, Monitor, Telemetry, Webhook
from asgi_guard.engine.fuse import restructuring
from asgi_guard.layers.monitor import MonitorLayer
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.testing import Response, call, lifespan

pytestmark = pytest.mark.anyio

TOKEN = "correct-horse-battery"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and fail where that is asked for."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    status = 500 if scope["path"] == "/fails" else 218
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"of the application"})


def guarded(**given: Any) -> Guard:
    """Make a guard that counts for itself alone."""
    endpoints = given.pop("endpoints", Endpoints(token=TOKEN))
    aggregate = given.pop("aggregate", None) or Aggregate()
    return Guard(shop, telemetry=Telemetry(aggregate=aggregate), endpoints=endpoints, rate_limit=False, **given)


async def until(seen: Callable[[], object]) -> None:
    """Wait for something."""
    with fail_after(10):
        while not seen():  # noqa: ASYNC110  what is waited for is a thread
            await sleep(0.01)


async def summary(app: Guard, path: str = "/performance/summary") -> dict[str, Any]:
    """Read the summary."""
    response = await call(app, path=path, headers=SHOWN)
    assert response.status == 200
    assert response.headers.get("content-type") == "application/json"
    assert response.headers.get("cache-control") == "no-store"
    return json.loads(response.body)


async def end(app: Guard) -> None:
    """Let the thread end that a request has begun."""
    await until(lambda: app.part("monitor").watcher is not None)
    await app.part("monitor").shutdown()


async def test_the_summary_and_the_page_are_there_at_once() -> None:
    """Also for the very first request, and without a lifespan."""
    app = guarded()

    told = await summary(app)
    page = await call(app, path="/performance", headers=SHOWN)

    assert (told["version"], told["period_seconds"]) == (1, 5.0)
    assert page.status == 200
    assert page.headers.get("content-type") == "text/html; charset=utf-8"
    assert b"performance/summary" in page.body
    await end(app)


@pytest.mark.parametrize("path", ["/performance", "/performance/summary"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong-wrong-wrong"}])
async def test_for_a_stranger_neither_is_there(path, headers) -> None:
    """The request goes on to the application."""
    app = guarded()
    assert (await call(app, path=path, headers=headers)).status == 218
    await end(app)


async def test_a_browser_is_asked_for_the_token_where_that_is_wanted() -> None:
    """At the page alone; any user name will do, and only the right password."""

    def basic(credentials: str) -> dict[str, str]:
        return {"Authorization": f"Basic {b64encode(credentials.encode()).decode()}"}

    app = guarded(endpoints=Endpoints(token=TOKEN, challenge=True))

    async def asked(path: str, headers: dict[str, str]) -> Response:
        return await call(app, path=path, headers=headers)

    refused = await asked("/performance", {})
    assert refused.status == 401
    assert refused.headers.get("www-authenticate") == 'Basic realm="asgi_guard", charset="UTF-8"'
    assert (await asked("/performance/summary", {})).status == 218
    assert (await asked("/metrics", {})).status == 218
    for path in ("/performance", "/performance/summary", "/metrics"):
        assert (await asked(path, basic(f"me:{TOKEN}"))).status == 200
    for wrong in (f"me:{TOKEN}x", TOKEN, f"{TOKEN}:me", "me:", ""):
        assert (await asked("/performance", basic(wrong))).status == 401
    assert (await asked("/performance", {"Authorization": "Basic %%%"})).status == 401
    await end(app)


@pytest.mark.parametrize(
    ("dashboard", "summary", "status"),
    [
        ("/ops/board", "/ops/data", 218),
        ("/ops/board", "/performance/summary", 401),
        (None, "/performance/summary", 218),
    ],
)
async def test_a_browser_is_asked_again_where_it_would_not_send_the_password(dashboard, summary, status) -> None:
    """That is outside the folder of the page (RFC 7617 section 2.2)."""
    app = guarded(endpoints=Endpoints(token=TOKEN, challenge=True, dashboard=dashboard, summary=summary))

    assert (await call(app, path=summary)).status == status
    assert (await call(app, path=summary, headers=SHOWN)).status == 200
    await end(app)


async def test_without_a_token_there_is_nothing_to_ask_for() -> None:
    """The path is the application's."""
    app = guarded(endpoints=Endpoints(challenge=True))
    assert (await call(app, path="/performance")).status == 218
    await end(app)


@pytest.mark.parametrize(
    ("endpoints", "page", "data", "link"),
    [
        (
            Endpoints(token=TOKEN, prefix="/internal"),
            "/internal/performance",
            "/internal/performance/summary",
            b"performance/summary",
        ),
        (Endpoints(token=TOKEN, dashboard="/board", summary="/data/x"), "/board", "/data/x", b"data/x"),
        (Endpoints(token=TOKEN, dashboard="/a/b/board", summary="/x"), "/a/b/board", "/x", b"../../x"),
    ],
)
async def test_both_can_be_moved(endpoints, page, data, link) -> None:
    """The page finds the summary wherever it is."""
    app = guarded(endpoints=endpoints)
    assert link in (await call(app, path=page, headers=SHOWN)).body
    assert (await summary(app, data))["version"] == 1
    assert (await call(app, path="/performance", headers=SHOWN)).status == 218
    await end(app)


@pytest.mark.parametrize(
    ("endpoints", "there"),
    [
        (Endpoints(token=TOKEN, summary=None), (218, 218)),
        (Endpoints(token=TOKEN, dashboard=None), (218, 200)),
    ],
)
async def test_each_can_be_switched_off(endpoints, there) -> None:
    """Without a summary the page has nothing to show."""
    app = guarded(endpoints=endpoints)
    found = [(await call(app, path=path, headers=SHOWN)).status for path in ("/performance", "/performance/summary")]
    assert tuple(found) == there
    await end(app)


@pytest.mark.parametrize("given", [{"monitor": False}, {"telemetry": False}])
async def test_where_nobody_watches_nothing_is_there(given) -> None:
    """And no thread runs."""
    app = Guard(shop, endpoints=Endpoints(token=TOKEN), **{"telemetry": Telemetry(aggregate=Aggregate()), **given})

    for path in ("/performance", "/performance/summary"):
        assert (await call(app, path=path, headers=SHOWN)).status == 218
    assert given == {"telemetry": False} or "monitor" not in repr(app)


async def test_the_windows_can_be_chosen() -> None:
    """By the query, of which little is read."""
    app = guarded()
    assert (await summary(app, "/performance/summary?windows=1m"))["windows"].keys() == {"1m"}
    assert (await summary(app, "/performance/summary?windows=1m&windows=5m"))["windows"].keys() == {"1m", "5m"}
    odd = await call(app, path="/performance/summary?windows=7m", headers=SHOWN)
    assert (odd.status, odd.body) == (400, b"windows= takes 1m, 5m, 60m, with commas between.\n")
    assert (await summary(app, f"/performance/summary?windows={'1m,' * 9_999}"))["windows"].keys() == {"1m"}
    await end(app)


async def test_a_lifespan_begins_and_ends_it() -> None:
    """The server waits until it has."""
    app = guarded()
    async with lifespan(app):
        watcher = app.part("monitor").watcher
        assert watcher.is_running
    assert not watcher.is_running


async def test_a_request_begins_it_where_no_lifespan_does() -> None:
    """And again after it has ended."""
    app = guarded()
    for _ in range(2):
        await call(app)
        await until(lambda: app.part("monitor").watcher is not None and app.part("monitor").watcher.is_running)
        await app.part("monitor").shutdown()


@pytest.mark.long
async def test_a_real_breach_is_told_within_five_seconds() -> None:
    """To a listener, to a sink, in the health, and in the summary."""
    told: list[Any] = []
    sunk: list[Any] = []
    app = guarded(listeners=[told.append], monitor=Monitor(sinks=[sunk.append], log_alerts=False))
    async with lifespan(app):
        for _ in range(20):
            await call(app)
        with fail_after(5):
            while not sunk:
                await call(app, path="/fails")
                await sleep(0.02)
        health = json.loads((await call(app, path="/health", headers=SHOWN)).body)

    fired = [event for event in told if isinstance(event, AlertFired)]
    assert [event.name for event in fired] == ["error_rate"]
    assert [event.name for event in sunk if isinstance(event, AlertFired)] == ["error_rate"]
    assert health["status"] == "warn"
    assert health["notes"][0].startswith("error_rate is ")


async def test_the_settings_of_the_earlier_system() -> None:
    """The very dict."""
    config = {"alert_thresholds": {"cpu_usage": 85.0, "memory_usage": 90.0, "response_time": 3.0, "error_rate": 2.0}}
    app = guarded(monitor=config)
    told = await summary(app)

    thresholds = {alert["name"]: alert["threshold"] for alert in told["alerts"]}
    assert thresholds == {**config["alert_thresholds"], "disk_usage": 90.0}
    await end(app)


async def test_a_guard_that_is_reconfigured_watches_on() -> None:
    """By the new settings."""
    app = guarded()
    await summary(app)
    await end(app)
    app.reconfigure(monitor=Monitor(alerts=[Alert("mine", "error_rate", above=1)]))
    await call(app)
    await until(lambda: app.part("monitor").watcher is not None)

    assert [alert["name"] for alert in (await summary(app))["alerts"]] == ["mine"]
    await end(app)


async def test_a_monitor_is_switched_off_and_on() -> None:
    """Its pages go with it, and so does its thread; the settings are the new ones, defaults as well."""
    app = guarded(monitor=Monitor(alerts=[Alert("mine", "error_rate", above=1)]))
    async with lifespan(app):
        watcher = app.part("monitor").watcher
        app.reconfigure(monitor=False)
        await until(lambda: not watcher.is_running)
        assert (await call(app, path="/performance/summary", headers=SHOWN)).status == 218

        app.reconfigure(monitor=True)
        await call(app)
        await until(lambda: watcher.is_running)
        assert "mine" not in [alert["name"] for alert in (await summary(app))["alerts"]]
    assert not watcher.is_running


async def test_equal_settings_change_nothing() -> None:
    """A file that is read again keeps the history."""
    app = guarded(monitor={"alert_thresholds": {"error_rate": 2.0}})
    async with lifespan(app):
        watcher = app.part("monitor").watcher
        leader = watcher._leader
        app.reconfigure(monitor={"alert_thresholds": {"error_rate": 2.0}})
        await call(app)
        await until(lambda: app.part("monitor").watcher is watcher)
        assert watcher._leader is leader
        assert watcher.is_running
    assert not watcher.is_running


async def test_what_one_guard_ends_another_needs() -> None:
    """The watcher of both ends with the last of them."""
    aggregate = Aggregate()
    one, other = guarded(aggregate=aggregate), guarded(aggregate=aggregate)
    async with lifespan(one):
        async with lifespan(other):
            pass
        assert aggregate.watcher.is_running
    assert not aggregate.watcher.is_running


async def test_a_guard_without_a_monitor_shows_nobody_elses() -> None:
    """Though both count together."""
    aggregate = Aggregate()
    with_one, without = guarded(aggregate=aggregate), guarded(aggregate=aggregate, monitor=False)
    await summary(with_one)

    for path in ("/performance", "/performance/summary"):
        assert (await call(without, path=path, headers=SHOWN)).status == 218
    await end(with_one)


async def test_the_wishes_of_a_guard_that_is_no_more_are_nobodys() -> None:
    """Another of the process goes by its own."""
    aggregate = Aggregate()
    gone = guarded(aggregate=aggregate, monitor=Monitor(alerts=[Alert("mine", "error_rate", above=1)]))
    app = guarded(aggregate=aggregate)
    del gone
    gc.collect()

    async with lifespan(app):
        assert "mine" not in [alert["name"] for alert in (await summary(app))["alerts"]]


async def test_a_monitor_without_telemetry_says_that_it_does_nothing() -> None:
    """Where the settings are read aloud."""
    assert "  does nothing: without telemetry nothing is counted" in Guard(shop, telemetry=False).explain()
    assert "  does nothing" not in Guard(shop).explain()


async def test_a_webhook_can_be_named_in_the_environment() -> None:
    """Neither its path nor its secret is shown."""
    named = {"URL": "https://hooks.example/path", "SECRET": "s" * 24}
    app = Guard.from_env(shop, {f"ASGI_GUARD_MONITOR__WEBHOOK_{name}": value for name, value in named.items()})
    monitor = app.part("monitor").settings

    assert [len(sinks._lines) for sinks in monitor.told()] == [1, 0, 1]
    assert not {"/path", "ssss"} & {text for text in ("/path", "ssss") if text in app.explain()}


async def test_guards_that_count_together_are_watched_together() -> None:
    """By the settings that somebody has made, whichever guard is built first."""
    for order in ((0, 1), (1, 0)):
        aggregate = Aggregate()
        settings = [True, Monitor(alerts=[Alert("mine", "error_rate", above=1)])]
        apps = [guarded(aggregate=aggregate, monitor=settings[index]) for index in order]
        for app in apps:
            assert [alert["name"] for alert in (await summary(app))["alerts"]] == ["mine"]
        for app in apps:
            await end(app)


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"alerts": "cpu"}, ["AG870"]),
        ({"alerts": [Alert("a", "error_rate", above=1)] * 2}, ["AG870"]),
        ({"alerts": [SLO("a")]}, ["AG870"]),
        ({"slos": [SLO("a"), SLO("a")]}, ["AG871"]),
        ({"slos": Alert("a", "error_rate", above=1)}, ["AG871"]),
        ({"alerts": [Alert("a 14.4x", "error_rate", above=1)], "slos": [SLO("a")]}, ["AG884"]),
        ({"sinks": print}, ["AG885"]),
        ({"webhook_url": "https://hooks.example/x"}, ["AG888"]),
        ({"webhook_secret": "s" * 24, "webhook_url": "http://hooks.example/x"}, ["AG887"]),
        ({"sinks": ["https://hooks.example"]}, None),
        ({"alert_thresholds": {"cpu": 1}}, None),
        ({"period_seconds": 0.1, "disk_path": 7, "log_alerts": "yes"}, None),
    ],
)
async def test_nonsense_is_refused(settings, problems) -> None:
    """All of it at once."""
    with pytest.raises(ConfigError) as caught:
        Monitor(**settings)
    found = [problem.id for problem in caught.value.problems]
    assert found == problems or (problems is None and len(found) == len(settings))


async def test_the_settings_can_be_read_aloud() -> None:
    """The secret of a webhook is not."""
    app = guarded(monitor=Monitor(sinks=[Webhook("https://hooks.example/x", secret="s" * 24)]))

    assert "monitor: Monitor(alerts=[" in app.explain(whole=True)
    assert "ssss" not in app.explain()


async def test_a_monitor_that_cannot_begin_keeps_nobody_from_being_served(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said once, and not tried for each request."""
    aggregate = Aggregate()
    app = guarded(aggregate=aggregate)
    monkeypatch.setattr("asgi_guard.watch.watcher.Leader", None)  # nobody can watch by that

    async with lifespan(app):
        for _ in range(20):
            assert (await call(app)).status == 218

    assert caplog.text.count("the monitor could not begin") == 1


async def test_it_looks_through_those_who_want_it_while_nobody_joins_them() -> None:
    """It begins in a thread, and another guard may be made or reconfigured meanwhile."""
    aggregate = Aggregate()
    seen: list[bool] = []

    def join() -> None:
        seen.append(restructuring.acquire(blocking=False))
        if seen[-1]:
            restructuring.release()

    class Wanting(WeakSet[Any]):
        def __iter__(self) -> Any:
            thread = Thread(target=join)
            thread.start()
            thread.join()
            return super().__iter__()

    aggregate.watched_for = Wanting()
    app = guarded(aggregate=aggregate)
    await call(app)
    await end(app)

    assert len(seen) > 1
    assert not any(seen)


async def test_a_layer_without_a_stack_watches_nothing() -> None:
    """There is nothing that is counted."""
    layer = MonitorLayer(Monitor())
    await layer.start()
    await layer.shutdown()

    assert layer.watcher is None
    assert layer._beginning_in != os.getpid()
