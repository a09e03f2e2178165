"""Stand-ins do what their script says, over a socket and as an object."""

from __future__ import annotations

import gc
import json
import socket
import urllib.error
import urllib.request
import warnings

import pytest

from asgi_guard.testing import StandIn, StandInCache, StandInError, fail, garbage, ok, reset, slow
from asgi_guard.testing.services import Services


def asked(url: str, body: bytes | None = None, method: str | None = None) -> object:
    """Ask; return the body, the status of an error, or the kind of exception."""
    request = urllib.request.Request(url, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code
    except OSError as exc:
        return type(exc).__name__
    except Exception as exc:  # noqa: BLE001  what is no HTTP
        return type(exc).__name__


def test_a_script_is_carried_out_in_order() -> None:
    """One step a call, and then the default."""
    with StandIn() as service:
        service.script(ok({"a": 1}), fail(503), slow(0.01, "late"), garbage(), reset())
        answers = [asked(f"{service.url}/{number}") for number in range(6)]

        assert answers == [b'{"a": 1}', 503, b"late", "BadStatusLine", "ConnectionResetError", b"{}"]
        assert [call.path for call in service.calls] == ["/0", "/1", "/2", "/3", "/4", "/5"]


def test_a_service_that_is_down_recovers_after_so_many_calls() -> None:
    """Its script waits meanwhile."""
    with StandIn() as service:
        service.script(ok("first"))
        service.down(fail(502))
        service.recover(after=2)

        assert [asked(service.url) for _ in range(4)] == [502, 502, b"first", b"{}"]


@pytest.mark.parametrize(
    "wrong",
    [lambda: fail(200), lambda: slow(61), lambda: ok(headers={"A": "b\r\nc: d"})],
    ids=["no error", "too slow", "two headers in one"],
)
def test_a_step_that_cannot_be_is_refused(wrong) -> None:
    """When it is made."""
    with pytest.raises(ValueError, match=r"must|no error"):
        wrong()


def test_a_cache_and_a_model_answer_as_theirs_do() -> None:
    """Keys over HTTP, completions, the same embedding of the same text."""
    with Services() as services:
        cache, model = services.cache(), services.ai()
        model.script(ok("Yes."))
        said = json.loads(asked(f"{model.url}/v1/chat/completions", b"{}"))
        vectors = {asked(f"{model.url}/v1/embeddings", b'{"input": "tea"}') for _ in range(2)}

        assert asked(f"{cache.url}/k") == 404
        assert asked(f"{cache.url}/k", b"v", "PUT") == b""
        assert asked(f"{cache.url}/k") == b"v"
        assert said["choices"][0]["message"]["content"] == "Yes."
        assert len(vectors) == 1


@pytest.mark.anyio
async def test_a_cache_as_an_object_has_the_same_script() -> None:
    """It needs no server for that."""
    cache = StandInCache()
    await cache.set("k", "v")
    cache.script(fail(503), reset())

    with pytest.raises(StandInError, match="503"):
        await cache.get("k")
    with pytest.raises(ConnectionResetError):
        await cache.get("k")
    assert await cache.get("k") == b"v"
    assert await cache.delete("k")


@pytest.mark.parametrize("is_called", [False, True], ids=["not called", "called"])
def test_nothing_of_a_stand_in_is_left_open(is_called: bool) -> None:
    """However soon it ends: the suite of whoever has warnings as errors would fail somewhere else."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(20):
            with Services() as services:
                service = services.http()
                client = socket.create_connection(("127.0.0.1", service.port)) if is_called else None
            if client is not None:
                client.close()
        del services, service
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_what_a_stand_in_does_by_default_is_a_step() -> None:
    """Its name is another argument."""
    with Services() as services, pytest.raises(TypeError, match=r"such as ok\(\{\}\), and not 'payments'"):
        services.http("payments")
