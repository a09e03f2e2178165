"""Paths: whole segments, and every spelling of them."""

from __future__ import annotations

import pytest

from asgi_guard.engine.paths import Prefixes


@pytest.mark.parametrize(
    ("prefixes", "path", "touches", "covers"),
    [
        (["/admin"], "/admin", True, True),
        (["/admin"], "/admin/", True, True),
        (["/admin"], "/admin/users", True, True),
        (["/admin/"], "/admin", True, True),
        (["/admin"], "/administrator", False, False),
        (["/admin"], "/", False, False),
        (["/admin"], "", False, False),
        (["/admin"], "*", False, False),
        (["/a", "/b"], "/b/c", True, True),
        (["/"], "/anything", True, True),
        (["/"], "", True, True),
        ([], "/", False, False),
        (["/admin"], "//admin", True, False),
        (["/admin"], "/admin//users", True, True),
        (["/admin"], "/./admin", True, False),
        (["/admin"], "/public/../admin", True, False),
        (["/admin"], "\\admin", True, False),
        (["/admin"], "/admin/../public", True, False),
        (["/admin"], "/admin/..", True, False),
        (["/admin"], "/admin/.well-known", True, True),
        (["/admin"], "/public//x", False, False),
    ],
)
def test_a_path_lies_under_a_prefix(prefixes, path, touches, covers) -> None:
    """In any spelling for a protection, and in all of them for an exemption."""
    paths = Prefixes(prefixes)

    assert paths.touch(path) is touches
    assert paths.cover(path) is covers
