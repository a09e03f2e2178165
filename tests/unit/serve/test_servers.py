"""How each server is started, and what it is not asked to do."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from asgi_guard.serve.servers import SERVERS, CannotServeError, Place, choose

HERE = Place("127.0.0.1", 8000, 1)


@pytest.mark.parametrize(
    ("place", "authority"), [(HERE, "127.0.0.1:8000"), (Place("::1", 80, 1), "[::1]:80"), (Place("a", 0, 1), "a:0")]
)
def test_a_place_is_written_as_in_a_url(place: Place, authority: str) -> None:
    """An IPv6 address stands in brackets."""
    assert place.authority == authority


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_server_is_told_the_place(server: str, host: str) -> None:
    """Host and port are in its options, in its own form."""
    options = SERVERS[server].options(Place(host, 8123, 1))

    assert "8123" in " ".join(options)
    assert host in " ".join(options)


@pytest.mark.parametrize(
    ("server", "options"),
    [
        ("uvicorn", ["--no-proxy-headers"]),
        ("gunicorn", ["--forwarded-allow-ips", ""]),
    ],
)
def test_a_server_that_reads_forwarding_headers_is_told_not_to(server: str, options: list[str]) -> None:
    """Two that decide who the client is would be one too many."""
    if find_spec(server) is None:
        pytest.skip(f"{server} is not installed")

    given = SERVERS[server].options(HERE)
    at = given.index(options[0])

    assert given[at : at + len(options)] == options


def test_daphne_has_no_workers() -> None:
    """It is said before anything starts."""
    with pytest.raises(CannotServeError, match="daphne serves from one process: leave --workers out"):
        SERVERS["daphne"].options(Place("127.0.0.1", 8000, 2))


@pytest.mark.parametrize(
    ("without", "worker"),
    [
        ([], "uvicorn_worker.UvicornWorker"),
        (["uvicorn_worker"], "uvicorn.workers.UvicornWorker"),
        (["uvicorn_worker", "uvicorn"], "asgi"),
    ],
)
def test_gunicorn_takes_the_best_worker_there_is(without: list[str], worker: str) -> None:
    """The package that is made for it, then what older installations have, then its own."""
    if not all(map(find_spec, ("gunicorn", "uvicorn", "uvicorn_worker"))):
        pytest.skip("gunicorn, uvicorn and uvicorn_worker are not all installed")

    assert f"'--worker-class', '{worker}'" in printed("SERVERS['gunicorn'].options(Place('', 1, 1))", without)


def test_gunicorn_without_a_worker_is_refused() -> None:
    """What is missing is named for pip."""
    told = printed("SERVERS['gunicorn'].options(Place('', 1, 1))", ["uvicorn_worker", "uvicorn", "gunicorn"])

    assert told == "CannotServeError: gunicorn needs a worker that speaks ASGI: pip install uvicorn-worker"


@pytest.mark.parametrize(
    ("name", "without", "chosen"),
    [
        (None, [], "uvicorn"),
        (None, ["uvicorn"], "hypercorn"),
        (None, ["uvicorn", "hypercorn"], "granian"),
        ("granian", [], "granian"),
        (None, [*SERVERS], "CannotServeError: no server is installed: pip install 'asgi-guard[server]'"),
        ("uvicorn", ["uvicorn"], "CannotServeError: uvicorn is not installed: pip install 'asgi-guard[server]'"),
        ("daphne", ["daphne"], "CannotServeError: daphne is not installed: pip install daphne"),
        ("gunicorn", ["gunicorn"], "CannotServeError: gunicorn is not installed: pip install gunicorn uvicorn-worker"),
    ],
)
def test_the_first_that_is_installed_serves(name: str | None, without: list[str], chosen: str) -> None:
    """Or the one that was named; what is missing is named for pip."""
    if chosen in SERVERS and find_spec(chosen) is None:
        pytest.skip(f"{chosen} is not installed")

    assert printed(f"choose({name!r})", without) == chosen


def test_the_first_is_the_one_that_the_extra_brings() -> None:
    """Whoever installs what is advised gets what is preferred."""
    assert next(iter(SERVERS)) == "uvicorn"
    if find_spec("uvicorn"):
        assert choose(None) == "uvicorn"


def printed(expression: str, without: list[str]) -> str:
    """Return what an expression comes to in an interpreter where some packages are not installed."""
    program = f"""
import sys
from importlib.machinery import PathFinder

class Hidden(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {without!r} else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Hidden
from asgi_guard.serve.servers import CannotServeError, Place, SERVERS, choose
try:
    print({expression})
except CannotServeError as error:
    print("CannotServeError:", error)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return run.stdout.strip()
