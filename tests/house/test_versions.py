"""One version, told in two places."""

from __future__ import annotations

import re
from pathlib import Path

import asgi_guard

CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


def test_the_newest_heading_of_the_changelog_is_the_version() -> None:
    """A release without a word in the changelog, or the other way round, does not happen."""
    headings = re.findall(r"^## \[(.+?)\] - (?:unreleased|\d{4}-\d\d-\d\d)$", CHANGELOG.read_text(), re.MULTILINE)

    assert headings[0] == asgi_guard.__version__
