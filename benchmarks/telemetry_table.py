"""Table: the telemetry matrix in README.md, from `results/telemetry_matrix.json` and from nowhere else.

`python benchmarks/telemetry_table.py` writes the block between `<!-- generated: telemetry -->` and `<!-- end -->`. With
`--check` it writes nothing, and fails where the block is not what the results say.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: telemetry -->\n).*?(?=<!-- end -->)", re.DOTALL)

BARE = "the application alone"
CELLS: Mapping[str, str] = MappingProxyType({"right": "yes", "wrong": "**wrong**", "none": "-"})


def block() -> str:
    """Write the block: the matrix, what it costs, and how it came about."""
    matrix = json.loads((RESULTS / "telemetry_matrix.json").read_text(encoding="utf-8"))
    return "\n".join([*_matrix(matrix), "", *_notes(matrix), ""])


def _matrix(result: Mapping[str, Any]) -> Iterator[str]:
    asked = {name: found for name, found in result["instrumentations"].items() if name != BARE}
    yield f"| asked of | {' | '.join(asked)} |"
    yield f"|---|{':---:|' * len(asked)}"
    for row in next(iter(asked.values()))["rows"]:
        yield f"| {row} | {' | '.join(CELLS[found['rows'][row]['verdict']] for found in asked.values())} |"
    attacks = [found["attack"] for found in asked.values()]
    floor = result["instrumentations"][BARE]["attack"]["MB"]
    grown = [f"{max(0.0, attack['MB'] - floor):.0f} MB" for attack in attacks]
    series = [f"{attack['series']:,}" for attack in attacks]
    yield f"| series after 20,000 hostile requests | {' | '.join(series)} |"
    yield f"| memory that those take up, over {BARE} | {' | '.join(grown)} |"


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    machine = result["machine"]
    packages = ", ".join(f"{name} {release}" for name, release in result["packages"].items())
    yield textwrap.fill(
        "A dash is what an instrumentation does not tell. Each stands around one application of FastAPI, set up as its "
        "documentation says how: stable names, spans of single messages off, sizes and active requests on. "
        "OpenTelemetry's is the one for any ASGI application, which knows no framework's routes; PFI is "
        "prometheus-fastapi-instrumentator. The hostile requests come after 1,000 others of their kind; each has a "
        f"method, a host, a path and headers of its own. {machine['python']}, {machine['system']}, {machine['date']}; "
        f"{packages}. `nox -s telemetry` asks anew; what was found instead stands in `benchmarks/results/`.",
        120,
        break_on_hyphens=False,
    )


def main(arguments: list[str]) -> int:
    """Write the block, or check it, or print it where there is none."""
    written = block()
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    if not BLOCK.search(text):
        print(written)
        return int("--check" in arguments)
    rendered = BLOCK.sub(lambda _: written, text, count=1)
    if "--check" in arguments:
        if rendered != text:
            print("the matrix in README.md is not what was found: run python benchmarks/telemetry_table.py")
        return int(rendered != text)
    README.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
