"""Decode: every encoding is undone, and each view shows what it says."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Generator
from time import process_time

import pytest

from asgi_guard.inspection.decode import TRANSFORMS, decode, decode_slowly, is_odd, percent, unbase64


def wide(text: str) -> str:
    """Write a text in full-width characters."""
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


@pytest.mark.parametrize(
    ("encoded", "text"),
    [
        ("%3Cscript%3E", "<script>"),
        ("%253Cscript%25253E", "<script>"),
        ("%u003cscript%U003E", "<script>"),
        ("%c0%ae%c0%ae%c0%af", "../"),
        ("%e0%80%af%c1%9c", "/\\"),
        ("%f0%80%80%ae%f8%80%80%80%ae%fc%80%80%80%80%af", "../"),
        ("%c0%2e%c0%ee%c0%2f%c1%1c", "../\\"),
        ("%c0%9v%c0%qf%bg%qf%c1%8s", "///\\"),
        ("%bg%%c0%zz", "%bg%\ufffd%zz"),
        ("%u2215%u2216", "/\\"),
        ("%C3%A4", "ä"),
        ("%e4", "\ufffd"),
        ("100% sure, 50%", "100% sure, 50%"),
        ("%zz%2", "%zz%2"),
        ("&lt;b&gt;", "<b>"),
        ("&#60;&#x3C;&#x0000003c;&#60", "<<<<"),
        ("&colon;&lpar;&Tab;&unknown;", ":(\t&unknown;"),
        ("&#1114112;&#xd800;", "&#1114112;&#xd800;"),
        (r"\x3cscript\u003e\u{3e}", "<script>>"),
        (r"\3c script\00003e", "<script>"),
        (r"\074\141", "<a"),
        (wide("<script>"), "<script>"),
        ("\u2025\u2215\u02bc", "../'"),
        ("a\0b", "ab"),
        ("plain text", "plain text"),
    ],
)
def test_one_round_undoes_every_encoding(encoded: str, text: str) -> None:
    """Whatever is no encoding stays as it is."""
    assert decode(encoded) == text


def test_a_plus_is_a_blank_where_a_form_says_so() -> None:
    """And nowhere else."""
    assert percent("a+b%2Bc") == "a b+c"
    assert decode("a+b") == "a+b"


@pytest.mark.parametrize("text", ["<script>steal(1)</script>", "' or mail=mail -- ", "../../srv/secrets"])
def test_base64_of_a_text_is_opened(text: str) -> None:
    """In either alphabet, with its padding or without."""
    encoded = b64encode(text.encode()).decode()

    assert unbase64(encoded) == [text]
    assert unbase64(encoded.rstrip("=")) == [text]
    assert text in unbase64(encoded.replace("+", "-").replace("/", "_"))


@pytest.mark.parametrize(
    "written",
    [
        "!".join,
        " ".join,
        ".".join,
        "-".join,
        "=".join,
        lambda encoded: f"{encoded}!{'?' * 2_000}",
        lambda encoded: "?" * 2_000 + encoded,
        lambda encoded: f"=={encoded}",
        lambda encoded: f"{encoded}=QUFB{'gICA' * 9}",
        lambda encoded: f"{encoded}g",
    ],
    ids=["signs", "blanks", "dots", "dashes", "padding", "behind", "before", "first", "what is no text", "half of one"],
)
def test_base64_is_opened_as_decoders_do_that_pass_over_what_is_foreign(written) -> None:
    """Those of Python, unless they are told to validate, and of PHP."""
    text = "<script>steal(1)</script>"
    readings = unbase64(written(b64encode(text.encode()).decode().rstrip("=")))
    assert any(reading.startswith(text) for reading in readings)


@pytest.mark.parametrize(
    "octets", [b"' or mail=mail -- \xff", b"\xff' or mail=mail -- ", b"' or mail=\xff /* mail */ -- "]
)
def test_base64_of_a_text_is_one_with_an_octet_that_is_none(octets: bytes) -> None:
    """An application may pass over it, too."""
    assert unbase64(b64encode(octets).decode()) == [octets.decode(errors="replace")]


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "0123456789abcdef0123456789abcdef",
        "WindowsSystem32",
        "not base64, at all",
        "RESOLUTION_SCREEN",
        "selectedCityId",
    ],
)
def test_what_only_looks_like_base64_is_not(text: str) -> None:
    """Words, hashes and tokens decode to what nobody can read."""
    assert not unbase64(text)


@pytest.mark.parametrize(
    ("view", "text", "seen"),
    [
        ("sql", "union/**/select", "union select"),
        ("sql", "union/*!50000 select*/ 1", "union select 1"),
        ("sql", "union/*" + "x" * 500 + "*/select", "union select"),
        ("sql", "union--x\nselect", "union select"),
        ("sql", "union#x\n\t select", "union select"),
        ("sql", "union /* open", "union /* open"),
        ("shell", "c'a't /srv/secrets", "cat /srv/secrets"),
        ("shell", "c\\at$ifs/srv/secrets", "cat /srv/secrets"),
        ("shell", "cat${ifs}x$@", "cat x"),
        ("shell", "{cat,/srv/secrets}", "cat /srv/secrets"),
        ("shell", "w^h^o^a^m^i", "whoami"),
        ("compact", "java\tscr\nipt\x01:", "javascript:"),
        ("compact", "a b", "a b"),
        ("path", "..\\..\\app\\boot.ini", "../../app/boot.ini"),
        ("path", "..//.//../etc", "../../etc"),
    ],
)
def test_a_view_shows_what_a_disguise_hides(view, text: str, seen: str) -> None:
    """Each of them undoes the disguises of one language."""
    assert " ".join(TRANSFORMS[view](text).split()) == seen


@pytest.mark.parametrize("text", ["blue shoes, size 42", "a@example.com", "2026-11-22 10:00", "id=5; x"])
def test_a_plain_text_has_nothing_to_decode(text: str) -> None:
    """So it is looked at once."""
    assert not is_odd(text)
    assert decode(text) == text
    assert all(transform(text) == text for transform in TRANSFORMS.values())


HOSTILE = [
    "%25",
    "%",
    "&#",
    "&#x0",
    "&amp",
    "\\",
    "\\u{",
    "/*",
    "*/",
    "--",
    "#\n",
    "{a,",
    "$ifs",
    "//.",
    wide("<"),
    "A",
    "\n",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_work_grows_with_the_text_and_no_faster(piece: str) -> None:
    """Sixteen times the text takes at most some sixty times as long, where a square would take 256 times."""

    def seconds(size: int) -> float:
        text = (piece * size)[:size]
        best = float("inf")
        for _ in range(3):
            begin = process_time()
            decode(text)
            for transform in TRANSFORMS.values():
                transform(text)
            best = min(best, process_time() - begin)
        return best

    assert seconds(128_000) < 64 * max(seconds(8_000), 0.000_3)


@pytest.mark.parametrize("unit", ["%c0%af", "%bg%pq", "%c0%9v", "%u0041", "%25%32%65", "%e4%bd%a0", "&lt;", "\\x3c"])
@pytest.mark.parametrize("shift", range(6))
def test_a_long_text_is_decoded_as_if_in_one(unit: str, shift: int) -> None:
    """No step ends within what is decoded as a whole, wherever it begins."""
    text = "x" * shift + unit * 2_000
    decoded = ""

    def last() -> Generator[None]:
        nonlocal decoded
        decoded = yield from decode_slowly(text)

    assert len(list(last())) > 1
    assert decoded == decode(text)


@pytest.mark.parametrize("text", [" " * 200_000 + "<", "\n" * 200_000 + "<", "a" * 200_000 + "<", "a." * 100_000 + "<"])
def test_what_is_nearly_base64_is_read_once(text: str) -> None:
    """Blanks may stand in it and behind it: to try where they belong would take the square of the time."""
    begun = process_time()

    assert not unbase64(text)
    assert process_time() - begun < 0.5
