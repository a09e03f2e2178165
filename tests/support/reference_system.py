"""The reference system as real processes, under load, and what is done to it: each fault begins, lasts, and ends.

Everything is on the loopback, on free ports, and is ended by who started it. What clients were told is kept, and at
the end each upload that was accepted is asked for, and compared with what brute force makes of the same files.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psutil
from redis_servers import BINARIES, Server, free_port, wait_until

from asgi_guard.audit.verify import Verdict, verify
from reconciliation.brute_force import by_brute_force
from reconciliation.transactions import Transaction
from reconciliation.users import new_user

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
KEY = "the key of the tests, of 32 bytes or more"
WINDOW_DAYS = 3
RECOVERS_SECONDS = 30.0


def soup(seed: int, rows: int) -> tuple[list[Transaction], list[Transaction]]:
    """Write two files in which much meets, in every way that there is a rule for."""
    chance = random.Random(seed)

    def side(name: str) -> list[Transaction]:
        return [
            Transaction(
                on=date(2026, 1, 1) + timedelta(chance.randrange(8)),
                id=f"{name}{number}",
                reference=chance.choice(["", *(f"R{each}" for each in range(rows // 2))]),
                amount=Decimal(chance.randrange(1, 8)) / 2,
                currency=chance.choice(["EUR", "EUR", "USD"]),
            )
            for number in range(rows)
        ]

    return side("L"), side("R")


def written(rows: list[Transaction]) -> str:
    """Write a file as CSV."""
    lines = [f"{each.id},{each.reference},{each.on},{each.amount},{each.currency}\n" for each in rows]
    return "id,reference,date,amount,currency\n" + "".join(lines)


@dataclass
class Accepted:
    """An upload that was answered: which files, by whom, and when."""

    seed: int
    id: str
    at: float


@dataclass
class Load:
    """What clients did and were told.

    Attributes:
        accepted: the uploads, by the seed of their files.
        statuses: how often each status came, by the second since the beginning; 0 is a connection that broke.
        wrong: what nobody should have been told.
    """

    accepted: dict[int, Accepted] = field(default_factory=dict)
    statuses: list[tuple[float, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def between(self, since: float, until: float) -> Counter[int]:
        """Count the statuses of a stretch of time."""
        return Counter(status for at, status in self.statuses if since <= at <= until)


class System:
    """All processes, and a client.

    Args:
        folder: of the data and of the logs.
        database_url: with which the service is told to connect.
        redis: a server that was started.
        workers: how many processes serve.
    """

    def __init__(self, folder: Path, database_url: str | None, redis: Server, workers: int = 2) -> None:
        self.folder = folder
        self.redis = redis
        self.token, kept = new_user("ann", "clerk")
        self.port, self.ai_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._stack = ExitStack()
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ASGI_GUARD_", "ENABLE_"))},
            "PYTHONPATH": os.pathsep.join([str(EXAMPLES), *filter(None, sys.path)]),
            "RECONCILIATION_FOLDER": str(folder),
            "RECONCILIATION_USERS": kept,
            "RECONCILIATION_AUDIT_KEY": KEY,
            "RECONCILIATION_REDIS_URL": redis.url,
            "RECONCILIATION_AI_URL": f"http://127.0.0.1:{self.ai_port}",
            "RECONCILIATION_RATE": "1000000/minute",
        }
        if database_url is not None:
            environ["RECONCILIATION_DATABASE_URL"] = database_url
        advisor = ("uvicorn", "reconciliation.ai_stand_in:app", "--port", str(self.ai_port), "--log-level", "warning")
        service = ("asgi_guard", "run", "reconciliation.serve:app", "--app-dir", str(EXAMPLES), "--server", "uvicorn")
        where = ("--port", str(self.port), "--workers", str(workers), "--server-options=--no-access-log")
        try:
            self._start("advisor", environ, *advisor)
            self.process = self._start("service", environ, *service, *where)
            wait_until(self.is_well, f"the service did not start: {self.log}", RECOVERS_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _start(self, name: str, environ: Mapping[str, str], *module: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._stack.callback(_end, process)
        return process

    @property
    def log(self) -> str:
        """What the service has logged."""
        return (self.folder / "service.log").read_text(errors="replace")

    def stop(self) -> None:
        """End everything that was started."""
        self._stack.close()

    def client(self) -> httpx.Client:
        """Make a client of the user's."""
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=20)

    def is_well(self) -> bool:
        """Tell whether several connections one after the other, to whichever workers, hear that every check passes.

        That the machine is busy, which such a test makes it, is a warning of `/health`, and is none here.
        """
        with suppress(httpx.HTTPError):
            return all(_passes(httpx.get(f"{self.url}/health", timeout=10)) for _ in range(4))
        return False

    def workers(self) -> list[psutil.Process]:
        """Find the processes that serve."""
        found = []
        for each in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # or it has just ended
                if "spawn_main" in " ".join(each.cmdline()):
                    found.append(each)
        return found

    def slow_the_advisor_down(self, calls: int) -> None:
        """Have it take its time for some calls, so that every process is in the middle of a job."""
        script = [{"latency_seconds": 0.5, "calls": calls}]
        httpx.post(f"http://127.0.0.1:{self.ai_port}/script", json=script, timeout=10).raise_for_status()

    def kill_a_worker(self) -> None:
        """End one of them at once."""
        os.kill(self.workers()[0].pid, signal.SIGKILL)

    # Load -------------------------------------------------------------------------------------------------------------

    @contextmanager
    def load(self, clients: int, rows: int, pause_seconds: float = 0.15) -> Iterator[Load]:
        """Upload, by several clients, until the block is left; each upload is repeated until it is accepted."""
        load, over, seeds = Load(), threading.Event(), iter(range(1, 1_000_000))
        lock = threading.Lock()

        def run() -> None:
            with self.client() as client:
                while not over.is_set():
                    with lock:
                        seed = next(seeds)
                    self._upload(client, load, seed, rows)
                    over.wait(pause_seconds)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            yield load
        finally:
            over.set()
            for thread in threads:
                thread.join(RECOVERS_SECONDS * 2)

    def _upload(self, client: httpx.Client, load: Load, seed: int, rows: int) -> None:
        left, right = soup(seed, rows)
        files = {"left": ("left.csv", written(left)), "right": ("right.csv", written(right))}
        fields = {"window_days": str(WINDOW_DAYS)}
        end = time.time() + RECOVERS_SECONDS * 2
        while time.time() < end:
            try:
                answer = client.post("/reconciliations", files=files, data=fields)
            except httpx.HTTPError:
                load.statuses.append((time.time(), 0))
                time.sleep(0.1)
                continue
            load.statuses.append((time.time(), answer.status_code))
            if answer.status_code in {200, 202}:
                told = answer.json()
                if (told["left"]["rows"], told["right"]["rows"]) != (len(left), len(right)):
                    load.wrong.append(f"{seed}: {told}")
                load.accepted[seed] = Accepted(seed, told["id"], time.time())
                return
            if answer.status_code not in {429, 503, 504}:
                load.wrong.append(f"{seed}: {answer.status_code} {answer.text[:300]}")
            time.sleep(0.2)
        load.wrong.append(f"{seed}: it was never accepted")

    # At the end -------------------------------------------------------------------------------------------------------

    def wrong_results(self, load: Load, rows: int) -> list[str]:
        """Ask for every upload that was accepted; tell which are not done in time, or not what brute force says."""
        wrong = [*load.wrong]
        end = time.monotonic() + RECOVERS_SECONDS
        with self.client() as client:
            for each in load.accepted.values():
                while client.get(f"/reconciliations/{each.id}").json()["status"] != "done":
                    if time.monotonic() > end:
                        return [*wrong, f"{each.seed}: it is not done"]
                    time.sleep(0.05)
                wrong += self._wrong(client, each, *soup(each.seed, rows))
        return wrong

    def _wrong(
        self, client: httpx.Client, each: Accepted, left: list[Transaction], right: list[Transaction]
    ) -> Iterator[str]:
        report = client.get(f"/reconciliations/{each.id}/report").json()
        expected = by_brute_force(left, right, WINDOW_DAYS)
        if report["outcomes"] != dict(expected):
            yield f"{each.seed}: {report['outcomes']} is not {dict(expected)}"
        for currency, money in report["money"].items():
            for name, side in (("left", left), ("right", right)):
                total = sum(row.amount for row in side if row.currency == currency)
                if Decimal(money[name]) != total:
                    yield f"{each.seed}: {money[name]} {currency} on the {name} is not {total}"
        page = client.get(f"/reconciliations/{each.id}/exceptions?limit=200").json()["exceptions"]
        found = Counter(exception["reason"] for exception in page)
        if found != Counter({reason: expected[reason] for reason in found}) or report["exceptions"] != len(page):
            yield f"{each.seed}: the exceptions are {found}"

    def audit(self) -> tuple[Verdict, list[dict[str, Any]]]:
        """Read the audit log, and verify it by its heads."""
        path = self.folder / "audit.jsonl"
        heads = path.with_name("audit.jsonl.heads")
        found = verify([path], key=KEY.encode(), heads=[heads] if heads.exists() else [])
        return found, [json.loads(line) for line in path.read_text().splitlines()]


def _passes(answer: httpx.Response) -> bool:
    checks = answer.json().get("checks", {})
    states = {name.partition(":")[0]: result["status"] for name, (result, *_) in checks.items()}
    return answer.status_code == 200 and (states.get("database"), states.get("redis")) == ("pass", "pass")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process as an administrator does, and whatever it has left behind."""
    process.terminate()
    try:
        process.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


@contextmanager
def a_redis(folder: Path) -> Iterator[Server]:
    """Start a Valkey that can be killed and started again on the same port."""
    server = Server(BINARIES["valkey-9"], folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()
