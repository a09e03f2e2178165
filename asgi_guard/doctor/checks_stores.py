"""Checks of the stores over a network: whether they answer, and what happens while they do not.

Rule 1: a store is asked on a connection of its own, for a second at most, and nothing is written. Must never show its
address with a password in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from asgi_guard.doctor.examination import Examination, Said, is_local, policies
from asgi_guard.doctor.finding import Finding, shown

SECONDS: Final = 1.0
_MAX_STORES: Final = 10


async def check_away(x: Examination) -> Said:
    """Look what happens while a store is away."""
    said: Said = []
    for policy in policies(x):
        if is_local(policy) or policy.while_away not in {"open", "closed"}:
            continue
        is_open = policy.while_away == "open"
        said.append(
            Finding(
                "DR011",
                "warning" if is_open else "note",
                "without its store there is " + ("no limit at all" if is_open else "no answer at all"),
                f'on_failure="{policy.while_away}" of the rate limit {policy.name!r}',
                "Whoever takes Redis away takes the limit away."
                if is_open
                else "While Redis is away every request is a 503.",
                'on_failure="local": each worker counts its share',
            )
        )
    return said


async def check_stores(x: Examination) -> Said:
    """Ask the stores of the rate limits, all at once."""
    by_store: dict[int, list[Any]] = {}
    for policy in policies(x):
        if callable(getattr(policy.store, "check", None)):
            by_store.setdefault(id(policy.store), []).append(policy)
    asked = list(by_store.values())[:_MAX_STORES]
    silences = await asyncio.gather(*(_silence(sharing[0].store.check) for sharing in asked))
    return [_silent(sharing, silence) for sharing, silence in zip(asked, silences, strict=True) if silence]


async def _silence(check: Callable[[], Awaitable[None]]) -> str:
    """Return what was heard in place of an answer; empty where there is one."""
    try:
        async with asyncio.timeout(SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {SECONDS:g} second"
    except Exception as error:  # noqa: BLE001  whatever a store raises, it does not answer
        return shown(f"{type(error).__name__}: {error}")
    return ""


def _silent(sharing: list[Any], silence: str) -> Finding:
    ways = {policy.while_away for policy in sharing}
    names = ", ".join(dict.fromkeys(str(policy.name) for policy in sharing))
    why = [
        told
        for way, told in (
            ("local", "each worker counts for itself"),
            ("open", "nothing is limited"),
            ("closed", "every request is a 503"),
        )
        if way in ways
    ]
    return Finding(
        "DR015",
        "warning" if ways == {"local"} else "error",
        "the store of the rate limit does not answer",
        f"{sharing[0].store!r} of the rate limit {names}: {silence}",
        f"Until it does, {', and '.join(why) or 'the limit is not what it says'}.",
        "Start it, or mend the address in store=... of the RateLimit. Where only this machine cannot reach it, examine "
        "the application where it serves.",
    )
