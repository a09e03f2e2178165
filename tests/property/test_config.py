"""Config: what is written is what is read, and nothing that can be written is anything worse than a settings error."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ConfigError, Guard
from asgi_guard.config.kinds import kinds_of
from asgi_guard.guard import ORDER
from asgi_guard.settings import SHOWN_LENGTH

PARTS = {name: part for name, part in ORDER.items() if part is not None}
FIELDS = {name: list(kinds_of(part.settings_class)) for name, part in PARTS.items()}
PATHS = st.sampled_from(["/", "/a", "/a b", '/"', "/\\", "/a.b", "/[0]", "/#", "/,"])
SIZES = st.integers(1, 2**40) | st.none()
# Settings that are right, as JSON has them; each part may also be on or off.
RIGHT: dict[str, st.SearchStrategy[Any]] = {
    "client_address": st.lists(st.sampled_from(["10.0.0.0/8", "::1", "unix:"])),
    "request_id": st.fixed_dictionaries({"inbound": st.sampled_from(["trusted", "always", "never"])}),
    "cors": st.sampled_from(["https://a.example", ["https://a.example", "https://*.b.example"]])
    | st.fixed_dictionaries({"origins": st.just(["https://a.example"])}, optional={"credentials": st.booleans()}),
    "security_headers": st.sampled_from(["auto", "strict"])
    | st.fixed_dictionaries({"headers": st.fixed_dictionaries({"X-Frame-Options": st.none() | st.just("DENY")})}),
    "error_envelope": st.fixed_dictionaries({}, optional={"hold_start": st.booleans()}),
    "trusted_host": st.sampled_from(["a.example", ["*.a.example", "[::1]:8000"]]),
    "https": st.sampled_from(["redirect", "require"]) | st.fixed_dictionaries({"port": st.integers(1, 65_535)}),
    "ip_filter": st.fixed_dictionaries(
        {}, optional={"block": st.lists(st.just("192.0.2.0/24")), "paths": st.lists(PATHS, max_size=3)}
    ),
    "request_limits": st.fixed_dictionaries({}, optional={"max_body_bytes": SIZES, "max_headers": SIZES}),
    "fetch_metadata": st.fixed_dictionaries({"exempt_paths": st.lists(PATHS, max_size=3), "shadow": st.booleans()}),
    "rate_limit": st.sampled_from(["5/second", ["5/second", "100/minute"]])
    | st.fixed_dictionaries({"rate": st.just("5/second"), "shadow": st.booleans()})
    | st.lists(
        st.fixed_dictionaries({"rate": st.just("5/second"), "name": st.sampled_from("abcdef")}),
        min_size=1,
        max_size=3,
        unique_by=lambda policy: policy["name"],
    ),
}
SETTINGS = st.fixed_dictionaries({}, optional={name: st.just(False) | right for name, right in RIGHT.items()})
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["5/second", "none", "true", "x-real-ip", "*", "https://a.example", "10.0.0.0/8", "/a"])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
# Names that mean something, so that what stands behind them is looked at.
TABLES = {
    name: st.dictionaries(st.sampled_from(fields) | st.text(max_size=8), JSON, max_size=4)
    for name, fields in FIELDS.items()
}
PART = st.sampled_from(sorted(TABLES)).flatmap(
    lambda name: st.tuples(st.just(name), JSON | TABLES[name] | st.lists(TABLES[name], max_size=2))
)
ANYTHING = st.lists(PART | st.tuples(st.text(max_size=8), JSON), max_size=4).map(dict)
VARIABLES = st.dictionaries(
    st.sampled_from(
        [f"ASGI_GUARD_{name.upper()}" for name in ORDER]
        + [f"ASGI_GUARD_{name.upper()}__{field.upper()}" for name, fields in FIELDS.items() for field in fields]
    )
    | st.text(max_size=8).map(lambda name: f"ASGI_GUARD_{name}"),
    st.text(max_size=12) | JSON.map(json.dumps) | LEAVES.map(str),
    max_size=8,
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an application that nobody asks."""


def to_toml(value: Any) -> str:
    """Write a value as TOML, tables in line; JSON's strings are TOML's."""
    if value is None:
        return "false"  # for TOML has nothing that is nothing
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{json.dumps(key)} = {to_toml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(value)


def to_variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write each part as one variable, and each of its fields as one where it is a table."""
    variables: dict[str, str] = {}
    for part, value in settings.items():
        fields = value if isinstance(value, Mapping) and value else {"": value}
        for field, said in fields.items():
            name = f"ASGI_GUARD_{part}__{field}" if field else f"ASGI_GUARD_{part}"
            variables[name.upper()] = said if isinstance(said, str) else "none" if said is None else json.dumps(said)
    return variables


@given(SETTINGS)
def test_what_is_written_is_what_is_read(settings: dict[str, Any]) -> None:
    """From a mapping, from the TOML that it is written as, and from an environment."""
    told = Guard.from_mapping(app, settings).explain()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "guard.toml")
        path.write_text("".join(f"{part} = {to_toml(value)}\n" for part, value in settings.items()), encoding="utf-8")
        from_toml = Guard.from_toml(app, path).explain()

    assert from_toml == told
    assert Guard.from_env(app, to_variables(settings)).explain() == told


@given(ANYTHING)
def test_no_mapping_is_worse_than_wrong(settings: dict[str, Any]) -> None:
    """Whatever JSON has, in whatever place; each problem is told within bounds."""
    problems = []
    try:
        Guard.from_mapping(app, settings)
    except ConfigError as error:
        problems = error.problems or [None]

    assert all(problem is not None and len(problem.value) <= SHOWN_LENGTH for problem in problems)


@given(VARIABLES)
def test_no_environment_is_worse_than_wrong(variables: dict[str, str]) -> None:
    """Whatever the texts are."""
    with contextlib.suppress(ConfigError):
        Guard.from_env(app, variables)


@given(VARIABLES, ANYTHING)
def test_neither_is_one_over_the_other(variables: dict[str, str], settings: dict[str, Any]) -> None:
    """The file below, the environment above."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ConfigError):
        path = Path(folder, "guard.toml")
        lines = [f"{json.dumps(part)} = {to_toml(value)}\n" for part, value in settings.items()]
        path.write_text("".join(lines), encoding="utf-8", errors="replace")
        Guard.from_toml(app, path, variables)


@given(st.binary(max_size=64))
def test_no_file_is_worse_than_wrong(content: bytes) -> None:
    """Whatever its bytes are."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ConfigError):
        path = Path(folder, "guard.toml")
        path.write_bytes(content)
        Guard.from_toml(app, path)
