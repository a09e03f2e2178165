"""What `scope["asgi_guard"]` says of a layer holds for one request, and whatever it says wrong is an error."""

from __future__ import annotations

from time import monotonic
from typing import Any

import anyio
import pytest

from asgi_guard import ErrorEnvelopeMiddleware, RequestLimitsMiddleware, SecurityHeadersMiddleware
from asgi_guard.engine import life, override, plan
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

FORBIDDEN = Reply(403, body=b"no", content_type=b"text/plain")


class Doorman(Layer):
    """Lets nobody in, unless it is told otherwise; marks each answer."""

    name = "doorman"
    overridable = frozenset({"open"})

    def __init__(self) -> None:
        self.finished = 0
        self.told: list[Any] = []

    def admit(self, exchange: Any) -> Reply | None:
        said = (exchange.overrides or {}).get("doorman") or {}
        return None if said.get("open") else FORBIDDEN

    def override(self, exchange: Any, fields: Any) -> None:
        if not isinstance(fields["open"], bool):
            raise ConfigError([])
        self.told.append(fields)

    def head(self, exchange: Any, headers: Any) -> None:
        headers.append((b"x-door", b"watched"))

    def finish(self, exchange: Any) -> None:
        self.finished += 1


class Fails(Layer):
    """Answers for exceptions."""

    name = "envelope"

    def rescue(self, exchange: Any, exc: Exception) -> Reply:
        return Reply(500, body=type(exc).__name__.encode(), content_type=b"text/plain")


async def pass_time(seconds: float) -> None:
    """Let the deadlines of so many seconds expire, and the tasks that they start run until they wait."""
    life.ticker()._tick(monotonic() + seconds)
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


class Marks(Layer):
    """Takes no fields."""

    name = "marks"

    def head(self, exchange: Any, headers: Any) -> None:
        headers.append((b"x-mark", b"1"))


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answer, and have said what the path asks for."""
    if scope["path"] == "/unwatched":
        scope["asgi_guard"]["doorman"] = False
    if scope["path"] == "/nonsense":
        scope["asgi_guard"]["doorman"] = {"shut": True}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_a_layer_can_be_left_out_from_outside() -> None:
    """None of its hooks runs for this request, and the next one meets it again."""
    doorman = Doorman()
    app = Middleware(hello, doorman)

    left_out = await call(app, asgi_guard={"doorman": False})
    met = await call(app)

    assert (left_out.status, left_out.headers.get("x-door")) == (200, None)
    assert (met.status, met.headers.get("x-door")) == (403, "watched")
    assert doorman.finished == 1


async def test_a_layer_takes_fields_from_outside() -> None:
    """It is told before its turn to admit, and finds them on the exchange."""
    doorman = Doorman()

    answer = await call(Middleware(hello, doorman), asgi_guard={"doorman": {"open": True}})

    assert answer.status == 200
    assert doorman.told == [{"open": True}]


async def test_the_application_can_leave_a_layer_out_from_then_on() -> None:
    """Its head does not run any more, but it releases what it has."""
    doorman = Doorman()

    answer = await call(Middleware(hello, doorman), path="/unwatched", asgi_guard={"doorman": {"open": True}})

    assert answer.headers.get("x-door") is None
    assert doorman.finished == 1


async def test_what_the_application_says_reaches_a_guard_further_out() -> None:
    """Also past middlewares of others that stand in between, and past one that is not fused."""
    outer, inner = Doorman(), Doorman()

    async def between(scope: Any, receive: Any, send: Any) -> None:
        await Middleware(hello, inner)(dict(scope), receive, send)

    answer = await call(
        Middleware(between, outer, fuse=False), path="/unwatched", asgi_guard={"doorman": {"open": True}}
    )

    assert answer.status == 200
    assert answer.headers.get("x-door") is None
    assert inner.told == outer.told == [{"open": True}]


@pytest.mark.parametrize(
    ("said", "id_"),
    [
        (5, "AG227"),
        (["doorman"], "AG227"),
        ({1: False}, "AG227"),
        ({"doorman": True}, "AG228"),
        ({"doorman": "open"}, "AG228"),
        ({"doorman": None}, "AG228"),
        ({"doorman:back": True}, "AG228"),
        ({"doorman": {"shut": True}}, "AG229"),
        ({"marks": {"open": True}}, "AG229"),
    ],
)
async def test_what_cannot_be_understood_is_an_error(said: Any, id_: str) -> None:
    """No request passes by mistake, and the error says what can be said."""
    app = Middleware(hello, Marks(), Doorman())

    with pytest.raises(ConfigError) as caught:
        await call(app, asgi_guard=said)

    assert [problem.id for problem in caught.value.problems] == [id_]


async def test_a_layer_further_out_answers_for_the_mistake() -> None:
    """It is as if the layer that was spoken of had failed in its turn."""
    app = Middleware(hello, Fails(), Doorman())

    assert (await call(app, asgi_guard={"doorman": True})).body == b"ConfigError"
    assert (await call(app, path="/nonsense", asgi_guard={"doorman": {"open": True}})).body == b"ConfigError"


async def test_a_name_that_nobody_has_changes_nothing() -> None:
    """It may be meant for a guard that stands elsewhere."""
    assert (await call(Middleware(hello, Doorman()), asgi_guard={"nobody": False})).status == 403


async def test_a_name_that_looks_misspelt_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no error, since a guard that stands elsewhere may have a layer of that name."""
    monkeypatch.setattr(override, "_looked_up", set())
    for _ in range(2):
        assert (await call(Middleware(hello, Doorman()), asgi_guard={"dorman": {"open": True}})).status == 403

    assert [record.getMessage() for record in caplog.records] == [
        "scope[\"asgi_guard\"] speaks of 'dorman', and no layer here has that name; is it 'doorman'?"
    ]


async def test_the_scope_of_the_caller_is_as_it_was() -> None:
    """What it said is what it finds, and after the call nothing refers to the exchange."""
    said = {"doorman": {"open": True}}
    seen = []

    async def keeps(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await hello(scope, receive, send)

    await call(Middleware(keeps, Doorman()), asgi_guard=said)

    assert said == {"doorman": {"open": True}}
    assert "asgi_guard" not in seen[0]


@pytest.mark.parametrize("wrong", [{"preset": "nonsense"}, {"headers": {}}, True])
@pytest.mark.parametrize("path", ["/outside", "/inside"])
async def test_what_is_wrong_does_not_reach_the_answer_to_it(wrong: Any, path: str) -> None:
    """The client gets a whole 500, with the headers of the settings where their layer stands outside."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["asgi_guard"]["security_headers"] = wrong

    said = {"asgi_guard": {"security_headers": wrong}} if path == "/outside" else {}
    answer = await call(ErrorEnvelopeMiddleware(SecurityHeadersMiddleware(ErrorEnvelopeMiddleware(app))), **said)

    assert (answer.status, answer.json()["error"]["code"]) == (500, "CONFIGURATION_ERROR")
    assert answer.headers.get("x-frame-options") == (None if said else "DENY")


async def test_saying_it_again_and_again_makes_no_plan_anew() -> None:
    """A WebSocket may say something with each message, for as long as it is open."""
    app = Middleware(hello, Marks(), Doorman())

    async def chatty(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(50):
            scope["asgi_guard"]["doorman"] = False
            scope["asgi_guard"]["marks"] = False
        await hello(scope, receive, send)

    guarded = Middleware(chatty, Marks(), Doorman())
    for _ in range(2):
        await call(guarded, asgi_guard={"doorman": {"open": True}})

    assert len(guarded._plan._variants) <= 4
    assert app._plan._variants == {}


async def test_a_function_in_a_thread_may_say_it() -> None:
    """As frameworks run those that are not async; the clock that it sets runs on the loop."""
    limited = RequestLimitsMiddleware

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def endpoint() -> None:
            scope["asgi_guard"]["request_limits"] = {"total_seconds": 60}

        await anyio.to_thread.run_sync(endpoint)
        await pass_time(61)

    assert (await call(limited(app))).status == 504


async def test_what_is_said_after_the_call_has_no_effect() -> None:
    """Whoever keeps the exchange cannot send anything into a call that is over."""
    kept: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kept.append(scope["asgi_guard"])
        raise LookupError

    with pytest.raises(LookupError):
        await call(RequestLimitsMiddleware(app))
    kept[0]["request_limits"] = {"total_seconds": 60}
    await pass_time(61)

    assert kept[0].status == 0


async def test_what_is_said_under_a_guard_that_is_disabled_goes_nowhere() -> None:
    """The application is the same, with and without it."""
    app = Middleware(hello, Doorman())

    with app.disabled():
        assert (await call(app, path="/unwatched")).status == 200


async def test_what_was_said_can_be_read_and_the_clock_of_a_layer_that_is_left_out_stops() -> None:
    """The application finds what it has written; a deadline goes with its layer."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        said = scope["asgi_guard"]
        said["request_limits"] = {"total_seconds": 60}
        seen.append(said["request_limits"])
        said["request_limits"] = False
        await pass_time(61)
        await hello(scope, receive, send)

    class Patient(Doorman):
        def admit(self, exchange: Any) -> None:
            exchange.set_deadline(self, 1000, FORBIDDEN)

    assert (await call(RequestLimitsMiddleware(Middleware(app, Patient())))).status == 200
    assert seen == [{"total_seconds": 60}]


async def test_whatever_is_said_the_memory_of_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names come from code, but nobody has to promise that."""
    monkeypatch.setattr(override, "_looked_up", set())
    monkeypatch.setattr(override, "_MEMO_SIZE", 2)
    monkeypatch.setattr(plan, "_MEMO_SIZE", 2)
    app = Middleware(hello, Marks(), Doorman())

    for said in (
        {"a": False},
        {"b": False},
        {"c": False},
        {"marks": False},
        {"doorman": {"open": True}},
        {"marks": {}},
    ):
        await call(app, asgi_guard=said)

    assert len(override._looked_up) == 2
    assert len(app._plan._by_said) <= 2
    assert len(app._plan._variants) <= 2
