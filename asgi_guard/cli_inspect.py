"""The command `asgi-guard inspect`: what the validation makes of one request, and why.

It prints each value that was taken out of the request, what changed it, the rules that it matches, and the verdict.
Exit codes: 0 the request passes, 1 it is refused, 2 there is no request, or there are no settings, to look with.
Must never send anything, and never print what a terminal takes for a command: values are escaped and cut.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from textwrap import fill, indent
from typing import Any, Final

from asgi_guard.cli_curl import Sent, UnreadableError, read_curl, read_raw, split
from asgi_guard.cli_look import Look, look, shown
from asgi_guard.cli_settings import EXIT_CODES, add_sources, configured, harmless
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.inspection.engines import has_re2
from asgi_guard.inspection.policy import Exclusion
from asgi_guard.inspection.settings import Validation

_WIDTH: Final = 100
_EXCLUSIONS: Final = 5


def add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command to those of `asgi-guard`."""
    inspect = commands.add_parser(
        "inspect",
        help="say what the validation makes of a request, and why",
        description="Look at one request as the validation would. Exit code 1 if it is refused.",
        epilog=f"asgi-guard inspect curl 'http://localhost/search?q=1' -H 'Cookie: a=b'. {EXIT_CODES}",
    )
    inspect.add_argument("--raw", metavar="FILE", help="a file with the request as it is sent; - is the input")
    inspect.add_argument("--level", type=int, choices=(1, 2, 3), help="1 balanced, 2 strict, 3 paranoid (default: 1)")
    inspect.add_argument("--engine", choices=("re2", "re"), help="what matches the rules (default: what is installed)")
    add_sources(inspect)
    inspect.add_argument("--all", action="store_true", help="show also the values in which nothing was found")
    inspect.add_argument("--json", action="store_true", help="tell it to a program")
    inspect.add_argument(
        "curl",
        nargs=argparse.REMAINDER,
        metavar="curl ...",
        help="a curl command line; - or none is one, or a request, on the input",
    )
    inspect.set_defaults(handler=run_inspect, parser=inspect)


def run_inspect(options: argparse.Namespace) -> int:
    """Look at the request, and print what was seen."""
    try:
        settings = _settings(options)
        sent = _sent(options)
    except (ConfigError, UnreadableError) as error:
        print(f"asgi-guard inspect: {harmless(str(error))}", file=sys.stderr)
        return 2
    looks, crossed = look(sent, settings)
    attacks = sorted({match.attack for each in looks if each.blocks for match in each.matches})
    limits = [limit.limit for limit in crossed]
    refusing = [limit for limit in crossed if settings.on_limit == "refuse" and not limit.is_only_told]
    verdict = "passes" if not (attacks or refusing) else "refused" if settings.mode == "block" else "told"
    report: dict[str, Any] = {
        "request": f"{shown(sent.method)} {shown(sent.target.decode(errors='replace'))}",
        "level": settings.level,
        "engine": settings.engine or ("re2" if has_re2() else "re"),
        "values": [asdict(each) for each in looks],
        "limits_crossed": limits,
        "attacks": attacks,
        "verdict": verdict,
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print("\n".join(_written(report, looks, settings, is_all=options.all)))
    return int(verdict == "refused")


def _settings(options: argparse.Namespace) -> Validation:
    settings = Validation()
    if options.config is not None or options.env:
        try:
            settings = configured(options).part("validation").settings
        except KeyError:
            source = options.config or "the environment"
            raise UnreadableError(f"{source} switches the validation off") from None
    given = {name: getattr(options, name) for name in ("level", "engine") if getattr(options, name) is not None}
    return replace(settings, **given)


def _sent(options: argparse.Namespace) -> Sent:
    command: list[str] = options.curl
    if options.raw is not None and not command:
        return read_raw(sys.stdin.buffer.read() if options.raw == "-" else _read(options.raw))
    if options.raw is None and command in ([], ["-"]):
        return _pasted()
    if len(command) == 1:  # in quotes
        command = split(command[0])
    if options.raw is not None or command[:1] != ["curl"]:
        options.parser.error("give a curl command line, or --raw FILE, or one of both on the input")
    return read_curl(command[1:])


def _pasted() -> Sent:
    """Read whatever comes by the input: nobody has to quote a request to put it there."""
    if sys.stdin.isatty():
        print("Paste a curl command line or a request, then press Ctrl-D:", file=sys.stderr)
    octets = sys.stdin.buffer.read()
    command = octets.decode("utf-8", "surrogateescape").strip().removeprefix("$ ")
    if command.startswith("curl "):
        return read_curl(split(command)[1:])
    return read_raw(octets)


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        remedy = "Give the path of a file with one request in it, or - to read it from the input."
        raise UnreadableError(f"{path} cannot be read: {error.strerror}. {remedy}") from None


def _written(report: dict[str, Any], looks: list[Look], settings: Validation, *, is_all: bool) -> Iterator[str]:
    """Write it for a person: the matches, what to exclude, the verdict."""
    yield f"{_cut(report['request'], _WIDTH - 18)}  (level {report['level']}, {report['engine']})"
    told = looks if is_all else [each for each in looks if each.matches]
    for each in told:
        yield from _value(each)
    if len(told) < len(looks):
        yield f"Nothing was found in {len(looks) - len(told):,} of {len(looks):,} values (--all shows them)."
    for limit in report["limits_crossed"]:
        size = getattr(settings.limits, limit, None)
        yield f"beyond the limit: {limit}" + (f" (max_{limit} = {size:,})" if size else "")
    yield from _allowed([each.exclusion for each in looks if each.exclusion is not None])
    for number in sorted({m.excluded_by for each in looks for m in each.matches if m.excluded_by is not None}):
        what = ", ".join(f"{name} = {_list(texts)}" for name, texts in _fields(settings.exclude[number]))
        yield f"not counted by validation.exclude[{number}]: {what}"
    verdict = {"passes": "passes", "refused": "refused", "told": "passes, and the listeners are told"}
    reasons = ", ".join([*report["attacks"], *dict.fromkeys(report["limits_crossed"])])
    yield f"verdict: {verdict[report['verdict']]}{f' ({reasons})' if reasons else ''}"


def _value(each: Look) -> Iterator[str]:
    changed = f"  [{', '.join(each.views)}]" if each.views else ""
    start = f"{each.place:<10} {_cut(each.name or '-', 32):<16} "
    yield f"{start}{_cut(each.value, max(20, _WIDTH - len(start) - len(changed)))}{changed}"
    for one in each.matches:
        left_out = "" if one.excluded_by is None else ", not counted"
        told = f"{one.score}  {one.rule}  ({one.view}{left_out})  {one.why}"
        yield from indent(fill(told, _WIDTH - 7), " " * 4).splitlines()
    if each.matches:
        kind = "an attack" if each.blocks else "an attack that is only detected" if each.score else "no attack"
        yield f"    = {each.score}: {kind}"


def _allowed(exclusions: list[Exclusion]) -> Iterator[str]:
    """Write what lets this pass, to be pasted."""
    each = list(dict.fromkeys(exclusions))
    if not each:
        return
    yield from ("", "If your application wants this, let it pass, and as little else as can be. In TOML:")
    for one in each[:_EXCLUSIONS]:
        yield from ("", *_reason(one), "[[validation.exclude]]")
        yield from (f"{name} = {_list(texts)}" for name, texts in _fields(one))
    yield from ("", "In Python, in Validation(exclude=[...]):", "")
    for one in each[:_EXCLUSIONS]:
        yield from _reason(one)
        yield "Exclusion("
        yield from (f"    {name}={_list(texts, ' ' * 4)}," for name, texts in _fields(one))
        yield "),"
    if len(each) > _EXCLUSIONS:
        yield f"and {len(each) - _EXCLUSIONS:,} more, which --json tells"
    yield ""


def _fields(exclusion: Exclusion) -> Iterator[tuple[str, Sequence[str]]]:
    return ((name, texts) for name, texts in asdict(exclusion).items() if texts)


def _reason(exclusion: Exclusion) -> Iterator[str]:
    if not exclusion.paths:
        yield "# It is about every path: the one of this request is / itself, or leads out of its folder, by '..'."
    if not exclusion.rules:
        yield "# Its name is that of a secret, which is hashed or compared, and may be anything: no rule applies."


def _list(texts: Sequence[str], margin: str = "") -> str:
    """Write a list of texts as both TOML and Python read it."""
    quoted = [_quoted(text) for text in texts]
    line = f"[{', '.join(quoted)}]"
    if len(line) <= _WIDTH - 16 or len(quoted) == 1:
        return line
    return "\n".join(["[", *(f"{margin}    {one}," for one in quoted), f"{margin}]"])


def _quoted(text: str) -> str:
    return '"' + "".join([_character(char) for char in text]) + '"'


def _character(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isascii():  # a control character never comes here
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
