"""Attack: fire payloads at every place where an application takes input, and report what passed and what is a hole.

    report = await attack_application(app)
    report.raise_for_holes()

Two things are told apart: what is let through, which is no fault by itself, and what has been seen to work.
Rule 1: nobody but this machine is attacked, unless the very host is named as one that may be.
Rule 2: it ends: after so many requests, or so many seconds; what was not reached is told.
Rule 3: a hole is told with its evidence, and nothing is told that has none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from http.cookies import SimpleCookie
from time import perf_counter
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

import anyio
import anyio.lowlevel

from asgi_guard.engine.types import ASGIApp
from asgi_guard.settings import Problems
from asgi_guard.testing.attack_listener import AddressBook, listening
from asgi_guard.testing.attack_probes import FETCHED, PROBES, Answer, Context, is_page, leaks, timed
from asgi_guard.testing.attack_queries import by_expression, by_operator
from asgi_guard.testing.attack_report import AttackReport, BlockedBenign, Hole, Tally
from asgi_guard.testing.attack_spots import Spot, spots_of
from asgi_guard.testing.attack_stored import Elements
from asgi_guard.testing.attack_targets import AttackTarget, CalledApp, Sent, ServedApp, openapi_of
from asgi_guard.testing.payloads import ATTACKS, BENIGN, Payload
from asgi_guard.testing.targets import check_callable, checked_url

__all__ = ["AttackReport", "BlockedBenign", "Hole", "attack_application"]

Progress: TypeAlias = Callable[[int, float], None]
MAX_REQUESTS: Final = 1_000_000
MAX_SECONDS: Final = 600.0
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")
_REFUSALS: Final = frozenset({400, 403, 406, 413, 414, 415, 418, 422, 431, 501, 503})
_BUSY: Final = frozenset({501, 503, 505, 507})
"""What is answered with these has not failed: it was refused, or is busy."""
_SHUT_OUT: Final = frozenset({403, 429, 503})
_IN_A_ROW: Final = 20
_AT_ONCE: Final = 8
"""At how many places payloads are fired at the same time. Probes compare answers, and are alone."""
_SLOW_SECONDS: Final = 0.5
_SHARE_OF_PROBES: Final = 0.5
_TOLD_ONCE_IN: Final = 20
_LATE_SECONDS: Final = 0.2
"""How long is waited for what an application fetches after it has answered."""


async def attack_application(
    target: ASGIApp | str,
    *,
    routes: Iterable[Sequence[Any]] | None = None,
    headers: Mapping[str, str] | None = None,
    payloads: Sequence[Payload] = ATTACKS,
    benign: Sequence[Payload] = BENIGN,
    max_requests: int = 20_000,
    seconds: float = 120.0,
    timeout_seconds: float = 10.0,
    progress: Progress | None = None,
    may_attack: str | None = None,
) -> AttackReport:
    """Fire payloads at every place where an application takes input.

    Args:
        target: an ASGI application, which is called in this process with its lifespan on; or the URL of a server on
            this machine, whose `/openapi.json` tells its routes. A called application sees each request come from
            another address of 127.0.0.0/8, so that a rate limit does not hide the rest; a server sees one client.
        routes: instead of what is found: a method, a path and, by their names, where parameters are:
            `("POST", "/login", {"user": "form"})`. Places are query, path, form, json, header and cookie; a field
            within a field is named with a dot.
        headers: of every request, such as those of somebody who is signed in.
        payloads: what is fired.
        benign: what should not be refused.
        max_requests: after how many it ends, 1 to 1,000,000.
        seconds: after how long, 1 to 600.
        timeout_seconds: of one request, 0.1 to 60.
        progress: told now and then how many requests were sent, and how far it is, from 0 to 1.
        may_attack: the name of a host other than this machine that may be attacked, exactly as in the URL.

    Returns:
        What passed, what was refused, and the holes with their evidence.

    Raises:
        ConfigError: a value is wrong, there is nowhere to put anything, or the target is somewhere else.
        MissingExtraError: httpx is needed, and not installed.
        OSError: nobody listens at the URL.
    """
    problems = Problems("attack_application")
    problems.integer("max_requests", max_requests, minimum=1, maximum=MAX_REQUESTS)
    problems.number("seconds", seconds, minimum=1, maximum=MAX_SECONDS)
    problems.number("timeout_seconds", timeout_seconds, minimum=0.1, maximum=60)
    found: AttackTarget
    if isinstance(target, str):
        url = checked_url(problems, target, may_attack)
        found = ServedApp(target, url, timeout_seconds, "To attack a server")
    else:
        check_callable(problems, target)
        found = CalledApp(target, timeout_seconds)
    problems.raise_if_any()
    async with found, listening() as listener:
        if routes is None and isinstance(target, str):
            spots = spots_of(await openapi_of(found))
        else:
            spots = spots_of(target, routes)
        if not spots:
            remedy = 'Name some: routes=[("GET", "/search", {"q": "query"})].'
            problems.add("AG923", "routes", routes, "must be found, and none were", remedy)
        problems.raise_if_any()
        run = _Run(found, dict(headers or {}), max_requests, seconds, progress)
        await run.probe(spots, listener)
        await run.look_for_stored(spots)
        await run.fire(spots, (*payloads, *benign))
        await run.note_what_was_fetched(listener)
    return run.report(spots)


class _Enough(Exception):  # noqa: N818  it is no error
    """The requests, or the time, are used up; or nobody is let in any more."""


class _Run:
    """One run: what was asked, and what came of it."""

    def __init__(
        self,
        target: AttackTarget,
        headers: dict[str, str],
        max_requests: int,
        seconds: float,
        progress: Progress | None,
    ) -> None:
        self._target = target
        self._headers = headers
        self._most = max_requests
        self._seconds = seconds
        self._began = perf_counter()
        self._progress = progress
        self._done = 0.0
        self._requests = 0
        self._holes: dict[tuple[str, str, str, str], Hole] = {}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._blocked: list[BlockedBenign] = []
        self._unreached: set[str] = set()
        self._ordinary: dict[Spot, int] = {}
        self._refused_in_a_row = 0
        self._is_shut_out = False
        self._asked: set[str] = set()
        self._open: set[str] = set()
        self._told: dict[str, Spot] = {}

    async def _by_speed(self, spots: Sequence[Spot]) -> list[Spot]:
        """Ask each route for something ordinary, and return the quick ones first: a slow one uses up its own time."""
        seconds: dict[str, float] = {}
        with suppress(_Enough):  # it is told of those that are not probed
            for spot in spots:
                if spot.route not in seconds:
                    seconds[spot.route] = (await self._ask(spot, spot.ordinary)).seconds
        return sorted(spots, key=lambda spot: seconds.get(spot.route, 0.0) > _SLOW_SECONDS)

    async def probe(self, spots: Sequence[Spot], listener: AddressBook) -> None:
        """Look for holes at each place."""
        spots = await self._by_speed(spots)
        for number, spot in enumerate(spots):
            self._done = _SHARE_OF_PROBES * number / len(spots)

            async def ask(text: str, spot: Spot = spot) -> Answer:
                if text.startswith(listener.prefix):
                    self._told[text] = spot
                return await self._ask(spot, text)

            async def put(value: object, spot: Spot = spot) -> Answer:
                return await self._ask(spot.beside(value), value)

            try:
                ordinary = await ask(spot.ordinary)
                self._ordinary[spot] = ordinary.status
                context = Context(ask, spot.ordinary, ordinary, listener, put if spot.place == "json" else None)
                for probe in (*PROBES, by_expression, by_operator):
                    evidence = await probe(context)
                    if evidence is not None:
                        self._note(spot, evidence.attack, evidence.payload, evidence.said)
            except _Enough:
                self._unreached |= {f"{one.route} ({one.place} {one.name})" for one in spots[number:]}
                return

    async def look_for_stored(self, spots: Sequence[Spot]) -> None:
        """Put an element of its own into each place, and then look for it in every page."""
        elements = Elements()
        pages = {spot.route: spot for spot in spots if spot.method == "GET"}
        try:
            asked = [(spot, elements.text(number)) for number, spot in enumerate(spots)]
            for page, text in (*asked, *((page, page.ordinary) for page in pages.values())):
                answer = await self._ask(page, text)
                for number in elements.found_in(answer.text) if is_page(answer) else ():
                    said = f"it stands in {page.route} as an element"
                    self._note(spots[number], "xss", elements.text(number), said)
        except _Enough:
            self._unreached.add("pages that may show what was stored")

    async def fire(self, spots: Sequence[Spot], payloads: Sequence[Payload]) -> None:
        """Fire every payload at every place, at some places at once: those that are slow hold up no other one."""
        at_once = anyio.CapacityLimiter(_AT_ONCE)
        suspects: list[tuple[Spot, str]] = []

        async def fire_at(spot: Spot) -> None:
            try:
                async with at_once:
                    ordinary = await self._ask(spot, spot.ordinary)
                for payload in payloads:
                    async with at_once:
                        answer = await self._ask(spot, payload.text)
                    self._done += (1 - _SHARE_OF_PROBES) / (len(spots) * len(payloads))
                    self._count(spot, payload, answer, ordinary)
                    if payload.attack != "benign" and 0 < ordinary.status < 500 and _is_broken(answer):
                        suspects.append((spot, payload.text))
            except _Enough:
                self._unreached.add("some payloads")

        async with anyio.create_task_group() as tasks:
            for spot in spots:
                tasks.start_soon(fire_at, spot)
        await self._confirm(suspects)

    async def _confirm(self, suspects: Sequence[tuple[Spot, str]]) -> None:
        """See what fails also when nothing else is asked at the same time."""
        for spot, text in suspects:
            if (spot.route, spot.place, spot.name, "crash") in self._holes:
                continue
            try:
                answer = await self._ask(spot, text)
            except _Enough:
                self._unreached.add("whether what failed does so again")
                return
            if _is_broken(answer):
                said = answer.error or f"it is answered with {answer.status}"
                self._note(spot, "crash", text, f"it fails: {said}")

    async def note_what_was_fetched(self, listener: AddressBook) -> None:
        """Note who has asked for an address later than he answered."""
        if self._told:
            await anyio.sleep(_LATE_SECONDS)
        for address, spot in self._told.items():
            if listener.was_asked(address):
                self._note(spot, "ssrf", address, FETCHED)

    def _count(self, spot: Spot, payload: Payload, answer: Answer, ordinary: Answer) -> None:
        if answer.status == 429:  # too many of them, whatever they say
            return
        is_refused = answer.status in _REFUSALS and answer.status != ordinary.status and not _is_of_the_type(answer)
        if payload.attack == "benign":
            if is_refused and answer.status != 422:
                self._blocked.append(BlockedBenign(spot.route, spot.place, spot.name, payload.text, answer.status))
            return
        tally = self._tallies.setdefault((spot.route, payload.attack), Tally(spot.route, payload.attack))
        tally.add(payload.text, is_refused=is_refused or answer.status == 422)

    async def _ask(self, spot: Spot, value: object) -> Answer:
        began = perf_counter()
        passed = (began - self._began) / self._seconds
        if self._requests >= self._most or passed > 1 or self._is_shut_out:
            raise _Enough
        self._requests += 1
        if self._progress is not None and self._requests % _TOLD_ONCE_IN == 0:
            self._progress(self._requests, min(1.0, max(passed, self._requests / self._most, self._done)))
        answer = timed(await self._target.send(_sent(spot, value, self._headers)), began)
        text = str(value)
        said = leaks(answer, text)
        if said is not None:
            self._note(spot, "leak", text, said)
        self._asked.add(spot.route)
        if 0 < answer.status < 400:
            self._open.add(spot.route)
        await anyio.lowlevel.checkpoint()
        self._refused_in_a_row = self._refused_in_a_row + 1 if answer.status in _SHUT_OUT else 0
        if self._refused_in_a_row and self._refused_in_a_row % _IN_A_ROW == 0:
            await self._see_whether_shut_out(spot)
        return answer

    async def _see_whether_shut_out(self, spot: Spot) -> None:
        """End it where an ordinary value is refused too, which was not: by a limit or a ban, not for what it says."""
        self._requests += 1
        status = (await self._target.send(_sent(spot, spot.ordinary, self._headers))).status
        if status == 429 or (status in _SHUT_OUT and status != self._ordinary.get(spot, status)):
            self._is_shut_out = True
            self._unreached.add(f"everything after {self._requests:,} requests: all are answered with {status}")
            raise _Enough

    def _note(self, spot: Spot, attack: str, payload: str, said: str) -> None:
        key = spot.route, spot.place, spot.name, attack
        self._holes.setdefault(key, Hole(spot.route, spot.place, spot.name, attack, payload, said))

    def report(self, spots: Sequence[Spot]) -> AttackReport:
        """Say what was found."""
        return AttackReport(
            target=self._target.name,
            requests=self._requests,
            routes=tuple(dict.fromkeys(spot.route for spot in spots)),
            holes=tuple(self._holes.values()),
            tallies=tuple(self._tallies.values()),
            blocked_benign=tuple(self._blocked),
            unreached=tuple(sorted(self._unreached)),
            closed=tuple(sorted(self._asked - self._open)),
            is_shut_out=self._is_shut_out,
        )


def _is_broken(answer: Answer) -> bool:
    return answer.status == 0 or (answer.status >= 500 and answer.status not in _BUSY)


def _is_of_the_type(answer: Answer) -> bool:
    """Whether it was refused for being no number, say, by the application's own check of its parameters."""
    return answer.status == 422 and '"loc"' in answer.text


def _sent(spot: Spot, value: object, headers: Mapping[str, str]) -> Sent:
    """Write the request that carries a value in one place, and what else is needed in others."""
    values = spot.with_value(value)

    def of(place: str) -> dict[str, object]:
        return {name: value for (known, name), value in values.items() if known == place}

    path = spot.path(values)
    query = of("query")
    if query:
        path = f"{path}?{urlencode({name: str(value) for name, value in query.items()})}"
    own = {**headers, **{name: _one_line(value) for name, value in of("header").items()}}
    cookies = "; ".join(f"{name}={_as_cookie(value)}" for name, value in of("cookie").items())
    if cookies:
        own["cookie"] = cookies
    return Sent(spot.method, path, own, of("json"), of("form"))


def _one_line(value: object) -> str:
    """Write a value as a header can carry it: a client cannot send a line break in one, nor any other control."""
    return _CONTROLS.sub(" ", str(value)).encode("utf-8").decode("latin-1").strip() or "1"


def _as_cookie(value: object) -> str:
    """Write a value as frameworks write and read cookies: in quotes, what is special in octal (RFC 2109 and since)."""
    text = str(value).encode("utf-8").decode("latin-1")
    return SimpleCookie().value_encode(text)[1]
