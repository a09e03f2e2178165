"""Matching: the rules as a table, what holds for any two files, and the same counts as by brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciliation.brute_force import by_brute_force
from reconciliation.matching import Kind, Outcome, Reason, match, total
from reconciliation.transactions import Transaction, of_units, shown, to_units

DAY = date(2026, 1, 1)
patient = settings(deadline=None)  # a busy machine must not fail a property


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


@patient
@given(files(), st.integers(0, 4))
def test_every_transaction_ends_in_exactly_one_outcome(pair: tuple[list, list], window: int) -> None:
    outcomes = match(*pair, window)

    for side, told in zip(("left", "right"), pair, strict=True):
        assert Counter(each.id for outcome in outcomes for each in getattr(outcome, side)) == Counter(
            each.id for each in told
        )


@patient
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


@patient
@given(files(), st.randoms(use_true_random=False))
def test_the_order_of_the_lines_makes_no_difference(pair: tuple[list, list], random) -> None:
    shuffled = [random.sample(side, len(side)) for side in pair]

    assert match(*shuffled) == match(*pair)


@patient
@given(files())
def test_the_sides_are_alike(pair: tuple[list, list]) -> None:
    """Exchanged, they give the same with left and right exchanged."""

    def counted(outcomes: Sequence[Outcome]) -> Counter[object]:
        return Counter(outcome.reason or outcome.kind for outcome in outcomes)

    there, back = counted(match(*pair)), counted(match(*reversed(pair)))
    there[Reason.MISSING_LEFT], there[Reason.MISSING_RIGHT] = there[Reason.MISSING_RIGHT], there[Reason.MISSING_LEFT]

    assert there == back


@patient
@given(files(), st.integers(0, 4))
def test_the_counts_are_those_of_brute_force(pair: tuple[list, list], window: int) -> None:
    assert Counter(str(outcome.reason or outcome.kind) for outcome in match(*pair, window)) == by_brute_force(
        *pair, window
    )


@patient
@given(st.decimals(min_value="-999999999999.9999", max_value="999999999999.9999", places=4))
def test_money_comes_back_as_it_went(amount: Decimal) -> None:
    assert of_units(to_units(amount)) == amount
    assert Decimal(shown(amount)) == amount
