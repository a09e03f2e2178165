"""Rate limiting as pure code: it knows no HTTP and no ASGI.

A rate (`rate.py`) is one or several limits. An algorithm (`algorithms.py`) says, from a state and a time, whether a
hit fits under a limit. A store (`store.py`, `memory.py`) keeps the states and gives out buckets:

    store = MemoryStore()
    logins = store.bucket("logins", parse_rate("5/second;100/minute"))
    if not logins.hit("203.0.113.7"):
        ...  # refuse
"""

from __future__ import annotations

from asgi_guard.limiting.memory import MemoryBucket, MemoryStore
from asgi_guard.limiting.rate import Limit, parse_rate
from asgi_guard.limiting.store import AsyncBucket, AsyncStore, Bucket, Decision, Key, Store

__all__ = [
    "AsyncBucket",
    "AsyncStore",
    "Bucket",
    "Decision",
    "Key",
    "Limit",
    "MemoryBucket",
    "MemoryStore",
    "Store",
    "parse_rate",
]
