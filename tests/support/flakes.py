"""Repeat the suite in an order of chance, count the green runs, name the tests that differ: `flakes.py 20 [PATHS]`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

GREEN_SHARE = 0.99
MAX_RUNS = 1_000


def verdict(runs: Sequence[set[str]]) -> tuple[bool, dict[str, int]]:
    """Tell whether enough runs were green, from the failures of each; and how often each flaky test failed.

    A test that fails each time is not flaky, but no run with it is green.
    """
    failed = Counter(name for failures in runs for name in failures)
    green = sum(not failures for failures in runs)
    return green >= GREEN_SHARE * len(runs) > 0, {name: n for name, n in failed.most_common() if n < len(runs)}


def run_once(number: int, paths: Sequence[str], folder: Path) -> set[str]:
    """Run the suite with a seed of its own; return what failed."""
    report = folder / f"{number}.xml"
    options = ["-n2", "--dist=worksteal", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, f"--randomly-seed={number + 1}", *paths]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    cases = ET.parse(report).iter("testcase") if report.exists() else ()
    bad = {
        f"{case.get('classname')}::{case.get('name')}" for case in cases if {"failure", "error"} & {e.tag for e in case}
    }
    return bad or ({f"the run itself: exit code {done.returncode}"} if done.returncode else set())


def main() -> int:
    """Run as many times as the first argument says, 20 by default."""
    words = sys.argv[1:]
    count = int(words.pop(0)) if words and words[0].isdigit() else 20
    paths = words or ["--ignore=tests/docs", "--ignore=tests/browser"]
    runs: list[set[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(min(count, MAX_RUNS)):
            runs.append(run_once(number, paths, Path(folder)))
            print(f"run {number + 1} of {count}: {', '.join(sorted(runs[-1])) or 'green'}", flush=True)  # noqa: T201
    is_well, flaky = verdict(runs)
    for name, times in flaky.items():
        print(f"flaky, failed {times} of {len(runs)}: {name}")  # noqa: T201
    print(f"{sum(not failures for failures in runs)} of {len(runs)} runs are green")  # noqa: T201
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
