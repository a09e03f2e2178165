"""The monitor under a real server: one summary for all workers, a leader that is killed, alerts that are told once."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from shop_under_run import BEARER, Shop, shop, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel who holds a lock"),
    pytest.mark.timeout(120),
]
SETTINGS = """
rate_limit = false
[monitor]
period_seconds = 1
[[monitor.alerts]]
name = "broken"
signal = "error_rate"
above = 5
cooldown_seconds = 0
"""


def summary(served: Shop) -> dict[str, Any]:
    """Read what any worker says; nothing where it does not answer."""
    status, text = served.get("/performance/summary", **BEARER)
    return json.loads(text) if status == 200 else {}


def requests(told: dict[str, Any]) -> int:
    """Count the requests of the shop in the last minutes."""
    routes = told["windows"]["5m"]["routes"] if told else []
    return sum(route["requests"] for route in routes if route["route"] == "/items/{id}")


@pytest.mark.long
def test_three_workers_have_one_summary_also_when_the_one_that_leads_is_killed(tmp_path: Path) -> None:
    """Whoever is asked knows of all; another leads within seconds, and counts what happens from then on."""
    with shop(tmp_path, "uvicorn", 3, SETTINGS) as served:
        until(lambda: len(summary(served).get("workers", ())) == 3)
        served.buy(60)
        until(lambda: all(requests(summary(served)) == 60 for _ in range(9)))
        workers = {worker["pid"] for worker in summary(served)["workers"]}

        leader = next(pid for pid in workers if "leader" in open_files(pid))
        os.kill(leader, signal.SIGKILL)
        until(lambda: {worker["pid"] for worker in summary(served).get("workers", ())} - workers)
        before = requests(summary(served))
        served.buy(30)
        until(lambda: requests(summary(served)) == before + 30)
        assert leader not in {worker["pid"] for worker in summary(served)["workers"]}


def open_files(pid: int) -> set[str]:
    """Return the names of the files that a process holds locked as the one that leads, or has open."""
    held = Path("/proc/locks").read_text(encoding="utf-8")
    found: set[str] = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            path = entry.readlink()
            inode = entry.stat().st_ino
        except OSError:
            continue
        if any(line.split()[5].endswith(f":{inode}") and f" {pid} " in line for line in held.splitlines()):
            found.add(path.name)
    return found


@pytest.mark.long
def test_an_alert_is_told_once_by_all_workers_together(tmp_path: Path) -> None:
    """It is in the log once, and in everybody's health."""
    with shop(tmp_path, "uvicorn", 3, SETTINGS) as served:
        until(lambda: len(summary(served).get("workers", ())) == 3)

        def has_fired() -> bool:
            for _ in range(10):
                served.get("/items/broken")
            return any(alert["state"] == "firing" for alert in summary(served)["alerts"])

        until(has_fired)
        until(lambda: all('"warn"' in served.get("/health", **BEARER)[1] for _ in range(9)))
        log = (tmp_path / "log").read_text(encoding="utf-8")

    assert log.count("the alert broken fires") == 1
