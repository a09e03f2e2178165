"""Mistake: what is wrong with one value of somebody's settings, before it is known where it stands."""

from __future__ import annotations


class MistakeError(ValueError):
    """A value that cannot be meant; whoever knows the field notes it with `Problems.add`.

    Attributes:
        id: stable name of the broken rule.
        rule: what is allowed, as the rest of a sentence that begins with the field.
        remedy: what to do, as a sentence.
    """

    def __init__(self, problem_id: str, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}")
        self.id = problem_id
        self.rule = rule
        self.remedy = remedy


def words(text: str) -> frozenset[str]:
    """Read a table of words."""
    return frozenset(text.split())
