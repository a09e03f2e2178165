"""What the page shows is what the summary says."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_stage import Visit
from dashboard_summaries import blank, busy, quiet

DASH = "\u2013"
WINDOWS = {"1m": "1 min", "5m": "5 min", "60m": "1 hour"}


def table(page: Any, name: str) -> list[list[str]]:
    """Read the rows of a table, as they are shown."""
    rows = page.locator(f'[data-table="{name}"] tbody tr').all()
    return [[cell.replace("\u00a0", " ") for cell in row.locator("th, td").all_inner_texts()] for row in rows]


def raw(page: Any, name: str) -> list[list[float]]:
    """Read the numbers that stand behind the cells of a table."""
    rows = page.locator(f'[data-table="{name}"] tbody tr').all()
    return [
        row.evaluate("row => [...row.children].filter(c => c.dataset.value).map(c => +c.dataset.value)") for row in rows
    ]


def terms(page: Any, name: str) -> dict[str, str]:
    """Read a list of terms."""
    names = page.locator(f"#{name} dt").all_inner_texts()
    values = page.locator(f"#{name} .value").all_inner_texts()
    return {name: value.replace("\u00a0", " ") for name, value in zip(names, values, strict=True)}


@pytest.mark.parametrize("window", WINDOWS)
def test_the_figures_and_routes_are_those_of_the_window(visit: Visit, window: str) -> None:
    """Each number equals the summary's; the hour is asked for when somebody wants to see it."""
    page = visit.open()
    page.get_by_text(WINDOWS[window], exact=True).click()
    visit.wait("!poll.isAsking && chosenWindow() in summaryShown.windows")
    said = visit.stage.summary["windows"][window]
    values = page.locator("#figures .value").evaluate_all("cells => cells.map(c => +c.dataset.value)")
    all_of = said["all"]
    system = visit.stage.summary["system"]
    refused = sum(refusal["count"] for refusal in visit.stage.summary["refusals"])

    assert values == [
        all_of["requests_per_second"],
        all_of["error_rate"],
        all_of["p95_seconds"],
        all_of["p99_seconds"],
        refused,
        system["cpu_percent"],
        system["memory_percent"],
    ]
    page.get_by_role("button", name="Show all").click()
    fields = (
        "requests",
        "requests_per_second",
        "error_rate",
        "client_error_rate",
        "p50_seconds",
        "p95_seconds",
        "p99_seconds",
    )
    assert raw(page, "routes") == [[route[field] for field in fields] for route in said["routes"]]
    assert visit.stage.asked[-1] == ("windows=1m,5m,60m" if window == "60m" else "windows=1m,5m")
    assert visit.complaints == []


def test_numbers_are_shown_as_a_person_reads_them(visit: Visit) -> None:
    """Three figures, with a unit."""
    page = visit.open()

    assert terms(page, "figures") == {
        "Requests per second": "39.1",
        "Errors": "2.47 %",
        "p95": "67.0 ms",
        "p99": "161 ms",
        "Refused": "459",
        "CPU": "61.4 %",
        "Memory": "71.9 %",
    }
    assert terms(page, "system") == {"CPU": "61.4 %", "Memory": "71.9 %", "Disk": "48.0 %", "Throttled": "1.75 %"}
    notes = [note.replace("\u00a0", " ") for note in page.locator("#system .note").all_inner_texts()]
    assert notes == ["of 2 cores", "368 MiB of 512 MiB", "20.0 GiB free", "of CPU periods"]
    assert page.locator("#facts").inner_text().replace("\u00a0", " ").startswith("up 2 d 3 h · 4 workers · as of ")


@pytest.mark.parametrize(
    ("show", "value", "text"),
    [
        ("showDuration", 0, "0 s"),
        ("showDuration", 0.0000004, "0.40 µs"),
        ("showDuration", 0.00042, "420 µs"),
        ("showDuration", 0.0009996, "1.00 ms"),
        ("showDuration", 0.9999, "1.00 s"),
        ("showDuration", 12.345, "12.3 s"),
        ("showDuration", 200, "3 min 20 s"),
        ("showDuration", None, DASH),
        ("showAge", 0, "0 s"),
        ("showAge", 59.6, "1 min"),
        ("showAge", 361.2, "6 min 1 s"),
        ("showAge", 90_000, "1 d 1 h"),
        ("showBytes", 0, "0 B"),
        ("showBytes", 1_023, "1,023 B"),
        ("showBytes", 1_024, "1.00 KiB"),
        ("showBytes", 81_000_000, "77.2 MiB"),
        ("showBytes", 2**60, "1,024 PiB"),
        ("showPercent", 0, "0 %"),
        ("showPercent", 0.0004, "< 0.01 %"),
        ("showPercent", 99.99, "100 %"),
        ("showPercent", None, DASH),
        ("showRate", 1_234.56, "1,235"),
        ("showCount", 10_563, "10,563"),
        ("showPlain", 0.1 + 0.2, "0.3"),
        ("trimmed", "7.50 %", "7.5 %"),
        ("trimmed", "40.0", "40"),
        ("trimmed", "200 ms", "200 ms"),
        ("trimmed", "10.05 s", "10.05 s"),
    ],
)
def test_a_number_keeps_its_meaning(shared_visit: Visit, show: str, value: float | None, text: str) -> None:
    """At the edges of its units as well; what was not measured is a dash, and no zero."""
    shown = shared_visit.page.evaluate(f"value => {show}(value)", value)

    assert shown.replace("\u00a0", " ") == text


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "refusals",
            [
                ["rate_limit", "429", "412", "1.37"],
                ["validation", "sqli", "37", "0.12"],
                ["request_limits", "max_body", "9", "0.03"],
                ["trusted_host", "host", "1", "< 0.01"],
            ],
        ),
        ("policies", [["100/minute", "10,151", "412", "0"], ["5/second", "902", "0", "17"]]),
        ("keys", [["3f9a1c0b22de", "100/minute", "341"], ["a07714e9c3b1", "100/minute", "71"]]),
        ("validation", [["sqli", "query", "block", "31"], ["xss", "body", "detect", "6"]]),
        (
            "breakers",
            [
                ["database", "Closed", "10,220 success, 12 failure", "0"],
                ["payments", "Trying again", "3 success, 58 failure", "5"],
            ],
        ),
        (
            "workers",
            [[str(4711 + n), f"{26_410 - 731 * n:,}", "12.3 %", "81.7 MiB", "21", "400 µs", DASH] for n in range(4)],
        ),
        ("timings", [["database_query", "table=orders", "10,232", "3.10 ms", "2.40 ms", "8.80 ms", "21.3 ms"]]),
        ("gauges", [["queue_depth", "", "3.5"]]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_table_has_the_rows_of_its_section(shared_visit: Visit, name: str, rows: list[list[str]]) -> None:
    """In the server's order, which is that of importance."""
    assert table(shared_visit.page, name) == rows


def test_each_chart_has_the_numbers_of_the_timeline(shared_visit: Visit) -> None:
    """The same columns are drawn, told in a sentence, and shown as a table where somebody opens it."""
    page = shared_visit.page
    timeline = shared_visit.stage.summary["timeline"]
    drawn = page.evaluate("charts.map(chart => chart.plot.data.slice(1)).flat()")
    keys = page.evaluate("CHARTS.flatMap(({series}) => series.map(({key}) => key))")

    assert drawn == [timeline[key] for key in keys]
    assert sorted(keys) == sorted(set(timeline) - {"times", "step_seconds"})
    for sentence in page.locator(".canvas").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))"):
        assert " from " in sentence
        assert ": last " in sentence
    chart = page.locator(".chart").nth(2)
    chart.get_by_text("As a table").click()
    rows = chart.locator("tbody tr")
    rows.nth(59).wait_for()
    assert rows.count() == 60
    newest = rows.first.locator("td").all_inner_texts()[1:]
    assert newest == ["1.42\u00a0%", "5.43\u00a0%"]
    assert DASH in rows.nth(60 - 13).inner_text()  # a gap stays a gap


def test_all_charts_tell_the_numbers_of_the_time_at_the_cursor(visit: Visit) -> None:
    """Also while summaries go on coming; without a cursor they tell the newest."""
    page = visit.open()
    timeline = visit.stage.summary["timeline"]
    memory = page.locator(".chart").nth(3).locator("b").nth(1)
    assert memory.inner_text() == f"{timeline['memory_percent'][-1]:.1f}\u00a0%"

    page.locator(".chart").first.locator(".u-over").hover(position={"x": 1, "y": 40})
    visit.wait("charts.every(chart => chart.legend.dataset.at)")
    assert memory.inner_text() == f"{timeline['memory_percent'][0]:.1f}\u00a0%"
    visit.ask_again()
    assert memory.inner_text() == f"{timeline['memory_percent'][0]:.1f}\u00a0%"

    page.locator("h1").hover()
    visit.wait("charts.every(chart => !chart.legend.dataset.at)")
    assert memory.inner_text() == f"{timeline['memory_percent'][-1]:.1f}\u00a0%"


def test_a_number_between_two_gaps_is_drawn_as_a_point(visit: Visit) -> None:
    """A line takes two."""
    visit.stage.summary["timeline"]["p50_seconds"] = [None] * 30 + [0.012] + [None] * 29

    page = visit.open()

    assert page.evaluate("charts[1].plot.series[1].points.filter(charts[1].plot, 1)") == [30]


def test_a_chart_says_so_where_the_newest_step_measured_nothing(visit: Visit) -> None:
    """An older number would pass for the newest; and a few steps are not stretched over five minutes."""
    timeline = visit.stage.summary["timeline"]
    for name in timeline.keys() - {"step_seconds"}:
        timeline[name] = [*timeline[name][-4:]]
    timeline["p95_seconds"][-1] = None

    page = visit.open()

    assert page.locator(".chart").nth(1).locator("b").nth(1).inner_text() == DASH
    assert page.evaluate("charts[0].plot.scales.x.max - charts[0].plot.scales.x.min") == 59 * 5


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (busy, ["Something is wrong", "error_rate is 2.4733 %, over 2.0 %.", "The breaker payments tries again."]),
        (
            quiet,
            [
                "All is quiet",
                "No requests in the last 5 minutes.",
                "None of 2 alerts is firing.",
                "No refusals in the last 5 minutes.",
                "error_rate: nothing to judge yet, limit 5\u00a0%",
                "No circuit breaker is in use.",
            ],
        ),
        (
            blank,
            [
                "Nothing is known yet",
                "No alerts are set.",
                "Nothing was measured in these minutes.",
                "No requests in the last minute.",
                "No key was refused in the last 5 minutes.",
                "The validation has found nothing in the last 5 minutes.",
                "The system is not measured here.",
                "No worker has said anything yet.",
            ],
        ),
    ],
)
def test_the_page_says_in_words_how_it_is(visit: Visit, summary: Any, said: list[str]) -> None:
    """Also where there is nothing to show, or nothing was ever measured."""
    visit.stage.summary = summary()

    text = visit.open().locator("main").inner_text()

    assert [words for words in said if words not in text] == []
    assert visit.page.locator("#custom").is_visible() is (summary is busy)
    assert visit.complaints == []


@pytest.mark.parametrize(
    ("sections", "title"),
    [
        ({"breakers": [{"name": "db", "state": "open", "calls": {}, "transitions": 1}]}, "Something is wrong"),
        ({"breakers": [{"name": "db", "state": "half_open", "calls": {}, "transitions": 1}]}, "Worth a look"),
        ({"breakers": [{"name": "db", "state": "of tomorrow", "calls": {}, "transitions": 1}]}, "All is quiet"),
        ({"alerts": [{"name": "a", "state": "firing", "severity": "low", "message": "a"}]}, "Worth a look"),
        ({"alerts": [{"name": "a", "state": "firing", "severity": "critical", "message": "a"}]}, "Something is wrong"),
        ({"alerts": [{"name": "a", "state": "pending", "severity": "critical", "message": "a"}]}, "Worth a look"),
    ],
    ids=["open", "half open", "unknown", "low", "critical", "pending"],
)
def test_one_look_tells_whether_it_is_well(visit: Visit, sections: dict[str, Any], title: str) -> None:
    """By the alerts and the breakers, whose limits somebody has chosen."""
    visit.stage.summary = {**quiet(), **sections}

    assert visit.open().locator("#verdict").inner_text() == title


def test_alerts_that_fire_come_first(shared_visit: Visit) -> None:
    """Then those that may be about to."""
    badges = shared_visit.page.locator(".alert .badge").all_inner_texts()

    assert badges == ["Firing", "Pending", "OK", "OK", "OK"]
    assert shared_visit.page.title() == "(1) Shop <b>"


def test_rows_follow_the_next_summary(visit: Visit) -> None:
    """What has gone from the summary goes from the page."""
    page = visit.open()
    visit.stage.summary = quiet()

    visit.ask_again()

    assert table(page, "refusals") == []
    assert table(page, "routes") == []
    assert page.locator(".alert").count() == 2
    assert page.title() == "Shop <b>"
