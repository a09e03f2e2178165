"""Run: measure everything, one after the other, and write `results/<name>.json`.

`python benchmarks/run.py` takes about two minutes. `--quick` takes seconds, writes nothing, and prints what the budget
tests look at. Which package is measured is up to the interpreter: the session `benchmarks` installs the wheel.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cost
import limiter
import startup

RESULTS = Path(__file__).with_name("results")

MEASUREMENTS: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "startup": {"startup": startup.figures},
    "cost": {
        "stepped": cost.figures,
        "in asyncio tasks": cost.figures_in_tasks,
        "reconfiguring": cost.reconfiguring,
    },
    "limiter": {
        "requests": limiter.figures,
        "hits": limiter.hits,
        "memory": limiter.memory,
        "stalls": limiter.stalls,
    },
}


def machine() -> dict[str, Any]:
    """Describe where this was measured, without naming it."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main(arguments: list[str]) -> None:
    """Measure, then write or print."""
    if "--quick" in arguments:
        costs = cost.figures(rounds=30, batch=100)
        print(json.dumps({"cost": costs, "limiter": limiter.figures((1, 100_000), rounds=30, batch=100)}))
        return
    RESULTS.mkdir(exist_ok=True)
    for name, parts in MEASUREMENTS.items():
        result = {"machine": machine(), **{part: measure() for part, measure in parts.items()}}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        print(f"results/{name}.json")


if __name__ == "__main__":
    main(sys.argv[1:])
