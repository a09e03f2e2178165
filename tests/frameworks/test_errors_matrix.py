"""One answer to an error, whatever the application is written in: thirty cases, seven frameworks."""

from __future__ import annotations

from typing import Any

import pytest
from errors_in_process import CASES, ask, failing, faults
from failing import FRAMEWORKS

from asgi_guard import ErrorEnvelope, Guard
from asgi_guard.testing import Response, StrictServer, http_scope, request_messages

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Most frameworks know no other loop."""
    return "asyncio"


@pytest.fixture
def no_blocking_calls() -> None:
    """Let frameworks block the loop: that is their own affair."""


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", CASES)
async def test_an_error_is_told_alike_in_every_framework(framework: str, name: str) -> None:
    """Status, code, message, headers and request id; no secret, and no exception at the server."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    case = CASES[name]
    async with failing(framework, case) as app:
        server = await ask(app, case)

    assert faults(case, server) == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_with_the_rewriting_off_the_frameworks_own_words_pass(framework: str) -> None:
    """To the byte."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    bare = FRAMEWORKS[framework](lets_through=False)
    sent: list[list[Any]] = []
    for app in (bare, Guard(bare, error_envelope=ErrorEnvelope(rewrite="off"))):
        sent.append([])

        async def send(message: Any) -> None:
            sent[-1].append(message)

        await app(http_scope("GET", "/a/b"), StrictServer(http_scope(), request_messages()).receive, send)

    assert [Response.of(messages).body for messages in sent] == [Response.of(sent[0]).body] * 2
