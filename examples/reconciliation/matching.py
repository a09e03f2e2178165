"""Matching: which transactions of two files are the same money, and what is wrong with the others. Pure functions.

The rules, one after the other; what a rule has settled the next does not see:

1. **exact**: the same reference, amount and currency, pair by pair. Where one side has more of them than the other has,
   the surplus is an exception, `duplicate`.
2. **split**: what is left of a reference in a currency has the same sum on both sides: an invoice that was paid in
   parts, or several that were paid at once.
3. **dated**: the same amount and currency, at most `window_days` apart, one to one, as many pairs as can be. Only for
   transactions whose reference the other side does not have at all: one that both have speaks for itself.
4. **exception**: `amount_differs` for what is left of a reference in one currency, `currency_differs` for what is left
   of it in several, `missing_left` or `missing_right` for each of the others, by the side that does not have it.

Rule 1: every transaction ends in exactly one outcome.
Rule 2: the order of the lines in a file makes no difference.
Rule 3: the time is that of sorting: no rule tries combinations, which a client could make many of.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar

from reconciliation.transactions import Transaction

KeyT = TypeVar("KeyT", bound=Hashable)


class Kind(StrEnum):
    EXACT = "exact"
    SPLIT = "split"
    DATED = "dated"
    EXCEPTION = "exception"


class Reason(StrEnum):
    DUPLICATE = "duplicate"
    AMOUNT_DIFFERS = "amount_differs"
    CURRENCY_DIFFERS = "currency_differs"
    MISSING_LEFT = "missing_left"
    MISSING_RIGHT = "missing_right"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some transactions.

    Attributes:
        kind: how they were matched, or that they were not.
        left: those of the left file.
        right: those of the right file.
        reason: of an exception, else None.
    """

    kind: Kind
    left: tuple[Transaction, ...]
    right: tuple[Transaction, ...]
    reason: Reason | None = None

    @property
    def difference(self) -> Decimal | None:
        """What the left has more than the right; None where they are of several currencies."""
        if len({each.currency for each in (*self.left, *self.right)}) > 1:
            return None
        return total(self.left) - total(self.right)


def total(transactions: Iterable[Transaction]) -> Decimal:
    """Sum amounts of one currency."""
    return sum((each.amount for each in transactions), Decimal(0))


def match(left: Iterable[Transaction], right: Iterable[Transaction], window_days: int = 3) -> list[Outcome]:
    """Match two files.

    Args:
        left: one file, whose ids are all different.
        right: the other one.
        window_days: how many days a payment may lie before or after what it pays, at least 0.
    """
    first, second = sorted(left), sorted(right)
    references = {each.reference for each in first} & {each.reference for each in second} - {""}
    outcomes: list[Outcome] = []
    for rule in (_exact, _split, _dated(references, window_days), _exceptions):
        found = [*rule(first, second)]
        settled = {id(each) for outcome in found for each in (*outcome.left, *outcome.right)}
        first = [each for each in first if id(each) not in settled]
        second = [each for each in second if id(each) not in settled]
        outcomes += found
    return outcomes


Transactions = Sequence[Transaction]
Rule = Callable[[Transactions, Transactions], Iterator[Outcome]]


def _exact(left: Transactions, right: Transactions) -> Iterator[Outcome]:
    for (reference, _, _), ours, theirs in _by(lambda each: (each.reference, each.currency, each.amount), left, right):
        if not (reference and ours and theirs):
            continue
        pairs = min(len(ours), len(theirs))
        yield from (Outcome(Kind.EXACT, (one,), (other,)) for one, other in zip(ours, theirs, strict=False))
        yield from (Outcome(Kind.EXCEPTION, (one,), (), Reason.DUPLICATE) for one in ours[pairs:])
        yield from (Outcome(Kind.EXCEPTION, (), (other,), Reason.DUPLICATE) for other in theirs[pairs:])


def _split(left: Transactions, right: Transactions) -> Iterator[Outcome]:
    for (reference, _), ours, theirs in _by(lambda each: (each.reference, each.currency), left, right):
        if reference and ours and theirs and total(ours) == total(theirs):
            yield Outcome(Kind.SPLIT, tuple(ours), tuple(theirs))


def _dated(references: set[str], window_days: int) -> Rule:
    window = timedelta(days=window_days)

    def rule(left: Transactions, right: Transactions) -> Iterator[Outcome]:
        ours = [each for each in left if each.reference not in references]
        theirs = [each for each in right if each.reference not in references]
        for _, first, second in _by(lambda each: (each.currency, each.amount), ours, theirs):
            yield from (Outcome(Kind.DATED, (one,), (other,)) for one, other in _within(first, second, window))

    return rule


def _within(left: Transactions, right: Transactions, window: timedelta) -> Iterator[tuple[Transaction, Transaction]]:
    """Pair what is near, both sides by day: the earliest with the earliest, which gives the most pairs that can be."""
    i = j = 0
    while i < len(left) and j < len(right):
        apart = right[j].on - left[i].on
        if apart > window:
            i += 1
        elif apart < -window:
            j += 1
        else:
            yield left[i], right[j]
            i, j = i + 1, j + 1


def _exceptions(left: Transactions, right: Transactions) -> Iterator[Outcome]:
    alone: list[tuple[Transactions, Transactions]] = []
    of_reference: dict[str, tuple[list[Transaction], list[Transaction]]] = defaultdict(lambda: ([], []))
    for (reference, _), ours, theirs in _by(lambda each: (each.reference, each.currency), left, right):
        if not reference:
            alone.append((ours, theirs))
        elif ours and theirs:
            yield Outcome(Kind.EXCEPTION, tuple(ours), tuple(theirs), Reason.AMOUNT_DIFFERS)
        else:
            of_reference[reference][0].extend(ours)
            of_reference[reference][1].extend(theirs)
    for ours, theirs in of_reference.values():
        if ours and theirs:
            yield Outcome(Kind.EXCEPTION, tuple(ours), tuple(theirs), Reason.CURRENCY_DIFFERS)
        else:
            alone.append((ours, theirs))
    for ours, theirs in alone:
        yield from (Outcome(Kind.EXCEPTION, (one,), (), Reason.MISSING_RIGHT) for one in ours)
        yield from (Outcome(Kind.EXCEPTION, (), (other,), Reason.MISSING_LEFT) for other in theirs)


def _by(
    key: Callable[[Transaction], KeyT], left: Transactions, right: Transactions
) -> Iterator[tuple[KeyT, list[Transaction], list[Transaction]]]:
    """Group both sides by a key; in each group they are by day and id, and the groups by the key."""
    groups: dict[KeyT, tuple[list[Transaction], list[Transaction]]] = defaultdict(lambda: ([], []))
    for number, side in enumerate((left, right)):
        for each in side:
            groups[key(each)][number].append(each)
    for found in sorted(groups, key=repr):
        yield found, *groups[found]
