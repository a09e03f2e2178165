"""Settings of the audit log: nonsense does not start, and a key does not show itself."""

from __future__ import annotations

from typing import Any

import pytest

from asgi_guard import Audit, ConfigError
from asgi_guard.audit.settings import key_of

KEY = "k" * 32


async def sink(_told: Any) -> None:
    """Wait for something."""


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({}, ["AG900"]),
        ({"path": 7}, ["AG104"]),
        ({"path": "a", "key": "short"}, ["AG901"]),
        ({"path": "a", "key": "k" * 65}, ["AG901"]),
        ({"path": "a", "key": 7}, ["AG901"]),
        ({"sinks": "log"}, ["AG902"]),
        ({"sinks": ["syslog"]}, ["AG902"]),
        ({"sinks": [sink]}, ["AG902"]),
        ({"sinks": ["log"] * 9}, ["AG902"]),
        ({"path": "a", "overflow": "wait"}, ["AG105"]),
        ({"path": "a", "max_waiting": 1}, ["AG101"]),
        ({"path": "a", "block_seconds": 60}, ["AG102"]),
        ({"path": "a", "max_bytes": 1_000}, ["AG101"]),
        ({"path": "a", "keep": 0}, ["AG101"]),
        ({"path": "a", "max_refusals_per_second": 0}, ["AG101"]),
        ({"path": "a", "hidden_names": "iban"}, ["AG106"]),
        ({"path": "a", "hidden_patterns": ["("]}, ["AG903"]),
        ({"path": "a", "hidden_patterns": ["(a+)+b"]}, ["AG903"]),
        ({"path": "a", "hidden_patterns": ["a"] * 33}, ["AG903"]),
        ({"path": "a", "key": "x", "fsync": 1, "service": "s" * 65}, ["AG901", "AG103", "AG104"]),
    ],
)
def test_nonsense_does_not_start(fields: dict[str, Any], ids: list[str]) -> None:
    """All of it is told at once, and no secret."""
    with pytest.raises(ConfigError) as caught:
        Audit(**fields)

    assert [problem.id for problem in caught.value.problems] == ids
    assert "short" not in str(caught.value)


@pytest.mark.parametrize(
    "key", [KEY, KEY.encode(), KEY.encode().hex(), bytes(range(64))], ids=["text", "bytes", "hex", "64"]
)
def test_a_key_is_bytes_text_or_hexadecimal(key: Any) -> None:
    """The same one in each form; what shows settings shows none."""
    settings = Audit(path="a", key=key)

    assert settings.key == key_of(key)
    assert key_of(key) in {KEY.encode(), bytes(range(64))}
    assert KEY not in repr(settings)
    assert "<hidden>" in repr(settings)
