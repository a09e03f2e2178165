"""Render: the figures of README.md, from the files in `results/` and from nowhere else.

`python benchmarks/render.py` writes the block between `<!-- generated: figures -->` and `<!-- end -->`. With `--check`
it writes nothing, and fails where the block is not what the results say.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: figures -->\n).*?(?=<!-- end -->)", re.DOTALL)

GET = ("cost", "stepped", "added to a GET")
RATIOS = ("cost", "stepped", "fused over nested")
FURTHER = ("cost", "stepped", "each further one")
OTHERS = ("cost", "stepped", "added to others")
ANSWERS = ("cost", "stepped", "whole answers")
LIMITER = ("limiter", "requests", "added to a GET")
STALLS = ("limiter", "stalls", "single hits")
STARTUP = ("startup", "startup")

ROWS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("**`Guard(app)`**, every part, added to a GET", (*GET, "guard")),
    ("the same protections as five hand-written middlewares", (*GET, "nested, letting go")),
    ("the same, but a held response start is never let go", (*GET, "nested")),
    ("fused, as a share of hand-written", (*RATIOS, "hand-written middlewares, letting go")),
    ("fused, as a share of those that never let go", (*RATIOS, "hand-written middlewares")),
    ("fused, as a share of its own layers unfused", (*RATIOS, "the same layers unfused")),
    ("each further layer that adds a header", (*FURTHER, "layer")),
    ("each further hand-written middleware that adds a header", (*FURTHER, "middleware")),
    ("added to a GET, an asyncio task for each request", ("cost", "in asyncio tasks", "guard")),
    ("added to a POST of 3 chunks", (*OTHERS, "POST of 3 chunks")),
    ("added to a WebSocket handshake", (*OTHERS, "WebSocket handshake")),
    ("the engine with a layer that does nothing", (*GET, "engine")),
    ("`request_id` alone", (*GET, "request_id")),
    ("`security_headers` alone", (*GET, "security_headers")),
    ("`error_envelope` alone", (*GET, "error_envelope")),
    ("`request_limits` alone", (*GET, "request_limits")),
    ("`rate_limit` alone, 1 client", (*LIMITER, "1 key")),
    ("`rate_limit` alone, 1,000 clients", (*LIMITER, "1,000 keys")),
    ("`rate_limit` alone, 100,000 clients", (*LIMITER, "100,000 keys")),
    ("`rate_limit` alone, 1,000,000 clients", (*LIMITER, "1,000,000 keys")),
    ("a refusal, 429, in all", (*ANSWERS, "429")),
    ("a refusal, 413, in all", (*ANSWERS, "413")),
    ("an exception answered with 500, in all", (*ANSWERS, "500")),
    ("`import asgi_guard`", (*STARTUP, "import asgi_guard")),
    ("`Guard(app)` built, with its imports", (*STARTUP, "Guard(app) built, with its imports")),
    ("the same with a rate given as text", (*STARTUP, "the same with a rate given as text")),
)


def block() -> str:
    """Write the block: a table, and how its figures came about."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    return "\n".join([*_lines(results), ""])


def _lines(results: dict[str, Any]) -> Iterator[str]:
    yield "| in process, around an application that does nothing | minimum | median |"
    yield "|---|---:|---:|"
    for text, path in ROWS:
        yield f"| {text} | {' | '.join(_shown(key, value) for key, value in _at(results, path).items())} |"
    machine = results["cost"]["machine"]
    memory = _at(results, ("limiter", "memory"))
    hits, others = _at(results, (*STALLS, "full")), _at(results, (*STALLS, "a sum that takes as long"))
    yield ""
    note = (
        f"A client that the rate limit remembers takes {memory['bytes_per_key']:.0f} bytes besides its address. Of "
        f"1,000,000 hits by as many clients, 99.9 % take at most {hits['p999_us']:.0f} µs; of sums that take as long, "
        f"{others['p999_us']:.0f} µs. The GET has 12 headers and comes from 1,000 clients in turn. Times are CPU times "
        f"of one run, in which all stacks took turns: {machine['python']}, {machine['system']}, {machine['cpus']} CPUs "
        f"({machine['processor']}), {machine['date']}."
    )
    yield textwrap.fill(note, 120)
    yield "`nox -s benchmarks` measures anew."


def _at(results: dict[str, Any], path: tuple[str, ...]) -> dict[str, float]:
    value: Any = results
    for key in path:
        value = value[key]
    return value


def _shown(key: str, value: float) -> str:
    if key.endswith("_us"):
        return f"{value:.1f} µs" if value >= 1 else f"{value:.2f} µs"
    return f"{value:.0f} ms" if key.endswith("_ms") else f"{value:.0%}".replace("%", " %")


def main(arguments: list[str]) -> int:
    """Write the block, or check it."""
    text = README.read_text(encoding="utf-8") if README.exists() else ""
    if not BLOCK.search(text):
        print("README.md has no block for figures; nothing was written")
        return 1
    rendered = BLOCK.sub(lambda _: block(), text)
    if "--check" in arguments:
        if rendered != text:
            print("the figures of README.md are not those of benchmarks/results: run python benchmarks/render.py")
        return int(rendered != text)
    README.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
