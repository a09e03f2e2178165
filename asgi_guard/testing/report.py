"""Report: one HTML page of a test run that needs nothing else: results, durations, markers, failures, seeds.

Rule 1: whatever tests say is text: all of it is escaped, and the page has no script and loads nothing.
Rule 2: it tells the versions of the machine, and no variable of its environment: secrets live there.
Rule 3: it is bounded: 20,000 rows, and 20,000 characters of each failure.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Final

MAX_ROWS: Final = 20_000
MAX_TEXT: Final = 20_000
MARKERS: Final = ("unit", "integration", "security", "performance")
OUTCOMES: Final = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")
SLOWEST: Final = 20

_STYLE: Final = """
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884;
vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td:first-child{overflow-wrap:anywhere}
.failed,.error{color:#c62828}.passed{color:#2e7d32}.skipped,.xfailed,.xpassed{color:#b26a00}
pre{overflow:auto;padding:.8rem;border:1px solid #8884;border-radius:.4rem;font-size:.85rem}
"""


@dataclass(slots=True)
class Result:
    """What became of one test.

    Attributes:
        name: its id.
        outcome: `passed`, `failed`, `error` (in its set-up or clean-up), `skipped`, `xfailed` or `xpassed`.
        seconds: how long it took, with set-up and clean-up.
        markers: which of the four markers it has.
        seed: the seed of its data; empty where it made none.
        text: why it failed, or was skipped.
    """

    name: str
    outcome: str = "passed"
    seconds: float = 0.0
    markers: tuple[str, ...] = ()
    seed: str = ""
    text: str = ""


@dataclass(slots=True)
class Run:
    """A run of tests, as it grows.

    Attributes:
        results: of each test, by its id.
        started: when it began.
        dropped: how many tests found no row.
    """

    results: dict[str, Result] = field(default_factory=dict[str, Result])
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    dropped: int = 0

    def of(self, name: str) -> Result:
        """Return the result of a test, a new one at first."""
        if name not in self.results and len(self.results) >= MAX_ROWS:
            self.dropped += 1
            return Result(name)
        return self.results.setdefault(name, Result(name))

    @property
    def outcomes(self) -> Counter[str]:
        """How many tests had each outcome."""
        return Counter(result.outcome for result in self.results.values())


def write(run: Run, folder: Path, facts: Mapping[str, str]) -> Path:
    """Write the report of a run; a character that no encoding has is written as its escape.

    Args:
        run: the run.
        folder: where `report.html` is written; it is made where it is not there.
        facts: what else is told of the run, such as its seed.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.html"
    path.write_text(page(run, facts), encoding="utf-8", errors="backslashreplace")
    return path


def page(run: Run, facts: Mapping[str, str]) -> str:
    """Make the page."""
    results = list(run.results.values())
    counted = ", ".join(f"{run.outcomes[outcome]} {outcome}" for outcome in OUTCOMES if run.outcomes[outcome])
    failures = [result for result in results if result.outcome in {"failed", "error"}]
    slowest = sorted(results, key=lambda result: -result.seconds)[:SLOWEST]
    about = {
        "Started": f"{run.started:%Y-%m-%d %H:%M:%S} UTC",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "System": f"{platform.system()} {platform.machine()}",
        **facts,
        **({"Not listed": f"{run.dropped} more reports"} if run.dropped else {}),
    }
    parts = [
        f"<h1>{len(results)} tests: {escape(counted) or 'none ran'}</h1>",
        _table(("", ""), [(escape(name), escape(text)) for name, text in about.items()], numbers=0),
        "<h2>By marker</h2>",
        _table(("marker", *OUTCOMES, "seconds"), _by_marker(results), numbers=len(OUTCOMES) + 1),
        "<h2>Failures</h2>" if failures else "",
        *(_failure(result) for result in failures),
        f"<h2>The slowest {len(slowest)}</h2>",
        _table(("test", "outcome", "markers", "seconds"), map(_row, slowest), numbers=1),
        "<h2>Every test</h2>",
        _table(("test", "outcome", "markers", "seconds"), map(_row, results), numbers=1),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>Test report</title><style>{_STYLE}</style></head><body>"
    )
    return "\n".join([head, *filter(None, parts), "</body></html>", ""])


def _failure(result: Result) -> str:
    seed = f"<p>Seed: {escape(result.seed)}</p>" if result.seed else ""
    text = result.text if len(result.text) <= MAX_TEXT else f"...\n{result.text[-MAX_TEXT:]}"
    name = f'<summary class="{result.outcome}">{escape(result.name)}</summary>'
    return f"<details open>{name}{seed}<pre>{escape(text)}</pre></details>"


def _row(result: Result) -> tuple[str, ...]:
    outcome = escape(result.outcome)
    why = f" ({escape(result.text[:200])})" if result.outcome == "skipped" and result.text else ""
    told = f'<span class="{outcome}">{outcome}</span>{why}'
    return escape(result.name), told, escape(", ".join(result.markers)), f"{result.seconds:.3f}"


def _by_marker(results: Sequence[Result]) -> Iterable[tuple[str, ...]]:
    for marker in (*MARKERS, ""):
        own = [result for result in results if (marker in result.markers if marker else not result.markers)]
        outcomes = Counter(result.outcome for result in own)
        if own:
            counts = [str(outcomes[outcome]) for outcome in OUTCOMES]
            yield marker or "none", *counts, f"{sum(result.seconds for result in own):.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int) -> str:
    """Make a table of cells that are HTML; the last columns are numbers."""
    first = len(head) - numbers

    def line(cells: Sequence[str], tag: str) -> str:
        marked = (f"<{tag}{' class=n' if index >= first else ''}>{cell}</{tag}>" for index, cell in enumerate(cells))
        return f"<tr>{''.join(marked)}</tr>"

    top = f"<thead>{line(head, 'th')}</thead>" if any(head) else ""
    return f"<table>{top}<tbody>{''.join(line(row, 'td') for row in rows)}</tbody></table>"
