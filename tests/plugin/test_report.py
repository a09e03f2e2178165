"""The report of a suite that goes wrong in every way, in one process and in several."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

LOADED = [] if entry_points(group="pytest11", name="asgi_guard") else ["-p", "asgi_guard.testing.plugin"]
SUITE = """
import pytest


@pytest.fixture
def broken():
    raise LookupError("the set-up")


@pytest.fixture
def untidy():
    yield
    raise LookupError("the clean-up")


@pytest.mark.unit
def test_passes(): pass

def test_fails(): assert "<b>" == ""

def test_is_not_set_up(broken): pass

def test_is_not_tidied_up(untidy): pass

def test_fails_and_is_not_tidied_up(untidy): assert False, "the test itself"

@pytest.mark.skip(reason="for <i>reasons</i>")
def test_is_skipped(): pass

@pytest.mark.xfail
def test_fails_as_expected(): assert False

@pytest.mark.xfail(strict=False)
def test_passes_unexpectedly(): pass
"""


def run(folder: Path, *options: str) -> tuple[str, str]:
    """Run what is in a folder; return what pytest said, and the report."""
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--guard-report=told"]
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={folder}", *LOADED, *quiet, *options]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)
    return done.stdout + done.stderr, (folder / "told/report.html").read_text(encoding="utf-8")


@pytest.mark.long
@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["one process", "two processes"])
def test_each_outcome_is_told(tmp_path: Path, options) -> None:
    """With each text; the page is the same."""
    (tmp_path / "test_it.py").write_text(SUITE, encoding="utf-8")

    said, report = run(tmp_path, *options)

    assert "8 tests: 2 failed, 2 error, 1 passed, 1 skipped, 1 xfailed, 1 xpassed" in report, said
    assert {"the set-up", "the clean-up", "the test itself"} <= set(
        re.findall(r"the set-up|the clean-up|the test itself", report)
    )
    assert "(Skipped: for &lt;i&gt;reasons&lt;/i&gt;)" in report
    assert "<b>" not in report
    assert re.search(r"<tr><td>unit</td>(<td class=n>0</td>){2}<td class=n>1</td>", report)


@pytest.mark.long
@pytest.mark.parametrize("options", [[], ["-n2"]], ids=["one process", "two processes"])
def test_a_file_that_cannot_be_imported_is_an_error(tmp_path: Path, options) -> None:
    """A report that is all green must not hide it."""
    (tmp_path / "test_it.py").write_text("import nothing_of_this_name\n", encoding="utf-8")

    said, report = run(tmp_path, *options)

    assert "1 tests: 1 error" in report, said
    assert "nothing_of_this_name" in report


@pytest.mark.long
def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    """Its test has no verdict of its own, and the others are told as they were."""
    suite = "import os\ndef test_dies(): os._exit(3)\ndef test_lives(): pass\n"
    (tmp_path / "test_it.py").write_text(suite, encoding="utf-8")

    said, report = run(tmp_path, "-n2")

    assert "2 tests: 1 error, 1 passed" in report, said
    assert "crashed while running" in report


@pytest.mark.long
def test_a_folder_that_cannot_be_written_to_is_told_in_a_sentence(tmp_path: Path) -> None:
    """What became of the tests is told all the same."""
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n", encoding="utf-8")
    run(tmp_path)
    (tmp_path / "taken").write_text("a file")

    said, _ = run(tmp_path, "--guard-report=taken")

    assert "1 passed" in said
    assert "the report was not written" in said
    assert "INTERNALERROR" not in said
