"""The end of a process or of its event loop: nobody has closed the store, and nothing hangs or is said for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.timeout(60)]

PROGRAM = """
import asyncio, gc, importlib, os, signal, sys
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

url, loops, way, server = sys.argv[1:]
store = RedisStore(url, timeout_seconds=5, connect_timeout_seconds=5)
ample, used_up = store.bucket("ample", parse_rate("1000000/hour")), store.bucket("used up", parse_rate("3/hour"))
hot = store.bucket("hot", parse_rate("1000000/hour"), lease=10)

async def ask(key):
    while True:
        await asyncio.gather(ample.hit(key), hot.hit("k"))

async def main():
    while await used_up.hit("k"):
        pass
    tasks = [asyncio.ensure_future(ask(f"k{number}")) for number in range(20)]
    await asyncio.sleep(0.1)
    if way == "frozen":
        os.kill(int(server), signal.SIGSTOP)
        await asyncio.sleep(0.1)
    return tasks

loop = importlib.import_module(loops).new_event_loop()
if way == "closed":
    tasks = loop.run_until_complete(main())
    loop.close()
    del tasks
    gc.collect()
else:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
print("ended")
"""


@pytest.mark.long
@pytest.mark.parametrize("way", ["closed", "run to its end", "frozen"])
@pytest.mark.parametrize("loops", ["asyncio", "uvloop"])
def test_a_loop_ends_with_calls_under_way(server, loops, way) -> None:
    """Also where Redis does not answer; and no log says that Redis is away because a loop was closed."""
    pytest.importorskip(loops)
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, server.url, loops, way, str(server.process.pid)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.stdout == "ended\n", ended.stderr
    assert "does not answer" not in ended.stderr
    assert "_give_up" not in ended.stderr
