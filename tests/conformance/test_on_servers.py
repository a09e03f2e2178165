"""The kit over sockets: the guard breaks nothing on a real server that the server keeps; others do, and are caught.

Here three servers are asked what can be asked quickly; with `CONFORMANCE` in the environment they are asked everything,
and every fault is looked for. `nox -s conformance` does that, and asks every server with every part of the guard on.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asgi_guard.testing import NotConformingError
from asgi_guard.testing.sockets import SERVERS, SOCKET_RULES, ask_bare, check_served

HERE = Path(__file__).parent
ANY_SERVER = "uvicorn-h11"
NAMES = ["uvicorn-h11", "hypercorn-asyncio", "granian-rust"]
KNOWN = {
    "hypercorn-asyncio": {807, 843},  # asks for the body by itself
    "granian-rust": {812, 820, 852},  # wants headers in a start, counts no bytes, drops the headers of an accept
}
"""What these servers break by themselves."""

IS_WHOLE = bool(os.environ.get("CONFORMANCE"))
LONG = {806, 808, 809, 815, 817, 836, 847, 848}
"""Rules for which somebody has to wait."""

RULES = [rule for rule in SOCKET_RULES if IS_WHOLE or rule.number not in LONG.union(*KNOWN.values())]

FAULTS = {
    "reads_first": {805, 807},
    "takes_a_disconnect_for_the_end": {806, 808},
    "buffers_the_response": {805, 815, 817, 836},
    "sends_from_another_task": {817},
    "ends_broken_responses": {833},
    "tells_what_went_wrong": {831},
    "makes_a_dict_of_headers": {801, 813},
    "extends_the_applications_list": {811},
    "answers_lifespans_itself": {802},
    "hides_what_happens_to_websockets": {856, 857},
    "refuses_nothing": {841, 842, 843, 844, 845, 847, 849},
    "raises_instead_of_refusing": {841, 842, 843, 845, 847, 848, 849},
}
"""Rules that are broken by the stack of this name; it may break others as well."""


def installed(name):
    """Skip by name a server that is not installed."""
    if not SERVERS[name].is_installed:
        pytest.skip(f"{name} is not installed")
    return name


@pytest.fixture(scope="module", params=NAMES)
def server(request):
    """Name a server, and what it does by itself."""
    return installed(request.param), ask_bare(request.param, rules=RULES)


@pytest.mark.long
def test_what_a_server_breaks_is_known(server) -> None:
    """A new release that mends it, or breaks more, is seen here."""
    name, bare = server

    assert bare.keys() == {rule.number for rule in RULES}
    assert {number for number, complaint in bare.items() if complaint} == KNOWN.get(name, set()) & bare.keys()


@pytest.mark.parametrize("stack", ["guard", "nested_guard"] if IS_WHOLE else ["guard"])
def test_the_guard_breaks_nothing(server, stack) -> None:
    """Fused or nested; where the server breaks something, it is named as the server's."""
    name, bare = server

    report = check_served(f"stacks:{stack}", name, refuses=True, folder=HERE, rules=RULES, bare=bare)

    report.raise_for_failures()
    assert {outcome.rule.number for outcome in report.of("kept")} >= bare.keys() - KNOWN.get(name, set())


@pytest.mark.long
@pytest.mark.parametrize("stack", FAULTS if IS_WHOLE else ["tells_what_went_wrong", "makes_a_dict_of_headers"])
def test_a_fault_is_found(stack) -> None:
    """By the rules that it breaks, with what it did and why that matters."""
    rules = [rule for rule in SOCKET_RULES if rule.number in FAULTS[stack]]
    bare = dict.fromkeys(FAULTS[stack])

    report = check_served(
        f"stacks:{stack}",
        installed(ANY_SERVER),
        refuses=True,
        folder=HERE,
        rules=rules,
        bare=bare,
        patience_seconds=0.3,
    )

    assert [outcome.rule for outcome in report.of("broken")] == rules
    with pytest.raises(NotConformingError) as caught:
        report.raise_for_failures()
    assert rules[0].why in str(caught.value)
