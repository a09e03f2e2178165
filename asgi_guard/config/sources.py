"""Sources: a mapping, a TOML file (toml.io, version 1.0) and the environment, read as one thing.

Rule 1: nothing is read but what the caller names; nothing is written.
Rule 2: every name in the environment that begins with the prefix has a meaning, or is refused: a misspelt protection is
one that is not there.

| id    | rule that was broken                                          |
|-------|---------------------------------------------------------------|
| AG510 | the file can be read                                          |
| AG511 | the file has at most 1,000,000 bytes                          |
| AG512 | the file is UTF-8                                             |
| AG513 | the file is TOML                                              |
| AG520 | a field is set by one variable of the environment, not by two |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from asgi_guard.config.kinds import BOOLEANS, Kind, from_json, kinds_of
from asgi_guard.config.part import PREFIX, Part
from asgi_guard.config.reader import Configuration, Parts, Source
from asgi_guard.settings import Problem

ALIASES: Final = MappingProxyType({"TOKEN": ("endpoints", "token"), "SHARED_DIR": ("telemetry", "shared_dir")})
"""Short names of fields: `ASGI_GUARD_TOKEN`. They say nothing of a part that is off."""

FOREIGN: Final = MappingProxyType({"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": ("telemetry", "known_methods")})
"""Names that others have given to fields of ours; our own name wins."""

RESERVED: Final = frozenset({"APP", "APP_DIR", "CONFIG", "RUN", "WORKERS"})
"""What stands after the prefix in the names that say what to serve and by whom, and not how."""

MAX_BYTES: Final = 1_000_000
"""The size of a file."""

_NESTS: Final = "__"


def from_mapping(settings: Mapping[str, Any], parts: Parts) -> Configuration:
    """Read settings by the names of the parts; what a file cannot hold may be given as it is.

    Args:
        settings: True, False, a table of fields, a short form, or settings for each part.
        parts: the standard stack.
    """
    if isinstance(settings, Mapping):
        return Configuration(Source(dict(settings)), parts)
    given = f"a value of type {type(settings).__name__}"
    problem = Problem("AG500", "settings", given, "must be a mapping", 'Give a dict, such as {"rate_limit": False}.')
    return Configuration(Source({}, problems=[problem]), parts)


def from_toml(
    path: str | os.PathLike[str], parts: Parts, environ: Mapping[str, str] | None = None, prefix: str = PREFIX
) -> Configuration:
    """Read a TOML file of at most 1,000,000 bytes.

    Args:
        path: where it is.
        parts: the standard stack.
        environ: an environment whose variables stand over the file; None for none.
        prefix: what those variables begin with.
    """
    source = _file(path)
    if environ is not None:
        source = _environment(environ, parts, prefix).over(source, parts)
    return Configuration(source, parts)


def from_env(environ: Mapping[str, str], parts: Parts, prefix: str = PREFIX) -> Configuration:
    """Read the variables of an environment that begin with the prefix.

    Args:
        environ: the environment, such as `os.environ`.
        parts: the standard stack.
        prefix: what the names begin with.
    """
    return Configuration(_environment(environ, parts, prefix), parts)


def _file(path: str | os.PathLike[str]) -> Source:
    name = os.fspath(path)
    try:
        if not Path(path).is_file() and Path(path).exists():  # a pipe would keep whoever reads it for ever
            return _refused("AG510", name, "cannot be read: it is no file", "Give the path of a TOML file.")
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # the second: a NUL in the path
        reason = getattr(error, "strerror", None) or error
        return _refused("AG510", name, f"cannot be read: {reason}", "Give the path of a TOML file.")
    if len(content) > MAX_BYTES:
        return _refused("AG511", name, f"must have at most {MAX_BYTES:,} bytes", "Is it the right file?")
    return _parsed(name, content)


def _parsed(name: str, content: bytes) -> Source:
    import tomllib  # whoever configures in code pays nothing for it

    try:
        return Source(tomllib.loads(content.decode("utf-8-sig") + "\n"))  # so that the end of the last line has a place
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return _refused("AG512", name, f"must be UTF-8, which line {line} is not", "Save it as UTF-8.")
    except RecursionError:
        return _refused("AG513", name, "must be TOML. It has too many brackets in brackets", "Is it the right file?")
    except ValueError as error:  # also a number of thousands of digits, which is no fault of the syntax
        end = content.count(b"\n") + 1
        told = str(error).replace("at end of document", f"at line {end}, where the file ends")
        return _refused("AG513", name, f"must be TOML. {told}", "Mend that line.")


def _refused(problem_id: str, path: str, rule: str, remedy: str) -> Source:
    return Source({}, problems=[Problem(problem_id, path, "", rule, remedy)])


def _environment(environ: Mapping[str, str], parts: Parts, prefix: str) -> Source:
    source = Source({}, spell=lambda path: prefix + path.replace(".", _NESTS).upper())
    texts: dict[str, dict[str, str]] = {}  # by part, then by field; "" is the part as a whole
    for variable, text in sorted(environ.items()):
        rest = variable.removeprefix(prefix)
        if not variable.startswith(prefix) or rest in RESERVED or rest in ALIASES:
            continue
        name, _, field = rest.lower().partition(_NESTS)
        said = texts.setdefault(name, {})
        if field in said:
            _twice(source, variable)
        said[field] = text
        source.names[f"{name}.{field}" if field else name] = variable
        if parts.get(name) is None:
            source.names.setdefault(name, variable)
    for name, said in texts.items():
        source.values[name] = _said(source, name, parts.get(name), said)
    _add_aliases(source, environ, parts, prefix)
    return source


def _add_aliases(source: Source, environ: Mapping[str, str], parts: Parts, prefix: str) -> None:
    """Add what the short names say of parts that the environment leaves on."""
    ours = {prefix + alias: field for alias, field in ALIASES.items()}
    for variable, (name, field) in {**ours, **FOREIGN}.items():
        part = parts.get(name)
        said = source.values.get(name, {})
        if variable not in environ or part is None or said is False:
            continue
        table = source.fields(name, part) if name in source.values else {}
        if table is None:  # it is wrong, and told as that
            continue
        if field in table:
            if variable in FOREIGN:
                continue
            _twice(source, variable)
        source.names[f"{name}.{field}"] = variable
        kind = kinds_of(part.settings_class).get(field)
        source.values[name] = {**table, field: _read(source, f"{name}.{field}", kind, environ[variable])}
        if said == {}:
            source.asides.add(name)


def _said(source: Source, name: str, part: Part | None, texts: Mapping[str, str]) -> Any:
    """Return what the variables say of a part: a table where they set its fields."""
    if part is None:
        return BOOLEANS.get(texts.get("", "").strip().lower(), True)
    kinds = kinds_of(part.settings_class)
    table = {field: _read(source, f"{name}.{field}", kinds.get(field), text) for field, text in texts.items() if field}
    for field in table.keys() - kinds.keys():
        outer, _, inner = field.partition(_NESTS)
        if inner and outer in kinds and (kinds[outer].value or kinds[outer].settings):
            variable = source.spell(f"{name}.{outer}")
            source.remedies[f"{name}.{field}"] = f'Write all of it into {variable}, as JSON: {{"{inner}": ...}}.'
    if "" not in texts:
        return table
    whole = _whole(source, name, part, kinds, texts[""])
    if not table:
        return whole
    source.values[name] = whole
    beside = source.fields(name, part)
    if beside is None or beside.keys() & table.keys():
        _twice(source, source.names[name])
        return table
    return {**beside, **table}


def _whole(source: Source, name: str, part: Part, kinds: Mapping[str, Kind], text: str) -> Any:
    bare = text.strip()
    if bare.lower() in BOOLEANS:
        return BOOLEANS[bare.lower()]
    if bare.startswith(("[", "{")) and not isinstance(value := from_json(bare), str):
        return value
    return _read(source, name, kinds.get(part.short), text)


def _read(source: Source, path: str, kind: Kind | None, text: str) -> Any:
    """Read the text of a field; what stands under no known name, or where only code can, is refused later."""
    if kind is None or kind.is_code:
        return text
    value = kind.read(text)
    if isinstance(value, str) and not kind.takes_text and not kind.choices:
        as_json = " as JSON" if kind.value or kind.settings else ""
        source.remedies[path] = f"Write {kind.words}{as_json}."
    return value


def _twice(source: Source, variable: str) -> None:
    rule, remedy = "must not set what another variable sets", "Leave out one of them."
    source.problems.append(Problem("AG520", variable, "", rule, remedy))
