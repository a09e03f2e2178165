"""Table: the whole of what stands around a service, in README.md, from `results/whole.json` and from nowhere else.

`python benchmarks/whole_table.py` writes what stands between `<!-- generated: beside -->`, the few lines of the first
screen, or `<!-- generated: whole -->`, and `<!-- end -->`. With `--check` it writes nothing, and fails where a block is
not what the result says.
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

RESULT = Path(__file__).with_name("results") / "whole.json"
README = Path(__file__).parents[1] / "README.md"
BLOCKS = re.compile(r"(?<=<!-- generated: )(beside|whole)( -->\n).*?(?=<!-- end -->)", re.DOTALL)

NAMES: Mapping[str, str] = MappingProxyType(
    {
        "asgi-guard": "**`Guard`**: security, attacks detected, limits in memory",
        "today": "today's packages: security, nothing detected, limits in memory",
        "naive": "six classes of `BaseHTTPMiddleware`, as in tutorials",
        "fastapi-guard, no detection": "fastapi-guard, detection off",
        "fastapi-guard": "fastapi-guard, detection on",
        "asgi-guard, observed": "**`Guard`**, measured, with a span each, summary and alerts",
        "today, observed": "today's, with OpenTelemetry and prometheus-fastapi-instrumentator",
        "asgi-guard, Redis": "**`Guard`**, limits in Redis",
        "today, Redis": "today's, limits in Redis",
        "asgi-guard, Redis and spans": "**`Guard`**, all of it",
        "today, Redis and observed": "today's, all of it",
    }
)
COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "GET": "GET",
        "GET, 32 at once": "32 at once",
        "POST of 2 KB of JSON": "POST, 2 KB of JSON",
        "POST of 1 MB": "POST, 1 MB",
        "a stream of 5 parts": "a stream",
        "a WebSocket, 5 messages": "a WebSocket",
    }
)
ASKED = ("asgi-guard", "today, observed", "naive", "fastapi-guard")
FIRST = ("asgi-guard", "today", "naive", "fastapi-guard, no detection")
"""Those of the first screen: the protections, with limits in memory."""


def beside(result: Mapping[str, Any]) -> str:
    """Write the block of the first screen: how it behaves, and the least that is to be known of what it costs."""
    parts = (_behaviour(result), _costs(result, {name: NAMES[name] for name in FIRST}, {"GET": "a GET"}))
    return "\n\n".join(["\n".join(part) for part in parts]) + "\n"


def whole(result: Mapping[str, Any]) -> str:
    """Write the other: all that it costs, what was to hold, and how it was measured."""
    parts = (_costs(result, NAMES, COLUMNS), _goals(result))
    return "\n\n".join(["\n".join(part) for part in parts] + [_note(result)]) + "\n"


def _costs(result: Mapping[str, Any], names: Mapping[str, str], columns: Mapping[str, str]) -> Iterator[str]:
    added, served = result["in process, added to bare"], result["under uvicorn"]
    spent = result["under uvicorn, CPU a request"]
    heads = [*columns.values(), "CPU under uvicorn", "p99 of bursts", "memory"]
    yield f"| added to the application, in µs of CPU | {' | '.join(heads)} |"
    yield f"|---|{'---:|' * len(heads)}"
    for name, text in names.items():
        cells = [_micro(added.get(column, {}).get(name)) for column in columns]
        told = served.get(name)
        cells.append(_micro(_less(spent.get(name), spent["bare"])))
        cells.append("" if told is None else f"{told['burst_p99_ms']:.1f} ms")
        cells.append("" if told is None else f"{told['memory_mb'] - served['bare']['memory_mb']:+.0f} MB")
        yield f"| {text} | {' | '.join(cells)} |"


def _less(one: Mapping[str, float] | None, base: Mapping[str, float]) -> dict[str, float] | None:
    return None if one is None else {"min_us": one["min_us"] - base["min_us"]}


def _micro(figures: Mapping[str, float] | None) -> str:
    return "" if figures is None else f"{figures['min_us']:,.0f}"


def _behaviour(result: Mapping[str, Any]) -> Iterator[str]:
    told = result["behaviour"]
    yield f"| asked of | {'`Guard` | today, observed | naive | fastapi-guard'} |"
    yield f"|---|{':---:|' * len(ASKED)}"
    for asked in told[ASKED[0]]:
        yield f"| {asked} | {' | '.join('yes' if told[name][asked] else '**no**' for name in ASKED)} |"


def _goals(result: Mapping[str, Any]) -> Iterator[str]:
    yield "| of what ours adds, as a share of theirs, in one run | measured | goal, at most |"
    yield "|---|---:|---:|"
    for text, goal in result["goals"].items():
        if "of_minima" in goal:
            measured = f"{100 * goal['of_minima']:.0f} % ({100 * goal['median']:.0f} %)"
            yield f"| {text} | {measured} | {100 * goal['at_most']:.0f} % |"
        else:
            yield f"| {text} | {goal['value']} | {goal['at_most']} |"


def _note(result: Mapping[str, Any]) -> str:
    machine, packages, effort = result["machine"], result["packages"], result["effort"]
    bare = result["bare, in process"]["GET"]["min_us"]
    idle = max(told["idle_percent"] for name, told in result["under uvicorn"].items() if name.startswith("asgi-guard"))
    named = ", ".join(f"{name} {version}" for name, version in packages.items())
    return textwrap.fill(
        "Today's packages are Starlette's CORS, hosts and body limit, secure, slowapi and asgi-correlation-id. All "
        "stand around one application of Starlette, send the same headers, and take turns, each in a process of its "
        f"own; quoted are minima of {effort['rounds']} rounds, medians in brackets. In process each GET is of another "
        "item, and under uvicorn all are of one. The application alone takes "
        f"{bare:.0f} µs. CPU under uvicorn is at 32 connections; bursts are of 8 requests, 25 times a second, timed "
        "from when they were due. A synchronous client of Redis waits without CPU time, and holds up the loop "
        "meanwhile: slowapi's; ours waits on the loop, which costs CPU time, and holds up nobody. Idle, ours take at "
        f"most {idle:.2f} % of a core. {machine['python']}, {machine['system']}, {machine['cpus']} CPUs "
        f"({machine['processor']}), {machine['date']}; {named}. `nox -s peers` measures anew.",
        120,
        break_on_hyphens=False,
    )


def main(arguments: list[str]) -> int:
    """Write the blocks, or check them."""
    text = README.read_text(encoding="utf-8")
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    wanted = {"beside": beside(result), "whole": whole(result)}
    changed = BLOCKS.sub(lambda found: f"{found[1]}{found[2]}{wanted[found[1]]}", text)
    if "--check" in arguments:
        return int(changed != text)
    README.write_text(changed, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
