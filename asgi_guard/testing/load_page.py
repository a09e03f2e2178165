"""Load page: a report of a load as one HTML page that needs nothing else: no script, no font, no request.

Standard: SVG 1.1 within HTML; a Content-Security-Policy in the page lets nothing in but its own style.
Must never write anything unescaped: names of routes and of errors are whatever a scenario or an application says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from asgi_guard.monitor.buckets import PAGE, exponential_quantile

if TYPE_CHECKING:
    from asgi_guard.testing.load_report import LoadReport, Route

WIDTH: Final = 720
HEIGHT: Final = 200
_LEFT: Final = 56
_BOTTOM: Final = 24
_MOST_BARS: Final = 120

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --quiet: #5b6875; --line: #d5dce3; --back: #fff; --one: #2f6fb0;
  --two: #b06a1f; --three: #8a3f8f; --bad: #b3261e; --good: #1d6b4f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6ebf0; --quiet: #9aa7b4; --line: #35404b; --back: #12171c;
  --one: #7db7f0; --two: #e8ab6b; --three: #d59adb; --bad: #ff8a80; --good: #7fd1b0; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.verdict { font-weight: 600; } .passed { color: var(--good); } .failed { color: var(--bad); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
svg { width: 100%; height: auto; } svg text { fill: var(--quiet); font-size: 11px; }
.axis { stroke: var(--line); } .p50 { stroke: var(--one); } .p95 { stroke: var(--two); } .p99 { stroke: var(--three); }
.p50, .p95, .p99 { fill: none; stroke-width: 2; } .bar { fill: var(--one); } .errors { fill: var(--bad); }
.key span { margin-right: 1rem; } .quiet { color: var(--quiet); }
"""


def page(report: LoadReport) -> str:
    """Write the page."""
    verdict = "passed" if report.passed else "failed"
    said = "".join(f"<li>{escape(failure)}</li>" for failure in report.failures)
    facts = [
        f"{report.requests:,} requests in {report.seconds:.2f} s, {report.throughput:,.1f} a second",
        f"at most {report.concurrency} at once",
        "as fast as they were answered" if report.rate is None else f"{report.rate:g} due a second",
        *([f"{report.missed:,} were due and never began"] if report.missed else []),
    ]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load: {escape(report.target)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Load on {escape(report.target)}</h1>
<p class="verdict {verdict}">{verdict.capitalize()}</p>
{f"<ul>{said}</ul>" if said else ""}
<p class="quiet">{escape("; ".join(facts))}.</p>
<h2>Routes</h2>
<div class="scroll">{_table([report.all, *report.routes])}</div>
<h2>Latency over time</h2>
{_latency(report)}
<h2>Answers a second</h2>
{_throughput(report)}
<h2>How long it took</h2>
{_distribution(report.all)}
<h2>As data</h2>
<details><summary>JSON</summary><pre>{escape(json.dumps(report.told(), indent=2))}</pre></details>
</body>
</html>
"""


def _table(routes: Iterable[Route]) -> str:
    from asgi_guard.testing.load_report import SHARES  # which has the page made

    heads = ["", "requests", "errors", *SHARES, "longest", "statuses"]
    rows = [
        [
            route.name,
            f"{route.requests:,}",
            f"{100 * route.error_rate:.2f} %",
            *[_seconds(route.quantile(share)) for share in SHARES.values()],
            _seconds(route.longest_seconds),
            ", ".join(f"{count:,} x {status}" for status, count in sorted(route.statuses.items()))
            or ", ".join(f"{count:,} x {kind}" for kind, count in route.errors.most_common(5)),
        ]
        for route in routes
    ]
    return _html_table(heads, rows)


def _html_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{1_000 * value:,.2f} ms"


def _latency(report: LoadReport) -> str:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    lines = {
        name: [exponential_quantile(second.buckets, share) if second.buckets else None for second in report.timeline]
        for name, share in shares.items()
    }
    highest = max((value for line in lines.values() for value in line if value is not None), default=0.0)
    drawn = "".join(_polyline(name, line, highest) for name, line in lines.items())
    key = "".join(map(_key, shares))
    label = "Median, 95th and 99th percentile of each second; the figures stand in the table above."
    return _svg(drawn, _seconds(highest), f"{len(report.timeline)} s", label) + f'<p class="key quiet">{key}</p>'


def _key(name: str) -> str:
    line = f'<line x1="0" y1="4" x2="24" y2="4" class="{name}"/>'
    drawn = f'<svg style="width:24px" viewBox="0 0 24 8" role="presentation">{line}</svg>'
    return f"<span>{drawn} {name}</span>"


def _polyline(name: str, values: Sequence[float | None], highest: float) -> str:
    step = (WIDTH - _LEFT) / max(len(values) - 1, 1)
    points = [
        f"{_LEFT + index * step:.1f},{_y(value, highest):.1f}"
        for index, value in enumerate(values)
        if value is not None
    ]
    if len(points) == 1:  # a line of one point is none
        points.append(f"{WIDTH},{points[0].partition(',')[2]}")
    return f'<polyline class="{name}" points="{" ".join(points)}"/>' if points else ""


def _throughput(report: LoadReport) -> str:
    highest = max((second.requests for second in report.timeline), default=0)
    bars = _bars([(second.requests, second.errors) for second in report.timeline], highest)
    return _svg(bars, f"{highest:,}", f"{len(report.timeline)} s", "Answers in each second, errors in red.")


def _distribution(route: Route) -> str:
    if not route.buckets:
        return "<p>Nothing was answered.</p>"
    first, last = min(route.buckets), max(route.buckets)
    width = max(1, -(-(last - first + 1) // _MOST_BARS))
    counts = [
        sum(route.buckets.get(index + offset, 0) for offset in range(width)) for index in range(first, last + 1, width)
    ]
    bars = _bars([(count, 0) for count in counts], max(counts))
    ends = f"from {_seconds(2 ** (first / PAGE))} to {_seconds(2 ** ((last + 1) / PAGE))}, each bar as far as the next"
    return _svg(bars, f"{max(counts):,}", "", f"How many took how long, {ends} in proportion.") + (
        f'<p class="quiet">{escape(ends.capitalize())} in proportion.</p>'
    )


def _bars(values: Sequence[tuple[int, int]], highest: float) -> str:
    step = (WIDTH - _LEFT) / max(len(values), 1)
    drawn: list[str] = []
    for index, (count, errors) in enumerate(values):
        x = _LEFT + index * step
        for number, name in ((count, "bar"), (errors, "errors")):
            y = _y(number, highest)
            if number:
                drawn.append(
                    f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" width="{max(step - 1, 1):.1f}" '
                    f'height="{HEIGHT - _BOTTOM - y:.1f}"/>'
                )
    return "".join(drawn)


def _y(value: float, highest: float) -> float:
    return (HEIGHT - _BOTTOM) * (1 - (value / highest if highest else 0.0) * 0.95)


def _svg(drawn: str, top: str, right: str, label: str) -> str:
    base = HEIGHT - _BOTTOM
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f'<line class="axis" x1="{_LEFT}" y1="{base}" x2="{WIDTH}" y2="{base}"/>'
        f'<line class="axis" x1="{_LEFT}" y1="0" x2="{_LEFT}" y2="{base}"/>'
        f'<text x="{_LEFT - 4}" y="14" text-anchor="end">{escape(top)}</text>'
        f'<text x="{_LEFT - 4}" y="{base}" text-anchor="end">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{escape(right)}</text>{drawn}</svg>'
    )
