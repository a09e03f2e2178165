"""The ready classes are what their table says, in the file and in README.md."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from asgi_guard import GuardError
from asgi_guard.errors import ready
from asgi_guard.errors.phrases import SUGGESTIONS
from asgi_guard.errors.problem import fault_from_exception

README = Path(__file__).parents[3] / "README.md"
ROW = re.compile(r"^\| `(\w+Error)`[^|]*\| (\d{3}) +\| `(\w+)` +\| (yes|no) +\|$", re.MULTILINE)
ROWS = ROW.findall(ready.__doc__ or "")
CLASSES = {name: value for name, value in vars(ready).items() if isinstance(value, type) and value is not GuardError}
ERRORS = {name: value for name, value in CLASSES.items() if issubclass(value, GuardError)}


def test_both_tables_have_every_class() -> None:
    """A class that nobody can find is none."""
    assert {row[0] for row in ROWS} == set(ERRORS)
    assert sorted(ROW.findall(README.read_text(encoding="utf-8"))) == sorted(ROWS)


@pytest.mark.parametrize(("name", "status", "code", "retryable"), ROWS, ids=[row[0] for row in ROWS])
def test_a_class_is_what_its_row_says(name: str, status: str, code: str, retryable: str) -> None:
    """Raised without a word, it is told with these."""
    fault = fault_from_exception(ERRORS[name]())

    assert (fault.status, fault.code, fault.retryable) == (int(status), code, retryable == "yes")
    assert fault.message.endswith(".")


@pytest.mark.parametrize("name", ERRORS)
def test_it_can_be_copied_and_caught_as_what_it_is(name: str) -> None:
    """Between processes too, with what was given."""
    error = ERRORS[name]("Own words.", details={"a": 1}, retry_after=2, max_retries=3)

    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert isinstance(twin, GuardError)
        assert vars(twin) == vars(error)


def test_the_table_of_suggestions_names_categories() -> None:
    """A misspelt one would never be found."""
    assert set(SUGGESTIONS) <= {str(error.category) for error in ERRORS.values()}
