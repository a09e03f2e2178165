"""Inspection: no disguise, no padding and no chunk hides an attack, and both engines say the same."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.inspection.engines import has_re2
from asgi_guard.inspection.rule import LEVELS, PLACES
from asgi_guard.inspection.rules import load
from asgi_guard.inspection.scan import inspect_value

needs_re2 = pytest.mark.skipif(not has_re2(), reason="google-re2 is not installed")

RULES = load()
ATTACKS = {
    "<script>steal(1)</script>": "xss",
    "1 union select name, word from users": "sqli",
    "../../../etc/shadow": "traversal",
}


def wide(text: str) -> str:
    """Write what is ASCII and no blank in full-width characters."""
    return "".join(chr(ord(each) + 0xFEE0) if "!" <= each <= "~" else each for each in text)


ENCODINGS: dict[str, Any] = {
    "percent": lambda text: "".join(f"%{octet:02x}" for octet in text.encode()),
    "percent, only marks": lambda text: quote(text, safe=""),
    "percent u": lambda text: "".join(f"%u{ord(each):04x}" for each in text),
    "decimal entities": lambda text: "".join(f"&#{ord(each)};" for each in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(each):x};" for each in text),
    "named entities": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    "escapes": lambda text: "".join(f"\\x{ord(each):02x}" if ord(each) < 256 else each for each in text),
    "unicode escapes": lambda text: "".join(f"\\u{ord(each):04x}" for each in text),
    "full width": wide,
    "nul": "\0".join,
}


@given(
    attack=st.sampled_from(sorted(ATTACKS)),
    chain=st.lists(st.sampled_from(sorted(ENCODINGS)), max_size=3),
    is_swapped=st.booleans(),
)
def test_an_attack_is_found_however_it_is_encoded(attack: str, chain: list[str], is_swapped: bool) -> None:
    """In any encodings, up to three of them one in another, in any order."""
    text = attack.swapcase() if is_swapped else attack
    for name in chain:
        text = ENCODINGS[name](text)

    assert ATTACKS[attack] in {finding.rule.attack for finding in inspect_value(text)}


@given(
    attack=st.sampled_from(sorted(ATTACKS)),
    inside=st.sampled_from(sorted(ENCODINGS)),
    outside=st.sampled_from(sorted(ENCODINGS)),
)
def test_base64_may_stand_anywhere_in_the_chain(attack: str, inside: str, outside: str) -> None:
    """One level of it, around an encoding and within another one."""
    text = ENCODINGS[outside](b64encode(ENCODINGS[inside](attack).encode()).decode())

    assert ATTACKS[attack] in {finding.rule.attack for finding in inspect_value(text)}


@given(
    attack=st.sampled_from(sorted(ATTACKS)), before=st.integers(0, 9_000), after=st.integers(0, 9_000), data=st.data()
)
def test_padding_never_hides_an_attack(attack: str, before: int, after: int, data: st.DataObject) -> None:
    """Whatever it is made of."""
    padding = data.draw(st.sampled_from(["a ", "lorem ipsum, ", "%20", ". ", "\n", "\u4e2d "]))
    text = (padding * before)[:before] + " " + attack + " " + (padding * after)[:after]

    assert ATTACKS[attack] in {finding.rule.attack for finding in inspect_value(text)}


PIECES = st.one_of(
    st.sampled_from([need for rule in RULES for need in rule.needs]),
    st.sampled_from([text for rule in RULES for text in (*rule.positives, *rule.negatives)]),
    st.text(max_size=8),
    st.sampled_from(["'", '"', " ", "(", ")", "%27", "/*", "*/", "\n", "$", "=", "<", "\\", "&#x27;", "--", "1", "İ"]),
)


@needs_re2
@given(pieces=st.lists(PIECES, max_size=12), place=st.sampled_from(PLACES))
def test_both_engines_say_the_same(pieces: list[str], place: Any) -> None:
    """Of texts made of what rules look for, at every level."""
    text = "".join(pieces)
    for level in LEVELS:
        assert inspect_value(text, place, level, "re2") == inspect_value(text, place, level, "re")


@pytest.mark.long
@pytest.mark.timeout(300)
@needs_re2
@given(seed=st.integers(0, 2**32))
def test_a_text_full_of_literals_is_not_let_pass(seed: int) -> None:
    """All literals of all rules in one text, which asks the most of the engine's table of states."""
    needs = [need for rule in RULES for need in rule.needs]
    Random(seed).shuffle(needs)
    text = " ".join(needs) + " <script>steal(1)</script>"

    assert "xss" in {finding.rule.attack for finding in inspect_value(text)}
    assert inspect_value(text, engine="re2") == inspect_value(text, engine="re")
