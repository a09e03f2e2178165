"""Attack, stored: whether what was sent to one place is markup in a page of another route, which anybody may read.

Each place gets an element with an identity of its own, which is drawn anew in each run: what an earlier run has left
is no evidence of this one.
Must never ask for more than every place once, and every page once.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from secrets import token_hex
from typing import Final

from asgi_guard.testing.attack_markup import MARK

_NUMBER: Final = re.compile(r"[0-9a-f]{8}-(\d{1,9})")


class Elements:
    """The elements of one run, and which place each was put into."""

    __slots__ = ("_run",)

    def __init__(self) -> None:
        self._run = token_hex(4)

    def text(self, number: int) -> str:
        """Write the element of a place, behind what ends an attribute and a field of text.

        Args:
            number: of the place.
        """
        return f"'\"></textarea></title><{MARK} id={self._run}-{number}>"

    def found_in(self, page: str) -> set[int]:
        """Return the numbers of the places whose elements are elements of a page.

        Args:
            page: HTML.
        """
        if self._run not in page:
            return set()
        reader = _Reader()
        reader.feed(page)
        reader.close()
        matches = [_NUMBER.fullmatch(each) for each in reader.identities if each.startswith(self._run)]
        return {int(match[1]) for match in matches if match is not None}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.identities: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the identity of one of ours."""
        if tag == MARK:
            self.identities.append(dict(attrs).get("id") or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one that ends at once."""
        self.handle_starttag(tag, attrs)
