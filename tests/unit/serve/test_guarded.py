"""The guard that the environment describes, and what becomes of it when its file changes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.shares import usual_share, work_among
from asgi_guard.serve import guarded as module
from asgi_guard.serve.guarded import guarded, settings


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Name an application, and a file that is empty so far."""
    (tmp_path / "shop_to_guard.py").write_text("async def app(scope, receive, send): ...\n", encoding="utf-8")
    file = tmp_path / "guard.toml"
    file.touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield {"ASGI_GUARD_APP": "shop_to_guard:app", "ASGI_GUARD_CONFIG": str(file)}
    sys.modules.pop("shop_to_guard", None)


@pytest.fixture
def renewals(monkeypatch: pytest.MonkeyPatch) -> list:
    """Keep what would be called on SIGHUP, and leave the signal alone."""
    renewals: list = []
    monkeypatch.setattr(module, "on_hangup", renewals.append)
    return renewals


def parts(guard: object) -> list[str]:
    """Return the names of the parts that are on."""
    return repr(guard).removesuffix(">").rpartition(": ")[2].split(", ")


def test_told_nothing_it_is_the_guard_of_the_defaults(environ: dict[str, str], renewals: list) -> None:
    """As `Guard(app)` in code."""
    guard = guarded({"ASGI_GUARD_APP": environ["ASGI_GUARD_APP"]})

    assert parts(guard) == parts(module.Guard(guard.app))
    assert renewals == []  # there is no file to read again


OWN = """
from asgi_guard import Guard

async def app(scope, receive, send): ...

guard = Guard(app, rate_limit="7/minute")
"""


@pytest.mark.parametrize(
    ("said", "is_as_it_is"),
    [({}, True), ({"ASGI_GUARD_RUN": "1"}, True), ({"ASGI_GUARD_CORS": "https://a.example"}, False)],
)
def test_a_guard_is_not_guarded_again(said: dict[str, str], is_as_it_is: bool, tmp_path: Path, monkeypatch) -> None:
    """It would be limited by the defaults, besides its own settings; but what is said somewhere counts."""
    (tmp_path / "guarded_shop.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    guard = guarded({"ASGI_GUARD_APP": "guarded_shop:guard", **said})

    own = sys.modules.pop("guarded_shop").guard
    assert (guard is own) is is_as_it_is


@pytest.mark.long
def test_a_guard_of_its_own_counts_with_other_workers(tmp_path: Path) -> None:
    """It is shared by whatever counts in a process, so this is asked in one of its own."""
    (tmp_path / "guarded_shop.py").write_text(OWN, encoding="utf-8")
    program = (
        "import sys; from asgi_guard.serve.guarded import guarded; "
        "guard = guarded({'ASGI_GUARD_APP': 'guarded_shop:guard', 'ASGI_GUARD_APP_DIR': sys.argv[1], "
        "'ASGI_GUARD_SHARED_DIR': sys.argv[2]}); "
        "print(type(guard.part('telemetry').aggregate).__name__, guard.part('rate_limit').settings)"
    )
    run = [sys.executable, "-c", program, str(tmp_path), str(tmp_path / "cells")]

    told = subprocess.check_output(run, text=True).strip()

    assert told.startswith("SharedAggregate")
    assert "7/minute" in told


def test_the_file_is_read_again(environ: dict[str, str], renewals: list) -> None:
    """A part that it names is as it says; one that it no longer names is as it was before anybody said anything."""
    file = Path(environ["ASGI_GUARD_CONFIG"])
    guard = guarded(environ)
    before = parts(guard)

    file.write_text('rate_limit = false\ncors = "https://a.example"\n', encoding="utf-8")
    renewals[0]()
    between = parts(guard)
    file.write_text("", encoding="utf-8")
    renewals[0]()

    assert set(before) ^ set(between) == {"rate_limit", "cors"}
    assert parts(guard) == before


def test_a_wrong_file_changes_nothing(environ: dict[str, str], renewals: list) -> None:
    """Not even what is right in it, and every problem is told."""
    guard = guarded(environ)
    before = guard.explain()
    Path(environ["ASGI_GUARD_CONFIG"]).write_text(
        'cors = "https://a.example"\nrate_limit = 7\ncsp = 1', encoding="utf-8"
    )

    with pytest.raises(ConfigError) as caught:
        renewals[0]()

    assert len(caught.value.problems) == 2
    assert guard.explain() == before


def test_the_environment_wins_over_the_file(environ: dict[str, str]) -> None:
    """Whoever starts a container says the last word."""
    Path(environ["ASGI_GUARD_CONFIG"]).write_text("cors = false\nrequest_id = false", encoding="utf-8")

    read = settings({**environ, "ASGI_GUARD_REQUEST_ID": "true"})

    assert (read["cors"], read["request_id"]) == (False, True)


def test_the_application_is_asked_for_by_its_variable() -> None:
    """Nothing else is the application."""
    with pytest.raises(ConfigError, match="AG550"):
        guarded({})


def test_a_worker_knows_how_many_there_are(environ: dict[str, str], renewals: list) -> None:
    """What each of them may admit by itself is its share; it is known before the application makes a store."""
    try:
        guarded({**environ, "ASGI_GUARD_WORKERS": "4"})
        assert usual_share() == 1 / 4
        guarded(environ)
        assert usual_share() == 1
    finally:
        work_among(1)


@pytest.mark.parametrize("said", ["0", "1025", "four", "-1", "", "1" * 5_000])
def test_a_number_of_workers_is_a_number(said: str, environ: dict[str, str]) -> None:
    """Nothing of what stands there is believed otherwise."""
    with pytest.raises(ConfigError, match="AG434 ASGI_GUARD_WORKERS"):
        guarded({**environ, "ASGI_GUARD_WORKERS": said})


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
def test_sighup_is_taken_where_there_is_a_file(environ: dict[str, str]) -> None:
    """Otherwise a hang-up means what it always does."""
    before = signal.getsignal(signal.SIGHUP)
    try:
        guarded({"ASGI_GUARD_APP": environ["ASGI_GUARD_APP"]})
        assert signal.getsignal(signal.SIGHUP) is before
        guarded(environ)
        assert signal.getsignal(signal.SIGHUP) is not before
    finally:
        signal.signal(signal.SIGHUP, before)
