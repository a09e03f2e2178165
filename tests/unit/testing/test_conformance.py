"""What the conformance kit tells; that it finds faults is shown in tests/conformance."""

from __future__ import annotations

import anyio
import pytest

from asgi_guard.testing import RULES, Expectations, NotConformingError, Rule, check_middleware


def faultless(app):
    """Wrap an application in nothing."""
    return app


def faulty(app):
    """Wrap an application in a middleware that leaves a key in the caller's scope."""

    async def middleware(scope, receive, send):
        if scope["type"] == "http":
            scope["seen"] = True
        await app(scope, receive, send)

    return middleware


def refusing(app):
    """Wrap an application in a middleware that refuses everything, in the simplest way."""

    async def middleware(scope, receive, send):
        start, body = {"type": "http.response.start", "status": 403}, {"type": "http.response.body"}
        is_http = scope["type"] == "http"
        try:
            for message in (start, body) if is_http else [{"type": "websocket.close", "code": 1008}]:
                await send(message)
        except OSError:
            pass

    return middleware


def test_rules_are_numbered_and_named() -> None:
    """Each number and each name once, in order; each says why."""
    assert [rule.number for rule in RULES] == sorted({rule.number for rule in RULES})
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.why.endswith((".", ")")) or rule.why.endswith("`") for rule in RULES)
    assert not any("_" in rule.name for rule in RULES)


@pytest.mark.anyio
async def test_a_faultless_middleware_passes() -> None:
    """In three lines; what it was not said to do does not apply."""
    report = await check_middleware(faultless)

    report.raise_for_failures()
    assert report.failures == ()
    assert {finding.passed for finding in report.findings} == {True, None}
    assert {finding.rule.number // 100 for finding in report.findings if finding.passed is None} >= {7}
    assert len(str(report).splitlines()) == len(RULES)


@pytest.mark.anyio
async def test_a_faulty_middleware_is_told_what_and_why() -> None:
    """By the name of the rule, with what it did and what comes of that."""
    report = await check_middleware(faulty)

    with pytest.raises(NotConformingError) as caught:
        report.raise_for_failures()
    text = str(caught.value)
    assert "BROKEN 101 the scope is left as it was: while the application ran" in text
    assert "'seen'" in text
    assert RULES[0].why in text


@pytest.mark.anyio
async def test_refusals_are_asked_where_there_are_some() -> None:
    """By the same middleware with settings by which it refuses."""
    expectations = Expectations(refusing=refusing)

    report = await check_middleware(faultless, expectations, rules=[rule for rule in RULES if rule.number // 100 == 7])

    report.raise_for_failures()
    assert [finding.passed for finding in report.findings] == [True] * 5 + [None] * 7


@pytest.mark.anyio
async def test_what_every_request_must_have_is_sent_with_each() -> None:
    """A middleware that lets in only certain requests is asked with those."""

    def trusting(app):
        async def middleware(scope, receive, send):
            if scope["type"] in {"http", "websocket"}:
                scope = {**scope, "headers": list(scope["headers"])}
                has_key = (b"x-key", b"1") in [(name.lower(), value) for name, value in scope["headers"]]
                await (app if has_key else refusing(app))(scope, receive, send)
            else:
                await app(scope, receive, send)

        return middleware

    keys = {"headers": [(b"host", b"a"), (b"x-key", b"1")]}
    report = await check_middleware(
        trusting, Expectations(request=keys, refusing=trusting), rules=[rule for rule in RULES if rule.number < 700]
    )

    assert [str(finding) for finding in report.failures] == []


@pytest.mark.anyio
async def test_a_name_in_the_wrong_case_breaks_one_rule() -> None:
    """The rule about how headers are spelled; all others look at what they are about."""

    def title_case(app):
        async def middleware(scope, receive, send):
            async def add(message):
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message.get("headers", ()), (b"X-Guard", "1")]}
                await send(message)

            await app(scope, receive, add if scope["type"] == "http" else send)

        return middleware

    assert [finding.rule.number for finding in (await check_middleware(title_case)).failures] == [307]


@pytest.mark.anyio
async def test_however_a_middleware_fails_it_is_a_finding() -> None:
    """An exception, a group of them, a hang; each in one line of bounded length."""

    async def raises(subject):
        raise ValueError("x" * 10_000)

    async def raises_silently(subject):
        raise ExceptionGroup("several", [ExceptionGroup("inner", [KeyError()])])

    async def hangs(subject):
        await subject.serve(lambda scope, receive, send: anyio.sleep_forever())

    rules = [Rule(number, "a rule", "", check) for number, check in enumerate((raises, raises_silently, hangs), 1)]
    report = await check_middleware(faultless, rules=rules, timeout_seconds=0.01)

    assert [finding.passed for finding in report.failures] == [False] * 3
    assert [finding.detail[:12] for finding in report.failures] == ["x" * 12, "KeyError", "TimeoutError"]
    assert all(len(str(finding)) < 600 for finding in report.failures)


@pytest.mark.anyio
async def test_the_kit_itself_can_be_cancelled() -> None:
    """What is no exception of the middleware's goes through."""

    async def cancelled(subject):
        scope.cancel()
        await anyio.lowlevel.checkpoint()

    with anyio.CancelScope() as scope:
        await check_middleware(faultless, rules=[Rule(1, "a rule", "", cancelled)])

    assert scope.cancelled_caught
