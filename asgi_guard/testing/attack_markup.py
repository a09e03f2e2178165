"""Attack markup: whether what was sent as text has become markup, or code, of the page that came back.

A page is parsed, and not searched: what was sent counts where it is an element or an attribute of its own, the address
of a link that runs, or stands in a script outside of every string and comment.
Must never say so of what a browser would show as text. Expressions are linear in the page, which is at most 1 MiB.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

MARK: Final = "agx7f3k"
"""What no application says by itself."""

FIRST: Final = (MARK, f"'\"><{MARK} id=1>")
"""Texts that are shown wherever anything is: where neither comes back in a page, no other will."""

CALL: Final = f"{MARK}()"
"""What would be code, if a string around it ended."""

BREAKING_OUT: Final = (
    f"<{MARK} id=1>",
    f'"><{MARK} id=1>',
    f"'><{MARK} id=1>",
    f"--><{MARK} id=1>",
    f"</title></textarea></style></script><{MARK} id=1>",
    f'" {MARK}=1 x="',
    f"' {MARK}=1 x='",
    f"x {MARK}=1",
    f"javascript:{MARK}()",
    f'";{MARK}();"',
    f"';{MARK}();'",
    f'\\";{MARK}();//',
    f"\\';{MARK}();//",
    f"${{{MARK}()}}",
)
"""Texts that leave the place they stand in, each for one kind of place."""

_SKIPPED: Final = re.compile(
    r"""
      "(?:[^"\\\n]|\\.)*"?
    | '(?:[^'\\\n]|\\.)*'?
    | `(?:[^`\\]|\\.)*`?
    | //[^\n]*
    | /\*.*?(?:\*/|\Z)
    """,
    re.DOTALL | re.VERBOSE,
)
_COMPUTED: Final = re.compile(r"(?<!\\)\$\{[^}`]{0,200}" + MARK)
_ADDRESSES: Final = frozenset({"action", "formaction", "href", "src", "xlink:href"})
_LEFT_OUT: Final = re.compile(r"[\x00-\x20]+")
_SCRIPTS: Final = re.compile(r"|module|(?:text|application)/(?:java|ecma)script")


def became(page: str) -> str | None:
    """Say what the mark has become in a page; None where it is text, or not there.

    Args:
        page: HTML.
    """
    if MARK not in page:
        return None
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found or None


class _Reader(HTMLParser):
    """Looks for an element, an attribute, a link or code of one's own."""

    def __init__(self) -> None:
        super().__init__()
        self.found = ""
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one."""
        if tag == MARK:
            self.found = "an element"
        for name, value in attrs:
            if name == MARK:
                self.found = "an attribute"
            elif name.startswith("on") and runs(value or ""):
                self.found = f"code in {name}"
            elif name in _ADDRESSES and _LEFT_OUT.sub("", value or "").lower().startswith(f"javascript:{MARK}"):
                self.found = f"a link that runs, in {name}"
        kind = (dict(attrs).get("type") or "").strip().lower()
        self._is_script = tag == "script" and _SCRIPTS.fullmatch(kind) is not None

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one that ends at once."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        """Leave a script."""
        self._is_script = False

    def handle_data(self, data: str) -> None:
        """Look into a script."""
        if self._is_script and runs(data):
            self.found = "code in a script"


def runs(script: str) -> bool:
    """Tell whether the mark stands in a script outside of strings and comments, or where a template computes.

    Args:
        script: JavaScript.
    """
    if MARK not in script:
        return False
    computed = False

    def skipped(found: re.Match[str]) -> str:
        nonlocal computed
        computed = computed or (found[0].startswith("`") and _COMPUTED.search(found[0]) is not None)
        return '""'

    return f"{MARK}(" in _SKIPPED.sub(skipped, script) or computed
