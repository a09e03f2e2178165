"""Several workers for real, each of which tells what all have counted: killed, replaced, and gone."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from shop_under_run import Shop, shop, until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the folder's name has what Linux tells of a process"),
    pytest.mark.timeout(120),
]

WIDE = 'rate_limit = "1000000/second"\n'
SERVERS = ["uvicorn", *[pytest.param(name, marks=pytest.mark.slow) for name in ("granian", "gunicorn", "hypercorn")]]


def answers_of_all(served: Shop) -> set[int | None]:
    """Ask until each worker has answered, most likely."""
    return {until(served.counted) for _ in range(8)}


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS[:-1])  # the last one ends when a worker is killed
def test_counts_are_exact_though_workers_are_killed(tmp_path: Path, server: str) -> None:
    """Any worker answers for all, living and dead, and no number ever goes back; nobody else may look."""
    with shop(tmp_path, server, workers=3, settings=WIDE) as served:
        for sent in (40, 80, 120):
            oldest = min(served.buy(40))  # one server ends when a new worker is killed, too
            until(lambda: served.counted() == sent)  # noqa: B023  it is called here
            assert answers_of_all(served) == {sent}

            os.kill(oldest, signal.SIGKILL)
            until(lambda: served.get("/readyz")[0] == 200)
            assert answers_of_all(served) == {sent}
        assert served.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_a_reload_keeps_what_was_counted(tmp_path: Path, server: str) -> None:
    """While all workers are replaced, whoever answers tells of all requests; so do the new ones afterwards."""
    with shop(tmp_path, server, workers=2, settings=WIDE) as served:
        workers = {*served.buy(40)}
        until(lambda: served.counted() == 40)

        served.process.send_signal(signal.SIGHUP)
        while any(map(is_alive, workers)):
            assert served.counted() in {40, None}
        until(lambda: served.get("/readyz")[0] == 200)
        served.buy(10)
        until(lambda: served.counted() == 50)
        assert answers_of_all(served) == {50}


@pytest.mark.long
def test_the_next_server_removes_what_one_has_left(tmp_path: Path) -> None:
    """Each has a folder of its own, and those of servers that have ended do not gather."""
    with shop(tmp_path, workers=2) as served:
        left = served.folder
        assert left.is_dir()
    with shop(tmp_path, workers=2) as served:
        assert [*left.parent.iterdir()] == [served.folder]
        assert served.folder != left


def is_alive(process: int) -> bool:
    """Tell whether a process, which may be anybody's child, has not ended."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return False
