"""Table: the comparison with peers in README.md, from `results/peers.json` and from nowhere else.

`python benchmarks/peers_table.py` writes the block between `<!-- generated: peers -->` and `<!-- end -->`. With
`--check` it writes nothing, and fails where the block is not what the result says. With neither block nor `--check` it
prints.
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

RESULT = Path(__file__).with_name("results") / "peers.json"
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: peers -->\n).*?(?=<!-- end -->)", re.DOTALL)

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "bare": "the application alone",
        "headers alone": "the same headers, ready made, and no protection",
        "asgi-guard": "**`Guard(app)`** without detection and telemetry, with hosts and origins",
        "asgi-guard, detecting": "**`Guard(app)`** without telemetry, with hosts and origins: it detects attacks",
        "assembled": "Starlette's CORS, hosts and body limit, `secure`, slowapi, asgi-correlation-id",
        "fastapi-guard, pure ASGI, no detection": "fastapi-guard, its pure ASGI class, detection off",
        "fastapi-guard, no detection": "fastapi-guard, detection off",
        "fastapi-guard": "fastapi-guard, detection on",
        "naive": "six classes of `BaseHTTPMiddleware`, as in tutorials",
        "headers alone, announcing": "the same headers and `X-RateLimit-*`, no protection",
        "asgi-guard, announcing": "**`Guard(app)`** without detection and telemetry, announcing what is left",
        "assembled, announcing": "Starlette's and the four packages, announcing the same",
    }
)


def block(result: Mapping[str, Any]) -> str:
    """Write the block: a table, and how its figures came about."""
    return "\n".join([*_table(result), "", *_notes(result), ""])


def _table(result: Mapping[str, Any]) -> Iterator[str]:
    in_process, served = result["in process"], result["under uvicorn"]
    yield "| the same protections | added, in process | times ours | CPU a request, uvicorn | times ours | memory |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, text in NAMES.items():
        cells = (
            _micro(in_process["added to bare"].get(name)),
            _times(in_process["times ours"].get(name)),
            _micro(served["CPU a request, in all"][name]),
            _times(served["times ours"].get(name)),
            f"{served['memory held, MB'][name]:.0f} MB",
        )
        yield f"| {text} | {' | '.join(cells)} |"


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    machine, effort = result["machine"], result["effort"]
    packages = ", ".join(f"{name} {version}" for name, version in result["packages"].items())
    yield textwrap.fill(
        "Asked of all: listed hosts and origins, nine security headers, a request id, a body limit, a rate for each "
        "client in memory; around one JSON endpoint of Starlette. Minima, medians in brackets; the last “times ours” "
        "is of what each adds to the headers alone. Detection is fastapi-guard's search for attacks, which nobody else "
        "here does. Each stack ran in a process of its own, and they took turns: "
        f"{effort['rounds']} rounds of {effort['batch']} requests in process, of "
        f"{effort['times'] * effort['connections']} from {effort['connections']} addresses under uvicorn. "
        f"{machine['python']}, {machine['system']}, {machine['cpus']} CPUs ({machine['processor']}), "
        f"{machine['date']}; {packages}.",
        120,
        break_on_hyphens=False,
    )
    for said, names in (("without", _grouped(result["lacking"])), ("also sends", _additions(result["headers"]))):
        for parts, stacks in names.items():
            yield textwrap.fill(
                f"- {'; '.join(stacks)}: {said} {parts}", 120, subsequent_indent="  ", break_on_hyphens=False
            )
    yield "\n`nox -s peers` measures anew."


def _grouped(parts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Gather the stacks of which the same is to be said."""
    grouped: dict[str, list[str]] = {}
    for name, listed in parts.items():
        if listed and not name.startswith(("bare", "headers alone")):
            grouped.setdefault(", ".join(listed), []).append(name)
    return grouped


def _additions(headers: Mapping[str, Mapping[str, list[str]]]) -> dict[str, list[str]]:
    return _grouped({name: [f"`{header}`" for header in found["additional"]] for name, found in headers.items()})


def _micro(figures: Mapping[str, float] | None) -> str:
    if figures is None:
        return ""
    return f"{_short(figures['min_us'])} ({_short(figures['median_us'])}) µs"


def _times(figures: Mapping[str, float] | None) -> str:
    return "" if figures is None else f"{_short(figures['of_minima'])} ({_short(figures['median'])})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def main(arguments: list[str]) -> int:
    """Write the block, or check it, or print it."""
    written = block(json.loads(RESULT.read_text(encoding="utf-8")))
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    if not BLOCK.search(text):
        print(written)
        return int("--check" in arguments)
    rendered = BLOCK.sub(lambda _: written, text)
    if "--check" in arguments:
        if rendered != text:
            print("the comparison in README.md is not that of benchmarks/results: run python benchmarks/peers_table.py")
        return int(rendered != text)
    README.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
