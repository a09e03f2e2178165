"""A server of one's own: it answers, forgets, and is gone with its block."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from asgi_guard import Guard, RateLimit
from asgi_guard.testing import Client, Valkey, call
from asgi_guard.testing import valkey as module

pytestmark = pytest.mark.skipif(module.find_server() is None, reason="there is no server of Valkey or Redis")


async def app(scope, receive, send):
    """Say yes; there is nothing to start and nothing to stop."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


def is_listened_to(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["PING"], b"+PONG"),
        (["INCR", "n"], b":1"),
        (["ECHO", b"\x00\r\n$5"], b"$5\r\n\x00\r\n$5"),
        (["GET", "nothing"], b"$-1"),
        (["MGET", "a", "b"], b"*2\r\n$-1\r\n$-1"),
        (["EVAL", "return {1, {'a', ''}, {}}", 0], b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n$0\r\n\r\n*0"),
    ],
    ids=["simple", "number", "bytes with line breaks", "nothing", "list", "nested"],
)
def test_it_answers_as_on_the_wire(valkey: Valkey, words, answer) -> None:
    """Each kind of answer is read to its end."""
    assert valkey.command(*words) == answer


def test_an_error_is_raised(valkey: Valkey) -> None:
    """With what the server says."""
    with pytest.raises(ValueError, match="unknown command"):
        valkey.command("NONSENSE")


def test_it_forgets_keys_and_scripts(valkey: Valkey) -> None:
    """As `valkey` does before each test."""
    valkey.command("SET", "a", "1")
    digest = valkey.command("SCRIPT", "LOAD", "return 1").partition(b"\r\n")[2]
    assert valkey.command("SCRIPT", "EXISTS", digest) == b"*1\r\n:1"

    valkey.flush()

    assert valkey.command("DBSIZE") == b":0"
    assert valkey.command("SCRIPT", "EXISTS", digest) == b"*1\r\n:0"


def test_it_lives_as_long_as_its_block() -> None:
    """Two at once are two; its folder is gone with it, and a second end does nothing."""
    with Valkey.started("--maxmemory", "10mb") as one, Valkey.started() as other:
        assert one.port != other.port
        assert {one.port, other.port} <= set(module.PORTS)
        assert one.command("CONFIG", "GET", "maxmemory").endswith(b"10485760")
        folder = Path(one.command("CONFIG", "GET", "dir").decode().rpartition("\r\n")[2])
        assert folder.is_dir()

    assert not folder.exists()
    assert not is_listened_to(one.port)
    one.stop()


@pytest.fixture(
    scope="module", params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "asyncio+uvloop"]
)
def anyio_backend(request):
    """The client of Redis knows no trio."""
    return request.param


@pytest.fixture
def guards(valkey_url: str) -> list[Guard]:
    """Give two, as two processes would have them."""
    return [Guard(app, rate_limit=RateLimit("3/minute", store=valkey_url)) for _ in range(2)]


@pytest.mark.anyio
async def test_two_processes_share_its_limits(guards) -> None:
    """What one counts, the other knows."""
    async with Client(guards[0]), Client(guards[1]):
        statuses = [(await call(guards[n % 2])).status for n in range(5)]

    assert statuses == [200, 200, 200, 429, 429]


def test_a_server_that_ends_at_once_is_told(monkeypatch, tmp_path: Path) -> None:
    """After three ports; and where there is none, how to have one."""
    program = tmp_path / "valkey-server"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_server", lambda: program)
    with pytest.raises(ChildProcessError, match="ended with 3"), Valkey.started():
        pass
    monkeypatch.setattr(module, "find_server", lambda: None)
    with pytest.raises(FileNotFoundError, match="pip install"), Valkey.started():
        pass


@pytest.mark.long
def test_a_server_that_does_not_answer_is_ended(monkeypatch, tmp_path: Path) -> None:
    """It is given up after its time, and is not left behind."""
    program = tmp_path / "valkey-server"
    tell = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))"
    program.write_text(f"#!{sys.executable} -S\nimport os, time\n{tell}\ntime.sleep(60)\n")
    program.chmod(0o755)
    monkeypatch.setattr(module, "find_server", lambda: program)
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 2.0)

    with pytest.raises(TimeoutError, match="does not answer after 2 seconds"), Valkey.started():
        pass

    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
