"""Shapes: how data of a type is made, from annotations and from what models say of themselves.

Models are known by what they have (`model_fields`, `__mapper__`): neither pydantic nor SQLAlchemy is imported.
Rule 1: what a model refuses is raised as the model raises it; no field is made that was given.
Rule 2: types that hold themselves end: five levels down there are no more items and no more optional ones.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from asgi_guard.testing.values import Values

MAX_DEPTH: Final = 5
_LISTS: Final[dict[Any, Callable[..., Any]]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    abc.Sequence: list,
    abc.Iterable: list,
    abc.Set: set,
    abc.Collection: list,
    abc.MutableSequence: list,
}
_BY_NAME: Final[Mapping[str, Callable[[Values], str]]] = {
    "email": Values.email,
    "name": Values.name,
    "iban": Values.iban,
}


class Maker:
    """Makes data of types.

    Args:
        values: where the values come from.
    """

    def __init__(self, values: Values) -> None:
        self._values = values
        self._plain: dict[Any, Callable[[dict[str, Any]], Any]] = {
            int: self._integer,
            float: lambda bounds: float(self._integer(bounds)) if bounds else values.random.uniform(-1000, 1000),
            bool: lambda _: values.random.random() < 0.5,
            str: self._text,
            bytes: lambda bounds: self._text(bounds).encode(),
            Decimal: self._amount,
            datetime: lambda _: values.timestamp(),
            date: lambda _: values.timestamp().date(),
            time: lambda _: values.timestamp().time(),
            timedelta: lambda _: timedelta(seconds=values.integer(0, 86_400)),
            UUID: lambda _: values.uuid(),
            IPv4Address: lambda _: IPv4Address(f"203.0.113.{values.integer(0, 255)}"),
            IPv6Address: lambda _: IPv6Address(f"2001:db8::{values.integer(1, 65_535):x}"),
            Path: lambda _: Path(values.text(3, 8).replace(" ", "-")),
            Any: lambda _: values.text(),
            object: lambda _: values.text(),
            type(None): lambda _: None,
            None: lambda _: None,
        }

    def make(  # noqa: C901, PLR0911  one look at each kind of type, in order
        self,
        kind: Any,
        given: Mapping[str, Any] | None = None,
        *,
        depth: int = 0,
        name: str = "",
        bounds: dict[str, Any] | None = None,
    ) -> Any:
        """Make one; the name of the field and the bounds of its value say more of it than its type."""
        fields = self._fields(kind)
        if fields is not None:
            return self._filled(kind, fields, dict(given or {}), depth)
        if given:
            raise TypeError(f"{kind!r} has no fields to be given")
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            return self.make(arguments[0], depth=depth, name=name, bounds={**_bounds(arguments[1:]), **(bounds or {})})
        if isinstance(kind, typing.NewType):
            return self.make(kind.__supertype__, depth=depth, name=name, bounds=bounds)
        if origin is typing.Literal:
            return self._values.random.choice(arguments)
        if origin in {typing.Union, types.UnionType}:
            return self._one_of(arguments, depth, name, bounds)
        if origin in {typing.Required, typing.NotRequired, typing.Final}:
            return self.make(arguments[0], depth=depth, name=name, bounds=bounds)
        if (made := self._container(origin or kind, arguments, depth, bounds or {})) is not None:
            return made
        if _is_class(kind) and issubclass(kind, enum.Enum):
            return self._values.random.choice(list(kind))
        line: tuple[Any, ...] = (kind, *getattr(kind, "__mro__", ())[:-1])
        for known in line:
            if known in self._plain:
                made = self._plain[known](dict(bounds or {}, name=name))
                return made if known is kind or not _is_class(kind) else kind(made)
        if getattr(kind, "__name__", "") == "EmailStr":
            return self._values.email()
        raise TypeError(f"nothing is known of {kind!r}" + (f", the type of {name!r}: give one" if name else ""))

    def _one_of(self, kinds: tuple[Any, ...], depth: int, name: str, bounds: dict[str, Any] | None) -> Any:
        if type(None) in kinds and (depth >= MAX_DEPTH or self._values.random.random() < 0.2):
            return None
        chosen = self._values.random.choice([kind for kind in kinds if kind is not type(None)])
        return self.make(chosen, depth=depth, name=name, bounds=bounds)

    def _container(self, origin: Any, arguments: tuple[Any, ...], depth: int, bounds: dict[str, Any]) -> Any:
        least = bounds.get("min_length") or 0
        count = least if depth >= MAX_DEPTH else self._values.integer(max(1, least), max(3, least))
        count = min(count, bounds.get("max_length") or count)
        if origin in {dict, abc.Mapping, abc.MutableMapping}:
            key, value = arguments or (str, str)
            return {self.make(key, depth=depth + 1): self.make(value, depth=depth + 1) for _ in range(count)}
        if origin is tuple:
            if len(arguments) == 2 and arguments[1] is Ellipsis:
                return tuple(self.make(arguments[0], depth=depth + 1) for _ in range(count))
            return tuple(self.make(argument, depth=depth + 1) for argument in arguments)
        if origin in _LISTS:
            return _LISTS[origin](self.make((arguments or (str,))[0], depth=depth + 1) for _ in range(count))
        return None

    def _filled(self, kind: Any, fields: dict[str, _Field], given: dict[str, Any], depth: int) -> Any:
        if unknown := given.keys() - fields.keys() - set(_also_given(kind)):
            raise TypeError(f"{kind.__name__} has no field {min(unknown)!r}, but {', '.join(fields)}")
        for name, field in fields.items():
            if name in given or (field.is_optional and (depth >= MAX_DEPTH or field.is_left_out)):
                continue
            given[name] = self.make(field.kind, depth=depth + 1, name=name, bounds=field.bounds)
        if hasattr(kind, "model_fields"):
            return kind.model_validate({fields[name].alias or name: value for name, value in given.items()})
        return kind(**given)

    def _fields(self, kind: Any) -> dict[str, _Field] | None:  # noqa: PLR0911  one look at each kind of model
        if not _is_class(kind):
            return None
        described: Any = kind
        if hasattr(described, "__mapper__"):
            return dict(_columns(described.__mapper__))
        if hasattr(described, "model_fields"):
            return {
                name: _Field(
                    info.annotation,
                    not info.is_required(),
                    bounds=_bounds(info.metadata),
                    alias=info.validation_alias if isinstance(info.validation_alias, str) else info.alias,
                )
                for name, info in described.model_fields.items()
            }
        hints = typing.get_type_hints(kind, include_extras=True) if _has_hints(kind) else {}
        if dataclasses.is_dataclass(described):
            missing = dataclasses.MISSING
            return {
                field.name: _Field(
                    hints[field.name], field.default is not missing or field.default_factory is not missing
                )
                for field in dataclasses.fields(described)
                if field.init
            }
        if typing.is_typeddict(kind):
            required: frozenset[str] = getattr(kind, "__required_keys__")  # noqa: B009
            return {name: _Field(hint, name not in required) for name, hint in hints.items()}
        if issubclass(described, tuple) and hasattr(kind, "_fields"):
            return {name: _Field(hints.get(name, str), is_optional=False) for name in getattr(kind, "_fields")}  # noqa: B009
        return None

    def _integer(self, bounds: dict[str, Any]) -> int:
        least, most = _range(bounds, 1)
        step = bounds.get("multiple_of") or 1
        if least is None:
            least = 0 if most is None or most >= 0 else most - 1_000_000
        most = least + 1_000_000 if most is None else most
        return int(step * self._values.integer(-(-int(least) // int(step)), int(most) // int(step)))

    def _amount(self, bounds: dict[str, Any]) -> Decimal:
        cent = Decimal("0.01")
        least, most = _range(bounds, cent)
        least = (cent if most is None or most > cent else most - 10_000) if least is None else least
        return self._values.amount(Decimal(least), Decimal(least) + 10_000 if most is None else Decimal(most))

    def _text(self, bounds: dict[str, Any]) -> str:
        least, most = bounds.get("min_length"), bounds.get("max_length")
        last_word = bounds.get("name", "").rpartition("_")[2]
        if bounds.get("is_unique"):
            made = f"{self._values.text(1, 8)} {self._values.number()}"
            made = self._values.email() if last_word == "email" else made
            return made if most is None else made[-most:].strip()
        if last_word in _BY_NAME:
            made = _BY_NAME[last_word](self._values)
            if (least or 0) <= len(made) <= (most or len(made)):
                return made
        least = min(5, 40 if most is None else most) if least is None else least
        return self._values.text(least, max(least, 40) if most is None else most)


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    kind: Any
    is_optional: bool
    is_left_out: bool = False
    bounds: dict[str, Any] = dataclasses.field(default_factory=dict[str, Any])
    alias: str | None = None


def _columns(mapper: Any) -> Iterable[tuple[str, _Field]]:
    """Read the columns of a SQLAlchemy model; what the database fills in or what refers to others is left out."""
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        is_given = bool(column.default is not None or column.server_default is not None or column.computed is not None)
        fills_itself = column.primary_key and column.autoincrement in {True, "auto"} and column.type.python_type is int
        refers = bool(column.foreign_keys)
        bounds = {
            "max_length": getattr(column.type, "length", None),
            "is_unique": bool(column.unique or column.primary_key),
        }
        kind: Any = column.type.python_type
        if kind is Decimal and column.type.precision is not None:
            bounds["lt"] = Decimal(10) ** (column.type.precision - (column.type.scale or 0))
        if getattr(column.type, "enums", None) and kind is str:
            kind = typing.Literal[tuple(column.type.enums)]
        if kind is datetime and not column.type.timezone:
            kind = _Naive
        is_free = is_given or (fills_itself and not refers) or (refers and column.nullable)
        if column.nullable and not is_free:
            kind = kind | None if isinstance(kind, type) else typing.Optional[kind]  # noqa: UP045  of a value
        if refers and not is_free:
            kind = _GivenOnly(f"{mapper.class_.__name__}.{attribute.key} refers to another row")
        yield attribute.key, _Field(kind, is_free, is_left_out=True, bounds=bounds)


class _Naive(datetime):
    """A moment without a time zone, as a column without one keeps it."""

    def __new__(cls, moment: datetime) -> datetime:  # type: ignore[misc]
        return moment.astimezone(UTC).replace(tzinfo=None)


class _GivenOnly:
    """A type of which nothing is known but why."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __repr__(self) -> str:
        return self._why


def _also_given(kind: Any) -> Iterable[str]:
    """Name what a constructor takes besides its fields: the relationships of a SQLAlchemy model."""
    return kind.__mapper__.relationships.keys() if hasattr(kind, "__mapper__") else ()


def _is_class(kind: Any) -> bool:
    """Tell whether it is a class; a type checker that narrowed it would know less of it."""
    return isinstance(kind, type)


def _has_hints(kind: Any) -> bool:
    return (
        dataclasses.is_dataclass(kind) or typing.is_typeddict(kind) or (issubclass(kind, tuple) and kind is not tuple)
    )


_BOUNDS: Final = ("ge", "gt", "le", "lt", "min_length", "max_length", "multiple_of")


def _bounds(metadata: Iterable[Any]) -> dict[str, Any]:
    """Read the bounds of a value from what annotates it, as `annotated_types` and pydantic name them."""
    return {
        name: getattr(item, name)
        for entry in metadata
        for item in (entry, *getattr(entry, "metadata", ()))
        for name in _BOUNDS
        if getattr(item, name, None) is not None
    }


def _range(bounds: Mapping[str, Any], step: Any) -> tuple[Any, Any]:
    least, most = bounds.get("ge"), bounds.get("le")
    if (above := bounds.get("gt")) is not None:
        least = above + step
    if (below := bounds.get("lt")) is not None:
        most = below - step
    return least, most
