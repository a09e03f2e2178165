"""Table: the telemetry matrix of README.md and what telemetry costs, from their files in `results/` and nowhere else.

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

WHY_MISSED = (
    "Goals that are missed, and why. Metrics, in either memory: the engine alone, which gives each request its "
    "exchange and its copy of the scope, and which further parts share, takes more; and where others who measure are "
    "imported, as here, each request is asked whether they have begun. Spans at 1 %: the SDK makes ids, asks its "
    "sampler and enters a context for each span that it then drops. Spans at 100 %: the SDK checks, copies and locks "
    "for each of some nine attributes, and no public interface goes around that."
)
BARE = "the application alone"
CELLS: Mapping[str, str] = MappingProxyType({"right": "yes", "wrong": "**wrong**", "none": "-"})


def block() -> str:
    """Write the block: the matrix, what telling costs, and how both came about."""
    matrix, cost = (
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in ("telemetry_matrix", "telemetry")
    )
    return "\n".join([*_matrix(matrix), "", *_notes(matrix), "", *_cost(cost), "", *_remarks(cost), ""])


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


def _cost(result: Mapping[str, Any]) -> Iterator[str]:
    in_process, served = result["in process"]["added to bare"], result["under uvicorn"]["added to bare"]
    yield "| added to a GET | in process | goal, at most | CPU under uvicorn |"
    yield "|---|---:|---:|---:|"
    for name, figures in in_process.items():
        goal = result["goals, us"].get(name)
        told = f"**{name}**" if goal else name
        yield f"| {told} | {_micro(figures)} | {f'{goal:g} µs' if goal else ''} | {_micro(served.get(name))} |"


def _micro(figures: Mapping[str, float] | None) -> str:
    return "" if figures is None else f"{figures['min_us']:.1f} ({figures['median_us']:.1f}) µs"


def _remarks(result: Mapping[str, Any]) -> Iterator[str]:
    scrape, memory = result["scrape of 8 workers, 200 series each"], result["memory with 1,000 routes"]
    machine = result["machine"]
    yield textwrap.fill(
        "Minima, medians in brackets, around an application that does nothing. Spans come with metrics, and go to an "
        "exporter that drops them. PFI is held against the bare application in tasks, which it needs. "
        f"A scrape of 8 workers with 200 series each takes {scrape['min_ms']:.1f} "
        f"({scrape['median_ms']:.1f}) ms of CPU, none of it on the loop; a process that has counted 1,000 routes holds "
        f"{memory['process, MB']:.0f} MB, {memory['over bare, MB']:.1f} MB of them for that. {machine['python']}, "
        f"{machine['cpus']} CPUs ({machine['processor']}), {machine['date']}.",
        120,
        break_on_hyphens=False,
    )
    yield ""
    yield textwrap.fill(WHY_MISSED, 120, break_on_hyphens=False)


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
