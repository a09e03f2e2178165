"""Charsets: how the text of a body is written, where its client says so.

Frameworks decode a body by the charset that its type names, so who may name any hides an attack in one in which nothing
reads as it was sent: `<` is `+ADw-` in UTF-7, and 0x4C in EBCDIC. Most keep ASCII as it is; a few are decoded for the
look; the others are refused, as an encoding is that cannot be undone.
Must never ask Python for a charset by the name that a client gives: it would import a module for it, and keep the name.
"""

from __future__ import annotations

import re
from encodings.aliases import aliases
from typing import Final

_GIVEN: Final = re.compile(rb"""(?i)charset[*0-9]{0,4}\s{0,16}=\s{0,16}("[^"]*+"|[^\s;,"]*+)""")
_PUNCTUATION: Final = re.compile(r"[^a-z0-9.]+")

_PLAIN: Final = frozenset((
    "ascii", "utf_8", "utf_8_sig", "latin_1", "big5", "big5hkscs", "cp932", "cp949", "cp950", "euc_jis_2004",
    "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "hp_roman8", "johab", "koi8_r", "koi8_t", "koi8_u",
    "kz1048", "mac_cyrillic", "mac_greek", "mac_latin2", "mac_roman", "mac_turkish", "ptcp154", "shift_jis",
    "x_sjis", "windows_31j", "tis_620", "cp437", "cp850", "cp852", "cp855", "cp858", "cp862", "cp866", "cp874",
    "cp1125",
    *(f"iso8859_{number}" for number in range(1, 17)),
    *(f"cp{number}" for number in range(1250, 1259)),
))  # fmt: skip
"""Those in which an attack reads as it was sent: each character of ASCII is itself, whatever stands before it."""

_DECODED: Final = frozenset((
    "utf_16", "utf_16_be", "utf_16_le", "utf_32", "utf_32_be", "utf_32_le", "iso2022_jp", "cp037", "cp273",
    "cp500", "cp875", "cp1026", "cp1140",
))  # fmt: skip
"""Others that clients have; to decode them takes no longer than to read what comes out of it."""

UNKNOWN: Final = ""


def is_plain(name: str) -> bool:
    """Tell whether text in a charset of this name reads as it was sent; nothing is said by none."""
    return not name or _codec(name) in _PLAIN


def charset(content_type: bytes) -> str | None:
    """Return the codec that a type names, if it has to be undone; `UNKNOWN` where there is none, or more than one.

    Whatever a parser may take for the parameter counts: also one that is given twice, extended or quoted in part.
    """
    if b"charset" not in content_type.lower():
        return None
    names = [given.strip(b'"').decode("latin-1") for given in _GIVEN.findall(content_type)]
    odd = [_codec(name) for name in names if not is_plain(name)]
    if not odd:
        return None
    return odd[0] if len(names) == 1 and odd[0] in _DECODED else UNKNOWN


def _codec(name: str) -> str:
    """Return what Python calls a charset: it passes over capitals and punctuation, as its frameworks do therefore."""
    normal = _PUNCTUATION.sub("_", name.lower()).strip("_")
    return aliases.get(normal) or aliases.get(normal.replace(".", "_")) or normal
