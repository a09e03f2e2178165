"""Peers: what the same protections cost, by us, by what people put together, and by others, measured side by side.

`python benchmarks/peers.py` takes some minutes and writes `results/peers.json`. `--quick` takes seconds, writes nothing
and prints it. The stacks are those of `peers_stacks.py`, each in a process of its own, and they take turns in an order
that changes every round, so that whatever slows the machine slows all of them alike. Quoted are the minimum, which
noise cannot lower, and the median of the rounds. First everybody's answers are compared: what a stack sends that the
others do not, or lets pass, stands in the results beside what it costs.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Self

from peers_stacks import ANNOUNCED, PACKAGES, SENT, STACKS
from servers import Server
from timing import added

HERE = Path(__file__).parent
RESULT = HERE / "results" / "peers.json"

Samples = dict[str, list[float]]

BARE, HEADERS, OURS, ASSEMBLED, NAIVE = "bare", "headers alone", "asgi-guard", "assembled", "naive"
ANNOUNCING, DETECTING = ", announcing", ", detecting"
OTHERS = [name for name in STACKS if name.removesuffix(ANNOUNCING) not in (BARE, HEADERS, OURS, OURS + DETECTING)]
SLOW = frozenset({"fastapi-guard"})
"""Whoever takes so long for one request that a handful of them is a batch."""

REFUSALS = {"host": (400, 421), "CORS": (200,), "declared body": (413,), "streamed body": (413,), "rate": (429,)}
"""What is done about what each protection is there for."""


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        rounds: how often each stack has its turn.
        batch: requests of a turn in process.
        batch_of_slow: the same, for a slow one.
        connections: to each server.
        times: requests of a turn on each connection; a slow one is asked once.
        warm_up: turns before the first that counts.
    """

    rounds: int = 30
    batch: int = 200
    batch_of_slow: int = 4
    connections: int = 32
    times: int = 16
    warm_up: int = 5


QUICK = Effort(rounds=5, batch=100, batch_of_slow=2, connections=8, times=10, warm_up=2)


class Worker:
    """A stack in a process of its own; a context manager."""

    def __init__(self, name: str) -> None:
        self._command = [sys.executable, str(HERE / "peers_worker.py"), name]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        self._process = self._open.enter_context(
            subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()  # it ends where its input does

    def run(self, batch: int) -> int:
        """Run a batch of requests; return the nanoseconds it took."""
        self._process.stdin.write(f"{batch}\n")
        return int(self._process.stdout.readline())


def in_process(effort: Effort) -> Samples:
    """Measure all stacks without a server: nanoseconds a request."""
    with ExitStack() as running:
        workers = {name: running.enter_context(Worker(name)) for name in STACKS}

        def turn(name: str) -> float:
            batch = effort.batch_of_slow if name in SLOW else effort.batch
            return workers[name].run(batch) / batch

        return interleaved(turn, effort)


def served(effort: Effort) -> tuple[Samples, dict[str, float], dict[str, dict[str, str]]]:
    """Measure all stacks under uvicorn: nanoseconds a request, MB held after the load, and the headers that arrive."""
    with ExitStack() as running:
        servers = {
            name: running.enter_context(Server(name, effort.batch_of_slow if name in SLOW else effort.connections))
            for name in STACKS
        }

        def turn(name: str) -> float:
            times = 1 if name in SLOW else effort.times
            return servers[name].load(times) / (times * len(servers[name].connections))

        samples = interleaved(turn, effort)
        memory = {name: round(server.spent()["rss_bytes"] / 1_000_000, 1) for name, server in servers.items()}
        return samples, memory, {name: server.headers() for name, server in servers.items()}


def interleaved(turn: Callable[[str], float], effort: Effort) -> Samples:
    """Let each stack have its turn once a round."""
    samples: Samples = {name: [] for name in STACKS}
    turns = random.Random(1)
    for number in range(-effort.warm_up, effort.rounds):
        for name in turns.sample([*STACKS], len(STACKS)):
            took = turn(name)
            if number >= 0:
                samples[name].append(took)
    return samples


def answers(name: str) -> dict[str, Any]:
    """Ask a stack what it answers."""
    command = [sys.executable, str(HERE / "peers_worker.py"), name, "--answers"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def differences(name: str, headers: Mapping[str, str]) -> dict[str, list[str]]:
    """Name what of the headers that a stack is to send is missing, different or additional; examples are not values."""
    announced = {field.decode() for field, _ in ANNOUNCED if name.endswith(ANNOUNCING)}
    fixed = {field.decode(): value.decode() for field, value in SENT if field != b"x-request-id"}
    wanted = {*fixed, *announced, "x-request-id"}
    own = {"content-type", "content-length", "date", "server"}
    return {
        "missing": sorted(wanted - headers.keys()),
        "different": sorted(field for field, value in fixed.items() if headers.get(field, value) != value),
        "additional": sorted(headers.keys() - wanted - own),
    }


def lacking(statuses: Mapping[str, int], headers: Mapping[str, str]) -> list[str]:
    """Name the protections that a stack does not have."""
    absent = [name for name, status in statuses.items() if status not in REFUSALS[name]]
    return absent if "x-request-id" in headers else [*absent, "request id"]


def compared(samples: Samples, base: str) -> dict[str, dict[str, float]]:
    """Return how many times what ours adds to a base each other one adds: by minima, and the median of the rounds.

    Those that announce are compared with ours announcing; so is their base, where it is one of headers.
    """

    def times(name: str) -> dict[str, float]:
        theirs, ours, floor = samples[name], samples[_beside(name, OURS)], samples[_beside(name, base)]
        rounds = zip(theirs, ours, floor, strict=True)
        by_round = [(their - bare) / (our - bare) for their, our, bare in rounds if our > bare]
        by_minima = (min(theirs) - min(floor)) / (min(ours) - min(floor))
        return {"of_minima": round(by_minima, 2), "median": round(median(by_round), 2)}

    return {name: times(name) for name in OTHERS}


def _beside(name: str, other: str) -> str:
    """Return the one of the others that is to be compared with a stack."""
    return other + ANNOUNCING if name.endswith(ANNOUNCING) and other != BARE else other


def bars(in_process: Mapping[str, Any], served: Mapping[str, Any]) -> dict[str, bool]:
    """Judge by minima and by medians: both have to hold."""
    return {
        "in process, assembled >= 4 x ours": min(in_process[ASSEMBLED].values()) >= 4,
        "the same, announcing": min(in_process[ASSEMBLED + ANNOUNCING].values()) >= 4,
        "in process, naive >= 10 x ours": min(in_process[NAIVE].values()) >= 10,
        "under a server, without the headers' cost, assembled >= 4 x ours": min(served[ASSEMBLED].values()) >= 4,
        "the same under a server, announcing": min(served[ASSEMBLED + ANNOUNCING].values()) >= 4,
    }


def result(effort: Effort) -> dict[str, Any]:
    """Measure everything."""
    from run import machine

    from asgi_guard import __version__

    told = {name: answers(name) for name in STACKS}
    stepped = in_process(effort)
    spent, memory, arrived = served(effort)
    times_in_process, times_served = compared(stepped, BARE), compared(spent, HEADERS)
    return {
        "machine": machine(),
        "packages": {"asgi-guard": __version__, **{name: version(name) for name in PACKAGES}},
        "effort": vars(effort),
        "headers": {name: differences(name, headers) for name, headers in arrived.items() if name != BARE},
        "lacking": {name: lacking(one["statuses"], one["headers"]) for name, one in told.items()},
        "in process": {
            "a request, in all": {name: added(stepped, name) for name in STACKS},
            "added to bare": {name: added(stepped, name, BARE) for name in STACKS if name != BARE},
            "times ours": times_in_process,
        },
        "under uvicorn": {
            "CPU a request, in all": {name: added(spent, name) for name in STACKS},
            "added to headers alone": {
                name: added(spent, name, _beside(name, HEADERS))
                for name in STACKS
                if not name.startswith((BARE, HEADERS))
            },
            "times ours": times_served,
            "memory held, MB": memory,
        },
        "bars": bars(times_in_process, times_served),
    }


def main(arguments: list[str]) -> None:
    """Measure, then write or print."""
    is_quick = "--quick" in arguments
    text = json.dumps(result(QUICK if is_quick else Effort()), indent=2)
    if is_quick:
        print(text)
        return
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text + "\n", encoding="utf-8")
    print(f"results/{RESULT.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
