"""The secret of a store: what names are hashed with before they leave this process.

Without one, whoever reads the keys of the store can try all addresses, which are few enough.

| id    | rule that was broken                  |
|-------|---------------------------------------|
| AG433 | a secret is text or bytes, not empty  |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from asgi_guard.limiting.store import Key
from asgi_guard.settings import Problems

REMEMBERED: Final = 4_096
"""How many keys are known by their hash, which is a good part of what a remembered denial takes."""

LONGEST_REMEMBERED: Final = 64
"""How long such a key may be: clients write keys, and are not to fill the memory with long ones."""


def check_secret(problems: Problems, field: str, secret: object) -> bool:
    """Check a secret: what is empty, such as a variable that nobody has set, keeps nothing to itself."""
    if secret is None or (isinstance(secret, str | bytes) and secret):
        return True
    return problems.add("AG433", field, secret, "must be text or bytes, and not empty", "Leave it out to have none.")


def hash_key(secret: str | bytes | None) -> bytes:
    """Return a key for BLAKE2b; empty for no secret."""
    if secret is None:
        return b""
    raw = secret.encode(errors="surrogatepass") if isinstance(secret, str) else secret
    return blake2b(raw, digest_size=32).digest()


def digest_of(key: Key, secret: bytes) -> str:
    """Hash whom to count: text and bytes are different keys, whatever they hold.

    Args:
        key: of any length.
        secret: what `hash_key` has returned.
    """
    kind, raw = (b"bytes", key) if isinstance(key, bytes) else (b"text", key.encode("utf-8", "surrogatepass"))
    return blake2b(raw, digest_size=16, key=secret, person=kind).hexdigest()


def digests(secret: bytes) -> Callable[[Key], bytes]:
    """Return what hashes as `digest_of` does, and those who come again and again once."""

    def digest(key: Key) -> bytes:
        return digest_of(key, secret).encode()

    remembered = lru_cache(REMEMBERED)(digest)
    return lambda key: remembered(key) if len(key) <= LONGEST_REMEMBERED else digest(key)
