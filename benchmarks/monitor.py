"""Monitor: what it takes of one core and of memory while it watches, and what the dashboard's polling takes.

Everything is CPU time of the thread that does it, so that a busy machine changes little. Every route is in use in every
step, which is the worst case: what is not in use costs nothing. `python benchmarks/monitor.py` writes
`results/monitor.json`, and the block in README.md that is made of it; with `--render` only the block, and with
`--check` neither: it fails where the block is not what the results say.
"""

from __future__ import annotations

import json
import platform
import random
import re
import statistics
import sys
import tempfile
import textwrap
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from asgi_guard import Monitor
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.semconv import REQUEST_DURATION
from asgi_guard.watch.page import dashboard_page
from asgi_guard.watch.stretch import between
from asgi_guard.watch.watcher import STEPS, Watcher

RESULTS = Path(__file__).with_name("results") / "monitor.json"
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: monitor -->\n).*?(?=<!-- end -->)", re.DOTALL)
WARM_STEPS = 150
"""Until the five minutes of the finest stretches are full."""

MEASURED_STEPS = 40
SETTINGS = Monitor(log_alerts=False)
CASES = {
    "one process, 20 routes": (1, 20),
    "one process, 200 routes": (1, 200),
    "one process, 1,000 routes": (1, 1_000),
    "8 workers, 20 routes each": (8, 20),
    "8 workers, 200 routes each": (8, 200),
}


def serve(aggregate: Aggregate, routes: int, draw: random.Random) -> None:
    """Let one request to each route have been served."""
    for route in range(routes):
        series = aggregate.series(REQUEST_DURATION, "GET", "http", "1.1", f"/routes/{route}", "200", "")
        series.record(int(draw.lognormvariate(-5, 0.7) * 1e9))


def cpu_ms(work: Callable[[], object]) -> float:
    """Return the CPU time of this thread that something takes, in milliseconds."""
    began = time.thread_time_ns()
    work()
    return (time.thread_time_ns() - began) / 1e6


def watched(workers: int, routes: int) -> dict[str, float]:
    """Measure the steps of the worker that leads, and a poll of the dashboard."""
    draw = random.Random(7)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        aggregates: Sequence[Aggregate] = [Aggregate()]
        if workers > 1:
            aggregates = [SharedAggregate(Path(folder) / "cells") for _ in range(workers)]
        watcher = Watcher(aggregates[0], SETTINGS)
        steps: list[float] = []
        polls: list[float] = []
        for number in range(WARM_STEPS + MEASURED_STEPS):
            for aggregate in aggregates:
                serve(aggregate, routes, draw)
            took = cpu_ms(watcher.step)
            if number >= WARM_STEPS:
                steps.append(took)
                polls.append(cpu_ms(lambda: watcher.summary(("1m", "5m"))))
        size = len(watcher.summary(("1m", "5m")))
        for aggregate in aggregates:
            if isinstance(aggregate, SharedAggregate):
                aggregate.close()
    whole, half = steps[::STEPS], steps[1::STEPS]
    period_ms = SETTINGS.period_seconds * 1e3
    return {
        "step, ms": statistics.median(whole),
        "step between, ms": statistics.median(half),
        "watching, % of one core": 100 * (statistics.median(whole) + statistics.median(half)) / period_ms,
        "poll each step, ms": statistics.median(polls[::STEPS]),
        "polling, % of one core": 100 * statistics.median(polls[::STEPS]) / period_ms,
        "document, KB": size / 1e3,
    }


def memory_mb(routes: int) -> float:
    """Return what an hour of history takes, in megabytes."""
    draw = random.Random(7)
    aggregate = Aggregate()
    watcher = Watcher(aggregate, SETTINGS)
    tracemalloc.start()
    serve(aggregate, routes, draw)
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(round(STEPS * 3_600 / SETTINGS.period_seconds)):
        serve(aggregate, routes, draw)
        watcher.step()
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return taken / 1e6


SHAPES: dict[str, Callable[[random.Random], float]] = {
    "skewed": lambda draw: draw.lognormvariate(-4, 1.5),
    "bimodal": lambda draw: draw.gauss(0.002, 0.0002) if draw.random() < 0.9 else draw.gauss(1.5, 0.1),
    "long tail": lambda draw: 0.001 * draw.paretovariate(1.1),
}


def errors_percent(shape: str) -> dict[str, float]:
    """Return by how much percentiles over four workers differ from the exact ones, in percent."""
    draw = random.Random(11)
    values = [min(1_000.0, max(2e-6, SHAPES[shape](draw))) for _ in range(100_000)]
    workers = [Aggregate() for _ in range(4)]
    for index, value in enumerate(values):
        series = workers[index % 4].series(REQUEST_DURATION, "GET", "http", "1.1", "/", "200", "")
        series.record(int(value * 1e9))
    merged = workers[0].snapshot().merged(*[worker.snapshot() for worker in workers[1:]])
    requests = between(Aggregate().snapshot(), merged, 60).requests
    values.sort()
    told: dict[str, float] = {}
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        exact = values[-(-int(share * 1_000) * len(values) // 1_000) - 1]
        (estimate,) = requests.quantiles(share)
        told[name] = 100 * abs((estimate or 0) - exact) / exact
    return told


def measure() -> dict[str, Any]:
    """Measure everything."""
    page = dashboard_page("performance/summary")
    return {
        "machine": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": platform.system(),
            "date": datetime.now(UTC).date().isoformat(),
        },
        "period, s": SETTINGS.period_seconds,
        "watching": {name: watched(*case) for name, case in CASES.items()},
        "memory of an hour with 1,000 routes in use all the time, MB": memory_mb(1_000),
        "page, KB": {"plain": len(page.body) / 1e3, "gzip": len(page.gzipped) / 1e3},
        "error of percentiles over 4 workers, %": {shape: errors_percent(shape) for shape in SHAPES},
    }


def block(result: dict[str, Any]) -> str:
    """Write the block of README.md."""
    return "\n".join([*_table(result), "", *_remarks(result), ""])


def _table(result: dict[str, Any]) -> Iterator[str]:
    yield "| watched | a step | the one between | of one core | a poll of the dashboard | of one core |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, found in result["watching"].items():
        yield (
            f"| {name} | {found['step, ms']:.1f} ms | {found['step between, ms']:.1f} ms | "
            f"{found['watching, % of one core']:.2f} % | {found['poll each step, ms']:.1f} ms | "
            f"{found['polling, % of one core']:.2f} % |"
        )


def _remarks(result: dict[str, Any]) -> Iterator[str]:
    worst = max(max(found.values()) for found in result["error of percentiles over 4 workers, %"].values())
    machine, page = result["machine"], result["page, KB"]
    yield textwrap.fill(
        f"CPU time of the thread, the median of {MEASURED_STEPS // STEPS} steps, with every route in use in every step;"
        f" a step ends every {result['period, s']:g} s, and one lies between. Several viewers cost what one does. An "
        "hour of history takes "
        f"{result['memory of an hour with 1,000 routes in use all the time, MB']:.0f} MB where 1,000 routes are in use "
        f"all the time. The page has {page['plain']:.0f} KB, and {page['gzip']:.0f} KB on the wire. Percentiles of "
        f"skewed, bimodal and long-tailed durations over 4 workers were at most {worst:.2f} % off. {machine['python']},"
        f" {machine['system']}, {machine['date']}.",
        120,
        break_on_hyphens=False,
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, and write; or do less."""
    if not arguments:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    written = BLOCK.sub(lambda _: block(result), text, count=1)
    if "--check" in arguments:
        return int(written != text)
    README.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
