"""The command `asgi-guard inspect`: what the validation makes of one request, and why.

It prints each value that was taken out of the request, what changed it, the rules that it matches, and the verdict.
Exit codes: 0 the request passes, 1 it is refused, 2 the command could not run.
Must never send anything, and never print what a terminal takes for a command: values are escaped and cut.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from asgi_guard.cli_curl import Sent, UnreadableError, read_curl, read_raw, split
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.guard import Guard
from asgi_guard.inspection.engines import has_re2
from asgi_guard.inspection.settings import Validation

_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that a value matches."""

    rule: str
    attack: str
    score: int
    view: str
    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one value came to."""

    place: str
    name: str
    value: str
    views: tuple[str, ...]
    matches: tuple[Match, ...]
    score: int
    blocks: bool


def add_inspect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the command to those of `asgi-guard`."""
    inspect = commands.add_parser(
        "inspect",
        help="say what the validation makes of a request, and why",
        description="Look at one request as the validation would. Exit code 1 if it is refused.",
        epilog="asgi-guard inspect curl 'http://localhost/search?q=1' -H 'Cookie: a=b'",
    )
    inspect.add_argument("--raw", metavar="FILE", help="a file with the request as it is sent; - is the input")
    inspect.add_argument("--level", type=int, choices=(1, 2, 3), help="1 balanced, 2 strict, 3 paranoid (default: 1)")
    inspect.add_argument("--engine", choices=("re2", "re"), help="what matches the rules (default: what is installed)")
    inspect.add_argument("--config", metavar="FILE", help="a TOML file, such as guard.toml, with settings to look with")
    inspect.add_argument("--json", action="store_true", help="tell it to a program")
    inspect.add_argument("curl", nargs=argparse.REMAINDER, metavar="curl ...", help="a curl command line")
    inspect.set_defaults(handler=run_inspect, parser=inspect)


def run_inspect(options: argparse.Namespace) -> int:
    """Look at the request, and print what was seen."""
    try:
        settings = _settings(options)
        sent = _sent(options)
    except (ConfigError, UnreadableError) as error:
        print(f"asgi-guard inspect: {_harmless(str(error))}", file=sys.stderr)
        return 2
    looks, crossed = look(sent, settings)
    attacks = sorted({match.attack for each in looks if each.blocks for match in each.matches})
    refusing = [*attacks, *(crossed if settings.on_limit == "refuse" else [])]
    verdict = "passes" if not refusing else "refused" if settings.mode == "block" else "told"
    report: dict[str, Any] = {
        "request": f"{_shown(sent.method)} {_shown(sent.target.decode(errors='replace'))}",
        "level": settings.level,
        "engine": settings.engine or ("re2" if has_re2() else "re"),
        "values": [asdict(each) for each in looks],
        "limits_crossed": crossed,
        "attacks": attacks,
        "verdict": verdict,
    }
    print(json.dumps(report, indent=2) if options.json else _written(report, looks))
    return int(verdict == "refused")


def _settings(options: argparse.Namespace) -> Validation:
    settings = Validation()
    if options.config is not None:
        try:
            settings = Guard.from_toml(_nothing, options.config).part("validation").settings
        except KeyError:
            raise UnreadableError(f"{options.config} switches the validation off") from None
    given = {name: getattr(options, name) for name in ("level", "engine") if getattr(options, name) is not None}
    return replace(settings, **given)


def _sent(options: argparse.Namespace) -> Sent:
    command: list[str] = options.curl
    if options.raw is not None and not command:
        return read_raw(sys.stdin.buffer.read() if options.raw == "-" else Path(options.raw).read_bytes())
    if len(command) == 1:  # in quotes
        command = split(command[0])
    if options.raw is not None or command[:1] != ["curl"]:
        options.parser.error("give a curl command line, or --raw FILE")
    return read_curl(command[1:])


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """Stand for the application."""


def look(sent: Sent, settings: Validation) -> tuple[list[Look], list[str]]:
    """Return what each value comes to, and the limits that were crossed."""
    from asgi_guard.inspection.inspector import Inspector
    from asgi_guard.inspection.limits import CrossedError

    inspector = Inspector(settings)
    scope = sent.scope
    looks: list[Look] = []
    crossed: list[str] = []
    for values in (_head(inspector, scope), _body(inspector, sent)):
        try:
            for value in values:
                looks.append(_look(inspector, value, scope))
                crossed += [one.limit for one in inspector.look([value], scope) if isinstance(one, CrossedError)]
        except CrossedError as limit:
            crossed.append(limit.limit)
    return looks, crossed


def _head(inspector: Any, scope: Any) -> Iterator[Any]:
    yield from inspector.head(scope["raw_path"], scope["query_string"], scope["headers"])


def _body(inspector: Any, sent: Sent) -> Iterator[Any]:
    from asgi_guard.inspection.limits import CrossedError

    content_type, encoding = sent.header(b"content-type"), sent.header(b"content-encoding")
    kind = inspector.kind_of(content_type)
    if sent.body and (kind != "other" or encoding or inspector.sniff(sent.body, content_type) != "other"):
        if kind != "multipart" and len(sent.body) > inspector.limits.body_bytes:
            raise CrossedError("body_bytes")
        yield from inspector.body(sent.body, kind, content_type, encoding)


def _look(inspector: Any, value: Any, scope: Any) -> Look:
    from asgi_guard.inspection.scan import changes

    findings = [finding for found in inspector.scanner.scan([value]) for finding in found or ()]
    judgements = [judgement for judgement in inspector.look([value], scope) if getattr(judgement, "findings", None)]
    matches = tuple(
        Match(finding.rule.id, finding.rule.attack, finding.rule.score, finding.view, finding.rule.why)
        for finding in sorted(findings, key=lambda finding: -finding.rule.score)
    )
    return Look(
        value.place,
        _shown(value.name),
        _shown(value.text),
        changes(value.text),
        matches,
        max((judgement.score for judgement in judgements), default=0),
        any(judgement.blocks for judgement in judgements),
    )


def _harmless(text: str) -> str:
    """Write a complaint, which may name what was given, so that no terminal takes it for a command."""
    return "".join([char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text])


def _shown(text: str) -> str:
    """Write a text so that no terminal takes it for a command, and cut it."""
    escaped = text[:_SHOWN].encode("unicode_escape").decode("ascii")
    return f"{escaped}... ({len(text):,} characters)" if len(text) > _SHOWN else escaped


def _written(report: dict[str, Any], looks: list[Look]) -> str:
    lines = [f"{report['request']}  (level {report['level']}, {report['engine']})"]
    for each in looks:
        changed = f"  [{', '.join(each.views)}]" if each.views else ""
        lines.append(f"{each.place:<10} {each.name or '-':<16} {each.value}{changed}")
        lines += [f"    {one.score}  {one.rule}  ({one.view})  {one.why}" for one in each.matches]
        if each.matches:
            lines.append(f"    = {each.score}: {'an attack' if each.blocks else 'no attack'}")
    lines += [f"beyond the limit: {limit}" for limit in report["limits_crossed"]]
    told = {"passes": "passes", "refused": "refused", "told": "passes, and the listeners are told"}[report["verdict"]]
    reasons = ", ".join([*report["attacks"], *report["limits_crossed"]])
    lines.append(f"verdict: {told}{f' ({reasons})' if reasons else ''}")
    return "\n".join(lines)
