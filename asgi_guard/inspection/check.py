"""Check: whether a rule keeps to what `asgi_guard.inspection.rule` says of rules, its examples among it.

The table of ids stands there. Must never let a pattern in that takes more than linear time with RE2, or a bounded
multiple of it with `re` (CWE-1333).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from asgi_guard.inspection.engines import compile_re2, for_stdlib, has_re2
from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.rule import LEVELS, PLACES, VIEWS, Rule, is_id
from asgi_guard.inspection.scan import Scanner
from asgi_guard.settings import Problems

_MAX_REPEAT: Final = 100
_MAX_PATTERN: Final = 2_000
_CLASS_OR_ESCAPE: Final = re.compile(r"\\[^1-9AZzk]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_FORBIDDEN: Final = re.compile(r"\(\?(?!:)|\\")
_UNBOUNDED: Final = re.compile(r"[*+]|\{\d+,\}")
_REPEAT: Final = re.compile(r"\{(?:\d+,)?(\d+)\}")


def check_rules(problems: Problems, rules: Sequence[Rule], field: str = "rules") -> bool:
    """Check rules; return whether all of them are sound."""
    sound = [_check(problems, f"{field}[{index}]", rule) for index, rule in enumerate(rules)]
    return all(sound)


def _check(problems: Problems, field: str, rule: Rule) -> bool:
    texts: list[Any] = [rule.id, rule.attack, rule.pattern, rule.why, *rule.needs, *rule.positives, *rule.negatives]
    if not all(isinstance(given, str) for given in texts):
        return problems.add("AG700", field, rule, "must be made of texts", "Write each text in quotes.")
    sound = [
        is_id(rule.id)
        or problems.add("AG700", f"{field}.id", rule.id, "must be an id", "Write one such as OWN-ORDERS-001."),
        (rule.score in {2, 3, 4, 5} and rule.level in LEVELS)
        or problems.add(
            "AG701", f"{field}.score", (rule.score, rule.level), "must be 2 to 5, at level 1 to 3", "Give others."
        ),
        _check_pattern(problems, f"{field}.pattern", rule.pattern),
        _check_needs(problems, f"{field}.needs", rule),
        (bool(rule.places and rule.views) and set(rule.places) <= set(PLACES) and set(rule.views) <= set(VIEWS))
        or problems.add("AG705", f"{field}.places", (rule.places, rule.views), "must be known", f"There are {PLACES}."),
    ]
    return all(sound) and _check_examples(problems, field, rule)


def _check_pattern(problems: Problems, field: str, pattern: str) -> bool:
    bare = _CLASS_OR_ESCAPE.sub("x", pattern)
    remedy = "Leave out look-around, back-references and capitals."
    if _FORBIDDEN.search(bare) or bare != bare.lower() or not 0 < len(pattern) <= _MAX_PATTERN:
        return problems.add("AG702", field, pattern, "must be for both engines, in lower case", remedy)
    try:
        re.compile(for_stdlib(pattern), re.ASCII)
        if has_re2():
            compile_re2(pattern)
    except (re.error, ValueError) as error:
        return problems.add("AG702", field, pattern, f"must compile ({error})"[:160], remedy)
    if _UNBOUNDED.search(bare) or any(int(most) > _MAX_REPEAT for most in _REPEAT.findall(bare)):
        rule, remedy = f"must repeat at most {_MAX_REPEAT} times", "Write {0,40} for *, and {1,40} for +."
        return problems.add("AG703", field, pattern, rule, remedy)
    return True


def _check_needs(problems: Problems, field: str, rule: Rule) -> bool:
    if rule.needs and all(need and need.isascii() and need == need.lower() for need in rule.needs):
        return True
    remedy = "Name a part of what the pattern looks for."
    return problems.add("AG704", field, rule.needs, "must be texts in lower case and ASCII", remedy)


def _check_examples(problems: Problems, field: str, rule: Rule) -> bool:
    scanner = Scanner([rule])
    for is_found, examples in ((True, rule.positives), (False, rule.negatives)):
        for index, example in enumerate(examples):
            if any(scanner.scan([Value(rule.places[0], "", example)])) is not is_found:
                kind, what = ("positives", "must match") if is_found else ("negatives", "must not match")
                return problems.add(
                    "AG706", f"{field}.{kind}[{index}]", example, what, "Change the pattern, or the example."
                )
    if not rule.positives:
        return problems.add("AG706", f"{field}.positives", "", "must have an example", "Write one that it finds.")
    return True
