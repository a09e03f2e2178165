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
        (["/größe"], "/größe/7", True, True),
    ],
)
def test_a_path_lies_under_a_prefix(prefixes, path, touches, covers) -> None:
    """In any spelling for a protection, and in all of them for an exemption."""
    paths = Prefixes(prefixes)

    assert paths.touch({"path": path}) is touches
    assert paths.cover({"path": path}) is covers


CLIENTS = [(b"Daphne-Root-Path", b"whatever the client wrote")]


@pytest.mark.parametrize(
    ("path", "root", "headers", "touches", "covers"),
    [
        ("/api/admin", "/api", [], True, True),
        ("/api/admin/users", "/api/", [], True, True),
        ("/api/public", "/api", [], False, False),
        ("/apiadmin", "/api", [], False, False),
        ("/admin", "/api", [], True, True),
        ("/api", "/api", [], False, False),
        ("/admin/login", "/admin", [], True, False),
        ("/x/admin", "/x", CLIENTS, True, False),
        ("/admin/login", "/admin", CLIENTS, True, False),
        ("/admin", "", CLIENTS, True, True),
    ],
)
def test_a_path_is_told_as_frameworks_route_it(path, root, headers, touches, covers) -> None:
    """Without the root that it is mounted at: no root is a way past a protection, nor one that a client has written."""
    scope = {"path": path, "root_path": root, "headers": headers}
    paths = Prefixes(["/admin"])

    assert paths.touch(scope) is touches
    assert paths.cover(scope) is covers
