"""Check: a rule of a user's own starts only if it keeps to what rules keep to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from asgi_guard import Rule
from asgi_guard.inspection.check import check_rules
from asgi_guard.inspection.rules import load
from asgi_guard.settings import Problems

SOUND = Rule(
    id="OWN-ORDERS-001",
    attack="own",
    score=5,
    level=1,
    pattern=r"order \d{1,9} or",
    needs=("order",),
    why="Somebody tries the orders of others.",
    positives=("order 12 or 1",),
    negatives=("order 12",),
)


def ids(*rules: Any) -> list[str]:
    """Return the ids of what is wrong."""
    problems = Problems("Validation")
    check_rules(problems, rules)
    return [problem.id for problem in problems.found]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, None),
        ({"id": "own rule"}, "AG700"),
        ({"why": None}, "AG700"),
        ({"score": 6}, "AG701"),
        ({"score": 1}, "AG701"),
        ({"level": 0}, "AG701"),
        ({"pattern": "order (?=12)"}, "AG702"),
        ({"pattern": r"(order) \1"}, "AG702"),
        ({"pattern": "Order"}, "AG702"),
        ({"pattern": "order ("}, "AG702"),
        ({"pattern": ""}, "AG702"),
        ({"pattern": "x" * 2_001}, "AG702"),
        ({"pattern": r"order \d+ or"}, "AG703"),
        ({"pattern": r"order \d{1,} or"}, "AG703"),
        ({"pattern": r"order \d{1,500} or"}, "AG703"),
        ({"pattern": r"order \d{,9} or"}, "AG702"),
        ({"pattern": r"order \u0031"}, "AG702"),
        ({"pattern": "order (?:a|a){0,50}"}, "AG703"),
        ({"pattern": "order (?:a{1,30}){1,30}b"}, "AG703"),
        ({"pattern": "order (?:a|ab|b){0,50}c"}, "AG703"),
        ({"pattern": r"order (?:\s{0,9}\d\s{0,9}){0,9}x"}, "AG703"),
        ({"pattern": "order (?:(?:(?:a|a){4}){4}){4}b"}, "AG703"),
        ({"pattern": "order (?:[a-z]?){0,9}1"}, "AG703"),
        ({"pattern": "order [a-z]{0,100}[a-z]{0,100}[a-z]{0,100}[a-z]{0,100}1"}, "AG703"),
        ({"pattern": "order [a-z]{0,100}[a-z]{0,100}1"}, "AG703"),
        ({"pattern": "order (?:[a-z]{0,100} ?[a-z]{0,100} ?){1,4}1"}, "AG703"),
        ({"pattern": "order  {0,50}[ a]{0,100}[ b]{0,100}[ c]{0,100}1"}, "AG703"),
        ({"pattern": "order (?:x?[a-z]{1,50}){1,4}1"}, "AG703"),
        ({"pattern": "order (?:a|b|ab){1,4}(?:a|b|ab){1,4}(?:a|b|ab){1,4}1"}, "AG703"),
        ({"pattern": r"order [a-z]{0,100}\d{1,9}[a-z ]{0,100}or"}, None),
        ({"pattern": r"order \s{0,8}\w{1,20}\s{0,8}or"}, None),
        ({"pattern": "order .{0,40}.{0,40}or"}, None),
        ({"pattern": r"order (?:\d{1,9} ){0,50}or"}, None),
        ({"pattern": r"order (?:(?:\d|[1-9]\d) or|x){1,4}"}, None),
        ({"pattern": r"order (?:\d{1,9}|[a-z]{2}|[^\w\s]){1,2} or"}, None),
        ({"needs": ()}, "AG704"),
        ({"needs": ("Order",)}, "AG704"),
        ({"places": ()}, "AG705"),
        ({"places": ("everywhere",)}, "AG705"),
        ({"views": ("upside down",)}, "AG705"),
        ({"positives": ()}, "AG706"),
        ({"positives": ("order",)}, "AG706"),
        ({"negatives": ("order 1 or 2",)}, "AG706"),
        ({"needs": ("never there",)}, "AG706"),
    ],
    ids=str,
)
def test_a_rule_is_checked(fields: dict[str, Any], problem: str | None) -> None:
    """Its examples are part of it."""
    assert ids(replace(SOUND, **fields)) == ([] if problem is None else [problem])


def test_every_rule_that_is_wrong_is_told() -> None:
    """With its place in the list."""
    assert ids(SOUND, replace(SOUND, score=9), replace(SOUND, needs=())) == ["AG701", "AG704"]


MEASURED = {
    "AG-CODE-008",
    "AG-CODE-012",
    "AG-GRAPHQL-003",
    "AG-LOG4SHELL-004",
    "AG-RCE-006",
    "AG-RFI-011",
    "AG-SQLI-028",
    "AG-SQLI-042",
    "AG-SSTI-007",
    "AG-TRAVERSAL-004",
    "AG-TRAVERSAL-009",
    "AG-TRAVERSAL-010",
    "AG-TRAVERSAL-011",
    "AG-TRAVERSAL-014",
    "AG-XSS-004",
    "AG-XSS-005",
    "AG-XSS-067",
    "AG-XXE-005",
    "AG-XXE-006",
}
"""Rules that share out more than is asked of others: what they take was measured, as that of all rules is."""


@pytest.mark.long
@pytest.mark.timeout(240)  # there are hundreds, and each is tried out
def test_the_rules_of_the_package_pass_the_check() -> None:
    """What is asked of others holds here, but for the ways of those that are measured instead."""
    problems = Problems("Validation")
    rules = load()
    check_rules(problems, rules)

    assert {problem.id for problem in problems.found} == {"AG703"}
    assert {rules[int(problem.field.partition("[")[2].partition("]")[0])].id for problem in problems.found} == MEASURED
