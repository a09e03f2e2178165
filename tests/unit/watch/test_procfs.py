"""How small files of the kernel's are read."""

from __future__ import annotations

import pytest

from asgi_guard.watch.procfs import number, read, table


def test_no_more_of_a_file_is_read_than_its_bound(tmp_path) -> None:
    """A file of the kernel's may be of any length, and be a folder, or nothing."""
    (tmp_path / "long").write_bytes(b"x" * 100_000)

    assert len(read(tmp_path / "long") or "") == 65_536
    assert read(tmp_path / "long", 10) == "x" * 10
    assert read(tmp_path) is None
    assert read(tmp_path / "none") is None
    assert read(tmp_path / "zero\0") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12\n", 12), ("max\n", None), ("-1\n", None), ("", None), (None, None), ("²", None), ("1 2", None)],
)
def test_a_number_is_read_or_there_is_none(text, expected) -> None:
    """Whatever stands there."""
    assert number(text) == expected


def test_a_table_is_read_line_by_line() -> None:
    """With colons, units and blanks; what is no number of a name is passed over."""
    said = "MemTotal:  16384 kB\noom_kill 3\nsome avg10=0.00 total=0\nalone\n\nminus -3\nodd ²\n"

    assert table(said) == {"MemTotal": 16_384, "oom_kill": 3}
    assert table(None) == {}
