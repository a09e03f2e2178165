"""Matrix: ask every row of `tests/support/telemetry_rows.py` of ours and of its peers; write `telemetry_matrix.json`.

`python benchmarks/telemetry_matrix.py` takes a minute. Each instrumentation is asked in a process of its own, and then
attacked: 20,000 requests of which each has a method, a host, a path and headers that no other one has.
`python benchmarks/telemetry_matrix.py NAME` asks one and prints what it found.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests/support"))

RESULT = Path(__file__).with_name("results") / "telemetry_matrix.json"
NEEDED = {"OTEL_SEMCONV_STABILITY_OPT_IN": "http"}


async def asked(name: str) -> dict[str, Any]:
    """Ask one instrumentation every row, then attack it."""
    from telemetry_peers import INSTRUMENTS
    from telemetry_rows import ROWS

    rows = {row: await verdict(INSTRUMENTS[name](), asking) for row, asking in ROWS.items()}
    return {"rows": rows, "attack": await attacked(INSTRUMENTS[name]())}


async def verdict(watched: Any, row: Any) -> dict[str, str]:
    """Ask one row: `right`, `wrong` with what is, or `none` where nothing of the kind is told."""
    from telemetry_rows import Absent

    if not watched.tells >= row.needs:
        return {"verdict": "none"}
    try:
        await row.ask(watched)
    except Absent:
        return {"verdict": "none"}
    except AssertionError as complaint:
        return {"verdict": "wrong", "found": str(complaint)[:200]}
    return {"verdict": "right"}


async def attacked(watched: Any) -> dict[str, float]:
    """Attack, and count the series there are, and the memory that grew after a warm-up."""
    from telemetry_attack import HOSTILE, WARM_UP, attack

    await attack(watched, range(WARM_UP))
    before = resident_bytes()
    await attack(watched, range(WARM_UP, WARM_UP + HOSTILE))
    grown = resident_bytes() - before
    return {"series": len(watched.series()), "MB": round(grown / 1_000_000, 1)}


def resident_bytes() -> int:
    """Return what this process holds of memory."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str]) -> None:
    """Ask one and print, or all and write."""
    if arguments:
        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        print(json.dumps(asyncio.run(asked(arguments[0]))))
        return
    from run import machine
    from telemetry_peers import INSTRUMENTS, PACKAGES

    from asgi_guard import __version__

    found = {name: _in_a_process(name) for name in INSTRUMENTS}
    releases = {"asgi-guard": __version__, **{package: version(package) for package in PACKAGES.values()}}
    result = {"machine": machine(), "packages": releases, "instrumentations": found}
    RESULT.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"results/{RESULT.name}")


def _in_a_process(name: str) -> Any:
    command = [sys.executable, __file__, name]
    ran = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **NEEDED})
    return json.loads(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main(sys.argv[1:])
