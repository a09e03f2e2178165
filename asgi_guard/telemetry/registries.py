"""Registries: what an application measures with prometheus_client, in the same text as what the guard has counted.

Must never fail a scrape, nor tell a family twice: of two with one name the guard's is told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

_EOF: Final = b"# EOF\n"
_logger: Final = logging.getLogger("asgi_guard.telemetry")
_complained: Final[set[int]] = set()


def appended(text: bytes, registries: Iterable[Any], *, openmetrics: bool) -> bytes:
    """Return a text with what registries have collected at its end; one that fails is left out, and said once.

    Args:
        text: of the guard.
        registries: of prometheus_client.
        openmetrics: whether it is OpenMetrics.
    """
    parts = [text.removesuffix(_EOF)]
    told = {*_families(parts[0])}
    for registry in registries:
        try:
            part = _collected(registry, openmetrics=openmetrics).removesuffix(_EOF)
        except Exception:
            if id(registry) not in _complained:
                _complained.add(id(registry))
                _logger.exception("a registry fails, and is left out of /metrics; this is said once")
            continue
        parts.append(b"".join(_without(part, told)))
        told.update(_families(part))
    return b"".join([*parts, _EOF if openmetrics else b""])


def _collected(registry: Any, *, openmetrics: bool) -> bytes:
    import prometheus_client
    from prometheus_client.openmetrics import exposition

    writer: Any = exposition if openmetrics else prometheus_client
    return bytes(writer.generate_latest(registry))


def _families(text: bytes) -> Iterator[bytes]:
    for line in text.splitlines():
        if line.startswith(b"# TYPE "):
            yield line.split(b" ", 3)[2]


def _without(text: bytes, told: set[bytes]) -> Iterator[bytes]:
    """Leave out families; the lines about each begin with its `HELP`, or with its `TYPE`."""
    is_told = False
    for line in text.splitlines(keepends=True):
        if line.startswith((b"# HELP ", b"# TYPE ")):
            is_told = line.split(b" ", 3)[2].rstrip() in told
        if not is_told:
            yield line
