r"""File names: the name that somebody gave to an upload, made one that is safe to write on Linux, macOS and Windows.

Only the last part of a path is kept. What a system takes for something else is replaced: separators, `:` (a second
stream on NTFS), wildcards, `~` (`GIT~1` is the short name of `.git`), names of devices with any ending (`CON.txt`), and
every character that becomes one of these when it is made plain, as Windows does with a full-width solidus on its way
to an old interface. Letters of every script are kept.
Source: Microsoft, "Naming Files, Paths, and Namespaces"; CVE-2014-9390. The bound of 255 holds in UTF-8 (ext4, APFS),
in UTF-16 (NTFS), and in decomposed UTF-16 (HFS+).
Must never decode anything: `%2e%2e%2f` is a name of nine characters, and whoever decodes it later cleans it again. Two
names may become one, and a name says nothing about what is in the file.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from itertools import accumulate
from typing import Final
from unicodedata import combining, normalize

from asgi_guard.sanitize.errors import SanitizeError, checked_text
from asgi_guard.sanitize.text import joined, normalised, visible
from asgi_guard.settings import Problems

_LONGEST_INPUT: Final = 4_096
_LONGEST_SUFFIX: Final = 16
_LEAST_BYTES: Final = 32
_MOST_BYTES: Final = 255
_ODD: Final = frozenset('<>:"|?*~/\\')
_DEVICE: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9]|conin\$|conout\$|clock\$)\s*(?:\.|$)")
_JOINERS: Final = frozenset("\u200c\u200d\ufe0e\ufe0f")
_NOT_FIRST: Final = ".- \u200c\u200d\ufe0e\ufe0f"  # HFS+ does not see a joiner: with one before it, `.git` is `.git`
_NOT_LAST: Final = ". \u200c\u200d"
_IGNORED: Final = re.compile("[\u200c\u200d\ufe00-\ufe0f]")


def clean_filename(value: object, *, max_bytes: int = _MOST_BYTES, field: str = "filename") -> str:
    """Return a name that is one file in one directory, and no device, on Linux, macOS and Windows.

    Args:
        value: what was given; of a path, the last part counts.
        max_bytes: the bytes that the result may have in UTF-8, 32 to 255; an ending is kept where a name is cut.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_text`, `not_unicode`, `too_long` (over 4,096 characters), `too_many_marks`, or `empty` where
            nothing of it can be kept, as of `..`.
        ConfigError: `max_bytes` is out of bounds.
    """
    if not isinstance(max_bytes, int) or not _LEAST_BYTES <= max_bytes <= _MOST_BYTES:
        problems = Problems("clean_filename")
        problems.integer("max_bytes", max_bytes, minimum=_LEAST_BYTES, maximum=_MOST_BYTES)
        problems.raise_if_any()
    text = checked_text(value, field, _LONGEST_INPUT)
    name = re.split(r"[/\\]", text)[-1]
    name = normalised(visible(name), field)
    if not (name.isascii() and name.isprintable() and _ODD.isdisjoint(name)):
        name = "".join(map(_plain, name))
    name = _around(joined(_cut(_around(joined(name)), max_bytes)))
    if not name or name.startswith("."):
        raise SanitizeError(field, "empty")
    return f"_{_around(joined(_cut(name, max_bytes - 1)))}" if _is_device(name) else name


@lru_cache(maxsize=1_024)
def _plain(character: str) -> str:
    """Replace a character that some system takes for another."""
    if character in _ODD:
        return "_"
    if character.isascii():
        return character if character.isprintable() else " "
    seen = normalize("NFKD", character)
    if character.isspace():
        return " "
    return "_" if "." in seen or not _ODD.isdisjoint(seen) else character


def _around(name: str) -> str:
    """Leave out what hides a file, makes an option of it, or is left out by Windows."""
    return name.lstrip(_NOT_FIRST).rstrip(_NOT_LAST)


def _is_device(name: str) -> bool:
    plain = _IGNORED.sub("", normalize("NFKC", name[:64]))
    return _DEVICE.match(plain.casefold()) is not None


def _cut(name: str, most: int) -> str:
    """Cut a name in front of its ending, between two letters."""
    if _size(name) <= most:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not stem or _size(suffix) > _LONGEST_SUFFIX:
        stem, dot, suffix = name, "", ""
    end = bisect_right([*accumulate(map(_size, stem))], most - _size(dot + suffix))
    while end and (combining(stem[end]) or stem[end] in _JOINERS or stem[end - 1] == "\u200d"):
        end -= 1
    return f"{_around(stem[:end])}{dot}{suffix}"


def _size(text: str) -> int:
    """Return the bytes or units that a text has where it has most of them."""
    if text.isascii():
        return len(text)
    return max(len(text.encode()), len(normalize("NFD", text).encode("utf-16-le")) // 2)
