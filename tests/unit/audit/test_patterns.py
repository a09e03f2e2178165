"""Patterns of an application's own: only those that no text makes slow, and that harm none of the others."""

from __future__ import annotations

import time

import pytest

from asgi_guard import Audit, AuditLog, ConfigError
from asgi_guard.audit.patterns import problem_of
from asgi_guard.audit.redact import Redactor

TAKEN = [
    "DE[0-9]{20}",
    r"\bcust-\d{6,12}\b",
    r"(?i:iban:? ?[a-z]{2}\d{2}[a-z0-9]{11,30})",
    r"sk-[A-Za-z0-9]{20,100}",
    r"sess=\w+",
    r"[\w.]{1,64}@[\w.]{1,100}",
    r"\w{20,100}",
    r"(?:ab|cd){1,40}!",
    r"[a-f]{1,100}\d",
]
REFUSED = {
    r"\w*\w*\w*!": "linear",
    r"\w+\w+!": "linear",
    r"[a-z]+!": "linear",
    r"[\w.]+@[\w.]+": "linear",
    r"(a+)+!": "linear",
    r"(?:a|a){1,90}!": "linear",
    r"\w{1,100}\w{1,100}!": "linear",
    r"(?i:a{1,100})[A]{1,100}(?i:a{1,100})!": "linear",
    r".*x.*y": "linear",
    r"(\w{1,100})\1": "back-references",
    r"(?=\w{1,100}!)x": "look-around",
    r"(?<!a)b": "look-around",
    r"a*+b": "atomic",
    r"(?>a+)b": "atomic",
    r"(?P<x>ab)": "named",
    r"(?i)abc": "flags",
    r"(?s).x": "flags",
    r"x*": "nothing",
    r"^|a": "nothing",
    r"\b": "nothing",
    r"(a": "regular expression",
    r"(?:a{1,9999999999999999999})": "regular expression",
}


@pytest.mark.parametrize("pattern", TAKEN)
def test_a_pattern_that_is_linear_is_taken(pattern: str) -> None:
    """And takes no time, whatever stands in the longest text that is looked through."""
    Audit(path="audit.jsonl", hidden_patterns=[pattern])
    redactor = Redactor((), [pattern])
    started = time.process_time()
    for piece in ("a", "a1", "ab", "abcd", "sess=a", "sk-a", "DE1", "a.", "aA", "é"):
        redactor.text((piece * 8_192)[:8_192])

    assert time.process_time() - started < 5  # it takes a twentieth


@pytest.mark.parametrize(("pattern", "rule"), REFUSED.items(), ids=[pattern[:30] for pattern in REFUSED])
def test_another_one_is_refused_with_the_rule_that_it_breaks(pattern: str, rule: str) -> None:
    """By the settings, and never by what is made of them."""
    assert rule in problem_of(pattern)
    with pytest.raises(ConfigError, match="AG903"):
        Audit(path="audit.jsonl", hidden_patterns=[pattern])


def test_patterns_do_not_disturb_each_other() -> None:
    """Each has its own groups; all of them stand in one expression."""
    log = AuditLog(sinks=[lambda _: None], hidden_patterns=["(ab){2}cd", "(ef|gh){2}"])
    log.close()

    assert Redactor((), ["(ab){2}cd", "(ef|gh){2}"]).text("to ababcd and to ghef") == "to <hidden> and to <hidden>"


def test_the_classes_are_those_of_which_the_cost_was_counted() -> None:
    """ASCII's: what else a class may take was not looked at."""
    assert Redactor((), [r"no\w{10}"]).text("noéééééééééé no1234567890") == "noéééééééééé <hidden>"
