"""Measure: what each detector answers to each row, and what it costs, each detector in processes of its own.

Every detector is a middleware around the same application; it has refused where somebody else than the application has
answered. What a request costs is the CPU time of the whole process, threads included, from the call of the middleware
to its end; scope and messages are made before. The collector is on, as it is in production.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from time import process_time_ns
from types import MappingProxyType
from typing import Any, NamedTuple

import detection_ours as ours
import detection_peers as peers
import detection_rows
from detection_peers import App
from detection_rows import Row

ANSWERED = 299
"""The status that nobody else than the application sends."""

WARM_UP = 30


@dataclass(frozen=True)
class Engine:
    """A detector.

    Attributes:
        wrap: puts it around an application; an ImportError says what is not there.
        family: the name by which it is asked for.
        level: how strict it is, where that can be set.
        package: whose version stands beside the figures.
        sample: how many rows a slow one is asked about: the first, in an order that no set has.
    """

    wrap: Callable[[App], App]
    family: str
    level: int | None = None
    package: str | None = None
    sample: int | None = None

    @property
    def name(self) -> str:
        """The name by which results call it."""
        return self.family if self.level is None else f"{self.family}, level {self.level}"


class Outcome(NamedTuple):
    """What became of one request.

    Attributes:
        is_refused: the application did not answer it.
        cpu_ns: what that took.
        is_failure: the detector raised, or answered that it had broken down.
    """

    is_refused: bool
    cpu_ns: int
    is_failure: bool = False


class Unavailable(NamedTuple):
    """Why a detector is not measured."""

    reason: str


class Question(NamedTuple):
    """What a process is to measure: one detector, on every `step`th row from `start` on."""

    engine: Engine
    folder: Path
    split: str
    sets: tuple[str, ...]
    start: int
    step: int


OURS = MappingProxyType({"ours": True, "ours with re": False})
"""Whether the extra `re2` is used."""

PEERS = (
    Engine(peers.naive, "naive"),
    Engine(peers.libinjection, "libinjection", package="libinjection-python"),
    Engine(peers.gatekeeper, "gatekeeper-asgi", package="gatekeeper-asgi"),
    Engine(peers.libddwaf, "libddwaf", package="ddtrace"),
    *(Engine(partial(peers.modsecurity, level=level), "ModSecurity", level, "libmodsecurity") for level in (1, 2)),
    Engine(peers.lewaf, "lewaf", package="lewaf", sample=3_000),
    Engine(peers.fastapi_guard, "fastapi-guard", package="guard-core", sample=1_500),
)

FAMILIES = tuple(dict.fromkeys([*OURS, *(engine.family for engine in PEERS)]))


def select(families: Sequence[str], levels: Sequence[int], *, is_fast: bool = False) -> Iterator[Engine]:
    """Yield the detectors that were asked for: those of these families, and of these levels where they have levels."""
    wrap = ours.wrap_directly if is_fast else ours.wrap
    mine = (
        Engine(partial(wrap, level=level, uses_re2=uses_re2), family, level)
        for family, uses_re2 in OURS.items()
        for level in (1, 2, 3)
    )
    for engine in (*mine, *PEERS):
        if (not families or engine.family in families) and (not levels or engine.level in (None, *levels)):
            yield engine


def versions(engines: Iterable[Engine]) -> dict[str, str]:
    """Name the releases that were measured."""
    return {engine.package: _version(engine.package) for engine in engines if engine.package}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def measure(
    engine: Engine, folder: Path, *, split: str, sets: tuple[str, ...] = (), jobs: int = 1
) -> list[Outcome] | Unavailable:
    """Ask a detector about the rows that `detection_rows.read` reads; return an outcome for each, in that order."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as processes:
        questions = [Question(engine, folder, split, sets, start, jobs) for start in range(jobs)]
        answers = [*processes.map(_answer, questions)]
    for answer in answers:
        if isinstance(answer, Unavailable):
            return answer
    outcomes = [Outcome(is_refused=False, cpu_ns=0)] * sum(map(len, answers))
    for start, answer in enumerate(answers):
        outcomes[start::jobs] = answer
    return outcomes


def _answer(question: Question) -> list[Outcome] | Unavailable:
    logging.disable(logging.CRITICAL)  # nobody pays for writing down what was found
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # parsers in C write there what they read
    try:
        app = question.engine.wrap(_application)
    except ImportError as error:
        return Unavailable(str(error))
    rows = detection_rows.read(question.folder, split=question.split, sets=question.sets)[: question.engine.sample]
    gc.collect()
    gc.freeze()
    return asyncio.run(_ask(app, rows[question.start :: question.step]))


async def _application(scope, receive, send) -> None:
    """Read the body, and answer unless the client is gone."""
    message = {"more_body": True}
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            return
    await send({"type": "http.response.start", "status": ANSWERED, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def _ask(app: App, rows: Sequence[Row]) -> list[Outcome]:
    for row in rows[:WARM_UP]:
        await judge(app, row)
    return [await judge(app, row) for row in rows]


async def judge(app: App, row: Row) -> Outcome:
    """Send a request; tell what became of it."""
    scope, receive = row.scope(), row.receive()
    statuses: list[int] = []

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    is_failure = False
    began = process_time_ns()
    try:
        await app(scope, receive, send)
    except Exception:  # noqa: BLE001  a detector that breaks down is counted
        is_failure = True
    took = process_time_ns() - began
    return Outcome(
        is_refused=bool(statuses) and statuses[0] != ANSWERED,
        cpu_ns=took,
        is_failure=is_failure or any(status >= 500 for status in statuses),
    )
