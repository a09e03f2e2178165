"""Where a duration is sorted in, compared with the standard's formula and with OpenTelemetry's own mapping."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor.buckets import FIRST_INDEX, PAGE, PAGES, explicit_quantile, exponential_quantile
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric

DURATION = Metric("d", "s", "", Kind.HISTOGRAM, (), HTTP_DURATION_BOUNDS, is_exponential=True)
SIZE = Metric("b", "By", "", Kind.HISTOGRAM, (), (1.0, 100.0, 2.5e6))
LAST_INDEX = FIRST_INDEX + PAGE * PAGES - 1
SECOND = 1_000_000_000


def index_of(nanoseconds: int) -> int:
    """Record one value, and say in which base-2 bucket it is."""
    series = Aggregate().series(DURATION)
    series.record(nanoseconds)
    ((index, count),) = series.read().exponential.items()
    assert count == 1
    return index


def formula(nanoseconds: int) -> int:
    """Compute the bucket as the standard writes it, in so many digits that no rounding is near a bound."""
    with localcontext(prec=60):
        exponent = (Decimal(nanoseconds) / SECOND).ln() / Decimal(2).ln() * PAGE
        nearest = exponent.to_integral_value()
        if abs(exponent - nearest) < Decimal("1e-50"):
            return int(nearest) - 1
        return int(exponent.to_integral_value("ROUND_CEILING")) - 1


@given(st.integers(1_000, 1_000 * SECOND) | st.floats(10, 39.8).map(lambda power: int(2**power)))
def test_a_duration_is_in_the_bucket_of_the_standard(nanoseconds: int) -> None:
    """That is `ceil(log2(value) * 2**scale) - 1`, for each nanosecond from a microsecond to 1,000 s."""
    assert index_of(nanoseconds) == formula(nanoseconds)


@pytest.mark.parametrize("power", range(-9, 10))
def test_an_exact_power_of_two_is_in_the_bucket_below(power: int) -> None:
    """Upper bounds are inclusive; one nanosecond more is the next bucket."""
    nanoseconds = SECOND * 2**power if power >= 0 else SECOND // 2**-power

    assert index_of(nanoseconds) == power * PAGE - 1
    assert index_of(nanoseconds + 1) == power * PAGE


@pytest.mark.parametrize("nanoseconds", [2_047, 999_999, 5_000_000, 123_456_789, SECOND, 77 * SECOND])
def test_opentelemetry_sorts_the_same(nanoseconds: int) -> None:
    """Its SDK's own mapping agrees."""
    mapping = pytest.importorskip("opentelemetry.sdk.metrics._internal.exponential_histogram.mapping.logarithm_mapping")

    assert index_of(nanoseconds) == mapping.LogarithmMapping(5).map_to_index(nanoseconds / SECOND)


@pytest.mark.parametrize(("nanoseconds", "index"), [(0, FIRST_INDEX), (1, FIRST_INDEX), (10**18, LAST_INDEX)])
def test_what_is_out_of_range_is_in_the_outermost_bucket(nanoseconds: int, index: int) -> None:
    """Nothing that a client does makes another bucket."""
    assert index_of(nanoseconds) == index


@pytest.mark.parametrize(
    ("metric", "amount", "bucket"),
    [
        (DURATION, 0, 0),
        (DURATION, 5_000_000, 0),
        (DURATION, 5_000_001, 1),
        (DURATION, 75_000_000, 4),
        (DURATION, 75_000_001, 5),
        (DURATION, 10 * SECOND, 13),
        (DURATION, 10 * SECOND + 1, 14),
        (SIZE, 1, 0),
        (SIZE, 2, 1),
        (SIZE, 2_500_000, 2),
        (SIZE, 2_500_001, 3),
    ],
)
def test_an_explicit_bucket_includes_its_upper_bound(metric: Metric, amount: int, bucket: int) -> None:
    """To the nanosecond, or to the byte."""
    series = Aggregate().series(metric)
    series.record(amount)

    assert [place for place, count in enumerate(series.read().counts) if count] == [bucket]


@given(st.lists(st.integers(1_000, 1_000 * SECOND), min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_eleven_in_a_thousand(recorded: list[int], q: float) -> None:
    """Compared with the sorted values themselves."""
    series = Aggregate().series(DURATION)
    for nanoseconds in recorded:
        series.record(nanoseconds)
    rank = max(1, -int(-q * len(recorded) // 1))
    exact = sorted(recorded)[rank - 1] / SECOND

    estimated = series.read().quantile(q)

    assert estimated is not None
    assert abs(estimated - exact) <= 0.011 * exact


def test_nothing_has_no_quantile() -> None:
    """Neither zero nor an error: nobody knows."""
    assert exponential_quantile({}, 0.5) is None
    assert explicit_quantile((1.0,), (0, 0), 0.5) is None
    assert explicit_quantile((), (), 0.5) is None


@pytest.mark.parametrize(
    ("counts", "q", "expected"),
    [((0, 10, 0), 0.5, 1.5), ((10, 0, 0), 0.5, 0.5), ((0, 0, 3), 0.5, 2.0), ((5, 5, 0), 1.0, 2.0)],
)
def test_without_base_2_buckets_values_lie_evenly(counts, q: float, expected: float) -> None:
    """As in Prometheus' histogram_quantile, and never beyond the last bound."""
    assert explicit_quantile((1.0, 2.0), counts, q) == pytest.approx(expected)
