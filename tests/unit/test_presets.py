"""SecurityMiddleware: the names of the earlier system work, and mean what they say."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette

from asgi_guard import CORS, ConfigError, Guard, IPFilter, RateLimit, RequestLimits, SecurityHeaders
from asgi_guard.guard import ORDER
from asgi_guard.limiting.rate import Limit
from asgi_guard.presets import SWITCHES, SecurityMiddleware
from asgi_guard.testing import call, capture_events

SHOP = "https://shop.example"
SECURITY_CONFIG: dict[str, Any] = {
    "rate_limit_requests": 3,
    "rate_limit_window": 60,
    "max_request_size": 10 * 1024 * 1024,
    "allowed_ips": ["127.0.0.0/8", "203.0.113.0/24"],
    "blocked_ips": ["203.0.113.66"],
    "enable_cors": True,
    "cors_origins": [SHOP],
    "enable_security_headers": True,
    "enable_input_validation": True,
}


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def settings_of(guard: Guard) -> dict[str, object]:
    """Return what each part was told."""
    return {layer.name: layer.settings for layer in guard.layers}


def problems_of(**names: Any) -> dict[str, str]:
    """Return the id of each problem by its field."""
    with pytest.raises(ConfigError) as caught:
        SecurityMiddleware(greet, **names)
    return {problem.field: problem.id for problem in caught.value.problems}


def test_told_nothing_it_is_a_guard() -> None:
    """With the numbers that it always had."""
    middleware = SecurityMiddleware(greet)

    assert isinstance(middleware, Guard)
    assert settings_of(middleware).keys() == settings_of(Guard(greet)).keys()
    assert settings_of(middleware)["rate_limit"] == RateLimit(Limit(100, 60))
    assert settings_of(middleware)["request_limits"] == RequestLimits(max_body_bytes=10 * 1024 * 1024)


def test_each_name_stands_for_a_field() -> None:
    """A pasted dict is all it takes."""
    told = settings_of(SecurityMiddleware(greet, **SECURITY_CONFIG))

    assert told["rate_limit"] == RateLimit(Limit(3, 60))
    assert told["request_limits"] == RequestLimits(max_body_bytes=10 * 1024 * 1024)
    assert told["ip_filter"] == IPFilter(allow=["127.0.0.0/8", "203.0.113.0/24"], block=["203.0.113.66"])
    assert told["cors"] == CORS(origins=[SHOP])
    assert told["security_headers"] == SecurityHeaders()


@pytest.mark.parametrize(
    ("names", "off"),
    [
        ({"allowed_ips": [], "blocked_ips": []}, "ip_filter"),
        ({"enable_cors": True}, "cors"),
        ({"enable_cors": False, "cors_origins": [SHOP]}, "cors"),
        ({"enable_security_headers": False}, "security_headers"),
        ({"rate_limit": False}, "rate_limit"),
    ],
    ids=str,
)
def test_what_names_nobody_is_off(names, off) -> None:
    """No addresses let everybody in, and no origins let no page read."""
    assert f"{off}: off" in SecurityMiddleware(greet, **names).explain()


@pytest.mark.parametrize(
    ("names", "field"), [({"blocked_ips": ["192.0.2.1"]}, "block"), ({"allowed_ips": ["192.0.2.1"]}, "allow")], ids=str
)
def test_one_list_of_addresses_is_enough(names, field) -> None:
    """The other stays open."""
    told = settings_of(SecurityMiddleware(greet, **names))["ip_filter"]

    assert told == IPFilter(**{field: ["192.0.2.1"]})


@pytest.mark.anyio
async def test_what_the_guard_takes_may_stand_beside() -> None:
    """It wins; listeners hear."""
    events = capture_events()
    middleware = SecurityMiddleware(greet, rate_limit_requests=1, rate_limit="2/minute", listeners=[events])

    assert [(await call(middleware)).status for _ in range(3)] == [200, 200, 429]
    assert events


@pytest.mark.anyio
async def test_starlette_adds_it() -> None:
    """As users of the earlier system have it in their code."""
    api = Starlette()
    api.add_middleware(SecurityMiddleware, **SECURITY_CONFIG)

    answers = [await call(api, client=("203.0.113.7", 4711)) for _ in range(4)]

    assert [answer.status for answer in answers] == [404, 404, 404, 429]
    assert answers[-1].headers.get("x-content-type-options") == "nosniff"
    assert (await call(api, client=("203.0.113.66", 4711))).status == 403


def test_every_problem_is_told_by_the_name_that_was_given() -> None:
    """Together with those of the guard's own names, and a guess at what was meant."""
    found = problems_of(
        rate_limit_request=5,
        rate_limit_requests="100",
        rate_limit_window=0,
        max_request_size="10MB",
        allowed_ips=["localhost"],
        blocked_ips=["10.0.0.1/8"],
        cors_origins=["shop.example"],
        enable_cors="yes",
        enable_security_headers=1,
        enable_input_validation="no",
        https="requird",
        listeners=[7],
    )

    assert found == {
        "SecurityMiddleware.rate_limit_request": "AG110",
        "SecurityMiddleware.rate_limit_requests": "AG101",
        "SecurityMiddleware.rate_limit_window": "AG101",
        "SecurityMiddleware.max_request_size": "AG101",
        "SecurityMiddleware.allowed_ips[0]": "AG302",
        "SecurityMiddleware.blocked_ips[0]": "AG301",
        "SecurityMiddleware.cors_origins[0]": "AG340",
        "SecurityMiddleware.enable_cors": "AG103",
        "SecurityMiddleware.enable_security_headers": "AG103",
        "SecurityMiddleware.enable_input_validation": "AG103",
        "HTTPS.mode": "AG105",
        "Guard.listeners[0]": "AG109",
    }


def test_a_host_name_among_addresses_says_so() -> None:
    """A name is never looked up."""
    with pytest.raises(ConfigError, match=r"allowed_ips\[0\] must be an address, and a name is never looked up"):
        SecurityMiddleware(greet, allowed_ips=["localhost"])


def test_input_is_validated_unless_it_is_switched_off() -> None:
    """By the name that users have in their code."""
    assert "validation" in settings_of(SecurityMiddleware(greet))
    assert "validation" not in settings_of(SecurityMiddleware(greet, enable_input_validation=False))


class TestSwitches:
    """The environment switches parts off, where somebody asks it to."""

    def test_every_part_but_those_that_say_who_asks_has_a_switch(self) -> None:
        """A part that is added has to be put somewhere; probes are answered in any case."""
        without = {"client_address", "request_id", "endpoints"}
        assert {part for parts in SWITCHES.values() for part in parts} == {*ORDER} - without

    @pytest.mark.parametrize("switch", SWITCHES)
    @pytest.mark.parametrize("off", ["false", "False", "0", "off", "no", " FALSE "])
    def test_a_switch_takes_out_what_it_stands_for(self, switch, off) -> None:
        """Whatever else says that it is on."""
        middleware = SecurityMiddleware.from_env(greet, {switch: off, "ASGI_GUARD_ERROR_ENVELOPE": "true"}, https=True)

        assert {*SWITCHES[switch]}.isdisjoint(settings_of(middleware))
        assert {"client_address", "request_id"} <= settings_of(middleware).keys()

    @pytest.mark.parametrize("on", ["true", "1", "on", "yes", "", "TRUE"])
    def test_a_switch_that_is_on_changes_nothing(self, on) -> None:
        """The same guard as without."""
        everything = dict.fromkeys(SWITCHES, on)

        assert SecurityMiddleware.from_env(greet, everything).explain() == SecurityMiddleware(greet).explain()

    def test_the_names_of_both_systems_work_together(self) -> None:
        """In the environment, and in code."""
        variables = {"ENABLE_ERROR_HANDLING": "false", "ASGI_GUARD_RATE_LIMIT": "5/second"}

        told = settings_of(SecurityMiddleware.from_env(greet, variables, cors_origins=[SHOP], rate_limit_requests=7))

        assert (told["rate_limit"], told["cors"]) == (RateLimit("5/second"), CORS(origins=[SHOP]))
        assert "error_envelope" not in told

    def test_a_word_that_is_neither_is_told_with_the_rest(self) -> None:
        """A protection that somebody meant to keep, or not."""
        with pytest.raises(ConfigError) as caught:
            SecurityMiddleware.from_env(
                greet,
                {"ENABLE_SECURITY_MIDDLEWARE": "flase", "ASGI_GUARD_HTTPS": "x"},
                rate_limit_window=0,
            )

        assert {problem.field: problem.id for problem in caught.value.problems} == {
            "ENABLE_SECURITY_MIDDLEWARE": "AG540",
            "ASGI_GUARD_HTTPS": "AG105",
            "SecurityMiddleware.rate_limit_window": "AG101",
        }

    def test_a_long_text_in_a_switch_is_cut(self) -> None:
        """Whatever stands there, the problem stays readable."""
        with pytest.raises(ConfigError) as caught:
            SecurityMiddleware.from_env(greet, {"ENABLE_ERROR_HANDLING": "x" * 5_000})

        assert len(str(caught.value)) < 300

    def test_the_environment_is_read_when_it_is_asked_for(self, monkeypatch) -> None:
        """Never by the constructor."""
        monkeypatch.setenv("ENABLE_ERROR_HANDLING", "false")

        assert "error_envelope: off" not in SecurityMiddleware(greet).explain()
        assert "error_envelope: off" in SecurityMiddleware.from_env(greet).explain()
