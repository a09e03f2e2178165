"""Part: one place in the standard stack, and the forms in which it may be given.

A part is given as True, as its settings, as a table of their fields, or in a short form: the one field that matters.
Must never import what a part is made of before the part is wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from asgi_guard.engine.layer import Layer
from asgi_guard.settings import build

PREFIX: Final = "ASGI_GUARD_"
"""What the names of the environment begin with."""


@dataclass(frozen=True, slots=True)
class Part:
    """One place in the standard stack.

    Attributes:
        load: returns the classes of its settings and of its layer; imports them where the part is off until set.
        short: the field that a short form stands for.
        forms: the types of a short form; none where there is no such form.
        wraps: whether a text alone stands for a list of it.
        many: what problems call the list of settings of a part that may be given several times; empty for the others.
        words: texts that stand for fields, such as `"local"`; None for none.
        takes_table: whether code may give a table of its fields as well, as files do.
        default: makes the layer of a part that is given as True, where that is not what its settings' defaults say.
    """

    load: Callable[[], tuple[type[Any], Callable[[Any], Layer]]]
    short: str = ""
    forms: tuple[type[Any], ...] = ()
    wraps: bool = False
    many: str = ""
    words: Mapping[str, Mapping[str, Any]] | None = None
    takes_table: bool = False
    default: Callable[[], Layer] | None = None

    @property
    def settings_class(self) -> type[Any]:
        """The class of its settings."""
        return self.load()[0]

    def make(self, given: Any) -> Layer:
        """Make the layer.

        Args:
            given: True, the settings, a short form, or a list of settings where there may be several.

        Raises:
            ConfigError: it cannot be made of what was given.
        """
        if given is True and self.default is not None:
            return self.default()
        settings_class, layer_class = self.load()
        if self.is_several(given):
            return layer_class(given)
        short = self.short_form(given)
        return layer_class(build(settings_class, None if short else given, short))

    def is_several(self, given: Any) -> bool:
        """Tell whether it is given several times; a list of nothing but short forms is itself one."""
        if not self.many or not isinstance(given, list | tuple):
            return False
        return any(isinstance(one, Mapping | self.settings_class) for one in cast("list[Any]", given))

    def short_form(self, given: Any) -> dict[str, Any]:
        """Return the fields that a short form stands for, by their names; nothing where `given` is none."""
        if self.words and isinstance(given, str) and given in self.words:
            return {**self.words[given]}
        if not isinstance(given, self.forms):
            return {}
        return {self.short: [given] if self.wraps and isinstance(given, str) else given}

    def table(self, given: Any) -> dict[str, Any] | None:
        """Return the fields that `given` says something of; None where it is no table, no short form and not True."""
        if given is True:
            return {}
        if isinstance(given, Mapping):
            return dict(cast("Mapping[str, Any]", given))
        return self.short_form(given) or None
