"""Reader: makes keyword arguments of tables, and tells every problem where the user wrote it.

Rule 1: each field is looked at, whatever is wrong with the others, and what the parts' own checks find is told together
with what is found here: under the name that the user wrote, in the file or in the environment.
Rule 2: the value of a name that is not known is never shown, nor is what stands where a table should: either may be a
secret in the wrong place.

| id    | rule that was broken                                              |
|-------|-------------------------------------------------------------------|
| AG500 | the settings are a mapping                                        |
| AG501 | a part is true, false, a table of its fields, or its short form   |
| AG502 | what only code can give is given in code                          |
| AG503 | a value is of a type that the field takes                         |
| AG504 | a value is one that its class takes                               |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from asgi_guard.config.kinds import Kind, is_data, is_list, is_table, kinds_of
from asgi_guard.config.part import Part
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem, Problems, build

T = TypeVar("T")
Parts = Mapping[str, Part]

_BOUNDARY: Final = re.compile(r"[.\[]|$")
_ROOT: Final = "Guard"
_REFUSED: Final = object()
_IN_A_FILE: Final = {"AG103": "Write true or false, without quotes."}
_FORMS: Final = {str: "a text", list: "a list"}


@dataclass(slots=True)
class Source:
    """Settings as somebody wrote them.

    Attributes:
        values: what is said of each part.
        names: how a path was written, where it is not the path itself: `cors.origins` as `ASGI_GUARD_CORS`.
        remedies: what to do about the value at a path, if the part finds that it is wrong.
        problems: what is wrong already.
        asides: the parts of which nothing is said but a field by its short name, which switches no part on.
        spell: writes a path that nobody has written.
    """

    values: dict[str, Any]
    names: dict[str, str] = field(default_factory=dict[str, str])
    remedies: dict[str, str] = field(default_factory=dict[str, str])
    problems: list[Problem] = field(default_factory=list[Problem])
    asides: set[str] = field(default_factory=set[str])
    spell: Callable[[str], str] = str

    def over(self, below: Source, parts: Parts) -> Source:
        """Return both; where both say something of a field, or of a part that has none, this one is right."""
        values = {**below.values, **self.values}
        for name in self.values.keys() & below.values.keys():
            part = parts.get(name)
            if name in self.asides and below.values[name] is False:
                values[name] = False
                continue
            tables = [] if part is None else [below.fields(name, part), self.fields(name, part)]
            if tables and None not in tables:
                values[name] = {field: value for table in tables if table for field, value in table.items()}
        names, remedies = {**below.names, **self.names}, {**below.remedies, **self.remedies}
        return Source(values, names, remedies, below.problems + self.problems, spell=below.spell)

    def fields(self, name: str, part: Part) -> dict[str, Any] | None:
        """Return the fields of a part that are set, be it by a short form; None where there are none to set."""
        value = self.values[name]
        table = None if part.is_several(value) else part.table(value)
        if table and not is_table(value):
            self.names.update(dict.fromkeys([f"{name}.{field}" for field in table], self.names.get(name, name)))
        return table


class Configuration:
    """Keyword arguments for a guard, and what is wrong with the rest.

    Args:
        source: what was written.
        parts: the standard stack.

    Attributes:
        parts: the keyword arguments that could be made.
        problems: what is wrong with the others.
    """

    def __init__(self, source: Source, parts: Parts) -> None:
        self._names = dict(source.names)
        self._remedies = dict(source.remedies)
        self._spell = source.spell
        self._paths = {_ROOT: ""}  # what a problem calls the settings, and the path at which they stand
        self.problems: list[Problem] = list(source.problems)
        self.parts: dict[str, Any] = {}
        unknown = Problems(_ROOT)
        unknown.known(map(str, source.values), parts)
        self._note(unknown.found, _ROOT, "")
        for name, value in source.values.items():
            if name in parts:
                self._read(name, parts[name], value)

    def apply(self, make: Callable[..., T], /, **given: Any) -> T:
        """Call what takes the keyword arguments, and tell its problems together with those found before.

        Args:
            make: called in any case, so it must change nothing: a constructor.
            given: further arguments, which win over those that were configured.

        Raises:
            ConfigError: lists every problem.
        """
        try:
            made = make(**{**self.parts, **given})
        except ConfigError as error:
            ours = self.parts.keys() - given.keys()
            raise ConfigError([*self.problems, *self._placed(error.problems, ours)]) from None
        if self.problems:
            raise ConfigError(self.problems)
        return made

    def _placed(self, problems: Iterable[Problem], ours: Collection[str]) -> Iterator[Problem]:
        """Name what was configured as the user wrote it; what was given in code keeps its name."""
        for problem in problems:
            subject, *rest = _BOUNDARY.split(problem.field)
            part = rest[0] if subject == _ROOT else self._paths.get(subject)
            yield self._at(self._paths[subject], subject, problem) if part in ours else problem

    def _read(self, name: str, part: Part, value: Any) -> None:
        """Make what the guard takes under a name."""
        if isinstance(value, bool):
            self.parts[name] = value
            return
        self._paths[part.settings_class.__name__] = name
        if part.is_several(value):
            several, _, listed = part.many.partition(".")
            self._paths[several] = name
            self._names[f"{name}.{listed}"] = self._name(name)
            made: Any = [self._one(f"{name}[{at}]", part, one) for at, one in enumerate(value)]
            is_made = None not in made
        else:
            made = self._one(name, part, value)
            is_made = made is not None
        if is_made:
            self.parts[name] = made

    def _one(self, path: str, part: Part, value: Any) -> Any:
        """Make the settings of a part; None where that fails."""
        settings_class = part.settings_class
        if isinstance(value, settings_class):
            return value
        table = None if isinstance(value, bool) else part.table(value)
        if table is None:
            forms = [told for form, told in _FORMS.items() if form in part.forms]
            rule = f"must be {', '.join(['true', 'false', *forms])} or a table of its fields"
            return self._refuse("AG501", path, value, rule, "Write it in one of these forms.")
        if part.short_form(value):
            short = f"{path}.{part.short}"
            names = [short, f"{short}[0]"] if part.wraps and isinstance(value, str) else [short]
            self._names |= dict.fromkeys(names, self._name(path))
            self._remedies |= {short: self._remedies[path]} if path in self._remedies else {}
        return self._settings(path, settings_class, table)

    def _settings(
        self, path: str, settings_class: type[Any], table: Mapping[Any, Any], *, is_inner: bool = False
    ) -> Any:
        """Make settings of a table of their fields; None where that fails.

        Of those that stand in others the fields without a problem are made, so that the others' checks see them; what
        comes of it is never used, since a problem was told.
        """
        kinds = kinds_of(settings_class)
        by_name = {
            str(name): self._value(f"{path}.{name}", kinds[name], value) if name in kinds else value
            for name, value in table.items()
        }
        sound = {name: value for name, value in by_name.items() if value is not _REFUSED}
        try:
            return build(settings_class, None, sound)
        except ConfigError as error:
            subject = settings_class.__name__
            refused = {f"{subject}.{name}" for name in by_name.keys() - sound.keys()}  # said already; not missing
            self._note([problem for problem in error.problems if problem.field not in refused], subject, path)
            wrong = {_BOUNDARY.split(problem.field.removeprefix(f"{subject}."))[0] for problem in error.problems}
            if is_inner:
                with suppress(Exception):  # whatever a check stumbles over, the problem is told
                    return build(
                        settings_class, None, {name: value for name, value in sound.items() if name not in wrong}
                    )
        except Exception as error:  # a check that stumbles over a type that it never expected
            misfits = [name for name, kind in kinds.items() if name in sound and not kind.fits(sound[name])]
            for name in misfits:
                rule = f"must be {kinds[name].words}"
                self._refuse("AG503", f"{path}.{name}", sound[name], rule, "Write it in this form.")
            if not misfits:
                if not isinstance(error, ValueError):
                    raise
                self._refuse("AG504", path, None, f"cannot be used: {error}", "Write what keeps to this.")
        return None

    def _value(self, path: str, kind: Kind, value: Any) -> Any:
        """Return the value for a field, with the settings in it made; `_REFUSED` where it has none."""
        if kind.is_code and is_data(value):
            remedy = f"Leave it out here, and give {_BOUNDARY.split(path)[0]}=... in code."
            self._refuse("AG502", path, value, "can only be given in code", remedy)
            return _REFUSED
        value = kind.plain(value)
        if is_table(value) and kind.settings:
            made = self._settings(path, kind.settings, value, is_inner=True)
            return _REFUSED if made is None else made
        if is_table(value) and kind.value:
            inner = {name: self._value(f"{path}[{name}]", kind.value, one) for name, one in value.items()}
            return _REFUSED if _REFUSED in inner.values() else inner
        if is_list(value) and kind.item:
            items = self._items(path, [self._value(f"{path}[{at}]", kind.item, one) for at, one in enumerate(value)])
            return _REFUSED if value and not items else items if isinstance(value, list) else tuple(items)
        return value

    def _items(self, path: str, items: list[Any]) -> list[Any]:
        """Return the items that are left for the checks of all of them, each of which keeps the name that it had."""
        left = [at for at, item in enumerate(items) if item is not _REFUSED]
        for now, before in enumerate(left):
            if now != before:
                self._names[f"{path}[{now}]"] = self._name(f"{path}[{before}]")
        return [items[at] for at in left]

    def _refuse(self, problem_id: str, path: str, value: Any, rule: str, remedy: str) -> None:
        """Note a problem that is found here. Of a value its type is told: it may be a secret in the wrong place."""
        given = "" if value is None else f"a value of type {type(value).__name__}"
        self.problems.append(self._at(path, "", Problem(problem_id, "", given, rule, remedy)))

    def _note(self, problems: Iterable[Problem], subject: str, path: str) -> None:
        self.problems += [self._at(path, subject, problem) for problem in problems]

    def _at(self, path: str, subject: str, problem: Problem) -> Problem:
        """Return a problem of what is called `subject`, and stands at `path`, under the name that the user wrote."""
        field = problem.field.removeprefix(subject)
        dot = "." if field and field[0] not in ".[" else ""  # a part of the settings has told it, under its own name
        place = f"{path}{dot}{field}".removeprefix(".")
        remedy = self._remedies.get(place) or _IN_A_FILE.get(problem.id) or problem.remedy
        return replace(problem, field=self._name(place), remedy=remedy)

    def _name(self, path: str) -> str:
        for boundary in reversed([*_BOUNDARY.finditer(path)]):
            if (written := self._names.get(path[: boundary.start()])) is not None:
                return written + path[boundary.start() :]
        return self._spell(path)
