"""The names under which a store counts: the same in every process, and no way to fill the memory with."""

from __future__ import annotations

import sys

import pytest

from asgi_guard.limiting.secret import LONGEST_REMEMBERED, REMEMBERED, digest_of, digests, hash_key

SECRET = hash_key("s")


@pytest.mark.parametrize(
    "key",
    ["k", b"k", "k" * 64, "k" * 65, "\ud800", b""],
    ids=["text", "bytes", "as long as is remembered", "longer", "a surrogate", "nothing"],
)
def test_who_comes_again_has_the_same_name(key) -> None:
    """As that of any other process; text and bytes are different keys."""
    digest = digests(SECRET)
    twin = key.encode(errors="surrogatepass") if isinstance(key, str) else key.decode()

    assert {digest(key), digest(key), digests(SECRET)(key)} == {digest_of(key, SECRET).encode()}
    assert digest(twin) != digest(key)


def test_long_keys_are_not_kept() -> None:
    """Nor more short ones than the bound says."""
    digest = digests(SECRET)
    long = "k" * (LONGEST_REMEMBERED + 1)
    held = sys.getrefcount(long)
    digest(long)
    assert sys.getrefcount(long) == held

    first = "k" * LONGEST_REMEMBERED
    held = sys.getrefcount(first)
    digest(first)
    assert sys.getrefcount(first) > held
    for number in range(REMEMBERED):
        digest(str(number))
    assert sys.getrefcount(first) == held
