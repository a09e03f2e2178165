"""The commands `asgi-guard audit verify` and `asgi-guard audit show`.

Exit codes of `verify`: 0 all is as it was written, 1 it is not, 2 a file or the key cannot be read, or the key is not
the one of the log.
Must never hand a control character of a log to the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from asgi_guard.audit.entry import OUTCOMES
from asgi_guard.audit.heads import HEADS
from asgi_guard.audit.reading import with_generations
from asgi_guard.audit.settings import key_of
from asgi_guard.audit.show import Filter, entries, shown
from asgi_guard.audit.verify import Verdict, verify
from asgi_guard.audit.vocabulary import SEVERITIES

KEY: Final = "ASGI_GUARD_AUDIT__KEY"
"""The variable that holds the key, the same as for the guard."""

_SHOWN: Final = 8


def add_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the commands to those of `asgi-guard`."""
    about = "verify an audit log, or show it"
    audit = commands.add_parser("audit", help=about, description=f"{about.capitalize()}.")
    actions = audit.add_subparsers(metavar="ACTION", required=True)

    about = "tell whether a log is as it was written"
    checks = actions.add_parser("verify", help=about, description=f"{about.capitalize()}, and where it is not.")
    checks.add_argument("files", metavar="PATH", nargs="+", type=Path, help="the files, the oldest first")
    checks.add_argument(
        "--key-file",
        type=Path,
        action="append",
        default=[],
        help=f"a file with the key; again for a further one, where it was changed; by default the variable {KEY}",
    )
    checks.add_argument(
        "--heads",
        type=Path,
        action="append",
        default=[],
        help=f"a file of checkpoints, such as a copy that stands elsewhere; by default PATH{HEADS}, where it is there",
    )
    checks.add_argument("--from-the-middle", action="store_true", help="older files were removed")
    checks.add_argument("--json", action="store_true", help="for programs")
    checks.set_defaults(handler=_verify)

    about = "print the entries of a log"
    shows = actions.add_parser("show", help=about, description=f"{about.capitalize()}.")
    shows.add_argument("files", metavar="PATH", nargs="+", type=Path)
    shows.add_argument("--since", type=_time, help="such as 2026-01-31, or 2026-01-31T10:00:00Z")
    shows.add_argument("--until", type=_time, help="the same")
    shows.add_argument("--event", help="the name of an event, or its beginning, such as authn_")
    shows.add_argument("--outcome", choices=OUTCOMES)
    shows.add_argument("--severity", choices=tuple(SEVERITIES), help="as grave as this at least")
    for name in ("subject", "request-id", "layer"):
        shows.add_argument(f"--{name}")
    shows.add_argument("--json", action="store_true", help="the lines as they are")
    shows.set_defaults(handler=_show)


def _time(text: str) -> float:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is no time: write 2026-01-31T10:00:00Z") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _verify(options: argparse.Namespace) -> int:
    keys: list[bytes] = []
    given = [path.read_bytes() for path in options.key_file] or [
        os.environ.get(KEY, "").encode(errors="surrogateescape")
    ]
    for one in given:
        found = _keys_in(one)
        if one and not found:
            print("asgi-guard: the key must be 32 to 64 bytes, or 64 to 128 hexadecimal digits", file=sys.stderr)
            return 2
        keys += found
    files = with_generations(options.files)
    heads: list[Path] = options.heads or [
        found for path in options.files if (found := path.with_name(path.name + HEADS)).exists()
    ]
    verdict = verify(files, key=keys, heads=heads, from_the_middle=options.from_the_middle)
    if options.json:
        print(json.dumps({"is_sound": verdict.is_sound, **asdict(verdict)}))
    else:
        _print(verdict, is_keyed=bool(keys), has_heads=bool(heads))
    return 2 if verdict.is_wrong_key else 0 if verdict.is_sound else 1


def _keys_in(given: bytes) -> list[bytes]:
    """Return the keys that the bytes of a file may be: with the line feed that an editor has put there, or without."""
    found: list[bytes] = []
    for one in (given.removesuffix(b"\n").removesuffix(b"\r"), given):
        text = one.decode("ascii", "replace")
        key = (key_of(text) if text.isascii() else b"") or key_of(one)
        if key and key not in found:
            found.append(key)
    return found


def _print(verdict: Verdict, *, is_keyed: bool, has_heads: bool) -> None:
    for found in verdict.findings:
        place = f"{found.file}:{found.line}" if found.line else f"{found.file}, at the end"
        chain = f" (chain {found.chain!a})" if found.chain else ""
        print(f"{place}: {found.fault}{chain}: {found.message}")
    print(f"As they were written: {_counted(verdict.lines, 'line')} of {_counted(verdict.chains, 'chain')}.")
    if verdict.places:
        others = f" and {len(verdict.places) - _SHOWN:,} others" if len(verdict.places) > _SHOWN else ""
        places = ", ".join(f"{place!a}" for place in verdict.places[:_SHOWN])
        print(f"They are of {places}{others}; the last one is of {verdict.last!a}.")
    if verdict.unnoted:
        print(
            f"Known to no checkpoint: {_counted(len(verdict.unnoted), 'chain')}, "
            "of another log with this key, or one whose checkpoints were removed."
        )
    if verdict.open_ended:
        print(f"Without an end: {_counted(len(verdict.open_ended), 'chain')}, whose process runs, or was killed.")
    if verdict.torn:
        print(
            f"Torn by a process that was killed, or a disk that was full: {_counted(verdict.torn, 'line')}; lost are "
            f"at most {verdict.lost_at_most:,} entries that were being written, and what waited in memory."
        )
    if verdict.unverified:
        print(f"Before the first checkpoint, and vouched for by nothing: {_counted(verdict.unverified, 'line')}.")
    if not has_heads:
        print("There are no checkpoints beside it: lines that were cut off at the end do not show.")
    if not is_keyed:
        print("There is no key: changes that were made with care do not show.")


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def _show(options: argparse.Namespace) -> int:
    wanted = Filter(
        since=options.since,
        until=options.until,
        event=options.event,
        outcome=options.outcome,
        subject=options.subject,
        request_id=options.request_id,
        layer=options.layer,
        severity=options.severity,
    )
    try:
        for line, told in entries(with_generations(options.files), wanted):
            if not options.json:
                print(shown(told))
            elif line:
                print(line)
    except BrokenPipeError:  # `| head` has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  it would fail once more at exit
    return 0
