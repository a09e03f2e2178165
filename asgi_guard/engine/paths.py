"""Paths: which of them a setting is about.

A prefix covers whole segments: `/admin` is `/admin` and all below it, and not `/administrator`. A path may have other
spellings (`//admin`, `/public/../admin`) that an application takes for the same one; which of the spellings counts
depends on what is at stake, so there are two questions.
Frameworks route by the path without `root_path`, which is the server's setting, or that of whoever has mounted the
application; so both forms are looked at. One server takes it from a header, that is from the client.
Must never decode: the server has, once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from posixpath import normpath

from asgi_guard.engine.types import Scope
from asgi_guard.settings import Problems

_ROOT_OF_THE_CLIENTS = b"daphne-root-path"
_PATTERN = "*{"


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

    def touch(self, scope: Scope) -> bool:
        """Tell whether any reading of the path lies here: for a protection that nobody may get around."""
        path, root = scope.get("path", ""), scope.get("root_path")
        return self._touch(path) or (self._touch(below(path, root)) if root else False)

    def cover(self, scope: Scope) -> bool:
        """Tell whether the path lies here however it is read and routed: for an exemption that nobody may borrow."""
        path, root = scope.get("path", ""), scope.get("root_path")
        if not root:
            return self._cover(path)
        is_the_clients = any(name.lower() == _ROOT_OF_THE_CLIENTS for name, _ in scope.get("headers") or ())
        return self._cover(below(path, root)) and (not is_the_clients or self._cover(path))

    def _touch(self, path: str) -> bool:
        return self._have(path) or (_is_odd(path) and self._have(_plain(path)))

    def _cover(self, path: str) -> bool:
        return self._have(path) and not (_is_odd(path) and not self._have(_plain(path)))

    def _have(self, path: str) -> bool:
        return path.startswith(self._below) or path in self._exact


def check_prefixes(problems: Problems, field: str, prefixes: Collection[str], problem_id: str) -> bool:
    """Check for a list of paths, in whatever language they are, each as `check_prefix` does."""
    if not problems.sequence_of_text(field, prefixes, ascii_only=False):
        return False
    sound = [check_prefix(problems, f"{field}[{index}]", prefix, problem_id) for index, prefix in enumerate(prefixes)]
    return all(sound)


def check_prefix(problems: Problems, field: str, prefix: str, problem_id: str) -> bool:
    """Check for a path that begins with a slash; the id is that of the part's own table.

    It is compared with the decoded path. A pattern such as `/admin/*` or `/users/{id}` would be taken for the path that
    is written so, and cover nothing.
    """
    fixed = prefix[: min(map(f"{prefix}*{{".index, _PATTERN))]
    if fixed != prefix:
        whole = "/" + fixed.strip("/")
        remedy = f"Write {whole!r}: it stands for all that is below it as well."
        return problems.add(problem_id, field, prefix, "must be the beginning of a path, and no pattern", remedy)
    remedy = f"Write '/{prefix}'."
    return prefix.startswith("/") or problems.add(problem_id, field, prefix, "must begin with a slash", remedy)


def below(path: str, root: str) -> str:
    """Return the path without the root that the application is mounted at, as frameworks route it."""
    root = root.rstrip("/")
    return path[len(root) :] or "/" if path == root or path.startswith(f"{root}/") else path


def _is_odd(path: str) -> bool:
    return "//" in path or "/." in path or "\\" in path


def _plain(path: str) -> str:
    return "/" + normpath(path.replace("\\", "/")).lstrip("/")
