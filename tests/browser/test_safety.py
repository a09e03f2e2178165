"""What a client may have put into a name stays text, and the page asks nobody but its own server."""

from __future__ import annotations

import pytest
from dashboard_stage import TITLE, Visit
from dashboard_summaries import HOSTILE, blank, busy, quiet

from asgi_guard.layers.security_headers import PRESETS


@pytest.mark.parametrize("stage", PRESETS, indirect=True)
@pytest.mark.parametrize("summary", [busy, quiet, blank])
def test_the_page_works_within_every_preset_and_asks_nobody_else(visit: Visit, summary: object) -> None:
    """Its own policy wins; nothing is violated, nothing fails, and not even an icon is asked for elsewhere."""
    visit.stage.summary = summary() if callable(summary) else None

    visit.open()
    visit.ask_again()

    assert visit.complaints == []
    assert visit.origins == {"/".join(visit.stage.address.split("/")[:3])}
    assert visit.stage.strangers == []


def test_a_route_with_markup_in_it_is_text(visit: Visit) -> None:
    """So are the title, a label and an alert."""
    visit.stage.summary["alerts"][3]["message"] = HOSTILE
    visit.stage.summary["refusals"][0]["reason"] = HOSTILE

    page = visit.open()

    assert page.locator("img").count() == 0
    assert page.get_by_text(HOSTILE).count() >= 4
    assert page.title() == f"(1) {TITLE}"
    assert page.locator("h1").inner_text() == TITLE
    assert visit.complaints == []


@pytest.mark.parametrize(
    "attempt",
    [
        "document.body.innerHTML = '<p>'",
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.owned = 1'}))",
        "setTimeout('window.owned = 1')",
        "trustedTypes.createPolicy('mine', {})",
    ],
)
def test_the_browser_itself_refuses_to_make_markup_or_code(visit: Visit, attempt: str) -> None:
    """A mistake in a script of the page would fail, and not open a door."""
    page = visit.open()

    failed = page.evaluate(f"(() => {{ try {{ {attempt}; return false }} catch {{ return true }} }})()")

    assert failed
    assert page.evaluate("window.owned") is None


def test_the_browser_asks_no_other_origin_whatever_a_script_says(visit: Visit) -> None:
    """What is seen here cannot be carried away."""
    page = visit.open()
    elsewhere = visit.stage.address.replace("127.0.0.1", "localhost")

    was_refused = page.evaluate("url => fetch(url).then(() => false, () => true)", elsewhere)

    assert was_refused
    assert any("connect-src" in complaint for complaint in visit.complaints)


@pytest.mark.parametrize(
    "summary",
    [
        {"version": 1},
        {"version": 1, "windows": [], "timeline": 7, "refusals": "no", "limiter": 1, "workers": {}, "alerts": None},
        {"version": 1, "timeline": {"times": [1, 2], "cpu_percent": [None]}, "breakers": [{}], "alerts": [{}]},
    ],
    ids=["bare", "of other kinds", "halves"],
)
def test_a_summary_with_parts_missing_shows_what_there_is(visit: Visit, summary: dict[str, object]) -> None:
    """An older server, or one that failed half-way, does not break the page."""
    visit.stage.summary = summary

    visit.open()

    assert visit.complaints == []
    assert visit.page.locator("#trouble").is_hidden()
