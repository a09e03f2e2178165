"""Check: whether a rule keeps to what `asgi_guard.inspection.rule` says of rules, its examples among it.

The table of ids stands there. Must never let a pattern in that takes more than linear time with RE2, or a bounded
multiple of it with `re` (CWE-1333).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, cast

from asgi_guard.inspection.ambiguity import is_ambiguous
from asgi_guard.inspection.engines import compile_re2, for_stdlib, has_re2
from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.rule import LEVELS, PLACES, SCORES, VIEWS, Rule, is_id
from asgi_guard.inspection.scan import Scanner
from asgi_guard.inspection.sharing import ways
from asgi_guard.settings import Problems, did_you_mean, shown

_MAX_REPEAT: Final = 100
_MAX_PATTERN: Final = 2_000
_MAX_WAYS: Final = 2_500
_CLASS_OR_ESCAPE: Final = re.compile(r"\\[^1-9AZzkupN]|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_FORBIDDEN: Final = re.compile(r"\(\?(?!:)|\\|\{,")  # {,9} is a repeat to `re` alone
_UNBOUNDED: Final = re.compile(r"[*+]|\{\d+,\}")
_REPEAT: Final = re.compile(r"\{(?:\d+,)?(\d+)\}")
_BOUNDED: Final[Mapping[str, str]] = MappingProxyType({"*": "Write {0,40} for it.", "+": "Write {1,40} for it."})
_TEXTS: Final = ("id", "attack", "pattern", "why")
_LISTS: Final = ("needs", "positives", "negatives", "places", "views")


def check_rules(problems: Problems, rules: Sequence[Rule], field: str = "rules") -> bool:
    """Check rules; return whether all of them are sound."""
    sound = [_check(problems, f"{field}[{index}]", rule) for index, rule in enumerate(rules)]
    return all(sound)


def _check(problems: Problems, field: str, rule: Rule) -> bool:
    """Check what each field is made of, then what it says, and the examples last: they need all of it."""
    made = [_check_text(problems, f"{field}.{name}", getattr(rule, name)) for name in _TEXTS]
    made += [_check_texts(problems, f"{field}.{name}", getattr(rule, name)) for name in _LISTS]
    if not all(made):
        return False
    sound = [
        is_id(rule.id)
        or problems.add("AG700", f"{field}.id", rule.id, "must be an id", "Write one such as OWN-ORDERS-001."),
        _check_number(
            problems, f"{field}.score", rule.score, SCORES, "5 blocks alone, less needs other signs beside it"
        ),
        _check_number(problems, f"{field}.level", rule.level, LEVELS, "the lowest level that is to have the rule"),
        _check_pattern(problems, f"{field}.pattern", rule.pattern),
        _check_needs(problems, f"{field}.needs", rule.needs),
        _check_known(problems, f"{field}.places", rule.places, PLACES),
        _check_known(problems, f"{field}.views", rule.views, VIEWS),
    ]
    return all(sound) and _check_examples(problems, field, rule)


def _check_text(problems: Problems, field: str, given: object) -> bool:
    return isinstance(given, str) or problems.add("AG700", field, given, "must be a text", "Write it in quotes.")


def _check_texts(problems: Problems, field: str, given: object) -> bool:
    """Check for a list of texts of any characters; Python would take a text alone for a list of its letters."""
    if isinstance(given, list | tuple):
        texts = cast("Sequence[object]", given)
        sound = [_check_text(problems, f"{field}[{index}]", text) for index, text in enumerate(texts)]
        return all(sound)
    remedy = f"Put it in brackets: [{shown(given)}]." if isinstance(given, str) else 'Give a list, such as ["a", "b"].'
    return problems.add("AG106", field, given, "must be a list of texts", remedy)


def _check_number(problems: Problems, field: str, given: object, allowed: Sequence[int], meaning: str) -> bool:
    if given in allowed and type(given) is int:
        return True
    rule = f"must be a whole number from {allowed[0]} to {allowed[-1]}"
    return problems.add("AG701", field, given, rule, f"Give one of them: {meaning}.")


def _check_known(problems: Problems, field: str, given: Sequence[str], known: Sequence[str]) -> bool:
    choices = f"There are {', '.join(known)}."
    if not given:
        return problems.add("AG705", field, given, "must name at least one", choices)
    unknown = [(index, name) for index, name in enumerate(given) if name not in known]
    for index, name in unknown:
        problems.add("AG705", f"{field}[{index}]", name, "must be known", did_you_mean(name, known) or choices)
    return not unknown


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
    repeat = _UNBOUNDED.search(bare) or next((one for one in _REPEAT.finditer(bare) if int(one[1]) > _MAX_REPEAT), None)
    if repeat is not None:
        rule = f"must repeat at most {_MAX_REPEAT} times, which {repeat[0]} does not say"
        return problems.add("AG703", field, pattern, rule, _BOUNDED.get(repeat[0], "Write {1,40}, say."))
    if is_ambiguous(pattern):
        rule = "must not share out the same text in many ways: something repeats within a repeat, or matches twice"
        remedy = "Let each round begin with a character that nothing else in it takes: (?:,[a-z]{1,9}){0,40}."
        return problems.add("AG703", field, pattern, rule, remedy)
    if ways(pattern) > _MAX_WAYS:
        rule = f"must not share out the same text among repeats in more than {_MAX_WAYS:,} ways"
        remedy = "Write fewer rounds, or let something stand between the repeats that neither of them takes."
        return problems.add("AG703", field, pattern, rule, remedy)
    return True


def _check_needs(problems: Problems, field: str, needs: Sequence[str]) -> bool:
    remedy = "Name a part of what the pattern looks for."
    if not needs:
        return problems.add("AG704", field, needs, "must name at least one text", remedy)
    wrong = [
        (index, need) for index, need in enumerate(needs) if not need.isascii() or need != need.lower() or not need
    ]
    for index, need in wrong:
        lower = f"Write {need.lower()!r}." if need and need.isascii() else remedy
        problems.add("AG704", f"{field}[{index}]", need, "must be a text in lower case and ASCII", lower)
    return not wrong


def _check_examples(problems: Problems, field: str, rule: Rule) -> bool:
    scanner = Scanner([rule])
    for is_found, examples in ((True, rule.positives), (False, rule.negatives)):
        for index, example in enumerate(examples):
            if any(scanner.scan([Value(rule.places[0], "", example)])) is not is_found:
                kind, what = ("positives", "must match") if is_found else ("negatives", "must not match")
                remedy = "Change the pattern, or the example."
                if is_found and not any(need in example.lower() for need in rule.needs):
                    remedy = f"None of needs is in it, which are {shown(rule.needs)}. {remedy}"
                return problems.add("AG706", f"{field}.{kind}[{index}]", example, what, remedy)
    if not rule.positives:
        return problems.add("AG706", f"{field}.positives", "", "must have an example", "Write one that it finds.")
    return True
