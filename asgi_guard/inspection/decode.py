r"""Decode: the texts that one value may become on its way through an application, and how rules look at them.

An attacker writes `<script>` as `%3Cscript%3E`, `%253C...`, `&#x3c;...`, `\x3c...` or in full-width letters, and it
becomes one again where it is used. So a value is decoded until nothing changes, and each text on the way is looked at,
since a decoding may also destroy what an application would have seen. Two levels of base64 may stand on the way.
Every function is linear in its text: each pattern begins with a character that its repeats have not. Must never give
out a text that is longer than the one it was given, but for the bound that a full-width character has, and never more
than one for each way to read base64.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Callable, Generator, Mapping, Sequence
from html.entities import html5
from re import Match
from types import MappingProxyType
from typing import Final, TypeVar

from asgi_guard.inspection.rule import View

Breath = TypeVar("Breath")

ROUNDS: Final = 3
"""How often a value is decoded; each round undoes every encoding, so that three of them are undone in any order."""

BASE64_LEVELS: Final = 2
"""How often a value may be base64 of base64."""

MIN_BASE64: Final = 12
"""The characters from which on a value may be base64; what is shorter is a word."""

_PERCENT = re.compile(
    r"%(?:25)*(?:[uU][0-9a-fA-F]{4}|(?:[0-9a-fA-F]{2}|[bB][gG](?=%[0-9pqPQ]))"
    r"(?:%(?:25)*(?:[0-9a-fA-F]{2}|(?<=%[cC][01]%)[0-9pqPQ][a-zA-Z]|(?<=%[bB][gG]%)[0-9pqPQ][a-zA-Z]))*)"
)
_AGAIN = re.compile(r"%(?:25)+(?=[0-9a-fA-Fu]{2})")
_OVERLONG = re.compile(
    rb"(?:[\xc0\xc1]|(?:\xe0|\xf0\x80|\xf8\x80\x80|\xfc\x80\x80\x80)[\x80\x81])[\x80-\xbf]"
    rb"|\xc0[./n\xee]|\xc1\x1c"  # the second octet has a wrong lead, and is masked all the same
)
_ENTITY = re.compile(r"&(?:#[xX]0{0,32}([0-9a-fA-F]{1,6})|#0{0,32}([0-9]{1,7})|([a-zA-Z]{2,16}));?")
_HEX = "[0-9a-fA-F]"
_ESCAPE = re.compile(
    "|".join(
        (
            rf"\\x({_HEX}{{2}})",
            rf"\\u({_HEX}{{4}})",
            rf"\\u\{{0{{0,8}}({_HEX}{{1,6}})\}}",
            rf"\\00{{1,3}}([2-7]{_HEX})\s?",  # CSS
            r"\\([01][0-7]{2})",
            rf"\\([2-7]{_HEX})\s?",  # CSS as well
        )
    )
)
_WIDE = re.compile("[\u02b9\u02bc\u2024\u2025\u2044\u2215\u2216\uff01-\uff5e\ufe64\ufe65]")
_ENTITIES: Final[Mapping[str, str]] = MappingProxyType(
    {name.rstrip(";").lower(): text for name, text in html5.items() if text.isascii()}
)


def decode(text: str) -> str:
    """Undo one level of every encoding; the text itself where there is none."""
    if "%" in text:
        text = _PERCENT.sub(_unpercent, text)
    if "&" in text:
        text = _ENTITY.sub(_unentity, text)
    if "\\" in text:
        text = _ESCAPE.sub(_unescape, text)
    if "\0" in text:
        text = text.replace("\0", "")
    if not text.isascii():
        text = _WIDE.sub(_narrow, text)
    return text


def is_encoded(text: str) -> bool:
    """Tell whether there may be anything to decode in a text."""
    return "%" in text or "&" in text or "\\" in text or "\0" in text or not text.isascii()


def percent(text: str) -> str:
    """Undo what a query or a form encodes."""
    if "+" in text:
        text = text.replace("+", " ")
    return _PERCENT.sub(_unpercent, text) if "%" in text else text


def _unpercent(match: Match[str]) -> str:
    run = match[0]
    if "%25" in run:
        run = _AGAIN.sub("%", run)
    if run[1] in "uU":
        return _character(int(run.lstrip("%uU"), 16), run)
    try:
        octets = bytes.fromhex(run.replace("%", " "))
    except ValueError:  # %c0%9v is what decoders take that add up whatever letter there is
        octets = bytes(map(_OCTETS.__getitem__, run[1:].split("%")))
    try:
        return octets.decode()
    except UnicodeDecodeError:  # overlong UTF-8 is what old decoders take: %c0%af is a slash
        return _OVERLONG.sub(_shorten, octets).decode("utf-8", "replace")


class _Octets(dict[str, int]):
    """What the pairs of characters behind a percent sign are, if letters count on; each is added up once."""

    def __missing__(self, pair: str) -> int:
        octet = self[pair] = int(pair[0], 36) * 16 + int(pair[1], 36) & 0xFF
        return octet


_OCTETS: Final = _Octets()


def _shorten(match: Match[bytes]) -> bytes:
    lead = match[0][-2]
    return bytes([(lead & 0x1F) << 6 & 0x7F | match[0][-1] & 0x3F])


def _unentity(match: Match[str]) -> str:
    hexadecimal, decimal, name = match.groups()
    if name:
        return _ENTITIES.get(name.lower(), match[0])
    return _character(int(hexadecimal, 16) if hexadecimal else int(decimal), match[0])


def _unescape(match: Match[str]) -> str:
    octal = match[5]
    return _character(int(octal, 8) if octal else int(match[match.lastindex or 1], 16), match[0])


def _character(number: int, instead: str) -> str:
    return chr(number) if number < 0xD800 or 0xDFFF < number < 0x110000 else instead


_NARROW: Final[Mapping[str, str]] = MappingProxyType(
    {"\u02b9": "'", "\u02bc": "'", "\u2024": ".", "\u2025": "..", "\u2044": "/", "\u2215": "/", "\u2216": "\\",
     "\ufe64": "<", "\ufe65": ">"}
)  # fmt: skip


def _narrow(match: Match[str]) -> str:
    return _NARROW.get(match[0]) or chr(ord(match[0]) - 0xFEE0)


# Long texts -----------------------------------------------------------------------------------------------------------

PIECE: Final = 4_096
"""The characters of a long text that are decoded in one step."""

# Where nothing is cut in two that is decoded as a whole: neither an escape nor a character of several.
_BETWEEN = re.compile(r"(?<!%[cC][01])(?<!%[bB][gG])[%&\\](?![89aA]|[bB](?![gG]))|[^%&\\#;{}\w]")


def percent_slowly(text: str, breath: Breath) -> Generator[Breath, None, str]:
    """Do what `percent` does, and give out a breath wherever others may run."""
    return slowly(text, percent, _BETWEEN, breath)


def decode_slowly(text: str) -> Generator[None, None, str]:
    """Do what `decode` does, and let others run in between where the text is long."""
    return slowly(text, decode, _BETWEEN, None)


def slowly(
    text: str, change: Callable[[str], str], between: re.Pattern[str] | None, breath: Breath
) -> Generator[Breath, None, str]:
    """Change a text piece by piece, none of which ends but where a pattern says, and let others run in between."""
    pieces: list[str] = []
    size, start = len(text), 0
    while start < size:
        end = start + PIECE
        if between is not None:
            match = between.search(text, end)
            end = match.start() if match else size
        pieces.append(change(text[start:end]))
        start = end
        yield breath
    return "".join(pieces)


# Base64 ---------------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r"[A-Za-z0-9+/_=.-]{12,}\Z")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SAFE = b"-_"  # instead of the last two, in addresses (RFC 4648 section 5)
_FOREIGN = bytes(set(range(256)).difference(_ALPHABET, _SAFE))
_FROM_SAFE = bytes.maketrans(_SAFE, _ALPHABET[-2:])
_MOST_SEGMENTS: Final = 5  # those of an encrypted token (RFC 7516)
_HEAD: Final = 1_024
_FIRST: Final = 16
_MOST_UNREADABLE: Final = 3  # at the beginning, and one or two between
_PROBE: Final = 32
_UNPRINTABLE = bytes([*range(1, 9), 11, 12, *range(14, 32), 127])
_READABLE: Final = 10
"""One octet among so many may be no text, but for the first of them; and so may the octets at both ends."""


def unbase64(text: str) -> Sequence[str]:
    """Return the texts that a value may be the base64 of.

    Decoders pass over what is foreign to their alphabet. What stands behind padding, some join to what stands before,
    some decode by itself, and some leave out; of a token, such as a signed cookie or a JWT, each segment may be one.
    """
    if len(text) < MIN_BASE64:
        return ()
    octets = text.encode(errors="replace")
    readings = [_reading(octets, _FROM_SAFE, _FOREIGN)]
    if "-" in text or "_" in text:
        readings.append(_reading(octets, None, _FOREIGN + _SAFE))
    if "=" in text or ("." in text and _TOKEN.match(text)):
        segments = octets.replace(b".", b"=").split(b"=", _MOST_SEGMENTS)
        readings += [_reading(segment, _FROM_SAFE, _FOREIGN) for segment in segments if len(segment) >= MIN_BASE64]
    return [*dict.fromkeys(filter(None, readings))]


def _reading(octets: bytes, table: bytes | None, foreign: bytes) -> str | None:
    plain = octets[:_HEAD].translate(table, foreign)
    if len(plain) >= _FIRST and a2b_base64(plain[:_FIRST]).decode(errors="replace").count("\ufffd") > _MOST_UNREADABLE:
        return None  # most words end here
    begins = _text(plain[:_PROBE])
    if begins is None and (len(plain) >= _PROBE or len(octets) <= _HEAD):
        return None  # most texts end here
    if len(octets) > _HEAD:
        plain = octets.translate(table, foreign)
    return begins if len(plain) <= _PROBE and begins else _text(plain)


def _text(plain: bytes) -> str | None:
    """Decode what has nothing foreign in it; None where it is no text."""
    size = len(plain)
    if size < MIN_BASE64:
        return None
    octets = a2b_base64((plain[:-1] if size % 4 == 1 else plain) + b"==")
    text = octets.decode(errors="replace")
    unreadable = text.count("\ufffd", 1, -1) + len(octets) - len(octets.translate(None, _UNPRINTABLE))
    return text if unreadable <= max(0, len(octets) // _READABLE - 1) else None


# Views ----------------------------------------------------------------------------------------------------------------

_EXECUTABLE = re.compile(r"/\*(?:!|m!)[0-9]{0,6}")
_COMMENT = re.compile(r"/\*[^*]*+\*++(?:[^/*][^*]*+\*++)*+/")
_MOST_COMMENTS: Final = 4_096
_IN_QUOTES = re.compile(r"""['"][^'"\n]{0,32}/\*""")
_BETWEEN_READINGS: Final = "\n\x00\n"
"""No pattern of a query goes beyond it."""

_LINE_COMMENT = re.compile(r"(?:--|#)[^\n]*\n")
_SHELL_NOISE = ("\\\n", "$@", "$*", "``", '"', "'", "^", "\\")
_IFS = re.compile(r"\$(?:ifs(?:\$[0-9])?|\{ifs[^}]{0,32}\})")
_BRACES = re.compile(r"\{[^{}\s,]{1,40}(?:,[^{}\s,]{0,40}){1,8}\}")
_INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]+")
_SLASHES = re.compile(r"/(?:\.?/)+")


def _sql(text: str) -> str:
    """Read a text as a database does, without comments; in several ways, where it depends on the database.

    `--` and `#` may begin a comment in which `/*` begins none, and so may a quote, if the text began within one.
    """
    if "/*" not in text:
        return _without_gaps(_without_lines(text))
    plain = _EXECUTABLE.sub(" ", text)
    readings = [_without_lines(uncommented(plain).replace("*/", " "))]
    if "\n" in plain and ("--" in plain or "#" in plain):
        readings.append(uncommented(_without_lines(plain)).replace("*/", " "))
    if _IN_QUOTES.search(plain) is not None:
        readings.append(_without_lines(plain))
    return _BETWEEN_READINGS.join(map(_without_gaps, dict.fromkeys(readings)))


def _without_lines(text: str) -> str:
    if "\n" not in text:
        return text
    last = text.rindex("\n") + 1  # behind it no comment ends: each that begins would be looked for in vain
    return _LINE_COMMENT.sub(" ", text[:last]) + text[last:]


def _without_gaps(text: str) -> str:
    text = text.replace("+", " ")
    if "  " not in text and text.isprintable():
        return text
    before, after = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return f"{before}{' '.join(text.split())}{after}"


def uncommented(text: str) -> str:
    """Put a blank for each comment of the kind that many languages have."""
    if "/*" not in text:
        return text
    last = text.rfind("*/") + 2  # behind it no comment ends: each that begins would be looked for in vain
    return _COMMENT.sub(" ", text[:last]) + text[last:]


def uncommented_slowly(text: str) -> Generator[None, None, str]:
    """Do so for some comments at a time, and let others run in between."""
    last = text.rfind("*/") + 2
    text, rest = text[:last], text[last:]
    count = _MOST_COMMENTS
    while count == _MOST_COMMENTS:
        text, count = _COMMENT.subn(" ", text, _MOST_COMMENTS)
        yield
    return text + rest


def _shell(text: str) -> str:
    for noise in _SHELL_NOISE:
        text = text.replace(noise, "")
    if "{" in text:
        text = _BRACES.sub(lambda match: match[0][1:-1].replace(",", " "), text)
    return _IFS.sub(" ", text) if "$" in text else text


def _compact(text: str) -> str:
    return text if text.isprintable() else _INVISIBLE.sub("", text)


def _path(text: str) -> str:
    text = text.replace("\\", "/")
    return _SLASHES.sub("/", text) if "//" in text or "/./" in text else text


TRANSFORMS: Final[Mapping[View, Callable[[str], str]]] = MappingProxyType(
    {"sql": _sql, "shell": _shell, "compact": _compact, "path": _path}
)
"""What makes each view of a plain text, which is in lower case."""

_EVEN = b" !#()*,-./:;<=>?@[]_|}~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BLANK = re.compile(r"[^\S\x00- ]|\x0b")


def is_odd(text: str) -> bool:
    """Tell whether there may be anything to decode in a text, or anything that a view changes."""
    return (
        not text.isascii()
        or bool(text.encode().translate(None, _EVEN))
        or "  " in text
        or ("/" in text and ("//" in text or "/." in text or "/*" in text))
    )


def fold(text: str) -> str:
    """Return a text as rules look at it: in lower case, every blank but those of ASCII being one of ASCII.

    Both engines take other blanks for none, and RE2 the vertical tab as well. What stands for a cut is none of its
    characters.
    """
    text = text.casefold()
    if "\x01" in text:
        text = text.replace("\x01", "\x02")
    return _BLANK.sub(" ", text) if "\x0b" in text or not text.isascii() else text
