"""What the guard costs stays in proportion: each bound is a ratio to what was measured beside it in the same run.

The bounds are wide, since other things run on the machine of a test; they catch a step, not a drift. The figures
themselves are those of `nox -s benchmarks`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import asgi_guard

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """Measure for a few seconds in an interpreter of its own, where no tracer slows one side of a ratio."""
    environment = {**os.environ, "PYTHONPATH": str(Path(asgi_guard.__file__).parents[1])}
    environment.pop("PYTHONSAFEPATH", None)  # the scripts find each other by their folder
    run = subprocess.run(
        [sys.executable, BENCHMARKS / "run.py", "--quick"], check=True, capture_output=True, text=True, env=environment
    )
    return json.loads(run.stdout)


def test_the_guard_costs_about_what_its_parts_cost_written_by_hand(measured: dict[str, Any]) -> None:
    """Against five careful middlewares that do less, it is not far off, however many protections they lack."""
    assert measured["cost"]["fused over nested"]["hand-written middlewares"]["of_minima"] < 1.5


def test_the_full_guard_costs_about_what_its_parts_cost_written_by_hand(measured: dict[str, Any]) -> None:
    """With every part told to do something, it stays within three times its goal, which is half of what is nested."""
    assert measured["cost"]["fused over nested"]["full, hand-written middlewares"]["of_minima"] < 3 * 0.5


def test_fusing_beats_nesting(measured: dict[str, Any]) -> None:
    """The guard's own layers cost much less fused than each as a middleware of its own."""
    assert measured["cost"]["fused over nested"]["the same layers unfused"]["of_minima"] < 0.7


def test_a_further_layer_costs_less_than_a_further_middleware(measured: dict[str, Any]) -> None:
    """What a stack pays once it does not pay again for each layer."""
    further = measured["cost"]["each further one"]

    assert further["layer"]["min_us"] < 0.5 * further["middleware"]["min_us"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("part", "bound"),
    [
        ("client_address, a trusted proxy", 0.4),
        ("request_id", 0.3),
        ("cors, no Origin", 0.3),
        ("cors, an Origin", 0.3),
        ("security_headers", 0.3),
        ("error_envelope", 0.3),
        ("trusted_host", 0.3),
        ("https", 0.2),
        ("ip_filter, 100,000 networks", 0.2),
        ("ip_filter, 100,000 networks, strangers", 0.8),
        ("request_limits", 0.2),
        ("request_limits, total_seconds", 0.6),
        ("request_limits, idle_seconds", 0.7),
        ("request_limits, max_concurrent", 0.5),
        ("fetch_metadata", 0.3),
        ("rate_limit", 0.8),
    ],
)
def test_a_part_costs_its_share(measured: dict[str, Any], part: str, bound: float) -> None:
    """No part adds to the engine what five hand-written middlewares cost together."""
    costs = measured["cost"]

    added = costs["each part, over the engine"][part]["min_us"]
    assert added < bound * costs["added to a GET"]["nested"]["min_us"]


def test_the_engine_costs_its_share(measured: dict[str, Any]) -> None:
    """What every part stands on is cheaper than five hand-written middlewares."""
    added = measured["cost"]["added to a GET"]

    assert added["engine"]["min_us"] < 0.6 * added["nested"]["min_us"]


@pytest.mark.parametrize("answer", ["403", "413", "429", "500", "preflight"])
def test_an_answer_of_the_guards_own_is_no_burden(measured: dict[str, Any], answer: str) -> None:
    """It costs a small multiple of what it costs by hand, in one format and unbounded: attackers ask for it."""
    answers = measured["cost"]["whole answers"]

    assert answers[answer]["min_us"] < 4 * answers[f"{answer}, nested"]["min_us"]


@pytest.mark.parametrize("algorithm", ["strict", "gcra"])
def test_the_rate_limit_does_not_slow_down_with_its_clients(measured: dict[str, Any], algorithm: str) -> None:
    """A hundred thousand clients cost each request little more than one does."""
    assert measured["limiter"]["100,000 keys over 1 key"][algorithm]["min_us"] < 3
