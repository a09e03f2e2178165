"""Errors: count what the specification of `tests/support` finds, and write `results/errors.json`.

`python benchmarks/errors_matrix.py` asks every case of the matrix in seven frameworks in process, every check on five
servers, and raises 10,000 exceptions with a secret in each. It takes some minutes, and ends with 1 where anything is
not as it has to be. What is not installed is left out, by name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "tests/support"), str(ROOT / "tests/property")]

from errors_in_process import CASES, ask, failing, faults  # noqa: E402
from errors_on_the_wire import (  # noqa: E402
    CHECKS,
    GUARDED,
    LAX,
    SERVERS,
    STRICT,
    WITHOUT_LIFESPAN,
    start_ends,
)
from failing import FRAMEWORKS  # noqa: E402
from served import Served, serve  # noqa: E402
from test_secrets import THOROUGH, leak  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "errors.json"


class Records(logging.Handler):
    """Keeps the records that one search looks through."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def clear(self) -> None:
        """Forget them."""
        self.records.clear()


async def in_process(framework: str) -> dict[str, Any]:
    """Ask every case of the matrix in one framework."""
    broken: dict[str, list[str]] = {}
    for name, case in CASES.items():
        async with failing(framework, case) as app:
            complaints = faults(case, await ask(app, case))
        if complaints:
            broken[name] = complaints
    return {"release": version(framework), "kept": len(CASES) - len(broken), "broken": broken}


def on_the_wire(server: str, folder: Path) -> dict[str, Any]:
    """Make every check on one server."""
    broken = {}
    with serve(server, GUARDED, folder) as served:
        for name, check in CHECKS.items():
            complaint = complaint_of(served, check)
            if complaint:
                broken[name] = complaint
    result: dict[str, Any] = {"release": version(server), "kept": len(CHECKS) - len(broken), "broken": broken}
    if server not in WITHOUT_LIFESPAN:
        result["ends where the start fails"] = {
            "strict_lifespan": start_ends(server, STRICT, folder),
            "by default": start_ends(server, LAX, folder),
        }
    return result


def complaint_of(served: Served, check: Any) -> str:
    """Make one check; an empty text is what one hopes for."""
    try:
        check(served)
    except Exception as exc:  # noqa: BLE001  whatever it is, it is what is counted
        return f"{type(exc).__name__}: {exc}"[:200]
    return ""


async def leaks(records: Records) -> list[str]:
    """Raise exceptions with secrets in them, and return what reached a client."""
    found = [await leak(seed, records) for seed in range(THOROUGH)]  # type: ignore[arg-type]
    return [text for text in found if text is not None]


def main() -> int:
    """Ask, print, write, and tell whether all is well."""
    warnings.simplefilter("ignore")
    records = Records()
    logging.basicConfig(handlers=[records])
    frameworks = {name: asyncio.run(in_process(name)) for name in FRAMEWORKS if find_spec(name) is not None}
    with TemporaryDirectory() as folder:
        servers = {name: on_the_wire(name, Path(folder)) for name in SERVERS if find_spec(name) is not None}
    told = asyncio.run(leaks(records))
    results = {
        "cases": len(CASES),
        "in process": frameworks,
        "checks": list(CHECKS),
        "on the wire": servers,
        "exceptions with a secret": THOROUGH,
        "secrets told": len(told),
    }
    text = json.dumps(results, indent=2) + "\n"
    print(text, *told[:5], sep="\n")
    RESULTS.write_text(text, encoding="utf-8")
    return int(bool(told) or any(part["broken"] for part in [*frameworks.values(), *servers.values()]))


if __name__ == "__main__":
    sys.exit(main())
