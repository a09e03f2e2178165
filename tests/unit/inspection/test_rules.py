"""Each rule does what its examples say, through the whole evaluator and in both engines."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest

from asgi_guard.inspection.rule import LEVELS, PLACES, VIEWS, Rule
from asgi_guard.inspection.rules import ATTACKS, WORDS, load
from asgi_guard.inspection.scan import Engine, inspect_value

RULES = load()
ENGINES = [
    pytest.param("re2", marks=pytest.mark.skipif(find_spec("re2") is None, reason="google-re2 is not installed")),
    "re",
]
BY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)


def ids(text: str, rule: Rule, engine: Engine) -> set[str]:
    """Return the ids of the rules found in a text at the rule's own place and level."""
    return {finding.rule.id for finding in inspect_value(text, rule.places[0], rule.level, engine)}


@pytest.mark.parametrize("engine", ENGINES)
@BY_RULE
def test_every_positive_example_is_found_by_its_rule(rule: Rule, engine: Engine) -> None:
    """An example of the attack makes this very rule match."""
    assert [text for text in rule.positives if rule.id not in ids(text, rule, engine)] == []


@pytest.mark.parametrize("engine", ENGINES)
@BY_RULE
def test_no_negative_example_is_found_by_its_rule(rule: Rule, engine: Engine) -> None:
    """A harmless text that looks alike does not."""
    assert [text for text in rule.negatives if rule.id in ids(text, rule, engine)] == []


def test_no_two_rules_have_the_same_id() -> None:
    """An id in a log means one rule."""
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_class_has_a_rule() -> None:
    """A class that is named can be found."""
    assert {rule.attack for rule in RULES} == set(ATTACKS)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_short_word_that_is_looked_at_is_found(word: str) -> None:
    """All others are passed over, since no rule is about them."""
    assert inspect_value(word.upper(), "body", 2)
    assert not inspect_value(f"{word}ly", "body", 2)


@BY_RULE
def test_a_rule_is_well_formed(rule: Rule) -> None:
    """Its id names its class, and each field is within its bounds."""
    assert re.fullmatch(rf"AG-{rule.attack.upper()}-\d{{3}}", rule.id)
    assert 2 <= rule.score <= 5
    assert rule.level in LEVELS
    assert rule.places
    assert rule.views
    assert set(rule.places) <= set(PLACES)
    assert set(rule.views) <= set(VIEWS)
    assert rule.why.endswith(".")
    assert rule.positives
    assert rule.negatives


@BY_RULE
def test_the_literals_of_a_rule_are_plain(rule: Rule) -> None:
    """They are looked for in text in lower case, and one that is a part of another is enough."""
    assert rule.needs
    assert all(need and need.isascii() and need == need.lower() for need in rule.needs)
    assert [a for a in rule.needs for b in rule.needs if a != b and b in a] == []


@BY_RULE
def test_a_pattern_is_written_for_both_engines(rule: Rule) -> None:
    """Neither look-around nor back-references, nor what the two read differently; in lower case; repeats bounded."""
    bare = re.sub(r"\\[^1-9AZzk]|\[\^?\]?(?:\\.|[^\]\\])*\]", "x", rule.pattern)
    assert re.search(r"\(\?(?!:)|\\", bare) is None
    assert bare == bare.lower()
    assert re.search(r"[*+]|\{\d+,\}", bare) is None
    assert all(int(most) <= 100 for most in re.findall(r"\{(?:\d+,)?(\d+)\}", bare))
