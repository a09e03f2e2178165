"""Settings: what is validated, how strictly, and what becomes of what was found.

Must never take a rule that would let a client choose how long it takes.

| id    | rule that was broken                                               |
|-------|--------------------------------------------------------------------|
| AG710 | a table of classes, each `off`, `detect` or `block`                |
| AG711 | a list of exclusions                                               |
| AG712 | a list of rules                                                    |
| AG713 | the status of a refusal is 400 or 403                              |
| AG714 | a rule of yours has an id of its own, and not one of the package's |
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypedDict

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.inspection.engines import Engine, has_re2
from asgi_guard.inspection.limits import Limits
from asgi_guard.inspection.policy import ACTIONS, Action, Exclusion
from asgi_guard.inspection.rule import LEVELS, Rule, is_id
from asgi_guard.inspection.rules import ATTACKS, load
from asgi_guard.settings import Problems, did_you_mean

MODES: Final = ("block", "detect")

_RESERVED: Final = "AG-"

_BODY_BYTES: Final[Mapping[Engine, int]] = MappingProxyType({"re2": 262_144, "re": 131_072})


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Settings of the validation.

    Attributes:
        level: 1 balanced, 2 strict, 3 paranoid: which rules are looked for, and how sure they must be together.
        mode: `detect` refuses nothing, and tells the listeners what it would have refused.
        attacks: classes of attack that are `off`, only to `detect`, or to `block`, which is the default of each.
        exclude: what is not counted.
        rules: rules of your own, beside those of the package.
        on_limit: `refuse` what goes on beyond what is looked at, or `flag` it and let it pass.
        status: of a refusal: 400 or 403.
        websocket_messages: look at the text messages of WebSockets as well; one with an attack closes it with 1008.
            Each is looked at in one step, so that a long one keeps the loop for as long as its look takes.
        max_body_bytes: of a body that are looked at, 1,024 to 16,777,216, and of what it inflates to; None is 262,144
            with the extra `re2` and 131,072 without. The files of a multipart body do not count.
        max_fields: parameters of a query or a form, or cookies, 1 to 100,000.
        max_depth: of JSON, XML and GraphQL, 1 to 512.
        max_leaves: texts and names of a JSON or XML document, 1 to 1,000,000.
        max_parts: of a multipart body, 1 to 10,000.
        max_aliases: in a GraphQL document, 1 to 10,000.
        excerpts: let events carry the part of the value that was found, redacted: letters and digits are hidden, but
            for the literals of the rules.
        engine: `re2` or `re`; None takes the extra where it is installed.

    Raises:
        ConfigError: a field is wrong.
    """

    level: int = 1
    mode: Literal["block", "detect"] = "block"
    attacks: Mapping[str, Action] = field(default_factory=dict[str, Action])
    exclude: Sequence[Exclusion] = ()
    rules: Sequence[Rule] = ()
    on_limit: Literal["refuse", "flag"] = "refuse"
    status: int = 400
    websocket_messages: bool = False
    max_body_bytes: int | None = None
    max_fields: int = 1_000
    max_depth: int = 32
    max_leaves: int = 16_384
    max_parts: int = 100
    max_aliases: int = 50
    excerpts: bool = False
    engine: Engine | None = None

    def __post_init__(self) -> None:
        problems = Problems("Validation")
        if self.level not in LEVELS or type(self.level) is not int:
            rule, remedy = "must be 1 (balanced), 2 (strict) or 3 (paranoid)", "Write the number, without quotes."
            problems.add("AG101", "level", self.level, rule, remedy)
        problems.choice("mode", self.mode, MODES)
        problems.choice("on_limit", self.on_limit, ("refuse", "flag"))
        if self.status not in (400, 403):
            problems.add("AG713", "status", self.status, "must be 400 or 403", "Write 400, or 403.")
        problems.boolean("websocket_messages", self.websocket_messages)
        problems.boolean("excerpts", self.excerpts)
        if self.max_body_bytes is not None:
            problems.integer("max_body_bytes", self.max_body_bytes, minimum=1_024, maximum=16_777_216)
        problems.integer("max_fields", self.max_fields, minimum=1, maximum=100_000)
        problems.integer("max_depth", self.max_depth, minimum=1, maximum=512)
        problems.integer("max_leaves", self.max_leaves, minimum=1, maximum=1_000_000)
        problems.integer("max_parts", self.max_parts, minimum=1, maximum=10_000)
        problems.integer("max_aliases", self.max_aliases, minimum=1, maximum=10_000)
        if self.engine is not None:
            problems.choice("engine", self.engine, ("re2", "re"))
        own: dict[str, str] = {}  # the classes of rules of one's own, by their ids
        if _check_list(problems, "AG712", "rules", self.rules, Rule) and self.rules:
            from asgi_guard.inspection.check import check_rules  # with all that it tries them on

            if check_rules(problems, self.rules):
                _check_ids(problems, self.rules)
            own = {rule.id: rule.attack for rule in self.rules if {type(rule.id), type(rule.attack)} == {str}}
        classes = {*ATTACKS, *own.values()}
        _check_attacks(problems, self.attacks, classes)
        if _check_list(problems, "AG711", "exclude", self.exclude, Exclusion):
            _check_exclusions(problems, self.exclude, {*classes, *own})
        problems.raise_if_any()
        if self.engine == "re2" and not has_re2():
            raise MissingExtraError('Validation(engine="re2")', "re2")

    @property
    def limits(self) -> Limits:
        """The limits, with what the engine makes of those that are not given."""
        engine = self.engine or ("re2" if has_re2() else "re")
        return Limits(
            body_bytes=self.max_body_bytes or _BODY_BYTES[engine],
            fields=self.max_fields,
            depth=self.max_depth,
            leaves=self.max_leaves,
            parts=self.max_parts,
            aliases=self.max_aliases,
        )


class ValidationFields(TypedDict, total=False):
    """The fields of `Validation`, for keyword arguments."""

    level: int
    mode: Literal["block", "detect"]
    attacks: Mapping[str, Action]
    exclude: Sequence[Exclusion]
    rules: Sequence[Rule]
    on_limit: Literal["refuse", "flag"]
    status: int
    websocket_messages: bool
    max_body_bytes: int | None
    max_fields: int
    max_depth: int
    max_leaves: int
    max_parts: int
    max_aliases: int
    excerpts: bool
    engine: Engine | None


def _check_ids(problems: Problems, rules: Sequence[Rule]) -> None:
    """Refuse an id that another rule has, or may have one day: what is excluded by it would be two things."""
    first: dict[str, int] = {}
    for index, rule in enumerate(rules):
        field = f"rules[{index}].id"
        if rule.id.startswith(_RESERVED):
            remedy = f"Write one such as OWN-{rule.id.removeprefix(_RESERVED)}."
            problems.add(
                "AG714", field, rule.id, f"must not begin with {_RESERVED}, as those of the package do", remedy
            )
        elif first.setdefault(rule.id, index) != index:
            remedy = f"Give another one to this rule, or to rules[{first[rule.id]}]."
            problems.add("AG714", field, rule.id, "must be the id of one rule", remedy)


def _check_attacks(problems: Problems, attacks: Mapping[str, Any], known: Collection[str]) -> None:
    given: object = attacks
    if not isinstance(given, Mapping):
        rule, remedy = "must be a table of classes", 'Write {"ssrf": "off"}, say: each off, detect or block.'
        problems.add("AG710", "attacks", attacks, rule, remedy)
        return
    for attack, action in attacks.items():
        if attack not in known:
            remedy = did_you_mean(attack, known) or f"The classes are: {', '.join(sorted(known))}."
            if isinstance(attack, str) and is_id(attack.upper()):
                remedy = f"To switch one rule off, write Exclusion(rules=[{attack!r}])."
            problems.add("AG710", "attacks", attack, "must name classes that there are", remedy)
        elif action not in ACTIONS:
            problems.add("AG710", f"attacks.{attack}", action, "must be off, detect or block", "Write one of them.")


def _check_exclusions(problems: Problems, exclusions: Sequence[Exclusion], known: Collection[str]) -> None:
    """Check for rules and classes that there are: a misspelt one would exclude nothing, and nobody would see why."""
    named = {rule for exclusion in exclusions for rule in exclusion.rules}
    if not named <= {*known}:  # only then, since to load them all takes a while
        known = {*known, *(rule.id for rule in load())}
    for index, exclusion in enumerate(exclusions):
        for place, rule in enumerate(exclusion.rules):
            if rule not in known:
                classes = sorted(name for name in known if not is_id(name))
                remedy = (
                    did_you_mean(rule, known) or f"Write an id such as AG-SQLI-012, or one of {', '.join(classes)}."
                )
                problems.add("AG709", f"exclude[{index}].rules[{place}]", rule, "must be a rule or a class", remedy)


def _check_list(problems: Problems, problem_id: str, field: str, given: Sequence[Any], item: type[Any]) -> bool:
    listed: object = given
    if isinstance(listed, list | tuple) and all(isinstance(one, item) for one in given):
        return True
    rule, remedy = f"must be a list of {item.__name__}s", f"Write [{item.__name__}(...)]."
    return problems.add(problem_id, field, given, rule, remedy)
