"""Upload: what is read is what was written, in both formats; what is wrong is refused within bounds."""

from __future__ import annotations

import io
import json
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.transactions import Side, Transaction
from reconciliation.upload import MAX_LINE_BYTES, BadFileError, format_of, read

rows = st.lists(
    st.builds(
        Transaction,
        on=st.dates(date(1900, 1, 1), date(9999, 12, 31)),
        id=st.from_regex(r"[A-Za-z0-9ä漢,\"' -]{0,10}[A-Za-z0-9]", fullmatch=True),
        reference=st.from_regex(r"([A-Za-z0-9,\"' -]{0,10}[A-Za-z0-9])?", fullmatch=True),
        amount=st.decimals(-999_999_999_999, 999_999_999_999, places=4),
        currency=st.from_regex(r"[A-Z]{3}", fullmatch=True),
        description=st.sampled_from(["", "a, \"b\" 'c'", "年度"]),
    ),
    max_size=20,
    unique_by=lambda each: each.id.strip(),
)


def read_text(text: str, name: str = "f.jsonl") -> list[Transaction]:
    return [*read(io.BytesIO(text.encode()), name, Side.LEFT)]


def values(each: Transaction) -> dict[str, str]:
    fields = {name: str(getattr(each, name)) for name in ("id", "reference", "currency", "description")}
    return {**fields, "date": each.on.isoformat(), "amount": f"{each.amount:f}"}


def stripped(each: Transaction) -> Transaction:
    return Transaction(each.on, each.id.strip(), each.reference.strip(), each.amount, each.currency, each.description)


@settings(deadline=None)
@given(rows)
def test_both_formats_come_back_as_they_were_written(transactions: list[Transaction]) -> None:
    names = ["id", "reference", "date", "amount", "currency", "description"]
    quoted = [[f'"{values(each)[name].replace(chr(34), chr(34) * 2)}"' for name in names] for each in transactions]
    as_csv = "\ufeff" + "\r\n".join([",".join(names), *map(",".join, quoted)])
    as_json = "\n\n".join(json.dumps(values(each)) for each in transactions)
    expected = [stripped(each) for each in transactions]

    assert read_text(as_csv, "f.CSV") == expected
    assert read_text(as_json) == expected


ROW = {"id": "L1", "date": "2026-01-31", "amount": "1", "currency": "EUR"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "it is no JSON"),
        ("[" * (MAX_LINE_BYTES - 1), "it is no JSON"),
        ("[]", "it is no object"),
        (json.dumps({**ROW, "extra": "x"}), "nothing unknown"),
        (json.dumps({**ROW, "id": None}), "a text or a number"),
        (json.dumps({**ROW, "id": ["L1"]}), "a text or a number"),
        (json.dumps(ROW).replace('"1"', "1e400"), "amount is a decimal"),
        (json.dumps(ROW).replace('"1"', "Infinity"), "amount is a decimal"),
        (json.dumps(ROW).replace('"1"', "9" * 4_000), "amount is a decimal"),
        (json.dumps({**ROW, "amount": "\u0661"}), "amount is a decimal"),
        (json.dumps({**ROW, "date": "2026-02-30"}), "date is a day"),
        (json.dumps({**ROW, "id": "x" * 65}), "too_long"),
        (" " * (MAX_LINE_BYTES + 1), "longer than"),
    ],
)
def test_a_wrong_line_of_json_is_told_and_not_repeated(line: str, why: str) -> None:
    with pytest.raises(BadFileError, match="line 2: ") as raised:
        read_text(json.dumps({**ROW, "id": "L0"}) + "\n" + line)

    assert why in raised.value.message
    assert len(raised.value.message) < 200


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(BadFileError, match="not UTF-8"):
        [*read(io.BytesIO(b"id,date,amount,currency\n\xff"), "f.csv", Side.RIGHT)]


def test_nothing_is_read_ahead() -> None:
    """A file whose end would fail gives what stands before it, line by line."""
    lines = [json.dumps({**ROW, "id": f"L{number}"}).encode() + b"\n" for number in range(3)]

    class Endless(io.RawIOBase):
        def readline(self, size: int = -1) -> bytes:
            if not lines:
                raise OSError("there would be more")
            return lines.pop(0)[:size]

    found = read(Endless(), "f.jsonl", Side.LEFT)

    assert [next(found).id for _ in range(3)] == ["L0", "L1", "L2"]
    with pytest.raises(OSError, match="more"):
        next(found)


@pytest.mark.parametrize("name", ["f.txt", "csv", "f.csv.exe", ""])
def test_a_format_is_known_by_the_end_of_the_name(name: str) -> None:
    with pytest.raises(BadFileError):
        format_of(name)


def test_money_of_many_rows_is_summed_exactly() -> None:
    text = "\n".join(json.dumps({**ROW, "id": str(number), "amount": "0.1"}) for number in range(1_000))

    assert sum(each.amount for each in read_text(text)) == Decimal(100)
