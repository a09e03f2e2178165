"""Steps: what a stand-in for a service does with one call; a script is a list of them.

    upstream.script(ok({"id": 1}), slow(0.2), fail(503), hang(), reset(), garbage())

Rule 1: a step is data; it does nothing itself, so that one script serves a server on a socket and an object alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

Kind: TypeAlias = Literal["answer", "hang", "reset", "garbage"]

MAX_SECONDS: Final = 60.0
"""The longest that a step waits, or hangs, before it lets the connection go."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done with one call.

    Attributes:
        kind: `answer`; or `hang` without one, `reset` the connection, answer `garbage`.
        status: the HTTP status of an answer, 200 to 599.
        body: its body.
        headers: its headers, names as they are sent.
        after_seconds: how long it waits first, from 0 to 60.
        value: what the body was made of; what a stand-in that is an object answers.
    """

    kind: Kind = "answer"
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    after_seconds: float = 0.0
    value: Any = None

    def __post_init__(self) -> None:
        if not 200 <= self.status <= 599:
            raise ValueError(f"status must be from 200 to 599, not {self.status}")
        if not 0 <= self.after_seconds <= MAX_SECONDS:
            raise ValueError(f"seconds must be from 0 to {MAX_SECONDS:g}, not {self.after_seconds}")
        if any(character in text for pair in self.headers.items() for text in pair for character in "\r\n\0"):
            raise ValueError("a header must not have a line break in it")

    @property
    def is_ok(self) -> bool:
        """Whether a caller takes it for a success."""
        return self.kind == "answer" and self.status < 400


def ok(value: Any = None, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Step:
    """Answer: bytes and str as they are, all else as JSON; None is what the stand-in answers when told nothing.

    Args:
        value: the body.
        status: the HTTP status, 200 to 599.
        headers: further headers.

    Raises:
        ValueError: the status or a header is none.
        TypeError: JSON has no form for the value.
    """
    return _answer(value, status, headers, 0.0)


def fail(status: int = 500, value: Any = None, *, headers: Mapping[str, str] | None = None) -> Step:
    """Answer with an error, such as `fail(503, headers={"Retry-After": "1"})`.

    Args:
        status: the HTTP status, 400 to 599.
        value: the body, as for `ok`.
        headers: further headers.

    Raises:
        ValueError: the status is no error, or a header is none.
    """
    if status < 400:
        raise ValueError(f"{status} is no error; ok(status={status}) answers with it")
    return _answer(value, status, headers, 0.0)


def slow(seconds: float, value: Any = None, *, status: int = 200) -> Step:
    """Answer late.

    Args:
        seconds: how late, from 0 to 60.
        value: the body, as for `ok`.
        status: the HTTP status, 200 to 599.

    Raises:
        ValueError: the time or the status is out of its bounds.
    """
    return _answer(value, status, None, seconds)


def hang() -> Step:
    """Take the call, and never answer; the connection is let go after 60 seconds or at the end of the test."""
    return Step("hang")


def reset() -> Step:
    """Take the call, and reset the connection."""
    return Step("reset")


def garbage() -> Step:
    """Answer with bytes that are no HTTP."""
    return Step("garbage")


def _answer(value: Any, status: int, headers: Mapping[str, str] | None, seconds: float) -> Step:
    own = dict(headers or {})
    if isinstance(value, (bytes, str)):
        body, kind = value.encode() if isinstance(value, str) else value, "text/plain; charset=utf-8"
    else:
        body, kind = b"" if value is None else json.dumps(value).encode(), "application/json"
    if not any(name.lower() == "content-type" for name in own):
        own["Content-Type"] = kind
    return Step("answer", status, body, own, seconds, value)
