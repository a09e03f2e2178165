r"""Padding: what stretches an attack and means nothing where it runs, made short.

Patterns repeat with a bound. An attacker who knows it writes `x' or 'aaa…'='aaa…`, nine brackets where a rule counts
eight, or a file name of sixty letters before `; cat /etc/hosts`: the database and the shell do not mind. So a text that
is padded is looked at once more without: long words and literals, runs of blanks, brackets and signs, sums, comments,
and a long beginning before the first quote.
Every function is linear in its text: what repeats in a pattern is bounded, or cannot begin inside of what it has read.
Must never be looked at instead of the text itself, since what is taken out may be what an application would have seen;
must never join two words that a sentence keeps apart.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from re import Match
from typing import Final

from asgi_guard.inspection.decode import slowly, uncommented, uncommented_slowly

_LONGEST_WORD: Final = 32
_LONGEST_START: Final = 56
_LONGEST_LITERAL: Final = 24
_KEPT: Final = 8
_SHORTEST: Final = 8
_FEW: Final = 4
_LOOKED_BACK: Final = 512

# Whether there may be any ---------------------------------------------------------------------------------------------

_WORD = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_" + bytes(range(128, 256))
_DIGITS = b"0123456789"
_TOKEN = _WORD[:53] + _DIGITS + b"-./+=:,"
_BLANK = bytes(range(33))
_QUOTES = b"\"'^`$@*"
_OPERATORS = b"+~!*/%\\"
_KINDS = bytes.maketrans(
    _WORD + _DIGITS + _BLANK + _QUOTES, b"w" * len(_WORD + _DIGITS) + b" " * len(_BLANK) + b"'" * len(_QUOTES)
)  # what each character is
_NUMBERS = bytes.maketrans(_DIGITS, b"0" * len(_DIGITS))
_SIGNS = bytes.maketrans(_OPERATORS, b"-" * len(_OPERATORS))
_SEPARATORS = b";&|`\n$"
_BETWEEN_SIGNS = b" \t\n\r.0123456789"
_LONG_WORD = b"w" * (_LONGEST_WORD + 1)
_LONG_NUMBER = b"0" * (_LONGEST_WORD + 1)
_HEXADECIMAL = re.compile(rf"0[xX]\w{{{_LONGEST_WORD - 1}}}".encode())
_MANY_QUOTES = b"'" * 32
_MANY_SIGNS = b"----"
_MANY_STEPS = b"-" * 32


def is_padded(text: str) -> bool:
    """Tell at a low price whether a text may be padded: a token alone is not, however long it is."""
    if len(text) <= _SHORTEST:
        return False
    octets = text.encode(errors="replace")
    if not octets.translate(None, _TOKEN):
        return False
    kinds, signs = octets.translate(_KINDS), octets.translate(_SIGNS, _BETWEEN_SIGNS)
    return (
        b"   " in kinds
        or _MANY_SIGNS in signs
        or _has_brackets(signs)
        or "/*" in text
        or (_LONG_LINE.search(text) is not None)
        or _has_not(text, octets)
        or _MANY_QUOTES in kinds
        or "\\\n\\\n" in text
        or (len(octets.translate(None, _SEPARATORS)) < len(octets) and _repeated(text) > 0)
        or (len(octets) > _LONGEST_LITERAL and (_has_operand(text, octets, kinds) or _is_literal_or_start(text)))
    )


def _has_operand(text: str, octets: bytes, kinds: bytes) -> bool:
    """Tell whether a long word may be one: a text behind which a comparison stands, or a number."""
    return _LONG_WORD in kinds and (
        _LONG_TEXT.search(text) is not None
        or _HEXADECIMAL.search(octets) is not None
        or _LONG_NUMBER in octets.translate(_NUMBERS)
    )


def _is_literal_or_start(text: str) -> bool:
    is_compared = _IS_COMPARED.search(text) is not None and _LITERAL.search(text) is not None
    return is_compared or _NAME.match(text) is not None or _start(text) > 0


# How it is made short -------------------------------------------------------------------------------------------------

_MANY_BLANKS = re.compile(r"[\s\x00-\x20\xa0]{32,}")
_BLANKS = re.compile(r"[ \t\xa0](?<=\S[ \t\xa0])[ \t\xa0]{2,}(?=\S)")
_EXECUTED = re.compile(r"/\*(?:!|m!)[0-9]{0,6}([^*]*+)\*/")
_LONG_LINE = re.compile(r"(?:--|#)[^\n]{64,}+\n")
_QUOTED = re.compile(r"""(?<!["'^`$@*])(?:["'^`$@*]|\\\n){32,}+""")
_STEPS = re.compile(r"(?<![/\\])(?<![/\\]\.)[/\\](?:\.?[/\\]){31,}")
_BRACKETS = re.compile(r"\((?:[\s+~-]{0,3}\(){2,}|\)(?:\s{0,2}\)){2,}")
_NOT = re.compile(r"\b(?:[nN][oO][tT]\s{1,2}){2,}")
# What is read once is not read again where nothing follows: else each sign of a run would be tried, to its end.
_SIGNED = re.compile(r"([-+~!])(?:\s{0,2}[-+~!]){3,}+(?:\s{0,2}(?P<signed>)(?=[\w('\"])|)")
_SUM = re.compile(r"(\d(?<!\w\d)\d{0,31})(?:\s{0,2}[-+*/%]\s{0,2}\d{1,32}(?:\.\d{1,32})?){4,}\b")
_IS_SUM = re.compile(r"[-+*/%]\s{0,2}\d{1,32}(?:\.\d{1,32})?[)\s]{0,8}(?:[=<>]|!=|(?i:like|between)\b)")
_COMPARED = re.compile(r"[)\s]{0,8}(?:[=<>]|!=|(?i:like|between)\b)")
_COMPARES = r"""\s?(?:[=<>]\s?['"\d@(]|!=|<>|(?i:like)\b)"""
_IS_COMPARED = re.compile(rf"""['"]{_COMPARES}""")
_LITERAL = re.compile(rf"""(?:'[^'\n]{{25,}}'|"[^"\n]{{25,}}")(?={_COMPARES})""")
_LONG = re.compile(rf"\b(0[xX])?\w{{{_LONGEST_WORD + 1},}}")
_ENDS = r"\)?\s?(?:[=<>]|!=|--|#|;|$|(?i:like|between|in|is|and|x?or|union)\b)"
_NUMBER_ENDS = re.compile(_ENDS)
_TEXT_ENDS = re.compile(rf"""['"`]{_ENDS}""")
_LONG_TEXT = re.compile(rf"""['"`](?<=\w{{{_LONGEST_WORD + 1}}}['"`]){_ENDS}""")
_NAME = re.compile(
    r"""\s{0,8}(?:[^\s;&|`$()<>]{41,}+|[^\s;&|`$'"<>]{41,}+)"""
    r"""(?=\s{0,8}(?:(?:;|&&)\s{0,8}\S|(?:&\s|\|{1,2}|\n|`|\$\()\s{0,8}[a-zA-Z/'"\\]))"""
)
_SEPARATOR = re.compile(r"[;&|`\n]|\$\(")
_QUOTE = re.compile(r"""['"`]""")
_GOES_ON = re.compile(
    r"[)\s]{0,16}(?:[-+*/%^&|=<>#;]|(?i:x?or|and|div|mod|r?like|regexp|in|is|where|having|limit|by|union)\b)"
)


def unpad(text: str) -> str:
    """Make short what an interpreter skips, and what only a pattern counts."""
    return _without_start(_squeeze(uncommented(_plain(text))))


def unpad_slowly(text: str) -> Generator[None, None, str]:
    """Do so piece by piece, and let others run in between."""
    text = _plain(text)
    if "/*" in text:
        text = yield from uncommented_slowly(text)
    text = yield from slowly(text, _squeeze, None, None)
    return _without_start(text)


def _plain(text: str) -> str:
    """Leave out long comments that end with their line; and take for none those that a database runs."""
    if "/*" in text:
        text = _EXECUTED.sub(r" \1 ", text)
    last = text.rfind("\n") + 1  # behind it no comment ends: each that begins would be looked for in vain
    return f"{_LONG_LINE.sub(' ', text[:last])}{text[last:]}" if last > _LONGEST_WORD else text


def _squeeze(text: str) -> str:
    """Look for each kind of padding where there may be any: a look at what each character is costs next to nothing."""
    octets = text.encode(errors="replace")
    kinds, signs = octets.translate(_KINDS), octets.translate(_SIGNS, _BETWEEN_SIGNS)
    if b"   " in kinds or "\xa0\xa0" in text:
        text = _BLANKS.sub(" ", _MANY_BLANKS.sub(_blank, text))
    if _MANY_QUOTES in kinds or "\\\n\\\n" in text:
        text = _QUOTED.sub(_first_quote, text)
    if _MANY_STEPS in signs:
        text = _STEPS.sub("/", text)
    if _has_operand(text, octets, kinds):
        text = _LONG.sub(_end_of_word, text)
    if b"'" in kinds and _IS_COMPARED.search(text) is not None:
        text = _LITERAL.sub(_ends, text)
    if _has_brackets(signs):
        text = _BRACKETS.sub(_first, text)
    if _MANY_SIGNS in signs:
        if _IS_SUM.search(text) is not None:
            text = _SUM.sub(_first_of_sum, text)
        text = _SIGNED.sub(_sign, text)
    return _NOT.sub("not ", text) if _has_not(text, octets) else text


def _has_brackets(signs: bytes) -> bool:
    bare = signs.replace(b"-", b"")
    return b"(((" in bare or b")))" in bare


def _has_not(text: str, octets: bytes) -> bool:
    return octets.lower().count(b"not") > 1 and _NOT.search(text) is not None


def _first(run: Match[str]) -> str:
    return run[0][0]


def _first_quote(run: Match[str]) -> str:
    """Keep the first of what a shell passes over: `$@` is that, and a dollar before a name is not."""
    return run[0][:2] if run[0][0] in "$\\" else run[0][0]


def _blank(run: Match[str]) -> str:
    return "\n" if "\n" in run[0] or "\r" in run[0] else " "


def _end_of_word(word: Match[str]) -> str:
    """Shorten what may be an operand: anywhere else, length hides nothing."""
    ends = _NUMBER_ENDS if word[1] or word[0].isdigit() else _TEXT_ENDS
    return f"{word[1] or ''}{word[0][-_KEPT:]}" if ends.match(word.string, word.end()) else word[0]


def _ends(literal: Match[str]) -> str:
    return f"{literal[0][:_KEPT]}{literal[0][-_KEPT:]}"


def _sign(run: Match[str]) -> str:
    if run["signed"] is None:
        return run[0]
    return "--" if run[0].startswith("--") else run[1]


def _first_of_sum(terms: Match[str]) -> str:
    return terms[1] if _COMPARED.match(terms.string, terms.end()) else terms[0]


def _start(text: str) -> int:
    """Return where the first quote stands, if far from the beginning and followed by what continues a query or code."""
    quote = _QUOTE.search(text)
    is_far = quote is not None and quote.start() > _LONGEST_START
    return quote.start() if quote is not None and is_far and _GOES_ON.match(text, quote.end()) else 0


def _repeated(text: str) -> int:
    """Return where the application's own command would end, if it is nothing but a few words again and again."""
    separator = _SEPARATOR.search(text)
    if separator is None:
        return 0
    end = separator.start()
    words = text[max(0, end - _LOOKED_BACK) : end].split()
    is_repeated = len(words) > _FEW and len(set(words)) <= min(2 * _FEW, len(words) // 2)
    return end if is_repeated else 0


def _without_start(text: str) -> str:
    repeated = _repeated(text)
    if repeated:
        text = text[repeated:]
    name = _NAME.match(text)
    if name is not None:
        text = text[name.end() - _KEPT :]
    quote, half = _start(text), _LONGEST_START // 2
    return f"{text[:half]} {text[quote - half :]}" if quote else text
