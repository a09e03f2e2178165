"""Upload: reads a file of transactions line by line, as CSV or as JSON Lines.

    id,reference,date,amount,currency,description
    L1,INV-7,2026-01-31,120.00,EUR,January

    {"id": "L1", "reference": "INV-7", "date": "2026-01-31", "amount": "120.00", "currency": "EUR"}

The reference and the description may be missing. An amount in JSON may be a number: it is read as it is written.

Rule 1: nothing is ever held but the line that is read: whoever sends a file decides how long it is.
Rule 2: a bad line is told by its number and what is wrong with it, never by what stands in it.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import IO, Any, Final

from asgi_guard import ValidationError
from asgi_guard.sanitize import SanitizeError, clean_text
from reconciliation.transactions import MAX_AMOUNT, PLACES, Side, Transaction

MAX_ROWS: Final = 20_000
MAX_LINE_BYTES: Final = 4_096
_AMOUNT: Final = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,4})?")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_REQUIRED: Final = ("id", "date", "amount", "currency")
_FIELDS: Final = frozenset({*_REQUIRED, "reference", "description"})


class BadFileError(ValidationError):
    error_code = "BAD_FILE"


def format_of(filename: str) -> Callable[[Iterator[str]], Iterator[Mapping[str, Any]]]:
    """Choose how a file is read, by how its name ends: `.csv`, `.jsonl` or `.ndjson`."""
    if filename.lower().endswith(".csv"):
        return _csv
    if filename.lower().endswith((".jsonl", ".ndjson")):
        return _json_lines
    raise BadFileError("The name of a file ends with .csv, .jsonl or .ndjson.")


def read(file: IO[bytes], filename: str, side: Side) -> Iterator[Transaction]:
    """Read a file, line by line.

    Args:
        file: from its beginning.
        filename: says the format.
        side: told with what is wrong.

    Raises:
        BadFileError: a line is wrong, an id is there twice, or there are more than 20,000 rows.
    """
    seen: set[str] = set()
    lines = _Lines(file, side)
    rows = format_of(filename)(lines)
    while True:
        try:
            transaction = _transaction(next(rows))
        except StopIteration:
            return
        except (ValueError, csv.Error, RecursionError) as error:  # SanitizeError and JSONDecodeError are ValueErrors
            raise _bad(side, lines.number, _why(error)) from None
        if transaction.id in seen:
            raise _bad(side, lines.number, "id is there twice")
        seen.add(transaction.id)
        if len(seen) > MAX_ROWS:
            raise _bad(side, lines.number, f"there are more than {MAX_ROWS:,} rows")
        yield transaction


def digest(file: IO[bytes]) -> str:
    """Name what a file holds, and rewind it."""
    found = sha256()
    while part := file.read(65_536):
        found.update(part)
    file.seek(0)
    return found.hexdigest()


class _Lines(Iterator[str]):
    """The lines of a file, counted."""

    def __init__(self, file: IO[bytes], side: Side) -> None:
        self._file = file
        self._side = side
        self.number = 0

    def __next__(self) -> str:
        line = self._file.readline(MAX_LINE_BYTES + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) > MAX_LINE_BYTES:
            raise _bad(self._side, self.number, f"it is longer than {MAX_LINE_BYTES:,} bytes")
        return line.decode("utf-8-sig" if self.number == 1 else "utf-8")


def _csv(lines: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    rows = csv.reader(_one_row_each(lines), strict=True)
    head = next(rows, [])
    if len({*head}) != len(head) or not {*_REQUIRED} <= {*head} <= _FIELDS:
        raise ValueError(f"the head names id, date, amount and currency, and only these: {', '.join(sorted(_FIELDS))}")
    for row in rows:
        if len(row) != len(head):
            raise ValueError("it has not as many fields as the head")
        yield dict(zip(head, row, strict=True))


def _one_row_each(lines: Iterator[str]) -> Iterator[str]:
    """Refuse a field that goes on in the next line, which could go on to the end of the file."""
    for line in lines:
        if line.count('"') % 2:
            raise ValueError("a quote is not closed in its line")
        if line.strip():
            yield line


def _json_lines(lines: Iterator[str]) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if line.strip():
            row = json.loads(line, parse_float=str, parse_int=str, parse_constant=str)
            if not isinstance(row, dict) or not {*_REQUIRED} <= {*row} <= _FIELDS:
                raise ValueError("it is no object with id, date, amount and currency, and nothing unknown")
            yield row


def _transaction(row: Mapping[str, Any]) -> Transaction:
    if not all(isinstance(value, str) for value in row.values()):
        raise ValueError("each value is a text or a number")
    return Transaction(
        on=_date(row["date"].strip()),
        id=clean_text(row["id"].strip(), max_length=64, allow_empty=False, field="id"),
        reference=clean_text(row.get("reference", "").strip(), max_length=64, field="reference"),
        amount=_amount(row["amount"].strip()),
        currency=_currency(row["currency"].strip()),
        description=clean_text(row.get("description", "").strip(), max_length=200, field="description"),
    )


def _date(text: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise ValueError("date is a day as 2026-01-31")


def _amount(text: str) -> Decimal:
    try:
        amount = Decimal(text) if _AMOUNT.fullmatch(text) else None
    except InvalidOperation:  # pragma: no cover  the pattern admits no other
        amount = None
    if amount is None or abs(amount) >= MAX_AMOUNT:
        raise ValueError(f"amount is a decimal number as -120.00, of at most 12 digits and {PLACES} places")
    return amount


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text):
        raise ValueError("currency is three capital letters, as EUR")
    return text


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError | RecursionError):
        return "it is no JSON"
    if isinstance(error, csv.Error):
        return "it is no CSV"
    if isinstance(error, SanitizeError):
        return f"{error.field} cannot be read: {error.reason}"
    return str(error)


def _bad(side: Side, line: int, why: str) -> BadFileError:
    return BadFileError(f"The {side} file, line {line}: {why}.", details={"side": side.value, "line": line})
