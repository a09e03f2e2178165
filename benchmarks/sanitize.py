"""Sanitising: what a value costs, beside bleach, werkzeug, pathvalidate and ssrfguard; and what is wrong with results.

CPU time of the thread, the median over rounds in which the tools take turns, so that a busy machine changes little. A
file name is wrong where it is none, hides, is a device, has a character that some system takes for another, is too long
or has lost its letters. `python benchmarks/sanitize.py` writes `results/sanitize.json`, and the block in README.md that
is made of it; with `--render` only the block, and with `--check` neither: it fails where the block is not what the
results say.
"""

from __future__ import annotations

import json
import platform
import re
import statistics
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PureWindowsPath
from typing import Any
from unicodedata import normalize

RESULTS = Path(__file__).with_name("results") / "sanitize.json"
README = Path(__file__).parents[1] / "README.md"
BLOCK = re.compile(r"(?<=<!-- generated: sanitize -->\n).*?(?=<!-- end -->)", re.DOTALL)
ROUNDS = 41
ROUND_MS = 4

COMMENT = (
    "<p>I tried this on <b>two</b> machines &amp; it works, see <a href='https://example.com/a?b=1'>the notes</a>.</p>"
    "<ul><li>first</li><li>second, with <code>a &lt; b</code></li></ul><script>alert(1)</script>"
    "<p onclick='x()' style='color:red'>Thanks, <em>Zoë</em> \U0001f600</p>"
)
VALUES = {
    "file name": "Quarterly report (final).docx",
    "file name, other script": "\u5e74\u5ea6\u62a5\u544a (\u6700\u7ec8\u7248).docx",
    "file name, hostile": "..\\..//con\u202e." + "a" * 300 + ".txt",
    "HTML, a comment": COMMENT,
    "HTML, 40 comments": COMMENT * 40,
    "URL": "https://example.com/a/b?c=d",
    "URL, other script": "https://b\xfccher.example/a?b=\xe9",
    "text, a line": "Ada Lovelace, 10 Downing Street",
    "text, a page": ("Ame\u0301lie wrote this line of text, and meant it.\n" * 50)[:2_000],
    "e-mail address": "ada.lovelace+news@example.com",
}
HARD_NAMES = [
    "CON.txt",
    "aux",
    "com\xb9.log",
    "LPT9 .txt",
    "photo\u202egpj.exe",
    "a\u200bb.txt",
    "..\uff0f..\uff0fetc\uff0fpasswd",
    "file.txt::$DATA",
    "GIT~1",
    ".htaccess",
    "-rf",
    "trailing. ",
    "\u5831\u544a.txt",
    "\u043e\u0442\u0447\u0451\u0442.pdf",
    "\u5831" * 100 + ".pdf",
    "CON" + " " * 300 + "x.txt",
]


def tools() -> dict[str, dict[str, Callable[[str], object]]]:
    """Return what cleans each kind of value, by name."""
    import bleach
    from pathvalidate import sanitize_filename
    from ssrfguard import Policy
    from werkzeug.utils import secure_filename

    from asgi_guard.sanitize import clean_email, clean_filename, clean_html, clean_text, clean_url

    cleaner = bleach.Cleaner(tags={"p", "b", "a", "ul", "li", "code", "em"}, strip=True)
    policy = Policy()
    return {
        "file": {
            "asgi_guard": clean_filename,
            "werkzeug": secure_filename,
            "pathvalidate": lambda name: sanitize_filename(name, platform="universal"),
        },
        "HTML": {"asgi_guard": clean_html, "bleach": cleaner.clean},
        "URL": {"asgi_guard": clean_url, "ssrfguard": policy.check_url},
        "text": {"asgi_guard": lambda text: clean_text(text, multiline=True)},
        "e-mail": {"asgi_guard": clean_email},
    }


def us(clean: Callable[[str], object], value: str, times: int) -> float:
    """Return the CPU time of one call, in microseconds."""
    began = time.thread_time_ns()
    for _ in range(times):
        clean(value)
    return (time.thread_time_ns() - began) / times / 1e3


def measured(kind: dict[str, Callable[[str], object]], value: str) -> dict[str, float]:
    """Measure tools in turns."""
    times = {name: max(1, int(ROUND_MS * 1e3 / max(us(clean, value, 3), 0.5))) for name, clean in kind.items()}
    found: dict[str, list[float]] = {name: [] for name in kind}
    for _ in range(ROUNDS):
        for name, clean in kind.items():
            found[name].append(us(clean, value, times[name]))
    return {name: statistics.median(took) for name, took in found.items()}


def is_wrong(given: str, name: str) -> bool:
    """Tell whether a file name is unsafe on some system, or has lost what it said."""
    plain = normalize("NFKC", name)
    letters = [character for character in given if character.isalpha() and not character.isascii()]
    return (
        not name
        or name[0] in ".-"
        or name[-1] in ". "
        or PureWindowsPath(plain).is_reserved()
        or re.search(r'[\x00-\x1f<>:"/\\|?*~\u200b\u202e]', plain) is not None
        or len(name.encode()) > 255
        or (bool(letters) and not any(letter in name for letter in letters))
    )


def measure() -> dict[str, Any]:
    """Measure everything."""
    known = tools()
    return {
        "machine": {
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "system": platform.system(),
            "date": datetime.now(UTC).date().isoformat(),
        },
        "versions": {name: version(name) for name in ("bleach", "nh3", "pathvalidate", "ssrfguard", "werkzeug")},
        "us": {name: measured(known[re.split("[ ,]", name)[0]], value) for name, value in VALUES.items()},
        "wrong file names": {
            name: [given for given in HARD_NAMES if is_wrong(given, str(clean(given)))]
            for name, clean in known["file"].items()
        },
        "hard file names": len(HARD_NAMES),
    }


def block(result: dict[str, Any]) -> str:
    """Write the block of README.md."""
    lines = ["| cleaned | `asgi_guard` | others |", "|---|---:|---|"]
    for name, took in result["us"].items():
        others = ", ".join(f"{tool} {_us(us)}" for tool, us in took.items() if tool != "asgi_guard") or "-"
        lines.append(f"| {name} | {_us(took['asgi_guard'])} | {others} |")
    machine, number = result["machine"], result["hard file names"]
    wrong = ", ".join(f"{len(names)} by {tool}" for tool, names in result["wrong file names"].items())
    versions = ", ".join(f"{name} {release}" for name, release in result["versions"].items())
    remark = (
        f"CPU time, the median of {ROUNDS} rounds in turns. Of {number} hard file names (devices, marks of direction, "
        f"streams, other scripts, lengths) so many came out unsafe or without their letters: {wrong}. {versions}; "
        f"{machine['python']}, {machine['system']}, {machine['date']}."
    )
    return "\n".join([*lines, "", textwrap.fill(remark, 120, break_on_hyphens=False), ""])


def _us(us: float) -> str:
    return f"{us:.1f} us" if us < 100 else f"{us:,.0f} us"


def main(arguments: Sequence[str]) -> int:
    """Measure, and write; or do less."""
    if not arguments:
        RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    text = README.read_text(encoding="utf-8")
    written = BLOCK.sub(lambda _: block(result), text, count=1)
    if "--check" in arguments:
        return int(written != text)
    README.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
