"""What the doctor asks stores: each of them answers while its server does, by whatever way, and nothing is written."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import doctor_patients
import pytest

from asgi_guard import RateLimit, Telemetry
from asgi_guard.cli import main
from asgi_guard.limiting.limits_adapter import LimitsStore
from asgi_guard.limiting.redis import RedisStore

RULES = ("on", ">hunter2", "~asgi-guard:*", "-@all", "+evalsha", "+eval")
SERVERS = (
    ("uvicorn", "--no-proxy-headers --timeout-graceful-shutdown 30"),
    ("hypercorn", ""),
    ("granian", "--workers-kill-timeout 30"),
    ("gunicorn", "-k uvicorn_worker.UvicornWorker --forwarded-allow-ips ''"),
)


def answers(make: Any) -> bool:
    """Ask as the doctor does."""

    async def asked() -> bool:
        store = make()
        try:
            async with asyncio.timeout(10):
                await store.check()
        except Exception:  # noqa: BLE001  whatever it is: there is no answer
            return False
        finally:
            await store.aclose()
        return True

    return asyncio.run(asked())


def test_a_store_answers_while_its_server_does(server) -> None:
    """With no more rights than it needs to count; who shows the wrong password is not answered."""
    server.command("ACL", "SETUSER", "guard", *RULES)
    stores = [
        partial(RedisStore, server.url),
        partial(RedisStore, f"redis://guard:hunter2@127.0.0.1:{server.port}"),
        partial(LimitsStore, f"async+{server.url}"),
        partial(LimitsStore, server.url),
    ]

    assert all(map(answers, stores))
    assert not answers(partial(RedisStore, f"redis://guard:wrong@127.0.0.1:{server.port}"))
    assert server.keys() == []
    server.kill()
    assert not any(map(answers, stores))


@pytest.mark.long
def test_a_cluster_answers(cluster) -> None:
    """By any of its nodes."""
    assert answers(partial(RedisStore, f"redis+cluster://127.0.0.1:{cluster[0].port}"))


@pytest.mark.parametrize(("name", "options"), SERVERS)
def test_nothing_is_found_in_several_workers_that_share_all(
    name: str, options: str, server, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a proxy that is believed, with the options that each server wants: not even a note."""
    pytest.importorskip(name)

    def shared() -> Any:
        return doctor_patients.guarded(
            client_address=["10.0.0.0/8"],
            rate_limit=RateLimit("1000/minute", store=server.url),
            telemetry=Telemetry(shared_dir="auto"),
        )

    monkeypatch.setattr(doctor_patients, "shared", shared, raising=False)
    arguments = ["--behind-proxy", "--workers", "4", "--server", name, f"--server-options={options}", "--json"]

    code = main(["doctor", "doctor_patients:shared()", *arguments])

    assert (code, json.loads(capsys.readouterr().out)["findings"]) == (0, [])
