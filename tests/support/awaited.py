"""A store over a network, without the network: a memory store whose answers are awaited."""

from __future__ import annotations

from typing import Any

from anyio.lowlevel import checkpoint

from asgi_guard import MemoryStore


class AwaitedBucket:
    """A bucket whose answers are awaited."""

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket
        self.name = bucket.name
        self.limits = bucket.limits

    def __getattr__(self, method: str) -> Any:
        """Give a method that waits once, and asks the bucket in this process then."""

        async def asked(*args: Any) -> Any:
            await checkpoint()
            return getattr(self._bucket, method)(*args)

        return asked


class AwaitedStore:
    """A store whose buckets are awaited."""

    synchronous = False

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.is_closed = False

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        """Give a bucket that is awaited."""
        return AwaitedBucket(self._store.bucket(name, limits, algorithm))

    async def aclose(self) -> None:
        """Remember that it was closed."""
        self.is_closed = True
