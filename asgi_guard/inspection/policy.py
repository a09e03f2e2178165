"""Policy: what becomes of what was found: which classes block, what is excluded, and from which score on.

Must never let an exclusion of one parameter, path or rule reach another one.

| id    | rule that was broken                                                             |
|-------|----------------------------------------------------------------------------------|
| AG707 | an exclusion says what it is about                                               |
| AG708 | a path begins with a slash, and is no pattern                                    |
| AG709 | a rule, or a class of rules, that there is                                       |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Literal, TypeAlias

from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.types import Scope
from asgi_guard.inspection.rule import PLACES, THRESHOLD, Place, is_id
from asgi_guard.inspection.rules import ATTACKS
from asgi_guard.inspection.verdict import Finding, score
from asgi_guard.settings import Problems

Action: TypeAlias = Literal["off", "detect", "block"]
ACTIONS: Final[tuple[Action, ...]] = ("off", "detect", "block")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """What is not counted: a finding that fits every field which is given. At least one is.

    Attributes:
        paths: under which paths, with all that is below them; as the application routes them, without the path under
            which it is mounted.
        places: where in the request, such as `body` or `cookie`.
        names: of the parameter, the cookie, the header or the key; `*` stands for anything, `comment*`. Only those of
            headers are the same in capitals.
        rules: ids of rules, or classes of them, such as `AG-SQLI-012` or `sqli`; yours too.

    Raises:
        ConfigError: a field is wrong.
    """

    paths: Sequence[str] = ()
    places: Sequence[Place] = ()
    names: Sequence[str] = ()
    rules: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = Problems("Exclusion")
        if not (self.paths or self.places or self.names or self.rules):
            remedy = "Name paths, places, names or rules; to switch all off, write validation=False."
            problems.add("AG707", "paths", self.paths, "must not be empty where all others are", remedy)
        check_prefixes(problems, "paths", self.paths, "AG708")
        if problems.sequence_of_text("places", self.places):
            for index, place in enumerate(self.places):
                problems.choice(f"places[{index}]", place, PLACES)
        problems.sequence_of_text("names", self.names, ascii_only=False)  # forms and JSON have them in any language
        if problems.sequence_of_text("rules", self.rules):
            for index, rule in enumerate(self.rules):
                if not is_id(rule.upper()) and not rule.islower():  # which ones there are, the validation knows
                    remedy = f"Write an id such as AG-SQLI-012, or one of {', '.join(ATTACKS)}."
                    problems.add("AG709", f"rules[{index}]", rule, "must be a rule or a class", remedy)
        problems.raise_if_any()


class Judgement:
    """What the findings in one value come to.

    Attributes:
        findings: those that count, the gravest first.
        score: their sum.
        blocks: whether the request is refused for them.
    """

    __slots__ = ("blocks", "findings", "score")

    def __init__(self, findings: Sequence[Finding], *, blocks: bool) -> None:
        self.findings: Sequence[Finding] = sorted(findings, key=lambda finding: -finding.rule.score)
        self.score: int = score(findings)
        self.blocks: bool = blocks

    @property
    def attack(self) -> str:
        """The class that speaks loudest."""
        return self.findings[0].rule.attack


class Policy:
    """Judges findings.

    Args:
        level: from 1 to 3.
        actions: what is done about a class, where it is not to block.
        exclusions: what is not counted.
    """

    __slots__ = ("_detected", "_exclusions", "_threshold")

    def __init__(self, level: int, actions: Mapping[str, Action], exclusions: Iterable[Exclusion]) -> None:
        self._threshold = THRESHOLD[level]
        self._detected = frozenset(attack for attack, action in actions.items() if action == "detect")
        self._exclusions = [
            (one, [_only_stars(name) for name in one.names], Prefixes(one.paths) if one.paths else None)
            for one in exclusions
        ]

    def judge(self, findings: Sequence[Finding], scope: Scope) -> Judgement | None:
        """Return what the findings in one value come to; None where that is nothing.

        Args:
            findings: of one value.
            scope: of the request, for the path that an exclusion is about.
        """
        counted = [finding for finding in findings if self.excluded_by(finding, scope) is None]
        if score(counted) < self._threshold:
            return None
        blocking = [finding for finding in counted if finding.rule.attack not in self._detected]
        if score(blocking) >= self._threshold:
            return Judgement(blocking, blocks=True)
        return Judgement(counted, blocks=False)

    def excluded_by(self, finding: Finding, scope: Scope) -> int | None:
        """Return which exclusion leaves a finding out, from 0 on: the first that fits; None where it counts."""
        for number, (one, names, prefixes) in enumerate(self._exclusions):
            if (
                (not one.places or finding.place in one.places)
                and (not one.rules or finding.rule.id in one.rules or finding.rule.attack in one.rules)
                and (not names or any(_is_called(finding, name) for name in names))
                and (prefixes is None or prefixes.cover(scope))
            ):
                return number
        return None


def _is_called(finding: Finding, name: str) -> bool:
    """Compare names; those of headers have no case (RFC 9110 section 5.1)."""
    return fnmatchcase(finding.name, name.lower() if finding.place == "header" else name)


def _only_stars(name: str) -> str:
    """Let brackets and question marks in a name stand for themselves: `user[bio]` is a parameter."""
    return name.replace("[", "[[]").replace("?", "[?]")
