"""Conformance: ask the guard every rule on every server, print the matrix, and write `results/conformance.json`.

`python benchmarks/conformance.py` takes some minutes; with names of servers it asks those alone and writes nothing. It
ends with 1 where a rule is broken that the bare server keeps. What a server breaks by itself is listed, by name.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

from conformance_stacks import HEADERS, STACKS

from asgi_guard.testing.sockets import SERVERS, SOCKET_RULES, SocketReport, ask_bare, check_served

RESULTS = Path(__file__).with_name("results") / "conformance.json"
MARKS = {"kept": ".", "broken": "X", "the server's": "s", "mended": "+", "-": " "}


def ask(server: str) -> dict[str, SocketReport]:
    """Ask every stack on one server."""
    bare = ask_bare(server, headers=HEADERS)
    folder = Path(__file__).parent
    return {
        stack: check_served(
            f"conformance_stacks:{stack}", server, refuses=True, headers=HEADERS, folder=folder, bare=bare
        )
        for stack in STACKS
    }


def matrix(reports: dict[str, dict[str, SocketReport]]) -> str:
    """Write a line for each rule, and a group of columns for each server: one for each stack."""
    lines = [f"{number:>62}  {server}, {version(server.partition('-')[0])}" for number, server in enumerate(reports, 1)]
    lines += [
        "",
        f"{'columns: ' + ', '.join(STACKS):<58}" + "".join(f"{number:>5}" for number in range(1, len(reports) + 1)),
    ]
    for index, rule in enumerate(SOCKET_RULES):
        cells = [
            "".join(MARKS[report.outcomes[index].verdict] for report in stacks.values()) for stacks in reports.values()
        ]
        lines.append(f"{rule.number} {rule.name:<54}" + "".join(f"{cell:>5}" for cell in cells))
    legend = ", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items() if mark.strip())
    return "\n".join([*lines, "", legend])


def details(reports: dict[str, dict[str, SocketReport]]) -> list[str]:
    """Write what is wrong, wherever it is."""
    return [
        f"{server}, {stack}: {outcome}"
        for server, stacks in reports.items()
        for stack, report in stacks.items()
        for outcome in report.outcomes
        if outcome.verdict not in {"kept", "-"} and (stack == STACKS[0] or outcome.verdict != "the server's")
    ]


def told(reports: dict[str, dict[str, SocketReport]]) -> dict[str, object]:
    """Put all of it into a form for a file."""
    return {
        "rules": {rule.number: rule.name for rule in SOCKET_RULES},
        "servers": {
            server: {
                "release": version(server.partition("-")[0]),
                "stacks": {
                    stack: {
                        "kept": len(report.of("kept")),
                        "broken": [outcome.rule.number for outcome in report.of("broken")],
                        "the server's": {str(o.rule.number): o.detail for o in report.of("the server's")},
                        "mended": [outcome.rule.number for outcome in report.of("mended")],
                    }
                    for stack, report in stacks.items()
                },
            }
            for server, stacks in reports.items()
        },
    }


def main(names: list[str]) -> int:
    """Ask, print, and write."""
    wanted = names or list(SERVERS)
    installed = [server for server in wanted if SERVERS[server].is_installed]
    with ThreadPoolExecutor(2) as pool:  # most of the time is spent in waiting for one that never answers
        reports = dict(zip(installed, pool.map(ask, installed), strict=True))
    print(*[f"{server}: not installed, not asked" for server in wanted if server not in installed], sep="\n")
    print(matrix(reports), *details(reports), sep="\n")
    if not names:
        RESULTS.write_text(json.dumps(told(reports), indent=2) + "\n", encoding="utf-8")
    return int(any(report.of("broken") for stacks in reports.values() for report in stacks.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
