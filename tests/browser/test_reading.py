"""The page is for everybody: by eye, by ear, by keyboard, on a phone, by day and by night."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dashboard_stage import Visit
from dashboard_summaries import blank, busy, quiet

REPORTS = Path(__file__).parents[2] / "test_reports"
PHONE = {"width": 360, "height": 740}
THEMES = ("light", "dark")

# Each text that can be seen, with its contrast to what is behind it (WCAG 2.2, 1.4.3). A colour is painted onto one
# pixel, so that the browser itself says what any notation comes to.
CONTRASTS = """
() => {
  const pen = Object.assign(document.createElement("canvas"), {width: 1, height: 1}).getContext("2d",
    {willReadFrequently: true});
  const pixel = (...colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => rgb.map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => (node ? [...behind(node.parentElement), getComputedStyle(node).backgroundColor] : ["white"]);
  const found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility() || node.closest("script, style, .unseen")) continue;
    const ground = behind(node);
    const [one, other] = [light(pixel(...ground, getComputedStyle(node).color)), light(pixel(...ground))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    found.push([texts.currentNode.data.trim().slice(0, 30), contrast]);
  }
  return found;
}
"""


@pytest.mark.parametrize("visit", [{"color_scheme": theme} for theme in THEMES], indirect=True, ids=THEMES)
@pytest.mark.parametrize("summary", [busy, blank])
def test_every_text_stands_out_from_its_ground(visit: Visit, summary: Any) -> None:
    """By 4.5 to 1 at least, in both themes."""
    visit.stage.summary = summary()

    contrasts = visit.open().evaluate(CONTRASTS)

    assert len(contrasts) > 40
    assert [(text, contrast) for text, contrast in contrasts if contrast < 4.5] == []


@pytest.mark.parametrize("visit", [{"color_scheme": theme} for theme in THEMES], indirect=True, ids=THEMES)
def test_lines_of_charts_differ_in_more_than_colour(visit: Visit) -> None:
    """In their dashes; and each stands out from the card by 3 to 1 (WCAG 2.2, 1.4.11)."""
    page = visit.open()
    dashes = page.evaluate("charts.map(chart => chart.plot.series.slice(1).map(one => String(one.dash ?? [])))")

    assert all(len(set(each)) == len(each) for each in dashes)
    for name in ("first", "second", "third"):
        page.locator("#verdict").evaluate(f"node => {{ node.style.color = 'var(--{name})' }}")
        contrast = dict(page.evaluate(CONTRASTS))["Something is wrong"]
        assert contrast >= 3


def test_the_theme_follows_the_button_and_is_remembered(visit: Visit) -> None:
    """The charts take part in it."""
    page = visit.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "charts[0].colours[0]"
    light = page.evaluate(ground), page.evaluate(ink)

    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(ground), page.evaluate(ink)
    assert dark[0] != light[0]
    assert dark[1] != light[1]

    page.reload()
    page.locator("#figures .term").first.wait_for()
    assert (page.evaluate(ground), page.evaluate(ink)) == dark

    page.get_by_role("button", name="Light theme").click()
    assert (page.evaluate(ground), page.evaluate(ink)) == light


def test_the_theme_changes_where_nothing_may_be_stored(visit: Visit) -> None:
    """A browser that forbids storage throws when it is touched."""
    throws = "{get() { throw new DOMException('no', 'SecurityError') }}"
    visit.page.add_init_script(f"Object.defineProperty(window, 'localStorage', {throws})")
    page = visit.open()

    page.get_by_role("button", name="Dark theme").click()

    assert page.get_by_role("button", name="Light theme").is_visible()
    assert visit.complaints == []


@pytest.mark.parametrize("visit", [{"color_scheme": "light"}], indirect=True, ids=["light"])
def test_the_system_may_change_its_theme_meanwhile(visit: Visit) -> None:
    """As it does in the evening."""
    page = visit.open()
    before = page.evaluate("charts[0].colours[0]")

    page.emulate_media(color_scheme="dark")

    visit.wait(f"charts[0].colours[0] !== {before!r}")
    assert page.get_by_role("button", name="Light theme").is_visible()


@pytest.mark.parametrize("visit", [{"viewport": PHONE}], indirect=True, ids=["phone"])
@pytest.mark.parametrize("summary", [busy, quiet, blank])
def test_the_page_fits_a_phone(visit: Visit, summary: Any) -> None:
    """Only a table may be wider than the screen, and is scrolled in its own place, by keyboard as well."""
    visit.stage.summary = summary()
    page = visit.open()

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    visit.wait(
        "[...document.querySelectorAll('.scroll')]"
        ".every(one => (one.scrollWidth > one.clientWidth) === (one.tabIndex === 0))"
    )


@pytest.mark.parametrize("visit", [{"viewport": PHONE}], indirect=True, ids=["phone"])
def test_charts_grow_and_shrink_with_their_place(visit: Visit) -> None:
    """When a phone is turned, say."""
    page = visit.open()
    narrow = page.evaluate("charts[0].plot.width")

    page.set_viewport_size({"width": 740, "height": 360})
    visit.wait(f"charts[0].plot.width > {narrow}")
    page.set_viewport_size(PHONE)
    visit.wait(f"charts[0].plot.width === {narrow}")

    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_a_table_is_sorted_by_keyboard(visit: Visit) -> None:
    """Numbers begin with the largest; a second press turns them round, a third gives the first order back."""
    page = visit.open()
    button = page.get_by_role("button", name="p95", exact=True)
    for _ in range(60):
        page.keyboard.press("Tab")
        if button.evaluate("node => node === document.activeElement"):
            break
    assert button.evaluate("node => node.matches(':focus-visible')")
    assert button.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
    head = page.locator('[data-table="routes"] th', has=button)
    rows = "[...document.querySelectorAll('[data-table=\"routes\"] tbody tr')]"
    column = f"{rows}.map(row => +row.children[6].dataset.value)"
    as_given = page.evaluate(column)
    everything = sorted(route["p95_seconds"] for route in visit.stage.summary["windows"]["1m"]["routes"])

    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert page.evaluate(column) == everything[::-1][:10]

    visit.ask_again()  # a new summary neither undoes the order nor takes the focus away
    assert page.evaluate(column) == everything[::-1][:10]
    assert button.evaluate("node => node === document.activeElement")

    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"
    assert page.evaluate(column) == everything[:10]

    page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") is None
    assert page.evaluate(column) == as_given


def test_what_is_on_the_page_has_names_and_an_order(visit: Visit) -> None:
    """As a screen reader meets it."""
    page = visit.open()

    def names(selector: str, name: str) -> list[str]:
        return page.locator(selector).evaluate_all(f"all => all.map(one => ({name}) ?? '')")

    assert all(names("table", "one.caption?.textContent"))
    assert all(names("button", "one.getAttribute('aria-label') ?? one.textContent"))
    assert all(names("input", "one.labels[0]?.textContent"))
    assert all(names('[role="img"], [role="region"]', "one.ariaLabel ?? one.ariaLabelledByElements?.[0]?.textContent"))
    assert all(names("section", "one.ariaLabelledByElements?.[0]?.textContent"))
    assert all(names("svg", "one.getAttribute('aria-hidden')"))
    levels = [int(tag[1]) for tag in names("h1, h2, h3, h4", "one.tagName")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    identifiers = names("[id]", "one.id")
    assert len(identifiers) == len(set(identifiers))
    assert [page.locator(tag).count() for tag in ("header", "main", "footer")] == [1, 1, 1]
    assert page.locator("html").get_attribute("lang") == "en"
    assert names("thead th", "one.scope") == ["col"] * page.locator("thead th").count()
    assert page.locator("tbody th:not([scope='row'])").count() == 0


@pytest.mark.parametrize("visit", [{"reduced_motion": "reduce"}], indirect=True, ids=["reduced"])
def test_nothing_moves_for_whoever_wants_no_motion(visit: Visit) -> None:
    """The bars jump."""
    page = visit.open()

    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter(one => getComputedStyle(one).transitionDuration !== '0s').length"
    )

    assert moving == 0


@pytest.mark.parametrize("summary", [busy, quiet, blank])
@pytest.mark.parametrize(
    "visit",
    [
        {"color_scheme": "light"},
        {"color_scheme": "dark"},
        {"color_scheme": "light", "viewport": PHONE, "device_scale_factor": 2},
    ],
    indirect=True,
    ids=["light", "dark", "phone"],
)
def test_a_picture_is_kept(visit: Visit, summary: Any, request: pytest.FixtureRequest) -> None:
    """For people to look at; what a picture shows, no test can judge."""
    visit.stage.summary = summary()
    page = visit.open()
    REPORTS.mkdir(exist_ok=True)

    picture = page.screenshot(path=REPORTS / f"dashboard-{request.node.callspec.id}.png", full_page=True)

    assert picture.startswith(b"\x89PNG")
