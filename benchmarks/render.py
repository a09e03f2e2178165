"""Render: the figures of README.md, from the files in `results/` and from nowhere else.

`python benchmarks/render.py` writes the block between `<!-- generated: figures -->` and `<!-- end -->`. With `--check`
it writes nothing, and fails where the block is not what the results say.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: figures -->\n).*?(?=<!-- end -->)", re.DOTALL)

GET = ("cost", "stepped", "added to a GET")
RATIOS = ("cost", "stepped", "fused over nested")
OTHERS = ("cost", "stepped", "added to others")
PART = ("cost", "stepped", "each part, over the engine")
LIMIT = ("cost", "stepped", "each limit, over request_limits")
OVERRIDE = ("cost", "stepped", "an override from outside, over the guard")
ANSWERS = ("cost", "stepped", "whole answers")
CHANGE = ("cost", "reconfiguring")
LIMITER = ("limiter", "requests", "added to a GET")
BYTES = ("limiter", "memory", "bytes a key")
STALLS = ("limiter", "stalls", "single hits")
STARTUP = ("startup", "startup")

ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("**`Guard(app)`**, every part that is on by default, added to a GET", (*GET, "guard, whole"), ""),
    ("the same, a GET of another item and page each time", (*GET, "guard, whole, another item"), ""),
    ("the same but `telemetry` and `endpoints`", (*GET, "guard, validating"), "25 µs"),
    ("the same but those and `validation`", (*GET, "guard"), ""),
    ("the same protections as those, as five hand-written middlewares", (*GET, "nested, letting go"), ""),
    ("fused, as a share of hand-written", (*RATIOS, "hand-written middlewares, letting go"), "50 %"),
    ("fused, as a share of those that never let a held start go", (*RATIOS, "hand-written middlewares"), "50 %"),
    ("fused, as a share of its own layers unfused", (*RATIOS, "the same layers unfused"), ""),
    ("**full guard**, every part told to do something, added to a GET", (*GET, "full guard"), "8 µs"),
    ("the same protections as 13 hand-written middlewares", (*GET, "full nested, letting go"), ""),
    ("full guard, as a share of hand-written", (*RATIOS, "full, hand-written middlewares, letting go"), "50 %"),
    ("full guard, as a share of those that never let go", (*RATIOS, "full, hand-written middlewares"), "50 %"),
    ("the same, with an asyncio task for each GET", ("cost", "in asyncio tasks", "guard"), ""),
    ("… added to a POST of 3 chunks", (*OTHERS, "POST of 3 chunks"), ""),
    ("… added to a WebSocket handshake", (*OTHERS, "WebSocket handshake"), ""),
    ("another limit for one request, over that", (*OVERRIDE, "another limit"), ""),
    ("the engine with a layer that does nothing, added to a GET", (*GET, "engine"), ""),
    ("over the engine: `client_address` behind a trusted proxy", (*PART, "client_address, a trusted proxy"), ""),
    ("… `request_id`", (*PART, "request_id"), ""),
    ("… `cors`, no `Origin`", (*PART, "cors, no Origin"), "0.5 µs"),
    ("… `cors`, an `Origin`", (*PART, "cors, an Origin"), ""),
    ("… `security_headers`", (*PART, "security_headers"), ""),
    ("… `error_envelope`", (*PART, "error_envelope"), ""),
    ("… `trusted_host`", (*PART, "trusted_host"), ""),
    ("… `https`", (*PART, "https"), ""),
    ("… `ip_filter`, 100,000 networks", (*PART, "ip_filter, 100,000 networks"), "1 µs"),
    ("… the same, clients never seen before", (*PART, "ip_filter, 100,000 networks, strangers"), "1 µs"),
    ("… `request_limits`, sizes", (*PART, "request_limits"), ""),
    ("…… `total_seconds` as well", (*LIMIT, "total_seconds"), "1.5 µs"),
    ("…… `idle_seconds` as well", (*LIMIT, "idle_seconds"), "1.5 µs"),
    ("…… `max_concurrent` as well", (*LIMIT, "max_concurrent"), ""),
    ("… `fetch_metadata`", (*PART, "fetch_metadata"), ""),
    ("… `telemetry`, no tracer provider", (*PART, "telemetry"), "2 µs"),
    ("… `endpoints`, for other paths", (*PART, "endpoints"), ""),
    ("… `validation`, no parameters", (*PART, "validation, no parameters"), "5 µs"),
    ("… `validation`, a search of three parameters", (*PART, "validation, a search"), ""),
    ("`RateLimitMiddleware` alone, `strict`, 1 client, added to a GET", (*LIMITER, "strict, 1 key"), "5 µs"),
    ("the same, 1,000,000 clients", (*LIMITER, "strict, 1,000,000 keys"), "5 µs"),
    ("the same, `gcra`, 1 client", (*LIMITER, "gcra, 1 key"), "4 µs"),
    ("the same, `gcra`, 1,000,000 clients", (*LIMITER, "gcra, 1,000,000 keys"), "4 µs"),
    ("memory of a client at most, besides its address, `strict`", (*BYTES, "strict", "most"), "260 bytes"),
    ("the same, `gcra`", (*BYTES, "gcra", "most"), "160 bytes"),
    ("a refusal, 429, in all", (*ANSWERS, "429"), ""),
    ("an exception answered with 500, in all", (*ANSWERS, "500"), ""),
    ("a preflight answered by the full guard, in all", (*ANSWERS, "preflight"), ""),
    ("`import asgi_guard`", (*STARTUP, "import asgi_guard"), ""),
    ("`Guard(app)` built, with its imports", (*STARTUP, "Guard(app) built, with its imports"), ""),
)
"""What is told: the text, where the figures are, and the goal if there is one; the rest is told by the result files."""


def block() -> str:
    """Write the block: a table, and how its figures came about."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    return "\n".join([*_lines(results), ""])


def _lines(results: dict[str, Any]) -> Iterator[str]:
    yield "| in process, around an application that does nothing | minimum | median | goal, at most |"
    yield "|---|---:|---:|---:|"
    for text, path, goal in ROWS:
        yield f"| {' | '.join([text, *_figures(_at(results, path)), goal])} |"
    machine = results["cost"]["machine"]
    hits, others = _at(results, (*STALLS, "full")), _at(results, (*STALLS, "a sum that takes as long"))
    change = _at(results, (*CHANGE, "another rate"))
    yield ""
    note = (
        f"Of 1,000,000 hits of the rate limit by as many clients, 99.9 % take at most {hits['p999_us']:.0f} µs; of "
        f"sums that take as long, {others['p999_us']:.0f} µs. To reconfigure the rate of a full guard takes "
        f"{change['median_ms']:.1f} ms. The GET has 12 headers and comes from 1,000 clients in turn; that of the full "
        "guard comes from a trusted proxy, over TLS, with a thirteenth header. The full guard blocks 1,000 networks. "
        f"Times are CPU times of one run, in which all stacks took turns: {machine['python']}, {machine['system']}, "
        f"{machine['cpus']} CPUs ({machine['processor']}), {machine['date']}."
    )
    yield textwrap.fill(note, 120)
    yield "`nox -s benchmarks` measures anew; `benchmarks/results/` has all that was measured."


def _at(results: dict[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = results
    for key in path:
        value = value[key]
    return value


def _figures(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return [_shown(key, one) for key, one in value.items()]
    return [f"{value:.0f} bytes", ""]


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
