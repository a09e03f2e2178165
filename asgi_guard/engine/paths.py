"""Paths: which of them a setting is about.

A prefix covers whole segments: `/admin` is `/admin` and all below it, and not `/administrator`. A path may have other
spellings (`//admin`, `/public/../admin`) that an application takes for the same one; which of the spellings counts
depends on what is at stake, so there are two questions.
Must never decode: the server has, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from posixpath import normpath


class Prefixes:
    """A set of paths, told by how they begin.

    Args:
        prefixes: each begins with a slash; `/` is every path.
    """

    __slots__ = ("_below", "_exact")

    def __init__(self, prefixes: Iterable[str]) -> None:
        plain = [prefix.rstrip("/") for prefix in prefixes]
        self._exact = frozenset(plain)
        self._below = tuple(f"{prefix}/" for prefix in plain)

    def touch(self, path: str) -> bool:
        """Tell whether any spelling of the path lies here: for a protection that nobody may get around."""
        return self._have(path) or (_is_odd(path) and self._have(_plain(path)))

    def cover(self, path: str) -> bool:
        """Tell whether every spelling of the path lies here: for an exemption that nobody may borrow."""
        return self._have(path) and not (_is_odd(path) and not self._have(_plain(path)))

    def _have(self, path: str) -> bool:
        return path.startswith(self._below) or path in self._exact


def _is_odd(path: str) -> bool:
    return "//" in path or "/." in path or "\\" in path


def _plain(path: str) -> str:
    return "/" + normpath(path.replace("\\", "/")).lstrip("/")
