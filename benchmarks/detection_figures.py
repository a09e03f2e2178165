"""Figures: what the outcomes add up to, by set, class and place, with no row among them.

A share is `[count, of, percent]`, a cost `[p50, mean, p99]` in microseconds of CPU; below 30 rows it is "no data".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import fmean
from types import MappingProxyType
from typing import Any

from detection_measure import Outcome
from detection_rows import Row

ENOUGH = 30
NO_DATA = "no data"
UNRATED = frozenset({"payload-docs"})
"""Sets too noisy for a rate: to be read, not to be counted."""

POOLS = MappingProxyType(
    {
        "sqli": "SQL injection",
        "xss": "XSS",
        "traversal": "traversal",
        "rce": "command injection",
        "xxe": "XXE",
        "ssti": "templates",
    }
)
"""The classes of which the payload sets have enough together."""

Pair = tuple[Row, Outcome]

GROUPS: Mapping[str, Callable[[Row], str]] = MappingProxyType(
    {
        "by set": lambda row: row.set,
        "by class": lambda row: row.class_,
        "by place": lambda row: row.where,
        "by set and class": lambda row: f"{row.set}, {row.class_}",
    }
)


def figures(rows: Iterable[Row], outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Add up what a detector did: by split, and there by kind of row; `rows` may be more than it was asked about."""
    pairs = [pair for pair in zip(rows, outcomes, strict=False) if pair[0].set not in UNRATED]
    splits = sorted({row.split for row, _ in pairs})
    result: dict[str, Any] = {
        "rows": len(pairs),
        "failures": sum(outcome.is_failure for _, outcome in pairs),
        "splits": {split: _of_split([pair for pair in pairs if pair[0].split == split]) for split in splits},
    }
    if len(splits) == 2:
        result["payloads, report against tune"] = dict(_gaps(result["splits"]))
    return result


def _of_split(pairs: list[Pair]) -> dict[str, Any]:
    return {
        "recorded": cell(pair for pair in pairs if pair[0].is_recorded),
        "parameters": cell(pair for pair in pairs if not pair[0].is_recorded and not pair[0].is_prose),
        "prose": cell(pair for pair in pairs if pair[0].is_prose),
        "payloads": {
            title: share(outcome.is_refused for row, outcome in pairs if row.class_ == name and not row.is_recorded)
            for name, title in POOLS.items()
        },
        **{title: _grouped(pairs, key) for title, key in GROUPS.items()},
    }


def _grouped(pairs: Iterable[Pair], key: Callable[[Row], str]) -> dict[str, Any]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(key(pair[0]), []).append(pair)
    return {name: cell(groups[name]) for name in sorted(groups)}


def cell(pairs: Iterable[Pair]) -> dict[str, Any]:
    """Count the attacks found and the benign blocked, and what the requests cost; what there is none of is left out."""
    pairs = [*pairs]
    attacks = [outcome.is_refused for row, outcome in pairs if row.is_attack]
    benign = [outcome.is_refused for row, outcome in pairs if not row.is_attack]
    shares = {"attacks found": attacks, "benign blocked": benign}
    return {
        **{name: share(verdicts) for name, verdicts in shares.items() if verdicts},
        "cpu_us": cost([outcome.cpu_ns for _, outcome in pairs]),
    }


def share(verdicts: Iterable[bool]) -> list[float] | str:
    """Count, where there is enough to count."""
    verdicts = [*verdicts]
    if len(verdicts) < ENOUGH:
        return NO_DATA
    count = sum(verdicts)
    return [count, len(verdicts), round(100 * count / len(verdicts), 2)]


def cost(nanoseconds: list[int]) -> list[float] | str:
    """Return median, mean and 99th percentile, in microseconds."""
    if len(nanoseconds) < ENOUGH:
        return NO_DATA
    ordered = sorted(nanoseconds)
    quoted = (ordered[len(ordered) // 2], fmean(ordered), ordered[len(ordered) * 99 // 100])
    return [round(value / 1_000, 1) for value in quoted]


def _gaps(splits: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield, by class, how much less is found of what the rules were not tuned on, and how likely chance does that."""
    for title in POOLS.values():
        report, tune = (splits[split]["payloads"][title] for split in ("report", "tune"))
        if NO_DATA not in (report, tune):
            yield title, {"points": round(report[2] - tune[2], 2), "p": two_proportions(*report[:2], *tune[:2])}


def two_proportions(count: int, of: int, other: int, of_other: int) -> float:
    """Return the probability that two shares as far apart come from one: the two-sided z test of two proportions."""
    pooled = (count + other) / (of + of_other)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_other))
    if not deviation:
        return 1.0
    return round(math.erfc(abs(count / of - other / of_other) / deviation / math.sqrt(2)), 4)


def written(result: Mapping[str, Any]) -> str:
    """Write as JSON, a cell a line."""
    text = json.dumps(result, indent=2)
    flat = re.sub(r"\[[^][{}]*\]", lambda match: f"[{' '.join(match[0][1:-1].split())}]", text)
    return re.sub(r'\{\s+("(?:attacks found|benign blocked|cpu_us|points)"[^{}]*?)\s+\}', _on_one_line, flat) + "\n"


def _on_one_line(match: re.Match[str]) -> str:
    return f"{{{' '.join(match[1].split())}}}"


def table(engines: Mapping[str, Any], split: str) -> Iterator[str]:
    """Yield the lines of an overview, a detector a line; CPU is that of recorded benign requests, or of all rows."""
    titles = ("engine", "rows", "recorded", "benign", "values", "prose", *POOLS, "p50 us", "mean", "p99")
    yield "  ".join([f"{titles[0]:<22}", *(f"{title:>9}" for title in titles[1:])])
    for name, figures_ in engines.items():
        told = figures_["splits"].get(split)
        if told is None:
            continue
        recorded, parameters = told["recorded"], told["parameters"]
        cells = (
            figures_["rows"],
            *(percent(recorded.get(key)) for key in ("attacks found", "benign blocked")),
            percent(parameters.get("benign blocked")),
            percent(told["prose"].get("benign blocked")),
            *(percent(told["payloads"][title]) for title in POOLS.values()),
            *_costs(told),
        )
        yield "  ".join([f"{name:<22}", *(f"{text!s:>9}" for text in cells)])


def _costs(told: Mapping[str, Any]) -> list[Any]:
    benign = told["by set"].get("browser-benign", told["recorded"])
    return benign["cpu_us"] if benign["cpu_us"] != NO_DATA else [NO_DATA, "", ""]


def percent(told: list[float] | str | None) -> str:
    """Write a share."""
    if told is None:
        return "-"
    return told if isinstance(told, str) else f"{told[2]:.2f}"


def details(name: str, told: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a detector did in each group: counts, shares, costs."""
    for title in GROUPS:
        yield f"\n{name}, {title}{'attacks found':>36}{'benign blocked':>24}{'CPU us: p50, mean, p99':>30}"
        for group, figures_ in told[title].items():
            shares = (_counted(figures_.get(key)) for key in ("attacks found", "benign blocked"))
            yield f"  {group:<34}{''.join(f'{text:>24}' for text in shares)}{figures_['cpu_us']!s:>30}"


def _counted(told: list[float] | str | None) -> str:
    if told is None or isinstance(told, str):
        return percent(told)
    return f"{told[0]} of {told[1]} {told[2]:6.2f}"
