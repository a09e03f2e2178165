"""The comparison of detectors counts what it is given, and lets none of it out."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import asgi_guard

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

ATTACK = "1' union select secret_marker from accounts--"
SENTENCE = "we met a marker of quiet in the garden"


def row(number: int, *, text: str, is_attack: bool, split: str = "report", **others: Any) -> dict[str, Any]:
    """Make a row of a synthetic set: a form with one field."""
    body = f"text={text.replace(' ', '+')}"
    return {
        "set": "synthetic",
        "id": f"{split}{is_attack}{number}",
        "label": "attack" if is_attack else "benign",
        "class": "sqli" if is_attack else "benign:prose",
        "where": "body-form",
        "split": split,
        "payload": text,
        "method": "POST",
        "target": "/items?page=1",
        "headers": [["Host", "shop.example"], ["Content-Type", "application/x-www-form-urlencoded"]],
        "body": body,
        **others,
    }


def rows(split: str, *, attacks: int, missed: int = 0, benign: int = 0, blocked: int = 0) -> list[dict[str, Any]]:
    """Make rows of a split of which the naive list misses, and blocks, that many."""
    texts = {True: [ATTACK] * (attacks - missed) + ["1'||1"] * missed}
    texts[False] = [SENTENCE] * (benign - blocked) + ["please select"] * blocked
    return [
        row(number, text=text, is_attack=is_attack, split=split)
        for is_attack, each in texts.items()
        for number, text in enumerate(each)
    ]


def attacks(number: int, **others: Any) -> list[dict[str, Any]]:
    """Make rows of one kind of attack that the naive list finds."""
    return [row(each, text=ATTACK, is_attack=True, **others) for each in range(number)]


def write(folder: Path, content: Iterable[dict[str, Any]]) -> Path:
    """Write the rows as a collection."""
    with gzip.open(folder / "synthetic.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(each) + "\n" for each in content)
    return folder


def run(*words: str | Path, first: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the comparison in an interpreter of its own, with a folder of modules before all others."""
    places = [*([first] if first else []), str(Path(asgi_guard.__file__).parents[1])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    environment.pop("PYTHONSAFEPATH", None)  # the scripts find each other by their folder
    command = [sys.executable, BENCHMARKS / "detection.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=50)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection with rows of each kind."""
    content = [
        *rows("tune", attacks=40),
        *rows("report", attacks=40, missed=10, benign=50, blocked=5),
        *attacks(29, **{"class": "xss", "where": "query"}),
        *attacks(40, **{"class": "rce", "where": "request", "payload": None}),
        *attacks(40, set="payload-docs"),
        *attacks(40, set="other"),
    ]
    return write(tmp_path_factory.mktemp("corpora"), content)


def measured(corpora: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Return what the naive list is said to have done, and all that was written and printed."""
    results = corpora / "results.json"
    ran = run("--corpora", corpora, "--results", results, "--engine", "naive", *words)
    assert ran.returncode == 0, ran.stderr
    written = results.read_text(encoding="utf-8")
    return json.loads(written)["engines"]["naive"], written + ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def reported(corpora: Path) -> tuple[dict[str, Any], str]:
    """The split `report` of two of the sets, and a noisy one, by one process."""
    return measured(corpora, "--set", "synthetic", "--set", "payload-docs")


@pytest.fixture(scope="module")
def compared(corpora: Path) -> dict[str, Any]:
    """Both splits of a set, by two processes."""
    figures, _ = measured(corpora, "--split", "both", "--jobs", "2", "--set", "synthetic")
    return figures


Reported = tuple[dict[str, Any], str]


def test_what_is_found_and_what_is_blocked_is_counted(reported: Reported) -> None:
    """Whoever but the application answers has refused."""
    figures = reported[0]["splits"]["report"]

    assert figures["by class"]["sqli"]["attacks found"] == [30, 40, 75.0]
    assert figures["prose"]["benign blocked"] == [5, 50, 10.0]
    assert figures["payloads"]["SQL injection"] == [30, 40, 75.0]
    assert figures["by place"].keys() == {"body-form", "query", "request"}
    assert all(cost > 0 for cost in figures["prose"]["cpu_us"])


def test_fewer_than_thirty_rows_are_no_data(reported: Reported) -> None:
    """A share of a few rows is no share."""
    figures = reported[0]["splits"]["report"]

    assert figures["by class"]["xss"] == {"attacks found": "no data", "cpu_us": "no data"}
    assert figures["payloads"]["XSS"] == "no data"


def test_recorded_requests_stand_apart(reported: Reported) -> None:
    """A whole request is no payload, whatever its class."""
    figures = reported[0]["splits"]["report"]

    assert figures["recorded"]["attacks found"] == [40, 40, 100.0]
    assert figures["payloads"]["command injection"] == "no data"


def test_only_the_sets_that_were_asked_for_are_rated_and_no_noisy_one(reported: Reported) -> None:
    """Payload documentation is for reading."""
    assert reported[0]["splits"]["report"]["by set"].keys() == {"synthetic"}


def test_a_split_is_measured_alone(reported: Reported) -> None:
    """What rules are tuned on is not among what is reported."""
    assert reported[0]["splits"].keys() == {"report"}


def test_no_row_reaches_what_is_written_and_printed(reported: Reported) -> None:
    """Figures only: neither a payload nor an id."""
    for text in ("marker", "please", "reportTrue", "reportFalse"):
        assert text not in reported[1]


def test_two_splits_are_compared(compared: dict[str, Any]) -> None:
    """Rules that remember what they were tuned on find less of the other split, by more than chance."""
    counts = {split: figures["payloads"]["SQL injection"] for split, figures in compared["splits"].items()}
    gap = compared["payloads, report against tune"]["SQL injection"]

    assert counts == {"tune": [40, 40, 100.0], "report": [30, 40, 75.0]}
    assert gap["points"] == -25
    assert gap["p"] < 0.001


def test_how_many_processes_ask_makes_no_difference(reported: Reported, compared: dict[str, Any]) -> None:
    """Each row's outcome is found again, whoever asked."""
    one, two = (figures["splits"]["report"] for figures in (reported[0], compared))

    assert one["payloads"] == two["payloads"]
    assert one["prose"]["benign blocked"] == two["prose"]["benign blocked"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--split", "report", "--misses", "3", "misses.jsonl"), "what is reported is not looked at"),
        (("--split", "tune", "--misses", "3", str(BENCHMARKS / "misses.jsonl")), "stays out of the project"),
    ],
    ids=["of the split report", "into the project"],
)
def test_misses_are_not_told(corpora: Path, words: tuple[str, ...], said: str) -> None:
    """Rows are told of the split that rules are tuned on, and never into the project."""
    ran = run("--corpora", corpora, *words)

    assert ran.returncode == 2
    assert said in ran.stderr


@pytest.mark.long
def test_what_ours_gets_wrong_is_told_to_rule_writers(tmp_path: Path) -> None:
    """With what was found in it, of the split `tune`."""
    content = [row(9, text="nothing to see", is_attack=True, split="tune"), *rows("tune", attacks=2)]
    misses = tmp_path / "misses.jsonl"
    words = ("--split", "tune", "--engine", "ours with re", "--level", "2", "--fast", "--misses", "5", misses)

    run("--corpora", write(tmp_path, content), *words)

    (told,) = map(json.loads, misses.read_text(encoding="utf-8").splitlines())
    assert (told["wrong"], told["payload"], told["findings"]) == ("missed", "nothing to see", [])


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise ImportError('not today')", "not measured: libinjection: not today"),
        ("is_sql_injection = is_xss = lambda text: 1 / 0", "libinjection: broke down 1 times"),
    ],
    ids=["not installed", "raises"],
)
def test_a_detector_that_fails_is_named(tmp_path: Path, module: str, said: str) -> None:
    """It stops nobody else, and nobody takes its silence for a verdict."""
    (tmp_path / "libinjection.py").write_text(module, encoding="utf-8")

    ran = run("--corpora", write(tmp_path, attacks(1)), "--engine", "libinjection", first=str(tmp_path))

    assert ran.returncode == 0
    assert said in ran.stdout


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    """`python -m benchmarks.detection`, in the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    command = [sys.executable, "-m", "benchmarks.detection", "--corpora", write(tmp_path, []), "--engine", "naive"]

    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=50, cwd=BENCHMARKS.parent
    )

    assert f"no rows of split report in {tmp_path}" in ran.stderr
