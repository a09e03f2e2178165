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


def added_to_a_get(measured: dict[str, Any], name: str) -> float:
    """Return the microseconds that a stack adds to a GET."""
    return measured["cost"]["added to a GET"][name]["min_us"]


@pytest.mark.parametrize(
    ("other", "bound"),
    [
        ("hand-written middlewares", 0.8),
        ("the same layers unfused", 0.6),
    ],
)
def test_fusing_beats_nesting(measured: dict[str, Any], other: str, bound: float) -> None:
    """The guard costs less than its protections as nested middlewares, whoever wrote them."""
    assert measured["cost"]["fused over nested"][other]["of_minima"] < bound


@pytest.mark.parametrize(
    ("part", "bound"),
    [
        ("engine", 0.4),
        ("request_id", 0.6),
        ("security_headers", 0.6),
        ("error_envelope", 0.6),
        ("request_limits", 0.6),
        ("rate_limit", 0.8),
    ],
)
def test_a_part_alone_costs_its_share(measured: dict[str, Any], part: str, bound: float) -> None:
    """No part costs by itself what five hand-written middlewares cost together."""
    assert added_to_a_get(measured, part) < bound * added_to_a_get(measured, "nested")


@pytest.mark.parametrize(
    ("answer", "bound"),
    [
        ("413", 3),
        ("429", 3),
        ("500", 3),
    ],
)
def test_an_answer_of_the_guards_own_is_no_burden(measured: dict[str, Any], answer: str, bound: float) -> None:
    """Refusing costs no more than a small multiple of what a hand-written refusal costs: attackers ask for it."""
    answers = measured["cost"]["whole answers"]

    assert answers[answer]["min_us"] < bound * answers[f"{answer}, nested"]["min_us"]


def test_the_rate_limit_does_not_slow_down_with_its_clients(measured: dict[str, Any]) -> None:
    """A hundred thousand clients cost each request little more than one does."""
    assert measured["limiter"]["100,000 keys over 1 key"]["min_us"] < 3
