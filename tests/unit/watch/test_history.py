"""The last hour: stretches of time, their windows, and how exact their percentiles are."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.telemetry.semconv import REQUEST_DURATION
from asgi_guard.watch.history import TICKS, History
from asgi_guard.watch.names import TRACKED_REQUEST
from asgi_guard.watch.stretch import NOTHING, Figures, Stretch, added, between, put_together

SALES = Metric("sales", "{count}", "Sales.", Kind.COUNTER, ("shop",))
QUERY = Metric("query", "s", "Queries.", Kind.HISTOGRAM, ("table",), (0.1,), is_exponential=True)
BURNT = Metric("burnt", "s", "CPU.", Kind.COUNTER)
MS = 1_000_000


def served(aggregate: Aggregate, route: str = "/", status: str = "200", ms: float = 1, error: str = "") -> None:
    """Let a request have been served."""
    aggregate.series(REQUEST_DURATION, "GET", "http", "1.1", route, status, error).record(int(ms * MS))


def tick(number: int, seconds: float = 5) -> Stretch:
    """Make a stretch in which so many requests came."""
    figures = Figures(number)
    return Stretch(seconds, figures, figures, {("GET", "/"): figures}, {}, {("sales", ("a",)): number})


def test_a_stretch_is_what_happened_between_two_snapshots() -> None:
    """What was counted before is not in it, and what has not happened is not there at all."""
    aggregate = Aggregate()
    served(aggregate, "/old")
    aggregate.series(SALES, "old").add()
    before = aggregate.snapshot()
    served(aggregate, "/new", ms=3)
    aggregate.series(SALES, "new").add(2)

    stretch = between(before, aggregate.snapshot(), 5)

    assert stretch.routes.keys() == {("GET", "/new")}
    assert stretch.counts == {("sales", ("new",)): 2}
    assert stretch.seconds == 5
    assert stretch.requests.mean_seconds == pytest.approx(0.003)


@pytest.mark.parametrize(
    ("status", "error", "errors", "failures"),
    [
        ("200", "", 0, 0),
        ("302", "", 0, 0),
        ("404", "", 0, 1),
        ("429", "", 0, 1),
        ("500", "ValueError", 1, 0),
        ("503", "503", 1, 0),
        ("", "client_disconnect", 0, 0),
        ("", "ValueError", 1, 0),
        ("200", "client_disconnect", 0, 0),
        ("", "", 0, 0),
    ],
)
def test_what_an_error_is(status: str, error: str, errors: int, failures: int) -> None:
    """A status from 500 on is an error, and so is a request that never had one because something went wrong."""
    aggregate = Aggregate()
    served(aggregate, status=status, error=error)

    requests = between(Snapshot(()), aggregate.snapshot(), 5).requests

    assert (requests.number, requests.errors, requests.failures) == (1, errors, failures)


def test_a_route_is_one_whatever_its_statuses_and_versions_are() -> None:
    """They are put together, and their durations with them."""
    aggregate = Aggregate()
    for status in ("200", "404", "500"):
        served(aggregate, "/x", status)

    assert between(Snapshot(()), aggregate.snapshot(), 5).routes["GET", "/x"].number == 3


def test_requests_that_the_application_has_tracked_are_requests() -> None:
    """They stand beside those of the guard."""
    aggregate = Aggregate()
    served(aggregate, "/x")
    aggregate.series(TRACKED_REQUEST, "GET", "/x", "500").record(5 * MS)

    route = between(Snapshot(()), aggregate.snapshot(), 5).routes["GET", "/x"]

    assert (route.number, route.errors) == (2, 1)


def test_seconds_are_counted_as_seconds() -> None:
    """The cells hold nanoseconds."""
    aggregate = Aggregate()
    aggregate.series(BURNT).add(1_500_000_000)

    assert between(Snapshot(()), aggregate.snapshot(), 5).counts == {("burnt", ()): 1.5}


def test_what_found_no_place_is_one_route() -> None:
    """It is told without a name."""
    aggregate = Aggregate(max_series=1)
    for number in range(5):
        served(aggregate, f"/{number}")

    assert between(Snapshot(()), aggregate.snapshot(), 5).routes["", ""].number == 4


DURATIONS = st.lists(st.floats(1e-5, 100), min_size=1, max_size=200)


@given(DURATIONS, st.integers(1, 5))
def test_stretches_add_up_without_loss(durations: list[float], parts: int) -> None:
    """However the time is cut, the whole is the same."""
    aggregate = Aggregate()
    series = aggregate.series(QUERY, "t")
    whole_before = before = aggregate.snapshot()
    stretches: list[Stretch] = []
    for part in range(parts):
        for seconds in durations[part::parts]:
            series.record(int(seconds * 1e9))
        now = aggregate.snapshot()
        stretches.append(between(before, now, 5))
        before = now

    whole = between(whole_before, before, 5 * parts)

    assert put_together(stretches) == whole


def test_nothing_adds_up_to_nothing() -> None:
    """There are no percentiles of it."""
    assert put_together([]) == Stretch(0, NOTHING)
    assert added([]).quantiles(0.5) == [None]
    assert added([]).mean_seconds is None


SHAPES = {
    "skewed": lambda draw: draw.lognormvariate(-4, 1.5),
    "bimodal": lambda draw: draw.gauss(0.002, 0.0002) if draw.random() < 0.9 else draw.gauss(1.5, 0.1),
    "narrow": lambda draw: draw.uniform(0.010, 0.011),
    "long tail": lambda draw: 0.001 * draw.paretovariate(1.1),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_percentiles_are_within_a_little_over_one_percent_over_four_workers(shape: str) -> None:
    """Each worker counts a part; what is merged is as exact as what one alone had counted."""
    draw = random.Random(7)
    values = [min(1_000.0, max(2e-6, SHAPES[shape](draw))) for _ in range(20_000)]
    workers = [Aggregate() for _ in range(4)]
    for index, value in enumerate(values):
        worker = workers[draw.randrange(4)]
        worker.series(REQUEST_DURATION, "GET", "http", "1.1", f"/{index % 7}", "200", "").record(int(value * 1e9))

    merged = Snapshot(()).merged(*[worker.snapshot() for worker in workers])
    requests = between(Snapshot(()), merged, 60).requests

    values.sort()
    for share in (0.5, 0.9, 0.95, 0.99, 0.999):
        exact = values[math.ceil(share * len(values)) - 1]
        (estimate,) = requests.quantiles(share)
        assert estimate == pytest.approx(exact, rel=0.011), share


def test_a_window_covers_what_it_says_or_all_there_is() -> None:
    """It says how long it really is."""
    history = History()
    assert history.window(60).seconds == 0

    for number in range(1, 9):
        history.add(tick(number))

    assert history.window(10).requests.number == 7 + 8
    assert history.window(11).requests.number == 6 + 7 + 8
    assert history.window(300).seconds == 40
    assert history.window(300, with_routes=True).routes["GET", "/"].number == 36
    assert history.window(300).routes == {}
    assert history.window(300).counts == {("sales", ("a",)): 36}


@pytest.mark.parametrize("ticks", [60, 71, 72, 73, 700, 2_000])
def test_the_windows_stay_as_long_as_they_are_wanted(ticks: int) -> None:
    """Older stretches are put together by the minute, which no window shows."""
    history = History()
    for _ in range(ticks):
        history.add(tick(1))

    for seconds in (60, 300, 3_600):
        window = history.window(seconds)
        wanted = min(seconds, ticks * 5)
        assert wanted <= window.seconds < wanted + 60
        assert window.requests.number == window.seconds / 5
    assert history.window(60).seconds == 60
    assert history.window(300).seconds == 300


def test_a_history_of_an_hour_is_no_longer_than_an_hour() -> None:
    """Whatever happened before is forgotten; irregular steps change nothing."""
    history = History()
    draw = random.Random(3)
    for _ in range(3_000):
        history.add(tick(1, draw.uniform(1, 9)))

    assert len(history.ticks()) == TICKS
    assert 3_600 <= history.window(3_600).seconds < 3_600 + 12 * 9
    assert history.window(1e9).seconds < 3_600 + 2 * 12 * 9 + 72 * 9


@pytest.mark.parametrize("seconds", [1, 2.5, 5, 7, 30, 60])
def test_an_hour_is_an_hour_however_long_a_tick_is(seconds: float) -> None:
    """What is older than sixty ticks is put together by the minute."""
    history = History(seconds)
    for _ in range(round(4_000 / seconds)):
        history.add(tick(1, seconds))

    assert 3_600 <= history.window(3_600).seconds <= 3_600 + 60 + seconds


def test_the_newest_stretches_come_last() -> None:
    """As a timeline is read."""
    history = History()
    for number in range(100):
        history.add(tick(number))

    assert [stretch.requests.number for stretch in history.ticks()] == [*range(40, 100)]
