"""Passwords: what it costs to judge one, beside zxcvbn in Python and in Rust, where they are installed.

`python benchmarks/passwords.py` writes `results/passwords.json` and the block `passwords` of README.md; `--check`
compares them. The passwords take turns, so that the machine is the same for all.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: passwords -->\n).*?(?=<!-- end -->)", re.DOTALL)
RESULT = Path(__file__).with_name("results") / "passwords.json"
PASSWORDS = {
    "a short one": "Summer2024!",
    "a passphrase": "correct horse battery staple",
    "72 characters": "aB3$" * 18,
    "a megabyte": "a" * 1_000_000,
}
ROUNDS = 41


def contenders() -> dict[str, Callable[[str], object]]:
    """Return who judges, by name."""
    from asgi_guard.passwords import PasswordPolicy

    policy = PasswordPolicy()
    found: dict[str, Callable[[str], object]] = {"asgi_guard": policy.assess}
    if find_spec("zxcvbn"):
        from zxcvbn import zxcvbn

        found["zxcvbn"] = zxcvbn
    if find_spec("zxcvbn_rs_py"):
        from zxcvbn_rs_py import zxcvbn as in_rust

        found["zxcvbn-rs-py"] = in_rust
    return found


def figures() -> dict[str, Any]:
    """Measure."""
    judges = contenders()
    times: dict[str, dict[str, list[float]]] = {name: {judge: [] for judge in judges} for name in PASSWORDS}
    for _ in range(ROUNDS):
        for name, password in PASSWORDS.items():
            for judge, judged in judges.items():
                if judge != "asgi_guard" and len(password) > 72:  # one raises, the other takes the square
                    continue
                began = time.process_time()
                judged(password)
                times[name][judge].append((time.process_time() - began) * 1e6)
    return {
        "us": {
            name: {judge: round(statistics.median(found), 1) for judge, found in by.items() if found}
            for name, by in times.items()
        },
        "versions": {name: version(name) for name in judges if name != "asgi_guard"},
        "machine": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": platform.system(),
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
        },
    }


def block() -> str:
    """Write the block of README.md."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    judges = ["asgi_guard", *result["versions"]]
    rows = [f"| judged | {' | '.join(judges)} |", f"|---|{'---:|' * len(judges)}"]
    for name, by in result["us"].items():
        cells = [f"{by[judge]:,.0f} us" if judge in by else "-" for judge in judges]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    machine = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    note = (
        f"CPU time, the median of {ROUNDS} rounds in turns; a megabyte is refused by its length, and the others are "
        f"not given one. {versions}; {machine['python']}, {machine['system']}, {machine['date']}."
    )
    return "\n".join([*rows, "", textwrap.fill(note, 120, break_on_hyphens=False), ""])


def main(arguments: list[str]) -> int:
    """Measure, write the result and the block; or check the block."""
    if "--check" not in arguments:
        RESULT.write_text(json.dumps(figures(), indent=2) + "\n", encoding="utf-8")
    before = README.read_text(encoding="utf-8")
    after = BLOCK.sub(lambda _match: block(), before, count=1)
    if "--check" in arguments:
        if before != after:
            print("README.md: the block of the passwords is not what the results say")
        return int(before != after)
    README.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
