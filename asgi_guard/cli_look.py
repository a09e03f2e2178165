"""What the validation makes of one request: each value, what it came to, and the exclusion that would let it pass.

Must never propose an exclusion that lets anything else pass than it must, nor one that was not tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asgi_guard.cli_curl import Sent
from asgi_guard.engine.types import Scope
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.inspection.limits import HEAD_BYTES, CrossedError
from asgi_guard.inspection.policy import Exclusion, Judgement, Policy
from asgi_guard.inspection.settings import Validation

if TYPE_CHECKING:  # loaded with the rules
    from asgi_guard.inspection.extract import Value
    from asgi_guard.inspection.inspector import Inspector
    from asgi_guard.inspection.multipart import MultipartReader
    from asgi_guard.inspection.text_body import TextReader
    from asgi_guard.inspection.verdict import Finding

SECRET: Final = re.compile(r"(?i)pass(?:wor[dt]|wd|phrase|code)|\bpass\b|\bpwd|secret|token|api_?key")
"""What the name of a value is like that is never put into anything: it is hashed, or compared."""

_SHOWN: Final = 100
_MAX_FOLDERS: Final = 20


@dataclass(frozen=True, slots=True)
class Match:
    """One rule that a value matches.

    Attributes:
        rule: its id.
        attack: its class.
        score: what it counts.
        view: in which form of the value it was found.
        why: it is a rule.
        excluded_by: which of the exclusions leaves it out, from 0 on; None where it counts.
    """

    rule: str
    attack: str
    score: int
    view: str
    why: str
    excluded_by: int | None


@dataclass(frozen=True, slots=True)
class Look:
    """What one value came to; its texts are escaped and cut."""

    place: str
    name: str
    value: str
    views: tuple[str, ...]
    matches: tuple[Match, ...]
    score: int
    blocks: bool
    exclusion: Exclusion | None


def look(sent: Sent, settings: Validation) -> tuple[list[Look], list[CrossedError]]:
    """Return what each value comes to, and the limits that were crossed."""
    from asgi_guard.inspection.inspector import Inspector

    inspector = Inspector(settings)
    scope = sent.scope
    looks: list[Look] = []
    crossed: list[CrossedError] = []
    if len(sent.target) + sum(len(name) + len(value) for name, value in sent.headers) > HEAD_BYTES:
        crossed.append(CrossedError("head_bytes"))
    head = inspector.head(scope["raw_path"], scope["query_string"], scope["headers"])
    body = _body(inspector, sent, crossed, goes_on=settings.on_limit == "flag")
    for values in (head, body):
        for value in _until_its_end(values, crossed):
            seen = [one for one in inspector.look([value], scope) if one is not None]
            crossed += [one for one in seen if isinstance(one, CrossedError)]
            judgements = [one for one in seen if not isinstance(one, CrossedError)]
            looks.append(_look(inspector, settings, value, judgements, scope))
    return looks, crossed


def _until_its_end(values: Iterable[Value], crossed: list[CrossedError]) -> Iterator[Value]:
    """Hand values on, also what stands beside that which has crossed a limit."""
    following = iter(values)
    is_more = True
    while is_more:
        is_more = False
        try:
            yield from following
        except CrossedError as limit:
            crossed.append(limit)
            is_more = True


def _body(inspector: Inspector, sent: Sent, crossed: list[CrossedError], *, goes_on: bool) -> Iterator[Value]:
    """Give out what the layer would look at of this body, which goes on behind a limit that is only flagged."""
    if len(set(sent.lines(b"content-type"))) > 1:
        crossed.append(CrossedError("content_type", 400))
        if not goes_on:
            return
    content_type, encoding = sent.header(b"content-type"), inspector.encoding_of(sent.lines(b"content-encoding"))
    kind = inspector.kind_of(content_type)
    if kind == "multipart" and not encoding:
        yield from _streamed(inspector.parts(content_type), sent.body)
        return
    is_long = len(sent.body) > inspector.limits.body_bytes
    if kind == "other":
        begins_like = None if encoding else inspector.sniff(sent.body, content_type)
        is_parsed = begins_like in {"json", "xml"}
        is_text = begins_like == "text" or (is_parsed and inspector.is_chunk(sent.method, content_type))
        if is_text or (is_parsed and is_long and not inspector.may_be_document(sent.body)):
            yield from _streamed(inspector.text(), sent.body)
            return
        if not (is_parsed or encoding) or inspector.is_for_the_application(sent.body, content_type, encoding):
            return
    if is_long:
        crossed.append(CrossedError("body_bytes"))
        if not goes_on:
            return
    yield from inspector.body(sent.body, kind, content_type, encoding)


def _streamed(reader: MultipartReader | TextReader, body: bytes) -> Iterator[Value]:
    yield from reader.feed(body)
    yield from reader.close()
    if reader.is_beyond:
        beyond = CrossedError("body_bytes")
        beyond.is_only_told = True
        raise beyond


def _look(
    inspector: Inspector, settings: Validation, value: Value, judgements: Sequence[Judgement], scope: Scope
) -> Look:
    from asgi_guard.inspection.scan import changes

    findings: list[Finding] = []
    with suppress(CrossedError):  # in JSON inside of it, which was told
        for found in inspector.scanner.scan([value]):
            findings += found or ()
    policy = Policy(settings.level, settings.attacks, settings.exclude)
    blocking = next((judgement for judgement in judgements if judgement.blocks), None)
    return Look(
        value.place,
        shown(value.name),
        shown(value.text),
        changes(value.text),
        tuple(
            Match(
                finding.rule.id,
                finding.rule.attack,
                finding.rule.score,
                finding.view,
                finding.rule.why,
                policy.excluded_by(finding, scope),
            )
            for finding in sorted(findings, key=lambda finding: -finding.rule.score)
        ),
        max((judgement.score for judgement in judgements), default=0),
        blocking is not None,
        None if blocking is None else _exclusion(blocking, settings, scope),
    )


def _exclusion(judgement: Judgement, settings: Validation, scope: Scope) -> Exclusion | None:
    """Return the narrowest exclusion that lets this pass, as one that was tried; all rules for what is a secret."""
    gravest = judgement.findings[0]
    name = gravest.name if gravest.name.isprintable() and len(gravest.name) <= _SHOWN else ""
    rules = () if SECRET.search(name) else tuple(dict.fromkeys(finding.rule.id for finding in judgement.findings))
    for paths in [*((folder,) for folder in _folders(scope["path"])), ()]:
        try:
            one = Exclusion(paths=paths, places=(gravest.place,), names=(name,) if name else (), rules=rules)
        except ConfigError:  # it looks like a pattern
            continue
        left = Policy(settings.level, settings.attacks, [*settings.exclude, one]).judge(judgement.findings, scope)
        if left is None or not left.blocks:
            return one
    return None


def _folders(path: str) -> Iterator[str]:
    """Return a path, and then each folder that it stands in, the innermost first: a path that climbs is below few."""
    for _ in range(_MAX_FOLDERS):
        if not path.strip("/"):
            return
        if path.isprintable():
            yield path
        path = path.rstrip("/").rpartition("/")[0]


def shown(text: str) -> str:
    """Write a text so that no terminal takes it for a command, and cut it."""
    escaped = text[:_SHOWN].encode("unicode_escape").decode("ascii")
    return f"{escaped}... ({len(text):,} characters)" if len(text) > _SHOWN else escaped
