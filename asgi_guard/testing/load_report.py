"""Load report: what was measured of a load, and the rules that it has to keep.

Rule 1: memory does not grow with the number of requests: durations are kept in buckets, within 1.1 %.
Rule 2: what is good enough is asked of each route by itself: no fast one hides a slow one.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asgi_guard.monitor.buckets import PAGE, exponential_quantile
from asgi_guard.settings import Problems

MAX_RATE: Final = 100_000.0
"""The most requests a second that are asked for."""

SHARES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
_LEAST_SECONDS: Final = 1e-6


class LoadFailedError(AssertionError):
    """What was measured breaks a rule.

    Attributes:
        failures: a sentence for each rule that is broken.
    """

    def __init__(self, failures: Sequence[str]) -> None:
        super().__init__("\n".join(["the load was not borne:", *[f"  {failure}" for failure in failures]]))
        self.failures: tuple[str, ...] = tuple(failures)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRule:
    """What is good enough. Each holds for every route by itself, so that no fast one hides a slow one.

    Attributes:
        p50_seconds: the longest median, above 0 to 600; None asks for none.
        p95_seconds: the longest 95th percentile.
        p99_seconds: the longest 99th percentile.
        error_rate: the largest share of errors, 0 to 1: statuses from 500 on, exceptions, and no answer in time; and,
            of all that were due, the largest share that could never begin.
        min_throughput: the fewest answers a second, of all routes together.

    Raises:
        ConfigError: a field is wrong.
    """

    p50_seconds: float | None = None
    p95_seconds: float | None = None
    p99_seconds: float | None = None
    error_rate: float | None = 0.0
    min_throughput: float | None = None

    def __post_init__(self) -> None:
        problems = Problems("LoadRule")
        for name in ("p50_seconds", "p95_seconds", "p99_seconds", "min_throughput"):
            if getattr(self, name) is not None:
                problems.number(name, getattr(self, name), minimum=1e-6, maximum=MAX_RATE)
        if self.error_rate is not None:
            problems.number("error_rate", self.error_rate, minimum=0, maximum=1)
        problems.raise_if_any()

    def broken_by(self, report: LoadReport) -> list[str]:
        """Say what of a report breaks it, the worst first."""
        found: list[tuple[float, str]] = []
        for route in report.routes:
            for name in ("p50", "p95", "p99"):
                limit, measured = getattr(self, f"{name}_seconds"), route.quantile(SHARES[name])
                if limit is not None and measured is not None and measured > limit:
                    found.append((measured / limit, f"{name} of {route.name} is {measured:.4g} s, over {limit:g} s"))
            if self.error_rate is not None and route.error_rate > self.error_rate:
                said = f"{100 * route.error_rate:.2f} % of {route.name} are errors, over {100 * self.error_rate:g} %"
                worst = f" ({', '.join(f'{count} x {kind}' for kind, count in route.errors.most_common(3))})"
                found.append((math.inf, said + worst))
        due = report.requests + report.missed
        if self.error_rate is not None and due and report.missed / due > self.error_rate:
            said = f"{report.missed:,} of {due:,} that were due never began: no client was free in time"
            found.append((math.inf, said))
        slowness = self.min_throughput
        if slowness is not None and report.throughput < slowness:
            said = f"{report.throughput:.4g} answers a second, under {slowness:g}"
            found.append((slowness / max(report.throughput, 1e-9), said))
        return [said for _, said in sorted(found, key=lambda one: -one[0])]


@dataclass(slots=True)
class Route:
    """What was measured of one thing that is asked for.

    Attributes:
        name: the method and the path, as the scenario has them.
        buckets: durations by base-2 bucket, 32 to each octave.
        statuses: how many answers had which status.
        errors: how many went wrong, by what went wrong: a status from 500 on, or the name of an exception.
        longest_seconds: the longest.
    """

    name: str
    buckets: Counter[int] = field(default_factory=Counter[int])
    statuses: Counter[int] = field(default_factory=Counter[int])
    errors: Counter[str] = field(default_factory=Counter[str])
    longest_seconds: float = 0.0

    @property
    def requests(self) -> int:
        """How many there were."""
        return sum(self.buckets.values())

    @property
    def error_rate(self) -> float:
        """The share that went wrong, 0 to 1."""
        return sum(self.errors.values()) / self.requests if self.requests else 0.0

    def quantile(self, share: float) -> float | None:
        """Estimate the duration that a share of the requests does not exceed, in seconds, within 1.1 %."""
        found = exponential_quantile(self.buckets, share)
        return None if found is None else min(found, self.longest_seconds)

    def add(self, seconds: float, status: int | None, error: str | None) -> None:
        """Count one."""
        self.buckets[bucket_of(seconds)] += 1
        self.longest_seconds = max(self.longest_seconds, seconds)
        if status is not None:
            self.statuses[status] += 1
        if error is not None:
            self.errors[error] += 1

    def told(self) -> dict[str, Any]:
        """Describe it as the report does."""
        return {
            "route": self.name,
            "requests": self.requests,
            "error_rate": round(self.error_rate, 6),
            "errors": dict(self.errors),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            **{f"{name}_seconds": self.quantile(share) for name, share in SHARES.items()},
            "longest_seconds": self.longest_seconds,
        }


@dataclass(slots=True)
class Second:
    """What came back within one second.

    Attributes:
        requests: how many answers.
        errors: how many of them errors.
        buckets: their durations.
    """

    requests: int = 0
    errors: int = 0
    buckets: Counter[int] = field(default_factory=Counter[int])


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was measured, and whether it is good enough.

    Attributes:
        target: what was asked.
        seconds: how long it took, without the warm-up.
        concurrency: how many at once at most.
        rate: the requests that were due a second; None where there was no rate.
        missed: those that were due and could not begin until the run was over, since so many others waited.
        routes: by what was asked for, in the scenario's order.
        timeline: second by second.
        failures: a sentence for each rule that is broken.
    """

    target: str
    seconds: float
    concurrency: int
    rate: float | None
    missed: int
    routes: tuple[Route, ...]
    timeline: tuple[Second, ...]
    failures: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether no rule is broken."""
        return not self.failures

    @property
    def requests(self) -> int:
        """How many were answered, or went wrong."""
        return sum(route.requests for route in self.routes)

    @property
    def throughput(self) -> float:
        """How many a second."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def all(self) -> Route:
        """All routes together."""
        together = Route("all")
        for route in self.routes:
            together.buckets.update(route.buckets)
            together.statuses.update(route.statuses)
            together.errors.update(route.errors)
            together.longest_seconds = max(together.longest_seconds, route.longest_seconds)
        return together

    def raise_unless_passed(self) -> None:
        """Fail a test.

        Raises:
            LoadFailedError: a rule is broken.
        """
        if self.failures:
            raise LoadFailedError(self.failures)

    def told(self) -> dict[str, Any]:
        """Describe it as plain data, for JSON."""
        return {
            "target": self.target,
            "passed": self.passed,
            "failures": list(self.failures),
            "seconds": round(self.seconds, 6),
            "requests": self.requests,
            "throughput": round(self.throughput, 3),
            "concurrency": self.concurrency,
            "rate": self.rate,
            "missed": self.missed,
            "all": self.all.told(),
            "routes": [route.told() for route in self.routes],
        }

    def text(self) -> str:
        """Write it for a person, as a table."""
        lines = [
            f"{self.requests:,} requests to {self.target} in {self.seconds:.2f} s: {self.throughput:,.1f} a second",
            f"{'':32} {'requests':>9} {'errors':>7} " + " ".join(f"{name:>9}" for name in (*SHARES, "longest")),
        ]
        lines += [_line(route) for route in (self.all, *self.routes)]
        if self.missed:
            lines.append(f"{self.missed:,} were due and never began: {self.concurrency} at once were not enough")
        lines += [f"FAILED: {failure}" for failure in self.failures] or ["passed"]
        return "\n".join(lines)

    def html(self) -> str:
        """Write it as one page that needs nothing else, with plots."""
        from asgi_guard.testing.load_page import page

        return page(self)


def _line(route: Route) -> str:
    values = [route.quantile(share) for share in SHARES.values()]
    shown = [
        f"{1_000 * value:7.2f}ms" if value is not None else f"{'-':>9}" for value in (*values, route.longest_seconds)
    ]
    name = route.name if len(route.name) <= 32 else f"{route.name[:31]}…"
    return f"{name:32} {route.requests:9,} {100 * route.error_rate:6.2f}% " + " ".join(shown)


def bucket_of(seconds: float) -> int:
    """Return the base-2 bucket of a duration, as OpenTelemetry counts them."""
    return math.ceil(math.log2(max(seconds, _LEAST_SECONDS)) * PAGE) - 1
