"""Attack report: what was let through, what was refused, and what is a hole, for a person, a program and a browser.

Must never write a payload or an answer unescaped: both are what attackers write.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

_SHOWN: Final = 5
_MOST_LINES: Final = 100

_STYLE: Final = """
:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; } table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem;
  border-bottom: 1px solid #8888; vertical-align: top; overflow-wrap: anywhere; } code { font-size: .9em; }
.bad { font-weight: 600; }
"""


@dataclass(frozen=True, slots=True)
class Hole:
    """Something that was seen to work.

    Attributes:
        route: the method and the path.
        place: where the payload was: `query`, `path`, `form`, `json`, `header` or `cookie`.
        name: of the parameter.
        attack: its class; `leak` for what shows the inside, `crash` for what fails.
        payload: what was sent.
        evidence: what shows it.
    """

    route: str
    place: str
    name: str
    attack: str
    payload: str
    evidence: str

    def line(self) -> str:
        """Write it in one line, whatever is in it."""
        return f"{self.attack} in {self.route}, {self.place} {self.name}: {self.payload!r}: {self.evidence!s}"


@dataclass(slots=True)
class Tally:
    """What became of the payloads of one class at one route.

    Attributes:
        route: the method and the path.
        attack: the class.
        refused: how many were refused.
        passed: how many were answered.
        examples: some of those.
    """

    route: str
    attack: str
    refused: int = 0
    passed: int = 0
    examples: tuple[str, ...] = ()

    def add(self, text: str, *, is_refused: bool) -> None:
        """Count one."""
        if is_refused:
            self.refused += 1
            return
        self.passed += 1
        if len(self.examples) < _SHOWN:
            self.examples = (*self.examples, text)


@dataclass(frozen=True, slots=True)
class BlockedBenign:
    """An ordinary text that was refused.

    Attributes:
        route: the method and the path.
        place: where it was.
        name: of the parameter.
        text: the text.
        status: how it was refused.
    """

    route: str
    place: str
    name: str
    text: str
    status: int


class HolesFoundError(AssertionError):
    """There are holes.

    Attributes:
        holes: all of them.
    """

    def __init__(self, holes: Sequence[Hole]) -> None:
        lines = [hole.line() for hole in holes[:_MOST_LINES]]
        super().__init__("\n".join([f"{len(holes)} found:", *[f"  {line}" for line in lines]]))
        self.holes: tuple[Hole, ...] = tuple(holes)


@dataclass(frozen=True, slots=True)
class AttackReport:
    """What became of an attack.

    Attributes:
        target: what was attacked.
        requests: how many were sent.
        routes: those that were attacked.
        holes: what was seen to work.
        tallies: what became of the payloads, by route and class.
        blocked_benign: ordinary texts that were refused.
        unreached: what the requests, or the time, were not enough for; or where a limit or a ban has ended it.
        closed: routes that answered everything with an error, ordinary values too: credentials or values may be
            missing that they need, and little was seen of them.
        is_shut_out: whether it ended since a limit or a ban refused everything, ordinary values too.
    """

    target: str
    requests: int
    routes: tuple[str, ...]
    holes: tuple[Hole, ...]
    tallies: tuple[Tally, ...]
    blocked_benign: tuple[BlockedBenign, ...]
    unreached: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    is_shut_out: bool = False

    @property
    def is_blind(self) -> bool:
        """Whether too little was seen to find nothing: no route let anybody in, or a limit or a ban has ended it."""
        return self.is_shut_out or set(self.closed) == set(self.routes)

    @property
    def passed(self) -> int:
        """How many payloads were let through."""
        return sum(tally.passed for tally in self.tallies)

    @property
    def refused(self) -> int:
        """How many were refused."""
        return sum(tally.refused for tally in self.tallies)

    def raise_for_holes(self) -> None:
        """Fail a test.

        Raises:
            HolesFoundError: there are holes.
        """
        if self.holes:
            raise HolesFoundError(self.holes)

    def told(self) -> dict[str, Any]:
        """Describe it as plain data, for JSON."""
        return {
            "target": self.target,
            "requests": self.requests,
            "routes": list(self.routes),
            "holes": [{name: getattr(hole, name) for name in hole.__slots__} for hole in self.holes],
            "refused": self.refused,
            "passed": self.passed,
            "tallies": [{name: getattr(tally, name) for name in tally.__slots__} for tally in self.tallies],
            "blocked_benign": [{name: getattr(one, name) for name in one.__slots__} for one in self.blocked_benign],
            "unreached": list(self.unreached),
            "closed": list(self.closed),
            "is_shut_out": self.is_shut_out,
        }

    def text(self) -> str:
        """Write it for a person."""
        lines = [f"{_of(self.requests, 'request')} to {_of(len(self.routes), 'route')} of {self.target}"]
        lines += [f"HOLE: {hole.line()}" for hole in self.holes[:_MOST_LINES]]
        total = self.refused + self.passed
        lines.append(f"{self.refused:,} of {total:,} payloads were refused, {self.passed:,} were let through:")
        for attack, refused, passed in self._by_class():
            lines.append(f"  {attack:12} {refused:6,} refused {passed:6,} let through")
        benign = f"{_of(len(self.blocked_benign), 'ordinary text')} refused"
        shown = [
            f"  {one.status} for {one.text!r} in {one.route}, {one.place} {one.name}" for one in self.blocked_benign
        ]
        lines += [benign, *shown[:_SHOWN]]
        if self.unreached:
            lines.append(
                f"not reached: {len(self.unreached)}, such as {self.unreached[0]}; give it more requests, or more time"
            )
        if self.closed:
            some = ", ".join(self.closed[:_SHOWN])
            closed = f"closed: {_of(len(self.closed), 'route')} answered everything with an error: {some}"
            lines.append(f"{closed}; with headers of somebody who is signed in more is seen")
        lines.append(f"{_of(len(self.holes), 'hole')} found" if self.holes else "no hole was found")
        return "\n".join(lines)

    def _by_class(self) -> list[tuple[str, int, int]]:
        classes = dict.fromkeys(tally.attack for tally in self.tallies)
        return [
            (
                attack,
                sum(tally.refused for tally in self.tallies if tally.attack == attack),
                sum(tally.passed for tally in self.tallies if tally.attack == attack),
            )
            for attack in classes
        ]

    def html(self) -> str:
        """Write it as one page that needs nothing else."""
        holes = _table(
            ("class", "route", "place", "payload", "evidence"),
            [
                (hole.attack, hole.route, f"{hole.place} {hole.name}", hole.payload, hole.evidence)
                for hole in self.holes
            ],
        )
        classes = _table(("class", "refused", "let through"), [tuple(map(str, row)) for row in self._by_class()])
        benign = _table(
            ("route", "place", "text", "status"),
            [(one.route, f"{one.place} {one.name}", one.text, str(one.status)) for one in self.blocked_benign],
        )
        verdict = _of(len(self.holes), "hole") if self.holes else "No hole was found"
        return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Attack on {escape(self.target)}</title><style>{_STYLE}</style></head><body>
<h1>Attack on {escape(self.target)}</h1>
<p class="bad">{escape(verdict)}</p><p>{_of(self.requests, "request")} to {_of(len(self.routes), "route")}.</p>
<h2>Holes</h2>{holes}<h2>Payloads</h2>{classes}<h2>Ordinary texts that were refused</h2>{benign}
{_list("Not reached", self.unreached)}{_list("Closed: answered everything with an error", self.closed)}
<details><summary>As data</summary><pre>{escape(json.dumps(self.told(), indent=2))}</pre></details>
</body></html>
"""


def _of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _list(head: str, texts: Sequence[str]) -> str:
    return f"<h2>{escape(head)}</h2><ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>" if texts else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
