"""How the page asks: seldom, one request at a time, not while nobody looks, and less where nobody answers."""

from __future__ import annotations

from typing import Any

import pytest
from dashboard_stage import SUMMARY, Visit
from dashboard_summaries import busy, quiet

PERIOD_MS = 5_000


def look_away(page: Any, is_hidden: bool) -> None:
    """Have the tab in the background, or in front again."""
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{value: {str(is_hidden).lower()}, configurable: true}})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def settle(visit: Visit) -> int:
    """Wait until nothing is being asked, and count what was."""
    visit.wait("!poll.isAsking")
    return len(visit.stage.asked)


@pytest.fixture
def by_hand(visit: Visit) -> Visit:
    """Open the page on a clock that a test moves."""
    visit.page.clock.install(time=0)
    visit.page.clock.pause_at(1_000)
    visit.open()
    settle(visit)
    return visit


def test_a_summary_is_asked_for_every_five_seconds(by_hand: Visit) -> None:
    """As often as there is a new one."""
    for asked in range(2, 5):
        by_hand.page.clock.run_for(PERIOD_MS - 100)
        assert settle(by_hand) == asked - 1
        by_hand.page.clock.run_for(100)
        assert settle(by_hand) == asked


def test_nothing_is_asked_while_the_tab_is_hidden(by_hand: Visit) -> None:
    """And at once when somebody looks again."""
    look_away(by_hand.page, is_hidden=True)
    by_hand.page.clock.run_for(20 * PERIOD_MS)
    assert settle(by_hand) == 1

    look_away(by_hand.page, is_hidden=False)

    assert settle(by_hand) == 2


def test_nothing_is_asked_while_the_page_is_paused(by_hand: Visit) -> None:
    """But another window is, if somebody wants to see it."""
    page = by_hand.page
    page.get_by_role("button", name="Pause", exact=True).click()
    page.clock.run_for(20 * PERIOD_MS)
    assert settle(by_hand) == 1

    page.get_by_text("1 hour", exact=True).click()
    assert settle(by_hand) == 2
    page.clock.run_for(20 * PERIOD_MS)
    assert settle(by_hand) == 2

    page.get_by_role("button", name="Go on").click()
    assert settle(by_hand) == 3


def test_one_request_is_under_way_at_a_time(by_hand: Visit) -> None:
    """However often somebody presses."""
    by_hand.page.evaluate("for (let press = 0; press < 9; press += 1) poll.askNow()")

    assert settle(by_hand) == 2


def test_a_window_chosen_while_a_request_is_under_way_is_asked_for_after_it(by_hand: Visit) -> None:
    """Nothing is said of the hour before there is an answer."""
    by_hand.page.evaluate("poll.askNow(); document.querySelector('[value=\"60m\"]').click()")

    assert settle(by_hand) == 3
    assert by_hand.stage.asked[-1] == "windows=1m,5m,60m"


def test_failures_make_the_page_patient_and_it_says_so(by_hand: Visit) -> None:
    """The wait doubles up to a minute; what is shown meanwhile is old, and looks it; an answer ends it."""
    page, stage = by_hand.page, by_hand.stage
    stage.status = 503
    waits = []
    for _ in range(6):
        page.clock.run_for(1_000 * page.evaluate("poll.waitSeconds"))
        settle(by_hand)
        waits.append(page.evaluate("poll.waitSeconds"))

    assert waits == [5, 10, 20, 40, 60, 60]
    said = page.locator("#trouble-text").inner_text().replace("\u00a0", " ")
    assert said.startswith("The server answered 503. Trying again in 1 min. What is shown is of ")
    assert "stale" in page.locator("body").get_attribute("class")

    stage.status = 200
    page.get_by_role("button", name="Try now").click()
    settle(by_hand)

    assert page.locator("#trouble").is_hidden()
    assert "stale" not in page.locator("body").get_attribute("class")
    assert page.evaluate("poll.waitSeconds") == 5


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 404, "body": ""}, "The server answered 404."),
        ({"status": 200, "body": "<html>"}, "The answer could not be read."),
        ({"status": 200, "body": '{"version": 2}'}, "another version than this page"),
        ({"status": 200, "body": "null"}, "another version than this page"),
        (None, "The server cannot be reached."),
    ],
    ids=["404", "no JSON", "of another version", "null", "nobody"],
)
def test_what_went_wrong_is_said_in_words(by_hand: Visit, answer: dict[str, Any] | None, words: str) -> None:
    """Before the first summary as well as after it."""
    pattern = f"**{SUMMARY}*"
    by_hand.page.route(pattern, lambda route: route.fulfill(**answer) if answer else route.abort())

    by_hand.page.evaluate("poll.askNow()")
    by_hand.wait("!poll.isAsking")

    assert words in by_hand.page.locator("#trouble").inner_text()


def test_alerts_are_read_out_when_they_change_and_nothing_else_is(visit: Visit) -> None:
    """A screen reader that spoke every five seconds would be switched off."""
    visit.stage.summary = quiet()
    page = visit.open()
    live = page.locator("[aria-live]")
    assert live.count() == 1
    assert live.get_attribute("aria-live") == "polite"
    assert live.inner_text() == ""

    visit.stage.summary = busy()
    visit.ask_again()
    assert live.inner_text() == "Alert: error_rate is 2.4733 %, over 2.0 %."
    visit.ask_again()
    assert live.inner_text() == "Alert: error_rate is 2.4733 %, over 2.0 %."

    visit.stage.summary = quiet()
    visit.ask_again()
    assert live.inner_text() == "error_rate is over."


def test_a_poll_costs_little(visit: Visit) -> None:
    """Bytes on the wire and time on the page's thread, with everything there is to show; the bounds are wide."""
    page = visit.open()
    session = visit.context.new_cdp_session(page)
    session.send("Performance.enable")

    def busy_seconds() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")

    before, polls = busy_seconds(), 10
    for _ in range(polls):
        visit.ask_again()
    spent = (busy_seconds() - before) / polls
    size = page.evaluate("JSON.stringify(summaryShown).length")

    assert size < 40_000
    assert spent < 0.25
