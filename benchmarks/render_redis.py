"""Render: what the distributed limiter costs, how far it carries, and what it endures, from three results.

`python benchmarks/render_redis.py` writes the blocks of README.md between `<!-- generated: redis -->`,
`<!-- generated: scale -->` or `<!-- generated: chaos -->` and `<!-- end -->`. With `--check` it writes nothing, and
fails where a block is not what the results say.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).parents[1] / "README.md"

Results = Mapping[str, Any]


def contenders(redis: Results) -> Iterator[str]:
    """Tell what a decision costs, beside what others make of redis-py."""
    yield "| | one at a time | 64 in flight: a second | p50 | CPU of the client | of Redis | 1,000 in flight: errors |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    one, many, most = (redis[f"{flying} in flight"] for flying in ("1", "64", "1,000"))
    for name, figures in many.items():
        errors = most[name]["errors"]
        told = f"{errors:.0%} `{most[name]['error']}`".replace("%", " %") if errors else "none"
        cpu = f"{figures['client_cpu_us']:.1f} µs | {figures['server_cpu_us']:.1f} µs"
        each = f"{_time(one[name]['p50_us'])} | {figures['decisions_s']:,} | {_time(figures['p50_us'])}"
        yield f"| {name} | {each} | {cpu} | {told} |"
    goals, machine = redis["goals"], redis["machine"]
    frozen = {name: stall["longest_stall_ms"] for name, stall in redis["frozen for 0.5 s"].items()}
    blocking = [f"{name} ({stall:.0f} ms)" for name, stall in frozen.items() if stall > 400]
    yield ""
    yield textwrap.fill(
        f"With 64 in flight the store decides {goals['64 in flight, over EVALSHA']:.1f} times as often as one "
        f"`EVALSHA` a request; one at a time it takes {goals['one at a time, time over EVALSHA']:.2f} times as long. "
        f"Three limits take {goals['three limits over one, 64 in flight']:.2f} times as long as one, and leases decide "
        f"{goals['leases over EVALSHA']:.0f} times as often. While Redis is frozen for half a second, the event loop "
        f"does nothing else under {' and '.join(blocking)}. One run, one process and one event loop, all by turns: "
        f"{machine['python']}, {machine['system']}, {machine['cpus']} CPUs ({machine['processor']}), "
        f"redis-py {redis['releases']['redis']}, {machine['date']}.",
        120,
    )


def carried(scale: Results) -> Iterator[str]:
    """Tell what one Redis, a cluster and leases carry."""
    call, each = scale["server"].values()
    alone, full = 1e6 / (call + each), 1e6 / (each + call / 64)
    yield "| one core of Redis carries | decisions a second |"
    yield "|---|---:|"
    yield f"| asked one by one | {alone:,.0f} |"
    yield f"| in full batches of 64 | {full:,.0f} |"
    yield f"| a cluster of 3 masters, in full batches | {3 * full:,.0f} |"
    yield f"| a hot key, in leases of 100 | {100 * alone:,.0f} |"
    yield "| a blocked key | any number: it is not asked |"
    yield ""
    given = scale["given"]
    yield textwrap.fill(
        f"Below, {given['requests a second']:,} requests a second for keys whose popularity falls as Zipf's law says, "
        f"simulated with the arithmetic of the store; from a worker to Redis and back it takes "
        f"{given['round trip, us']:,} µs:",
        120,
    )
    yield ""
    yield "| | workers | | commands a request | of one core | over the limit | admitted, of an exact log |"
    yield "|---|---:|---|---:|---:|---:|---:|"
    for workload, by_workers in scale["simulated"].items():
        for workers, ways in by_workers.items():
            for way, told in ways.items():
                commands, _, core, _, over, admitted = told.values()
                number = workers.partition(" ")[0]
                yield f"| {workload} | {number} | {way} | {commands:.3f} | {core:.1%} | {over} | {admitted:.1%} |"


def endured(chaos: Results) -> Iterator[str]:
    """Tell what becomes of requests while Redis is maltreated, the worst of all servers counting."""
    rows: dict[str, list[Results]] = {}
    for harms in chaos["harms"].values():
        for harm, told in harms.items():
            rows.setdefault(harm, []).append(told)
    yield "| Redis is | the loop stands still | first answers | then a request takes | seconds until it is back |"
    yield "|---|---:|---:|---:|---:|"
    for harm, told in rows.items():
        stall, first = (max(row[name] for row in told) for name in ("longest_stall_ms", "first_answers_ms"))
        away = [row["answer_us"] for row in told if row["answer_us"] is not None]
        recovery = max(row["seconds_to_recovery"] for row in told)
        answer = f"{max(away):.1f} µs" if away else "as ever"
        yield f"| {harm} | {stall:.0f} ms | {first:.0f} ms | {answer} | {recovery:.2f} |"
    yield ""
    machine = chaos["machine"]
    servers = ", ".join(f"{name} ({version})" for name, version in chaos["servers"].items())
    all_told = [row for told in rows.values() for row in told]
    right = sum(row["policy_right"] for row in all_told)
    yield textwrap.fill(
        f"Each done to {servers} while requests came; the worst of {chaos['rounds']} rounds and all servers. What was "
        f"admitted meanwhile was what `on_failure` says in {right} of {len(all_told)} cases. {machine['python']}, "
        f"{machine['cpus']} CPUs ({machine['processor']}), {machine['date']}.",
        120,
    )


BLOCKS: Mapping[str, tuple[str, Callable[[Results], Iterator[str]]]] = {
    "redis": ("redis", contenders),
    "scale": ("scale", carried),
    "chaos": ("redis_chaos", endured),
}
"""For each block the result that it is made of, and what writes it."""


def _time(microseconds: float) -> str:
    return f"{microseconds:.1f} µs" if microseconds < 1_000 else f"{microseconds / 1_000:.1f} ms"


def main(arguments: list[str]) -> int:
    """Write the blocks, or check them."""
    text = rendered = README.read_text(encoding="utf-8")
    for name, (result, lines) in BLOCKS.items():
        told_by = json.loads((RESULTS / f"{result}.json").read_text(encoding="utf-8"))
        block = re.compile(rf"(?<=<!-- generated: {name} -->\n).*?(?=<!-- end -->)", re.DOTALL)
        told = "\n".join([*lines(told_by), ""])
        rendered = block.sub(lambda _, told=told: told, rendered, count=1)
    if "--check" in arguments:
        if rendered != text:
            print("the figures of README.md are not those of benchmarks/results: run python benchmarks/render_redis.py")
        return int(rendered != text)
    README.write_text(rendered, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
