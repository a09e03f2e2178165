"""Audit: what an entry of the audit log costs the request that it is about, and how many a second are written.

`python benchmarks/audit.py` writes `results/audit.json` and the block `audit` of README.md; `--check` compares them.
The caller's cost is CPU time of the thread that records, while the writer's thread works; throughput is over
everything, sealed and written, with `fsync` and without.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import sys
import tempfile
import textwrap
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: audit -->\n).*?(?=<!-- end -->)", re.DOTALL)
RESULT = Path(__file__).with_name("results") / "audit.json"
ENTRIES = 5_000
ROUNDS = 15
KEY = "k" * 32


def recorded(path: Path, *, fsync: bool) -> tuple[float, float]:
    """Return the CPU of the caller for an entry, in microseconds, and the entries a second until all are written."""
    from asgi_guard import AuditLog  # not to check the block

    log = AuditLog(path=str(path), key=KEY, fsync=fsync, max_waiting=1_000_000)
    log.record("sys_startup", "success")
    began, cpu = time.perf_counter(), time.thread_time()
    for number in range(ENTRIES):
        log.record("authn_login_fail", "failure", subject="user7", reason="bad password", tries=number)
    cpu = time.thread_time() - cpu
    log.close(60)
    return cpu / ENTRIES * 1e6, ENTRIES / (time.perf_counter() - began)


def figures() -> dict[str, Any]:
    """Measure."""
    from asgi_guard.audit.verify import verify

    costs: list[float] = []
    rates: dict[bool, list[float]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            for fsync in (True, False):
                cost, rate = recorded(Path(folder) / f"{number}-{fsync}.jsonl", fsync=fsync)
                costs.append(cost)
                rates[fsync].append(rate)
        path = Path(folder) / "0-False.jsonl"
        began = time.process_time()
        lines = verify([path], key=KEY.encode()).lines
        verified = lines / (time.process_time() - began)
    return {
        "caller, us": {"min": round(min(costs), 2), "median": round(statistics.median(costs), 2)},
        "written a second": {
            "with fsync": round(statistics.median(rates[True])),
            "without": round(statistics.median(rates[False])),
        },
        "verified a second": round(verified),
        "machine": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": platform.system(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
        },
    }


def block() -> str:
    """Write the block of README.md."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    caller, written, machine = result["caller, us"], result["written a second"], result["machine"]
    said = (
        f"An entry costs whoever records it {caller['median']} µs of CPU (at least {caller['min']}), while the thread "
        f"that writes works beside it; {written['with fsync']:,} a second are written with `fsync` and "
        f"{written['without']:,} without, and {result['verified a second']:,} verified. {machine['python']}, "
        f"{machine['system']}, "
        f"{machine['date']}."
    )
    return textwrap.fill(said, 120, break_on_hyphens=False) + "\n"


def main(arguments: list[str]) -> int:
    """Measure, write the result and the block; or check the block."""
    if "--check" not in arguments:
        RESULT.write_text(json.dumps(figures(), indent=2) + "\n", encoding="utf-8")
    before = README.read_text(encoding="utf-8")
    after = BLOCK.sub(lambda _match: block(), before, count=1)
    if "--check" in arguments:
        if before != after:
            print("README.md: the block of the audit log is not what the results say")
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
