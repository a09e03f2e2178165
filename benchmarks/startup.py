"""What the guard costs before its first request: import and construction, each time in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import asgi_guard

ENTRY = Path(asgi_guard.__file__).parents[1]
IMPORTED = "import asgi_guard"
BUILT = "import asgi_guard; asgi_guard.Guard(print)"
WITH_A_RATE = "import asgi_guard; asgi_guard.Guard(print, rate_limit='5/second;100/minute')"
TIMED = """
import sys, time
sys.path.insert(0, {entry!r})
began = time.perf_counter()
{work}
print(time.perf_counter() - began)
"""


def figures(runs: int = 15) -> dict[str, Any]:
    """Measure both with compiled files at hand, as from the second start on, and name what takes longest to import."""
    timed = {work: list[float]() for work in (IMPORTED, BUILT, WITH_A_RATE)}
    with tempfile.TemporaryDirectory() as compiled:
        for number in range(-1, runs):  # the first run compiles
            for work, seconds in timed.items():
                took = float(_python(compiled, "-c", TIMED.format(entry=str(ENTRY), work=work)).stdout)
                seconds.extend([took] if number >= 0 else [])
        return {
            "import asgi_guard": _milliseconds(timed[IMPORTED]),
            "Guard(app) built, with its imports": _milliseconds(timed[BUILT]),
            "the same with a rate given as text": _milliseconds(timed[WITH_A_RATE]),
            "largest parts of that": _largest_parts(compiled),
        }


def _largest_parts(compiled: str, count: int = 6) -> dict[str, float]:
    """Share the time of `-X importtime` out among what the package imports; in milliseconds."""
    program = f"import sys; sys.path.insert(0, {str(ENTRY)!r}); print(file=sys.stderr); {WITH_A_RATE}"
    _, _, listing = _python(compiled, "-X", "importtime", "-c", program).stderr.partition("\n\n")
    microseconds: Counter[str] = Counter()
    path: list[tuple[int, str]] = []
    for line in reversed(listing.splitlines()):  # a module is listed after what it imports, and indented less
        own, _, name = line.removeprefix("import time:").split("|")
        depth = len(name) - len(name.lstrip())
        while path and path[-1][0] >= depth:
            path.pop()
        path.append((depth, name.strip()))
        foreign = (module for _, module in path if not module.startswith("asgi_guard"))
        microseconds[next(foreign, "asgi_guard").partition(".")[0]] += int(own)
    return {name: round(own / 1_000, 2) for name, own in microseconds.most_common(count)}


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    return {"min_ms": round(min(seconds) * 1_000, 2), "median_ms": round(median(seconds) * 1_000, 2)}


def _python(compiled: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-P", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
