"""File names: one file in one directory, and no device, on Linux, macOS and Windows."""

from __future__ import annotations

import random
import re
from pathlib import Path
from unicodedata import normalize

import pytest

from asgi_guard.errors import ConfigError
from asgi_guard.sanitize import SanitizeError, clean_filename

NAMES = {
    # what stays
    "report.pdf": "report.pdf",
    "Quarterly report (final).docx": "Quarterly report (final).docx",
    "archive.tar.gz": "archive.tar.gz",
    "noextension": "noextension",
    "100% true, really!.txt": "100% true, really!.txt",
    "\u5831\u544a\u66f8.txt": "\u5831\u544a\u66f8.txt",
    "\u043e\u0442\u0447\u0451\u0442.pdf": "\u043e\u0442\u0447\u0451\u0442.pdf",
    "\u062a\u0642\u0631\u064a\u0631.pdf": "\u062a\u0642\u0631\u064a\u0631.pdf",
    "\u0930\u093f\u092a\u094b\u0930\u094d\u091f.pdf": "\u0930\u093f\u092a\u094b\u0930\u094d\u091f.pdf",
    "\u0631\u0648\u0632\u200c\u0647\u0627.txt": "\u0631\u0648\u0632\u200c\u0647\u0627.txt",
    "\U0001f600.png": "\U0001f600.png",
    "re\u0301sume\u0301.pdf": "r\xe9sum\xe9.pdf",
    # ways out of the directory
    "../../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "..\\..\\windows\\win.ini": "win.ini",
    "C:\\fakepath\\photo.jpg": "photo.jpg",
    "\\\\server\\share\\file.txt": "file.txt",
    "a/b\\c/d.txt": "d.txt",
    "..\uff0f..\uff0fetc": "_.._etc",
    "a\u2215b\uff3cc.txt": "a\u2215b_c.txt",
    "%2e%2e%2fpasswd": "%2e%2e%2fpasswd",
    "file.txt\0.jpg": "file.txt.jpg",
    # what hides, and what commands read as an option
    ".htaccess": "htaccess",
    "...hidden.txt": "hidden.txt",
    "-rf": "rf",
    "--output=x": "output=x",
    " leading.txt": "leading.txt",
    "\u202etxt.exe": "txt.exe",
    "invoice\u202efdp.exe": "invoicefdp.exe",
    "a\u200bb.txt": "ab.txt",
    "line\nbreak.txt": "line break.txt",
    "\u200c.git": "git",  # HFS+ sees no joiner
    ".\u200d.\ufe0f.git": "git",
    "\u200d-rf": "rf",
    "pay\u200dpal.txt": "paypal.txt",
    "\u5e74\u200d.\u200d": "\u5e74",
    "wide\u3000blank\xa0.txt": "wide blank .txt",
    "tab\tbed.txt": "tab bed.txt",
    # what Windows takes for something else
    "CON": "_CON",
    "con.txt": "_con.txt",
    "Nul.tar.gz": "_Nul.tar.gz",
    "COM1": "_COM1",
    "com\xb9.log": "_com\xb9.log",
    "LPT9 .txt": "_LPT9 .txt",
    "aux.": "_aux",
    "a/CON.txt": "_CON.txt",
    "\u200bnul": "_nul",
    "CONIN$": "_CONIN$",
    "\u200dCON.txt": "_CON.txt",
    "C\u200dON": "_CON",
    "N\ufe0fUL .txt": "_NUL .txt",
    "LPT\u2460.log": "_LPT\u2460.log",
    "COM\u2070": "_COM\u2070",
    "\uff23\uff2f\uff2e.txt": "_\uff23\uff2f\uff2e.txt",
    "console.txt": "console.txt",
    "com10.txt": "com10.txt",
    "trailing.txt. . .": "trailing.txt",
    "trailing.txt   ": "trailing.txt",
    "file.txt::$DATA": "file.txt__$DATA",
    'a<b>c:d"e|f?g*h.txt': "a_b_c_d_e_f_g_h.txt",
    "GIT~1": "GIT_1",
    "\uff1ca\uff1a.txt": "_a_.txt",
    "<\u0338x.txt": "_x.txt",
    "half\u2026.txt": "half_.txt",
}

EMPTY = [
    "",
    ".",
    "..",
    "...",
    "/",
    "\\",
    "a/",
    "C:\\",
    " ",
    "\0",
    "-",
    "\u202e",
    "\u200b.",
    ". . .",
    "\u200d",
    ".\u200c",
]


@pytest.mark.parametrize(("given", "expected"), NAMES.items(), ids=[ascii(name) for name in NAMES])
def test_a_name_is_what_it_says(given: str, expected: str) -> None:
    """Letters of every script stay, and what some system takes for something else does not."""
    assert clean_filename(given) == expected


@pytest.mark.parametrize("given", EMPTY, ids=ascii)
def test_a_name_of_nothing_is_refused(given: str) -> None:
    """An invented name would be the caller's."""
    with pytest.raises(SanitizeError, match="empty"):
        clean_filename(given)


LONG = {
    "ASCII": "a" * 300 + ".txt",
    "three bytes each": "\u5831" * 200 + ".pdf",
    "four bytes each": "\U0001f600" * 100 + ".png",
    "letters that come apart on HFS+": "\u0390" * 127 + ".txt",
    "Hangul": "\ud55c" * 100 + ".hwp",
    "an ending that is longer than the name": "a." + "b" * 300,
    "no ending": "c" * 400,
    "a device, once it is cut": "CON" + " " * 300 + "x.txt",
    "accents where it is cut": "a" * 249 + "e\u0323\u0302\u0301" * 3 + ".txt",
    "a family where it is cut": "a" * 240 + "\U0001f468\u200d\U0001f469\u200d\U0001f467" + ".txt",
}


@pytest.mark.parametrize("given", LONG.values(), ids=LONG)
def test_a_long_name_fits_every_file_system(given: str, tmp_path: Path) -> None:
    """255 bytes of UTF-8, 255 units of UTF-16, decomposed or not."""
    name = clean_filename(given)

    assert len(name.encode()) <= 255
    assert len(normalize("NFD", name).encode("utf-16-le")) <= 510
    assert clean_filename(name) == name
    (tmp_path / name).write_text("it can be written")
    assert re.match(r"(?i)con[ .]", name) is None


def test_a_long_name_keeps_its_ending() -> None:
    """What it is opened with hangs on it; a letter is not cut through."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert clean_filename("a" * 240 + family + ".txt") == "a" * 240 + ".txt"
    assert clean_filename("a" * 300 + ".gz") == "a" * 252 + ".gz"
    assert clean_filename("a" * 300 + ".gz", max_bytes=32) == "a" * 29 + ".gz"


REFUSED = {
    "bytes": (b"a.txt", "not_text"),
    "half a character": ("\udc80.txt", "not_unicode"),
    "a novel": ("a" * 4_097, "too_long"),
    "a tower of marks": ("a" + "\u0301" * 31, "too_many_marks"),
}


@pytest.mark.parametrize(("given", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_name_is_refused(given: object, reason: str) -> None:
    """Each with its reason."""
    with pytest.raises(SanitizeError) as error:
        clean_filename(given)

    assert error.value.reason == reason


@pytest.mark.parametrize("bound", [31, 256, "255", None])
def test_a_bound_that_no_system_has_is_told_to_the_developer(bound: object) -> None:
    """Names beyond it would fail later, and elsewhere."""
    with pytest.raises(ConfigError, match="max_bytes"):
        clean_filename("a", max_bytes=bound)


@pytest.mark.parametrize("seed", range(4))
def test_what_came_out_goes_in_again_unchanged(seed: int) -> None:
    """Also where it was cut between characters that change each other."""
    random_ = random.Random(seed)
    pieces = [
        "a",
        "b.",
        *" .-~1\u212a\u200c\u200d\ufe0f\ufe00\u0627\u5e74\u0301\u2024\u3000\u20e3\uff0e\u1161\u0344",
        "CON",
    ]
    for _ in range(3_000):
        given = "".join(random_.choice(pieces) for _ in range(random_.randrange(1, 40)))
        bound = random_.choice([32, 33, 40, 255])
        try:
            once = clean_filename(given, max_bytes=bound)
        except SanitizeError as error:
            assert error.reason in {"empty", "too_many_marks"}  # noqa: PT017
            continue

        assert clean_filename(once, max_bytes=bound) == once
        assert not once.startswith((".", "-", "\u200c", "\u200d"))
        assert not once.endswith((".", " "))
