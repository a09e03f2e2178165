"""Matching: the rules as a table, what holds for any two files, and the same counts as by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciliation.matching import Kind, Outcome, Reason, match, total
from reconciliation.transactions import Transaction, of_units, shown, to_units

DAY = date(2026, 1, 1)


def rows(side: str, *told: str) -> list[Transaction]:
    """Write transactions as `reference amount currency day`; `-` is no reference."""
    found = []
    for number, line in enumerate(told):
        reference, amount, currency, day = line.split()
        reference = reference.strip("-")
        found.append(Transaction(DAY + timedelta(int(day)), f"{side}{number}", reference, Decimal(amount), currency))
    return found


def brief(outcome: Outcome) -> str:
    left, right = (" ".join(sorted(each.id for each in side)) for side in (outcome.left, outcome.right))
    return f"{outcome.reason or outcome.kind}: {left} = {right}"


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (["A 1.50 EUR 0"], ["A 1.5 EUR 90"], ["exact: L0 = R0"]),
        (["A 1 EUR 0", "A 1 EUR 1"], ["A 1 EUR 1"], ["exact: L0 = R0", "duplicate: L1 = "]),
        (["A 1 EUR 0"], ["A 1 EUR 0", "A 1 EUR 0"], ["exact: L0 = R0", "duplicate:  = R1"]),
        (["A 9 EUR 0"], ["A 4 EUR 0", "A 5 EUR 1"], ["split: L0 = R0 R1"]),
        (["A 4 EUR 0", "A 5 EUR 1"], ["A 9 EUR 0"], ["split: L0 L1 = R0"]),
        (["A 9 EUR 0", "A 3 EUR 0"], ["A 9 EUR 0", "A 1 EUR 0", "A 2 EUR 0"], ["exact: L0 = R0", "split: L1 = R1 R2"]),
        (["- 7 EUR 0"], ["B 7 EUR 3"], ["dated: L0 = R0"]),
        (["- 7 EUR 0"], ["- 7 EUR 4"], ["missing_right: L0 = ", "missing_left:  = R0"]),
        (["- 7 EUR 0", "- 7 EUR 3"], ["- 7 EUR 3", "- 7 EUR 6"], ["dated: L0 = R0", "dated: L1 = R1"]),
        (["A 7 EUR 0"], ["A 8 EUR 0", "B 7 EUR 0"], ["amount_differs: L0 = R0", "missing_left:  = R1"]),
        (["A 7 EUR 0"], ["A 7 USD 0"], ["currency_differs: L0 = R0"]),
        (["A 7 EUR 0", "A 2 EUR 0"], ["A 8 EUR 0"], ["amount_differs: L0 L1 = R0"]),
        (["A 7 EUR 0"], [], ["missing_right: L0 = "]),
        ([], ["- 7 EUR 0"], ["missing_left:  = R0"]),
        ([], [], []),
    ],
)
def test_a_rule_settles_what_it_is_for(left: list[str], right: list[str], expected: list[str]) -> None:
    assert sorted(map(brief, match(rows("L", *left), rows("R", *right)))) == sorted(expected)


def test_what_lies_too_far_apart_for_the_window_is_no_pair() -> None:
    left, right = rows("L", "- 7 EUR 0"), rows("R", "- 7 EUR 4")

    assert [outcome.kind for outcome in match(left, right, 4)] == [Kind.DATED]
    assert {outcome.reason for outcome in match(left, right, 3)} == {Reason.MISSING_LEFT, Reason.MISSING_RIGHT}


def test_the_difference_of_several_currencies_is_none() -> None:
    (outcome,) = match(rows("L", "A 7 EUR 0"), rows("R", "A 7 USD 0"))

    assert outcome.difference is None


def files() -> st.SearchStrategy[tuple[list[Transaction], list[Transaction]]]:
    """Two files with few references, amounts and days, so that much of it meets."""
    number = count()
    row = st.builds(
        lambda day, reference, amount, currency: Transaction(
            DAY + timedelta(day), f"t{next(number)}", reference, Decimal(amount) / 2, currency
        ),
        st.integers(0, 9),
        st.sampled_from(["", "A", "B", "C"]),
        st.integers(-3, 6),
        st.sampled_from(["EUR", "USD"]),
    )
    return st.tuples(st.lists(row, max_size=14), st.lists(row, max_size=14))


@given(files(), st.integers(0, 4))
def test_every_transaction_ends_in_exactly_one_outcome(pair: tuple[list, list], window: int) -> None:
    outcomes = match(*pair, window)

    for side, told in zip(("left", "right"), pair, strict=True):
        assert Counter(each.id for outcome in outcomes for each in getattr(outcome, side)) == Counter(
            each.id for each in told
        )


@given(files())
def test_sums_balance(pair: tuple[list, list]) -> None:
    """Matched ones are equal, and the exceptions explain the difference between the files, currency by currency."""
    outcomes = match(*pair)

    assert all(outcome.difference == 0 for outcome in outcomes if outcome.kind is not Kind.EXCEPTION)
    for currency in ("EUR", "USD"):
        unexplained = sum(
            total(each for each in outcome.left if each.currency == currency)
            - total(each for each in outcome.right if each.currency == currency)
            for outcome in outcomes
            if outcome.kind is Kind.EXCEPTION
        )
        left, right = (total(each for each in side if each.currency == currency) for side in pair)
        assert left - right == unexplained


@given(files(), st.randoms(use_true_random=False))
def test_the_order_of_the_lines_makes_no_difference(pair: tuple[list, list], random) -> None:
    shuffled = [random.sample(side, len(side)) for side in pair]

    assert match(*shuffled) == match(*pair)


@given(files())
def test_the_sides_are_alike(pair: tuple[list, list]) -> None:
    """Exchanged, they give the same with left and right exchanged."""

    def counted(outcomes: Sequence[Outcome]) -> Counter[object]:
        return Counter(outcome.reason or outcome.kind for outcome in outcomes)

    there, back = counted(match(*pair)), counted(match(*reversed(pair)))
    there[Reason.MISSING_LEFT], there[Reason.MISSING_RIGHT] = there[Reason.MISSING_RIGHT], there[Reason.MISSING_LEFT]

    assert there == back


def by_brute_force(  # noqa: C901, PLR0912  one definition, in one piece, to be read beside the rules
    left: list[Transaction], right: list[Transaction], window: int
) -> Counter[str]:
    """Count the outcomes by their definition alone: pair by pair, and by trying for the most pairs by augmenting."""
    counts: Counter[str] = Counter()
    ours, theirs = [*left], [*right]
    shared = {a.reference for a in left for b in right if a.reference == b.reference != ""}

    def same(a: Transaction, b: Transaction) -> bool:
        return (a.reference, a.currency, a.amount) == (b.reference, b.currency, b.amount)

    for a in [*ours]:
        for b in theirs:
            if a.reference and same(a, b):
                counts["exact"] += 1
                ours.remove(a)
                theirs.remove(b)
                break
    for mine, other in ((ours, right), (theirs, left)):
        for a in [*mine]:
            if a.reference and any(same(a, b) for b in other):
                counts["duplicate"] += 1
                mine.remove(a)
    for reference in shared:
        for currency in ("EUR", "USD"):
            a = [each for each in ours if (each.reference, each.currency) == (reference, currency)]
            b = [each for each in theirs if (each.reference, each.currency) == (reference, currency)]
            if a and b and sum(each.amount for each in a) == sum(each.amount for each in b):
                counts["split"] += 1
                ours = [each for each in ours if each not in a]
                theirs = [each for each in theirs if each not in b]

    taken: dict[str, Transaction] = {}

    def augment(a: Transaction, tried: set[str]) -> bool:
        for b in theirs:
            is_near = abs((a.on - b.on).days) <= window and (a.amount, a.currency) == (b.amount, b.currency)
            if is_near and not shared & {a.reference, b.reference} and b.id not in tried:
                tried.add(b.id)
                if b.id not in taken or augment(taken[b.id], tried):
                    taken[b.id] = a
                    return True
        return False

    counts["dated"] = sum(augment(a, set()) for a in ours)
    ours = [each for each in ours if each.id not in {a.id for a in taken.values()}]
    theirs = [each for each in theirs if each.id not in taken]
    for reference in shared:
        for currency in ("EUR", "USD"):
            a = [each for each in ours if (each.reference, each.currency) == (reference, currency)]
            b = [each for each in theirs if (each.reference, each.currency) == (reference, currency)]
            if a and b:
                counts["amount_differs"] += 1
                ours = [each for each in ours if each not in a]
                theirs = [each for each in theirs if each not in b]
        a = [each for each in ours if each.reference == reference]
        b = [each for each in theirs if each.reference == reference]
        if a and b:
            counts["currency_differs"] += 1
            ours = [each for each in ours if each not in a]
            theirs = [each for each in theirs if each not in b]
    counts["missing_right"], counts["missing_left"] = len(ours), len(theirs)
    return +counts


@given(files(), st.integers(0, 4))
def test_the_counts_are_those_of_brute_force(pair: tuple[list, list], window: int) -> None:
    assert Counter(str(outcome.reason or outcome.kind) for outcome in match(*pair, window)) == by_brute_force(
        *pair, window
    )


@given(st.decimals(min_value="-999999999999.9999", max_value="999999999999.9999", places=4))
def test_money_comes_back_as_it_went(amount: Decimal) -> None:
    assert of_units(to_units(amount)) == amount
    assert Decimal(shown(amount)) == amount
