"""Telemetry: what it costs to tell of a request, by us and by others; writes `results/telemetry.json`.

`python benchmarks/telemetry.py` takes some minutes; `--quick` takes seconds, writes nothing and prints. In process, the
stacks of `telemetry_stacks.py` take turns, by the CPU time of the thread that serves; only one of them needs a task for
each request, and is held against the bare application in tasks. Under uvicorn each stands in a process of its own, by
the CPU time of the process. Quoted are minima and medians.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import thread_time_ns
from typing import Any

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"

from scenarios import Contender, get, null
from servers import Server
from telemetry_stacks import BARE, ENGINE, OURS, OURS_1, OURS_100, SHARED, STACKS, WAITING, metrics
from timing import Samples, added, discard, in_tasks, interleaved

from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.prometheus import render
from asgi_guard.telemetry.routes import KEY
from asgi_guard.telemetry.semconv import REQUEST_DURATION

RESULT = Path(__file__).with_name("results") / "telemetry.json"
SERVED = (BARE, OURS, OURS_1, OURS_100, "FastAPI native, metrics", "OpenTelemetry ASGI, metrics")
WORKERS, SERIES, ROUTES = 8, 200, 1_000
LEAST_MEMORY_OF = (BARE, OURS)

GOALS = {OURS: 2.0, SHARED: 2.3, OURS_1: 8.0, OURS_100: 28.0}
"""Microseconds a request over bare, at most."""


def in_process(rounds: int, batch: int) -> dict[str, Any]:
    """Measure all stacks without a server."""
    contenders = {name: Contender(make(), get) for name, make in STACKS.items()}
    alone = {name: contenders.pop(name) for name in WAITING}
    samples = interleaved(contenders, rounds=rounds, batch=batch)
    waiting = in_tasks({BARE: contenders[BARE], **alone}, rounds=rounds, batch=batch)
    return {
        "added to bare": {
            **{name: added(samples, name, BARE) for name in contenders if name != BARE},
            **{name: added(waiting, name, BARE) for name in alone},
        },
        "over the engine": {name: added(samples, name, ENGINE) for name in GOALS},
    }


def served(rounds: int, times: int) -> dict[str, Any]:
    """Measure some of them under uvicorn: CPU time of the server, all its threads."""
    samples: Samples = {name: [] for name in SERVED}
    turns = random.Random(1)
    script = str(Path(__file__).with_name("telemetry_stacks.py"))
    with ExitStack() as running:
        servers = {name: running.enter_context(Server(name, 16, script)) for name in SERVED}
        for number in range(-2, rounds):
            for name in turns.sample(SERVED, len(SERVED)):
                took = servers[name].load(times) / (times * 16)
                if number >= 0:
                    samples[name].append(took)
    return {
        "a request, in all": {name: added(samples, name) for name in SERVED},
        "added to bare": {name: added(samples, name, BARE) for name in SERVED if name != BARE},
    }


def scrape(times: int) -> dict[str, float]:
    """Measure what it takes to answer a scrape, in the thread that does: the workers' numbers merged, and the text."""
    with TemporaryDirectory() as folder:
        workers = [SharedAggregate(folder) for _ in range(WORKERS)]
        for worker in workers:
            for number in range(SERIES):
                series = worker.series(REQUEST_DURATION, "GET", "http", "1.1", f"/items/{number}/{{key}}", "200", "")
                for length in range(100):
                    series.record(length * 1_000_000)
        took = []
        for _ in range(times):
            began = thread_time_ns()
            text = render(workers[0].merged(with_exponential=False))
            took.append((thread_time_ns() - began) / 1e6)
    counted = text.count(b"_count{")
    if counted != SERIES:
        raise RuntimeError(f"{counted} series were rendered, not {SERIES}")
    return {"min_ms": round(min(took), 2), "median_ms": round(median(took), 2)}


def memory() -> dict[str, float]:
    """Measure what a process holds that has telemetry, and has counted 1,000 routes; beside one that has none."""
    command = [sys.executable, __file__, "--memory"]
    held = {
        name: float(subprocess.run([*command, name], check=True, capture_output=True, text=True).stdout)
        for name in LEAST_MEMORY_OF
    }
    return {"process, MB": held[OURS], "over bare, MB": round(held[OURS] - held[BARE], 1)}


async def many_routes(name: str) -> None:
    """Ask every route twice, with two ends."""
    made = metrics() if name == OURS else null
    for number in range(2 * ROUTES):
        scope, receive = get(number)
        scope |= {KEY: f"/routes/{number % ROUTES}/{{key}}", "http_version": "1.1"}
        scope["scheme"] = "https" if number >= ROUTES else "http"
        await made(scope, receive, discard)


def main(arguments: list[str]) -> None:
    """Measure, then write or print."""
    if "--memory" in arguments:
        asyncio.run(many_routes(arguments[-1]))
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        print(round(int(pages) * os.sysconf("SC_PAGE_SIZE") / 1_000_000, 1))
        return
    from run import machine

    is_quick = "--quick" in arguments
    result = {
        "machine": machine(),
        "in process": in_process(*((10, 100) if is_quick else (60, 500))),
        "under uvicorn": served(*((3, 20) if is_quick else (20, 100))),
        f"scrape of {WORKERS} workers, {SERIES} series each": scrape(5 if is_quick else 50),
        f"memory with {ROUTES:,} routes": memory(),
        "goals, us": GOALS,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if not is_quick:
        RESULT.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
