"""Settings that cannot work do not start: every problem is found, and all of them are told at once.

A settings class checks itself in `__post_init__`:

    problems = Problems("RateLimit")
    problems.integer("max_keys", self.max_keys, minimum=1)
    problems.raise_if_any()

Rule 1: a check never raises and never stops at the first problem; `raise_if_any` raises one `ConfigError` for all.
Rule 2: an id, once given, keeps its meaning; a retired id is not used again. 101 to 199 are the table below; those from
200 on belong to the parts, each of which has its own table.
Rule 3: the value of a field that holds a secret is never shown, nor is that of a field whose name is not known: it may
be a secret under a misspelt name.

| id    | rule that was broken                                                        |
|-------|-----------------------------------------------------------------------------|
| AG101 | an integer (not a bool), within its bounds                                  |
| AG102 | a finite number (not a bool), within its bounds                             |
| AG103 | True or False                                                               |
| AG104 | text: not empty, not too long, printable ASCII unless said otherwise        |
| AG105 | one of the choices                                                          |
| AG106 | a sequence of texts; a bare string is not one                               |
| AG107 | a header name: a token (RFC 9110 section 5.6.2)                             |
| AG108 | a header value: no control characters, no blanks around it (section 5.5)    |
| AG109 | something that can be called                                                |
| AG110 | a field that the part has                                                   |
| AG111 | no required field left out                                                  |
| AG112 | a part is given as True, as its settings, or by fields; not in two ways     |
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import partial
from reprlib import Repr
from typing import TYPE_CHECKING, Final, TypeGuard, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SettingsT = TypeVar("SettingsT", bound="DataclassInstance")

HIDDEN: Final = "<hidden>"
"""Stands for a value that must not be shown."""

SHOWN_LENGTH: Final = 80
"""The characters shown of any other value."""

_LIST_RULE: Final = "must be a list of texts"
_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings.

    Attributes:
        id: stable name of the broken rule, such as `AG101`.
        field: dotted path of the field, such as `CORS.origins[2]`.
        value: what was given, as Python shows it, at most 80 characters; `<hidden>` where it is a secret; empty where
            there is nothing to show.
        rule: what is allowed, as the rest of a sentence that begins with the field.
        remedy: what to do, as a sentence.
    """

    id: str
    field: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        given = f", not {self.value}" if self.value else ""
        return f"{self.id} {self.field} {self.rule}{given}. {self.remedy}"


class Problems:
    """Collects what is wrong with one settings object.

    Every check takes the name of the field and its value, and returns True when the value is sound, so that a check
    that builds on another can be left out. `None` is a value like any other: ask before the check where it means "off".

    Args:
        subject: the name of the settings class; the paths of its fields begin with it.
        secrets: the fields whose values are never shown.
    """

    __slots__ = ("_found", "_secrets", "_subject")

    def __init__(self, subject: str, *, secrets: Collection[str] = ()) -> None:
        self._subject = subject
        self._secrets = frozenset(secrets)
        self._found: list[Problem] = []

    @property
    def found(self) -> tuple[Problem, ...]:
        """The problems so far, in the order in which they were found."""
        return tuple(self._found)

    def raise_if_any(self) -> None:
        """Raise when at least one problem was found.

        Raises:
            ConfigError: lists every problem.
        """
        if self._found:
            # At run time, since `errors` stands above the settings and reads `Problem` from here.
            from asgi_guard.errors.exceptions import ConfigError

            raise ConfigError(self._found)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over the problems of another settings object."""
        self._found.extend(problems)

    def add(self, problem_id: str, field: str, value: object, rule: str, remedy: str) -> bool:
        """Note a problem that no check below finds; return False.

        Args:
            problem_id: its stable id.
            field: the field's name within the settings, such as `origins[2]`.
            value: what was given; shown unless the field is a secret.
            rule: what is allowed, as the rest of a sentence that begins with the field.
            remedy: what to do, as a sentence.
        """
        self._found.append(Problem(problem_id, f"{self._subject}.{field}", self._shown(field, value), rule, remedy))
        return False

    def integer(self, field: str, value: object, minimum: int | None = None, maximum: int | None = None) -> bool:
        """Check for an integer within its bounds, both inclusive; a bool is none."""
        if isinstance(value, int) and not isinstance(value, bool) and _within(value, minimum, maximum):
            return True
        rule = f"must be an integer{_bounds(minimum, maximum)}"
        return self.add("AG101", field, value, rule, _number_remedy(value))

    def number(self, field: str, value: object, minimum: float | None = None, maximum: float | None = None) -> bool:
        """Check for a finite int or float within its bounds, both inclusive; a bool is none."""
        if isinstance(value, int | float) and not isinstance(value, bool) and _within(value, minimum, maximum):
            return True
        rule = f"must be a finite number{_bounds(minimum, maximum)}"
        return self.add("AG102", field, value, rule, _number_remedy(value))

    def boolean(self, field: str, value: object) -> bool:
        """Check for True or False; 0, 1 and `"false"` are neither."""
        if isinstance(value, bool):
            return True
        return self.add("AG103", field, value, "must be True or False", "Write True or False, without quotes.")

    def text(self, field: str, value: object, *, max_length: int = 256, ascii_only: bool = True) -> bool:
        """Check for text that is not empty, not longer than `max_length` characters, and printable throughout."""
        kind = "printable ASCII" if ascii_only else "printable"
        if not isinstance(value, str):
            remedy = "Write it in quotes."
        elif not value:
            remedy = "Give at least one character."
        elif len(value) > max_length:
            remedy = "Shorten it."
        elif not value.isprintable() or (ascii_only and not value.isascii()):
            remedy = f"Leave out what is not {kind}."
        else:
            return True
        return self.add("AG104", field, value, f"must be {kind} text of 1 to {max_length} characters", remedy)

    def choice(self, field: str, value: object, choices: Collection[str]) -> bool:
        """Check for one of the choices; the remedy guesses which one was meant."""
        if isinstance(value, str) and value in choices:
            return True
        rule = f"must be one of {', '.join(map(repr, choices))}"
        return self.add("AG105", field, value, rule, did_you_mean(value, choices) or "Choose one of them.")

    def sequence_of_text(
        self, field: str, value: object, *, minimum: int = 0, max_length: int = 256, ascii_only: bool = True
    ) -> bool:
        """Check for a list, tuple or set of at least `minimum` texts, each as `text` wants it.

        A bare string is refused: Python would take each of its characters for an item, and no type checker objects.
        """
        if isinstance(value, str):
            return self.add("AG106", field, value, _LIST_RULE, f"Put it in brackets: [{self._shown(field, value)}].")
        if not _is_list(value):
            return self.add("AG106", field, value, _LIST_RULE, 'Give a list, such as ["a", "b"].')
        if len(value) < minimum:
            return self.add("AG106", field, value, f"must have at least {minimum} item(s)", "Add what is missing.")
        # Every item is looked at, also those after the first bad one.
        check = partial(self.text, max_length=max_length, ascii_only=ascii_only)
        sound = [check(f"{field}[{index}]", item) for index, item in enumerate(value)]
        return all(sound)

    def header_name(self, field: str, value: object) -> bool:
        """Check for a header name (RFC 9110 section 5.1: a token)."""
        if isinstance(value, str) and value and _TOKEN.issuperset(value):
            return True
        rule = "must be a header name: letters, digits and !#$%&'*+-.^_`|~"
        return self.add("AG107", field, value, rule, 'Give the name alone, such as "X-Request-ID".')

    def header_value(self, field: str, value: object) -> bool:
        """Check for a header value (RFC 9110 section 5.5).

        CR, LF and NUL would let whoever wrote the value split the response; servers refuse the rest.
        """
        if isinstance(value, str) and value == value.strip(" \t") and all(map(_may_stand_in_a_value, value)):
            return True
        rule = "must be a header value: latin-1, no control characters, no blanks around it"
        return self.add("AG108", field, value, rule, "Write it on one line; percent-encode what is not latin-1.")

    def known(self, given: Iterable[str], known: Collection[str]) -> bool:
        """Check that every name is one of those that are known; the remedy guesses which one was meant."""
        unknown = [name for name in given if name not in known]
        for name in unknown:
            remedy = did_you_mean(name, known) or f"The fields are: {', '.join(known)}."
            self.extend([Problem("AG110", f"{self._subject}.{name}", "", "is not a field", remedy)])
        return not unknown

    def callable(self, field: str, value: object) -> bool:
        """Check for something that can be called."""
        if callable(value):
            return True
        return self.add("AG109", field, value, "must be something that can be called", "Pass the function itself.")

    def _shown(self, field: str, value: object) -> str:
        return HIDDEN if field.partition("[")[0] in self._secrets else shown(value)


def build(settings_class: type[SettingsT], given: object, by_name: Mapping[str, object]) -> SettingsT:
    """Make the settings of a part from whichever form they were given in.

    Args:
        settings_class: the part's settings, a dataclass that checks itself.
        given: an instance of it; or True or None, for what `by_name` and the defaults say.
        by_name: the part's fields by name.

    Returns:
        The instance that was given, or a new one.

    Raises:
        ConfigError: two forms at once; unknown fields (with those that were likely meant) and missing ones; and, unless
            one is missing, whatever the class itself finds.
    """
    from asgi_guard.errors.exceptions import ConfigError

    subject = settings_class.__name__
    if given is not None and given is not True:
        if not isinstance(given, settings_class):
            # Its type alone: what stands in the wrong place may be a secret.
            what = "the class itself" if given is settings_class else f"a value of type {_name(given)}"
            rule, value = "must be given as True, as an instance, or by its fields", what
        elif by_name:
            rule, value = "must be given as an instance or by its fields", "both"
        else:
            return given
        raise ConfigError(
            [Problem("AG112", subject, value, rule, f"Write {subject}(...), with the fields that differ.")]
        )

    known = {field.name: field for field in fields(settings_class) if field.init}
    problems = Problems(subject)
    problems.known(by_name, known)
    missing = [
        Problem("AG111", f"{subject}.{name}", "", "is required", f"Give it: {name}=...")
        for name, field in known.items()
        if name not in by_name and field.default is MISSING and field.default_factory is MISSING
    ]
    if missing:
        problems.extend(missing)
        problems.raise_if_any()
    try:
        settings = settings_class(**{name: value for name, value in by_name.items() if name in known})
    except ConfigError as error:
        problems.extend(error.problems)
        raise ConfigError(problems.found) from None
    problems.raise_if_any()
    return settings


_repr: Final = Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = SHOWN_LENGTH


def shown(value: object) -> str:
    """Return a value as Python shows it, cut to 80 characters; the name of its type where that fails."""
    try:
        text = _repr.repr(value)
    except Exception:  # noqa: BLE001  a value that cannot be shown must not hide the problem it has
        text = _name(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."


def _name(value: object) -> str:
    return type(value).__name__


def _is_list(value: object) -> TypeGuard[Collection[object]]:
    return isinstance(value, list | tuple | set | frozenset)


def _within(value: float, minimum: float | None, maximum: float | None) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return (minimum is None or value >= minimum) and (maximum is None or value <= maximum)


def _bounds(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum} to {maximum}"
    if minimum is not None:
        return f" of at least {minimum}"
    return "" if maximum is None else f" of at most {maximum}"


def _number_remedy(value: object) -> str:
    if isinstance(value, str):
        return "Write it without quotes."
    if isinstance(value, bool):
        return "True and False are not numbers here."
    return "Give a number that keeps to this."


def _may_stand_in_a_value(character: str) -> bool:
    return " " <= character <= "~" or character == "\t" or "\x80" <= character <= "\xff"


def did_you_mean(word: object, known: Collection[str]) -> str | None:
    """Return the question that guesses which of those that are known was meant; None where none is near."""
    if not isinstance(word, str):
        return None
    from difflib import get_close_matches  # slow to import, and needed only where something is wrong

    by_plain_name = {_plain(name): name for name in known}
    close = get_close_matches(_plain(word), by_plain_name, n=1)
    return f"Did you mean {by_plain_name[close[0]]!r}?" if close else None


def _plain(name: str) -> str:
    """Forget how the name is written elsewhere: --max-keys, MAX_KEYS."""
    return name[:64].strip("-").lower().replace("-", "_")
