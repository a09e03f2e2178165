"""What becomes of requests while Redis is maltreated: the account of `tests/support/redis_harms.py`, written down.

`python benchmarks/redis_chaos.py` starts every server that is installed, does every harm to each, and writes
`results/redis_chaos.json`; it takes some minutes, and ends with 1 where a policy did not say what it has to. What
was longest of some rounds counts, except for what a request costs while Redis is known to be away.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from run import machine

from asgi_guard import __version__

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests/support"))

from redis_harms import FAILOVERS, HARMS, Endured, Harm, endure, key_in_slots  # noqa: E402
from redis_servers import BINARIES, Place, a_cluster, a_sentinel_set, one_server  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "redis_chaos.json"
ROUNDS = 2
KINDS = {
    "alone": (one_server, HARMS),
    "sentinel": (a_sentinel_set, FAILOVERS),
    "cluster": (partial(a_cluster, replicas=1), FAILOVERS),
}
"""How servers stand together, and what is done to one of them."""


def cases() -> Iterator[tuple[str, str, Any, str, Harm]]:
    """List what is done to whom."""
    for binary in BINARIES:
        for kind, (make, harms) in KINDS.items():
            for name, harm in harms.items():
                if (binary, name) == ("redis-6.2", "loading"):
                    continue  # it cannot be told to load slowly
                yield binary, kind, make, name, harm


def suffer(make: Any, binary: Path, harm: Harm, key: str) -> tuple[Endured, str]:
    """Start servers, do them harm, and tell what it came to, and the version of the server."""
    with TemporaryDirectory() as folder:
        started: AbstractContextManager[Place] = make(binary, Path(folder))
        with started as place:
            about = dict(
                line.split(":", 1) for line in place.server.text("INFO", "server").split("\r\n") if ":" in line
            )
            told = asyncio.run(endure(place, harm, key))
    return told, about.get("valkey_version") or about["redis_version"]


def row(rounds: list[Endured], harm: Harm) -> dict[str, Any]:
    """Write what some rounds came to."""
    wrong = sorted({mistake for told in rounds for mistake in told.wrong})
    return {
        "longest_stall_ms": round(max(told.stall_ms for told in rounds), 1),
        "first_answers_ms": round(max(told.first_ms for told in rounds), 1),
        "answer_us": round(min(told.afterwards_us for told in rounds), 1) if harm.is_noticed else None,
        "requests": sum(told.answered for told in rounds),
        "without_redis": sum(told.degraded for told in rounds),
        "seconds_to_recovery": round(max(told.back_seconds for told in rounds), 2),
        "policy_right": not wrong,
        "wrong": wrong,
    }


def main() -> int:
    """Do all of it, and write what it came to."""
    logging.disable()  # it says in words what is counted here
    key = key_in_slots(5_460)
    table: dict[str, dict[str, dict[str, Any]]] = {}
    versions: dict[str, str] = {}
    for binary, kind, make, name, harm in cases():
        rounds = []
        for _ in range(ROUNDS):
            told, versions[binary] = suffer(make, BINARIES[binary], harm, key)
            rounds.append(told)
        made = table.setdefault(binary, {})[f"{name}, {kind}"] = row(rounds, harm)
        print(f"{binary:10} {name:17} {kind:9}", *[made[field] for field in list(made)[:7]], *made["wrong"])
    packages = {"asgi-guard": __version__, **{name: version(name) for name in ("redis", "hiredis")}}
    text = {"machine": machine(), "servers": versions, "packages": packages, "rounds": ROUNDS, "harms": table}
    RESULTS.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
    return 0 if all(made["policy_right"] for harms in table.values() for made in harms.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
