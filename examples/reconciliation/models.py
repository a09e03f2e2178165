"""Models: what is kept, in SQLite or in PostgreSQL.

Rule 1: an amount is kept as a whole number of ten-thousandths: SQLite would make a float of a NUMERIC.
Rule 2: a transaction belongs to one outcome at most, since that is a column of it; that none is left out is checked
where the outcomes are written.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import BigInteger, Date, Float, ForeignKey, Integer, String, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from reconciliation.transactions import Transaction, of_units, to_units

STORED: Final = "stored"
"""Both files are there, whole."""

MATCHED: Final = "matched"
"""Every transaction has its outcome."""

DONE: Final = "done"
"""Suggestions were asked for, and nothing is left to do."""


class Money(TypeDecorator[Decimal]):
    """A decimal number, kept as a whole one."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Any) -> int | None:
        return None if value is None else to_units(value)

    def process_result_value(self, value: Any, dialect: Any) -> Decimal | None:
        return None if value is None else of_units(int(value))


class Base(DeclarativeBase):
    pass


class Reconciliation(Base):
    """Two files that were uploaded together, and how far they have come.

    Attributes:
        fingerprint: of the files and of how they are matched: the same upload again is the same reconciliation.
        claimed_by: the process that works on it.
        claimed_until: until when it does, in seconds since 1970; another one goes on from then.
        explained: of how many exceptions the reason was asked for.
    """

    __tablename__ = "reconciliations"
    __table_args__ = (UniqueConstraint("owner", "fingerprint"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(String(64))
    window_days: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(16), default=STORED, index=True)
    left_name: Mapped[str] = mapped_column(String(255))
    right_name: Mapped[str] = mapped_column(String(255))
    left_rows: Mapped[int] = mapped_column(Integer, default=0)
    right_rows: Mapped[int] = mapped_column(Integer, default=0)
    exceptions: Mapped[int] = mapped_column(Integer, default=0)
    explained: Mapped[int] = mapped_column(Integer, default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(64), default=None)
    claimed_until: Mapped[float] = mapped_column(Float(53), default=0.0)
    created_at: Mapped[float] = mapped_column(Float(53))
    finished_at: Mapped[float | None] = mapped_column(Float(53), default=None)


class Row(Base):
    """A transaction, and the number of its outcome."""

    __tablename__ = "transactions"

    reconciliation_id: Mapped[str] = mapped_column(ForeignKey("reconciliations.id"), primary_key=True)
    side: Mapped[str] = mapped_column(String(5), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    on: Mapped[dt.date] = mapped_column("on_day", Date)
    reference: Mapped[str] = mapped_column(String(64))
    amount: Mapped[Decimal] = mapped_column(Money)
    currency: Mapped[str] = mapped_column(String(3))
    description: Mapped[str] = mapped_column(String(200))
    outcome: Mapped[int | None] = mapped_column(Integer, default=None)

    @property
    def transaction(self) -> Transaction:
        """What it was when it was read."""
        return Transaction(self.on, self.id, self.reference, self.amount, self.currency, self.description)


class Finding(Base):
    """An outcome: how some transactions were matched, or why not."""

    __tablename__ = "outcomes"

    reconciliation_id: Mapped[str] = mapped_column(ForeignKey("reconciliations.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    difference: Mapped[Decimal | None] = mapped_column(Money)
    suggestion: Mapped[str | None] = mapped_column(String(500), default=None)
