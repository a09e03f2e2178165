"""SIGHUP in a process that serves."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.serve import reload
from asgi_guard.serve.reload import on_hangup
from asgi_guard.settings import Problem

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")

PATIENCE_SECONDS = 10
WRONG = ConfigError([Problem("AG110", "rate_limt", "", "is not a field", "Did you mean 'rate_limit'?")])


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Give the signal back to whoever had it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


class Log(logging.Handler):
    """Keeps what is logged, and tells when something is."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.news = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{record.levelname} {record.getMessage()}{' with a traceback' if record.exc_info else ''}")
        self.news.set()


@pytest.fixture
def log() -> Iterator[Log]:
    """Listen to the package's log."""
    logger, log = logging.getLogger("asgi_guard"), Log()
    level = logger.level
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    yield log
    logger.setLevel(level)
    logger.removeHandler(log)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "INFO The configuration is reloaded."),
        (WRONG, f"ERROR The configuration is not reloaded, the one before stays: {WRONG}"),
        (LookupError("?"), "ERROR The configuration is not reloaded, the one before stays. with a traceback"),
    ],
    ids=["right", "wrong", "broken"],
)
def test_a_hang_up_renews(error: Exception | None, said: str, log: Log) -> None:
    """In another thread; what comes of it is logged, and the process goes on in any case."""
    threads: list[int] = []

    def renew() -> None:
        threads.append(threading.get_ident())
        if error is not None:
            raise error

    on_hangup(renew)
    signal.raise_signal(signal.SIGHUP)

    assert log.news.wait(PATIENCE_SECONDS)
    assert log.said == [said]
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_whoever_had_the_signal_is_called_as_well(log: Log) -> None:
    """An application may do things of its own."""
    heard: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: heard.append(number))

    on_hangup(lambda: None)
    signal.raise_signal(signal.SIGHUP)

    assert log.news.wait(PATIENCE_SECONDS)
    assert heard == [signal.SIGHUP]


def test_a_process_that_has_all_the_threads_it_may_goes_on(monkeypatch, capfd) -> None:
    """An exception out of the handler would end it, wherever it was; the one before is still called."""

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    heard: list[int] = []
    signal.signal(signal.SIGHUP, lambda number, _frame: heard.append(number))
    monkeypatch.setattr(reload, "start_new_thread", refuse)

    on_hangup(lambda: None)
    signal.raise_signal(signal.SIGHUP)

    assert heard == [signal.SIGHUP]
    assert "the configuration is not reloaded, the one before stays: can't start new thread" in capfd.readouterr().err


def test_one_renewal_at_a_time(log: Log) -> None:
    """Whoever signals twice gets two, one after the other."""
    running, most, goes_on = [], [], threading.Event()

    def renew() -> None:
        running.append(None)
        most.append(len(running))
        assert goes_on.wait(PATIENCE_SECONDS)
        running.pop()

    on_hangup(renew)
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)
    goes_on.set()
    while len(log.said) < 2:
        assert log.news.wait(PATIENCE_SECONDS)

    assert most == [1, 1]


def test_outside_the_main_thread_nothing_happens() -> None:
    """Python lets nobody else take a signal, and a server in a thread must start all the same."""
    before = signal.getsignal(signal.SIGHUP)
    thread = threading.Thread(target=on_hangup, args=(lambda: None,))

    thread.start()
    thread.join()

    assert signal.getsignal(signal.SIGHUP) is before
