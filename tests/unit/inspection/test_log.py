"""The log of the validation: why a request was refused, in one line that no attacker can fill a disk with."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from asgi_guard import Guard, Validation
from asgi_guard.engine.fuse import Middleware
from asgi_guard.layers.validation import ValidationLayer
from asgi_guard.testing import ManualClock, call

pytestmark = pytest.mark.anyio

ATTACK = "1 union select a from b"
unwatched = partial(Guard, monitor=False)  # which would log what other tests have done


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and answer."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture) -> None:
    """Hear everything."""
    caplog.set_level(logging.DEBUG, "asgi_guard")


def test_nothing_is_said_of_what_passes(caplog: pytest.LogCaptureFixture) -> None:
    """Nor when a guard is built."""
    unwatched(app)
    assert not caplog.records


async def test_a_refusal_is_said_at_info(caplog: pytest.LogCaptureFixture) -> None:
    """The class, the rule, the place, the name, the score and the id of the request, by which an answer is found."""
    response = await call(unwatched(app), path=f"/?q={ATTACK}")

    (record,) = caplog.records
    request_id = dict(response.headers)[b"x-request-id"].decode()
    assert (record.name, record.levelname) == ("asgi_guard", "INFO")
    assert record.getMessage().startswith("the validation: a request is refused: sqli by AG-SQLI-")
    assert " in the query 'q', score " in record.getMessage()
    assert record.getMessage().endswith(f", request id {request_id}")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (
            {"path": f"/?%1b%5b2J%0aaaaa'{'a' * 100}={ATTACK}"},
            "in the query, score",
        ),
        ({"path": "/a/..%2f..%2f..%2fetc/passwd"}, "in the path, score"),
        ({"path": f"/?{ATTACK}=1"}, "in the name, score"),
        ({"headers": {"Content-Encoding": "br"}, "body": b"a"}, "beyond the limit encoding, request id"),
    ],
)
async def test_nothing_is_said_of_what_was_sent(sent: dict[str, Any], said: str, caplog) -> None:
    """Not the value, nor a path or a name which is one; what else a client wrote is printable and bounded."""
    await call(unwatched(app), "POST", **{"path": "/", **sent})

    (record,) = caplog.records
    assert said in record.getMessage()
    assert record.getMessage().isprintable()
    assert not {"union", "passwd"} & {*record.getMessage().split()}
    assert len(record.getMessage()) < 300


async def test_what_would_be_refused_is_said_so(caplog: pytest.LogCaptureFixture) -> None:
    """With the mode `detect`; a class that is only detected is for listeners."""
    await call(unwatched(app, validation="detect"), path=f"/?q={ATTACK}")
    await call(unwatched(app, validation=Validation(attacks={"sqli": "detect"})), path=f"/?q={ATTACK}")

    (record,) = caplog.records
    assert record.getMessage().startswith("the validation: a request would be refused: sqli by AG-SQLI-")


async def test_a_rule_is_told_once_in_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """The others are at DEBUG, and counted in the next line; other rules have their own."""
    clock = ManualClock()
    guarded = Middleware(app, ValidationLayer(Validation(), clock))

    for _ in range(5):
        await call(guarded, path=f"/?q={ATTACK}")
    await call(guarded, path="/?q=<script>alert(1)</script>")
    clock.advance(60)
    await call(guarded, path=f"/?q={ATTACK}")
    clock.advance(60)
    await call(guarded, path=f"/?q={ATTACK}")

    assert [record.levelname for record in caplog.records] == ["INFO", *["DEBUG"] * 4, "INFO", "INFO", "INFO"]
    assert caplog.messages[-2].endswith("; 4 like it were not told since the last")
    assert "not told" not in caplog.messages[-1]


async def test_the_count_goes_on_when_the_guard_is_reconfigured(caplog: pytest.LogCaptureFixture) -> None:
    """Or each reload would let an attacker write anew."""
    guarded = unwatched(app)
    await call(guarded, path=f"/?q={ATTACK}")
    guarded.reconfigure(validation=Validation(level=2))
    await call(guarded, path=f"/?q={ATTACK}")

    assert [record.levelname for record in caplog.records if "validation: " in record.getMessage()] == ["INFO", "DEBUG"]
