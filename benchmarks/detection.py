"""Detection: what attacks our validator and other detectors find, what benign requests they block, and what that costs.

`python -m benchmarks.detection --corpora DIR` asks every detector that is installed about the same labelled requests in
the same run, prints the shares and writes them to `results/detection.json`: figures only, never a request. The folder
has the requests, in the format of `detection_rows.py`; none come with the project. Rules are tuned on the split `tune`,
and what is reported is the split `report`, of which nobody sees what was missed.

While rules are written: `--split tune --engine ours --level 2 --fast --misses 20 FILE`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import detection_figures
import detection_ours
import detection_rows
from detection_measure import FAMILIES, OURS, Engine, Outcome, Unavailable, measure, select, versions
from detection_rows import Row
from run import machine

PROJECT = Path(__file__).parents[1]
RESULTS = Path(__file__).with_name("results") / "detection.json"


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line; refuse what would let rows into the project, or rules be tuned on what is reported."""
    parser = argparse.ArgumentParser(prog="benchmarks.detection", description=__doc__.partition("\n")[0])
    parser.add_argument("--corpora", type=Path, required=True, metavar="DIR", help="where the *.jsonl.gz files are")
    parser.add_argument("--split", choices=("report", "tune", "both"), default="report")
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="SET", help="only this set")
    parser.add_argument("--engine", action="append", default=[], dest="engines", choices=FAMILIES)
    parser.add_argument("--level", action="append", default=[], dest="levels", type=int, choices=(1, 2, 3))
    parser.add_argument("--fast", action="store_true", help="ask ours without its layer; its cost means nothing then")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time")
    parser.add_argument("--misses", nargs=2, metavar=("N", "FILE"), help="write what ours got wrong, N of each class")
    parser.add_argument("--results", type=Path, metavar="FILE", help=f"instead of {RESULTS.relative_to(PROJECT)}")
    told = parser.parse_args(words)
    if told.misses:
        if told.split != "tune":
            parser.error("--misses goes with --split tune: what is reported is not looked at")
        told.misses = int(told.misses[0]), Path(told.misses[1]).resolve()
        if told.misses[1].is_relative_to(PROJECT):
            parser.error("--misses FILE has rows in it: it stays out of the project")
    is_whole = told.split == "report" and not (told.sets or told.engines or told.levels or told.fast)
    told.results = told.results or (RESULTS if is_whole else None)
    return told


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and write what was asked for."""
    told = arguments(words)
    rows = detection_rows.read(told.corpora, split=told.split, sets=told.sets)
    if not rows:
        sys.exit(f"no rows of split {told.split} in {told.corpora}")
    measured: dict[Engine, list[Outcome]] = {}
    result: dict[str, Any] = {"machine": machine(), "versions": {}, "not measured": {}, "engines": {}}
    for engine in select(told.engines, told.levels, is_fast=told.fast):
        began = monotonic()
        outcomes = measure(engine, told.corpora, split=told.split, sets=tuple(told.sets), jobs=told.jobs)
        if isinstance(outcomes, Unavailable):
            result["not measured"][engine.name] = outcomes.reason
            continue
        print(f"{engine.name}: {len(outcomes)} rows in {monotonic() - began:.0f} s", file=sys.stderr)
        measured[engine] = outcomes
        result["engines"][engine.name] = detection_figures.figures(rows, outcomes)
        if told.misses and engine.family in OURS:
            number, file = told.misses
            file.write_text("".join(misses(rows, outcomes, engine, number)), encoding="utf-8")
    result["versions"] = versions(measured)
    result["verdicts of re that are not those of re2"] = dict(disagreements(measured))
    for line in report(result):
        print(line)
    if told.results:
        told.results.write_text(detection_figures.written(result), encoding="utf-8")


def disagreements(measured: Mapping[Engine, Sequence[Outcome]]) -> Iterator[tuple[str, int]]:
    """Yield, by level, on how many rows ours decides otherwise without the extra `re2`, within its smaller bounds."""
    ours = {(engine.family, engine.level): outcomes for engine, outcomes in measured.items() if engine.family in OURS}
    with_re2, without = OURS
    for level in (1, 2, 3):
        if (with_re2, level) in ours and (without, level) in ours:
            pairs = zip(ours[with_re2, level], ours[without, level], strict=True)
            yield f"level {level}", sum(one.is_refused != other.is_refused for one, other in pairs)


def report(result: dict[str, Any]) -> Iterator[str]:
    """Yield what is printed: an overview, and of a single detector every group."""
    engines = result["engines"]
    for split in sorted({split for figures in engines.values() for split in figures["splits"]}):
        yield f"\nsplit {split}; shares in percent of the attacks (found) and of the benign (blocked)"
        yield from detection_figures.table(engines, split)
    if len(engines) == 1:
        ((name, figures),) = engines.items()
        for split, told in figures["splits"].items():
            yield from detection_figures.details(f"{name}, split {split}", told)
    for name, figures in engines.items():
        if figures["failures"]:
            yield f"{name}: broke down {figures['failures']} times"
        for title, gap in figures.get("payloads, report against tune", {}).items():
            yield f"{name}: {title}, {gap['points']:+} points on report against tune (p {gap['p']})"
    for level, count in result["verdicts of re that are not those of re2"].items():
        yield f"ours, {level}: re decides otherwise than re2 on {count} rows"
    for name, reason in result["not measured"].items():
        yield f"not measured: {name}: {reason}"


def misses(rows: Iterable[Row], outcomes: Iterable[Outcome], engine: Engine, number: int) -> Iterator[str]:
    """Yield as JSON lines the attacks that were missed and the benign that were blocked, so many of each class."""
    inspect = detection_ours.inspector(engine.level, uses_re2=OURS[engine.family])
    seen: Counter[str] = Counter()
    for row, outcome in zip(rows, outcomes, strict=True):
        if row.is_attack != outcome.is_refused and seen[row.class_] < number:
            seen[row.class_] += 1
            recorded = {"target": row.target, "body": row.body.decode("latin-1")} if row.is_recorded else {}
            told = {
                "wrong": "missed" if row.is_attack else "blocked",
                "class": row.class_,
                "set": row.set,
                "id": row.id,
                "where": row.where,
                "payload": row.payload,
                **recorded,
                "findings": [*detection_ours.explain(inspect, row.scope(), row.body)],
            }
            yield json.dumps(told, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
