"""Settings of the audit log: where it goes, what keeps it from being changed, and what happens where it cannot keep up.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG900 | an audit log has a file, or a sink                                       |
| AG901 | a key is 32 to 64 bytes: text, or 64 to 128 hexadecimal digits           |
| AG902 | a sink is "log", "otel" or a plain function                              |
| AG903 | a pattern is a regular expression that is linear in what it is asked of  |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Final, Literal, TypeAlias, TypedDict

from asgi_guard.settings import HIDDEN, Problems

Sink: TypeAlias = Literal["log", "otel"] | Callable[[Mapping[str, Any]], object]
"""Where entries go besides the file: the logger `asgi_guard.audit.entries`, OpenTelemetry's logs, or a function."""

SINKS: Final = ("log", "otel")
MAX_SINKS: Final = 8
KEY_BYTES: Final = (32, 64)
_MAX_OWN: Final = 32
_HEXADECIMAL: Final = re.compile(r"[0-9a-fA-F]{64,128}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Settings of an audit log.

    Attributes:
        path: of the file, one line of JSON an entry; it is made for this user alone. None has no file.
        key: what seals the lines: a secret of 32 to 64 bytes, as bytes, as text, or in hexadecimal digits. Without one
            a change is found only where it was made without care.
        sinks: where entries go besides: `"log"`, `"otel"`, or functions, which are called in the writer's thread.
        overflow: what happens to an entry that finds no place: `"drop"` counts it and says so in the log, `"block"`
            lets the caller wait for at most `block_seconds`, and drops it then.
        max_waiting: the entries that may wait for the writer, 100 to 1,000,000.
        block_seconds: how long a caller waits for a place, 0.001 to 10; it is the event loop that waits.
        fsync: make each group of entries, of at most 100 or 50 ms, safe from the failure of the machine as well.
        service: the name of the service, in each line.
        hidden_names: further names of facts whose values are hidden, such as `iban`.
        hidden_patterns: further regular expressions whose matches are hidden, at most 32 of 256 characters: linear
            in their text, without look-around, back-references and flags for all of it; classes are those of ASCII.
        tells_settings: write the settings of the guard when it starts.
        max_bytes: the size of the file at which it is moved away as `PATH.1`, and a new one begins: 65,536 to 2**40
            bytes, and one group more. None leaves that to others.
        keep: how many such files are kept besides, 1 to 1,000; older ones are removed. Only with `max_bytes`.
        max_refusals_per_second: the refusals of one layer with one reason that a process writes in a second, 1 to
            1,000,000; what is more is counted, and the count is an entry. None writes all.

    Raises:
        ConfigError: a field is wrong.
    """

    path: str | None = None
    key: bytes | str | None = None
    sinks: Sequence[Sink] = ()
    overflow: Literal["drop", "block"] = "drop"
    max_waiting: int = 10_000
    block_seconds: float = 0.1
    fsync: bool = True
    service: str = ""
    hidden_names: Sequence[str] = ()
    hidden_patterns: Sequence[str] = ()
    tells_settings: bool = True
    max_bytes: int | None = None
    keep: int = 10
    max_refusals_per_second: int | None = 100

    def __post_init__(self) -> None:
        problems = Problems("Audit", secrets=("key",))
        if self.path is not None:
            problems.text("path", self.path, max_length=4_096, ascii_only=False)
        elif not self.sinks:
            problems.add(
                "AG900", "path", None, "must be there, or a sink", 'Write path="audit.jsonl", or sinks=["log"].'
            )
        if self.key is not None and not key_of(self.key):
            rule, remedy = "must be 32 to 64 bytes", "Make one with secrets.token_hex(32), and keep it elsewhere."
            problems.add("AG901", "key", self.key, rule, remedy)
        _check_sinks(problems, self.sinks)
        problems.choice("overflow", self.overflow, ("drop", "block"))
        problems.integer("max_waiting", self.max_waiting, minimum=100, maximum=1_000_000)
        problems.number("block_seconds", self.block_seconds, minimum=0.001, maximum=10)
        problems.boolean("fsync", self.fsync)
        if self.service != "":
            problems.text("service", self.service, max_length=64)
        _check_hidden(problems, self.hidden_names, self.hidden_patterns)
        problems.boolean("tells_settings", self.tells_settings)
        if self.max_bytes is not None:
            problems.integer("max_bytes", self.max_bytes, minimum=65_536, maximum=2**40)
        problems.integer("keep", self.keep, minimum=1, maximum=1_000)
        if self.max_refusals_per_second is not None:
            problems.integer("max_refusals_per_second", self.max_refusals_per_second, minimum=1, maximum=1_000_000)
        problems.raise_if_any()
        object.__setattr__(self, "key", None if self.key is None else _Key(key_of(self.key)))


class _Key(bytes):
    """A key that does not show itself where settings are shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


class AuditFields(TypedDict, total=False):
    """The fields of `Audit`, for keyword arguments."""

    path: str | None
    key: bytes | str | None
    sinks: Sequence[Sink]
    overflow: Literal["drop", "block"]
    max_waiting: int
    block_seconds: float
    fsync: bool
    service: str
    hidden_names: Sequence[str]
    hidden_patterns: Sequence[str]
    tells_settings: bool
    max_bytes: int | None
    keep: int
    max_refusals_per_second: int | None


def key_of(given: object) -> bytes:
    """Return a key as bytes; none of it where it is no key."""
    if isinstance(given, str):
        given = bytes.fromhex(given) if _HEXADECIMAL.fullmatch(given) and len(given) % 2 == 0 else given.encode()
    least, most = KEY_BYTES
    return given if isinstance(given, bytes) and least <= len(given) <= most else b""


def _check_sinks(problems: Problems, sinks: Sequence[Any]) -> None:
    listed: object = sinks
    if not isinstance(listed, list | tuple) or len(sinks) > MAX_SINKS:
        problems.add("AG902", "sinks", sinks, f"must be a list of at most {MAX_SINKS}", 'Write ["log"], say.')
        return
    for index, sink in enumerate(sinks):
        is_async = iscoroutinefunction(sink) or iscoroutinefunction(getattr(sink, "__call__", None))  # noqa: B004
        if sink not in SINKS and (not callable(sink) or is_async):
            rule, remedy = "must be log, otel or a plain function", "It is called in a thread, and may wait there."
            problems.add("AG902", f"sinks[{index}]", sink, rule, remedy)


def _check_hidden(problems: Problems, names: Sequence[str], patterns: Sequence[str]) -> None:
    problems.sequence_of_text("hidden_names", names, max_length=64)
    if not problems.sequence_of_text("hidden_patterns", patterns, ascii_only=False):
        return
    if len(patterns) > _MAX_OWN:
        problems.add("AG903", "hidden_patterns", len(patterns), f"must be at most {_MAX_OWN}", "Join some with |.")
    if not patterns:
        return
    from asgi_guard.audit.patterns import problem_of  # with the parser of patterns

    for index, pattern in enumerate(patterns):
        rule = problem_of(pattern)
        if rule:
            remedy = r"Write repeats with bounds, each behind something that it does not take: sk-\w{20,100}."
            problems.add("AG903", f"hidden_patterns[{index}]", pattern, rule, remedy)
