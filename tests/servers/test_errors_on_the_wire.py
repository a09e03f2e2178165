"""Errors under real servers: what goes over the wire, whether the connection lives, and what a failed start means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from errors_on_the_wire import CHECKS, GUARDED, LAX, SERVERS, SPOILS, STRICT, WITHOUT_LIFESPAN, start_ends
from served import Served, serve

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the applications that fail."""
    with serve(request.param, GUARDED, tmp_path_factory.mktemp("errors")) as served:
        yield served


@pytest.mark.parametrize("moment", [moment for moment in CHECKS if moment != SPOILS])
def test_an_error_is_answered_whenever_it_happens(served: Served, moment: str) -> None:
    """The very specification that the results file counts."""
    CHECKS[moment](served)


@pytest.mark.parametrize("server", SERVERS)
def test_an_error_in_the_body_cuts_it_off(server: str, tmp_path: Path) -> None:
    """On a server of its own, which may be of no use afterwards."""
    with serve(server, GUARDED, tmp_path) as served:
        CHECKS[SPOILS](served)


@pytest.mark.parametrize("server", [server for server in SERVERS if server not in WITHOUT_LIFESPAN])
def test_a_strict_lifespan_stops_a_server_whose_application_fails_to_start(server: str, tmp_path: Path) -> None:
    """Without it the server takes the exception for an application that knows no lifespan, and serves it."""
    assert start_ends(server, STRICT, tmp_path)
    assert not start_ends(server, LAX, tmp_path)
