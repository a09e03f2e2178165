"""The report of a run: whole, bounded, and safe whatever a test says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from asgi_guard.testing import report
from asgi_guard.testing.report import Result, Run, page, write

EVIL = "</pre><script>alert(1)</script><img src=//evil.example/x onerror=a>\"'&amp;"
VOID = {"meta"}


class Reader(HTMLParser):
    """Reads a page as a browser does: its tags, its text, and whether each tag is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Count it."""
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """End the one that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep it."""
        self.text += data


def run_of(*results: Result) -> Run:
    """Make a run of some results."""
    run = Run()
    run.results.update({result.name: result for result in results})
    return run


@pytest.mark.parametrize("outcome", report.OUTCOMES)
def test_whatever_a_test_says_is_text(outcome) -> None:
    """In its name, its failure, its seed and what is told of the run; nothing is loaded, nothing runs."""
    read = Reader(page(run_of(Result(EVIL, outcome, text=EVIL, seed=EVIL)), {EVIL: EVIL}))

    assert read.text.count(EVIL) >= 4
    assert read.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form", "a"})
    assert read.attributes <= {"lang", "charset", "http-equiv", "content", "class", "open"}
    assert read.open == []


def test_it_counts_by_outcome_and_by_marker() -> None:
    """A failure is shown whole with its seed; the slowest come first."""
    results = [
        Result("quick", seconds=0.1, markers=("unit", "security")),
        Result("wrong", "failed", 0.25, ("unit",), "7", "assert 1 == 2"),
        Result("absent", "skipped", text="no server"),
    ]
    text = page(run_of(*results), {"Seed": "7"})
    read = Reader(text)

    assert "3 tests: 1 failed, 1 passed, 1 skipped" in read.text
    assert "<tr><td>unit</td><td class=n>1</td><td class=n>0</td><td class=n>1</td>" in text
    assert "<tr><td>none</td><td class=n>0</td><td class=n>0</td><td class=n>0</td><td class=n>1</td>" in text
    assert "Seed: 7" in read.text
    assert "assert 1 == 2" in read.text
    assert "skipped (no server)" in read.text
    assert read.text.index("0.250") < read.text.index("0.100")


def test_a_run_of_nothing_is_told() -> None:
    """And has no failures to show."""
    text = Reader(page(Run(), {})).text

    assert "0 tests: none ran" in text
    assert "Failures" not in text


def test_it_is_bounded(monkeypatch) -> None:
    """By rows and by characters; what is left out is counted, and the end of a failure is what is kept."""
    monkeypatch.setattr(report, "MAX_ROWS", 2)
    run = Run()
    for name in ("a", "b", "c", "a"):
        run.of(name).seconds += 1
    run.of("a").outcome, run.of("a").text = "failed", f"{'x' * report.MAX_TEXT}{'y' * 100}"
    text = Reader(page(run, {})).text

    assert [*run.results] == ["a", "b"]
    assert run.of("a").seconds == 2
    assert "1 more reports" in text
    assert (text.count("y" * 100), text.count("x" * report.MAX_TEXT)) == (1, 0)


def test_characters_that_no_encoding_has_keep_no_report_from_being_written(tmp_path) -> None:
    """Half a surrogate pair in a message; the folder is made."""
    path = write(run_of(Result("half", "failed", text="\ud800 and more")), tmp_path / "not/there", {})

    assert path == tmp_path / "not/there/report.html"
    assert "\\ud800 and more" in path.read_text(encoding="utf-8")
