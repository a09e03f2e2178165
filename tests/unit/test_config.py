"""Config: the same names in a mapping, a TOML file and the environment, and every problem told by the name it has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from asgi_guard import ConfigError, Endpoints, Guard, IPFilter, RateLimit, RequestID, RequestLimits
from asgi_guard.config.kinds import Kind, kinds_of
from asgi_guard.config.part import Part
from asgi_guard.config.sources import MAX_BYTES, from_env, from_mapping
from asgi_guard.engine.layer import Layer
from asgi_guard.guard import ORDER
from asgi_guard.settings import Problems

SHOP, BLOG = "https://shop.example", "https://blog.example"
SECRET = "hunter2"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an application that nobody asks."""


def settings_of(guard: Guard) -> dict[str, object]:
    """Return what each part was told."""
    return {layer.name: layer.settings for layer in guard.layers}


def problems_of(configure: Callable[[], Any]) -> dict[str, str]:
    """Return the id of each problem by its field."""
    with pytest.raises(ConfigError) as caught:
        configure()
    return {problem.field: problem.id for problem in caught.value.problems}


def environment(**variables: str) -> dict[str, str]:
    """Return an environment whose names have their prefix, beside others that mean nothing here."""
    return {"PATH": "/bin", "XASGI_GUARD_": "1"} | {f"ASGI_GUARD_{name}": text for name, text in variables.items()}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Write a configuration file."""

    def written(content: str | bytes) -> Path:
        path = tmp_path / "guard.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


# The same settings three times: in code, in TOML, in the environment.
THREE_TIMES: list[tuple[dict[str, Any], str, dict[str, str]]] = [
    ({}, "", {}),
    ({"rate_limit": False}, "rate_limit = false", {"RATE_LIMIT": "false"}),
    ({"https": True}, "https = true", {"HTTPS": " True "}),
    ({"rate_limit": "5/second"}, 'rate_limit = "5/second"', {"RATE_LIMIT": "5/second"}),
    (
        {"rate_limit": ["5/second", "100/minute"]},
        'rate_limit = ["5/second", "100/minute"]',
        {"RATE_LIMIT": '["5/second", "100/minute"]'},
    ),
    ({"security_headers": "strict"}, 'security_headers = "strict"', {"SECURITY_HEADERS": "strict"}),
    ({"cors": [SHOP]}, f'cors = "{SHOP}"', {"CORS": SHOP}),
    ({"cors": [SHOP, BLOG]}, f'cors = ["{SHOP}", "{BLOG}"]', {"CORS": f"{SHOP}, {BLOG}"}),
    ({"trusted_host": ["[::1]:8000"]}, 'trusted_host = "[::1]:8000"', {"TRUSTED_HOST": "[::1]:8000"}),
    ({"client_address": []}, "client_address = []", {"CLIENT_ADDRESS": ""}),
    (
        {"request_limits": RequestLimits(max_body_bytes=1_000_000, max_headers=None)},
        '[request_limits]\nmax_body_bytes = 1_000_000\nmax_headers = "none"',
        {"REQUEST_LIMITS__MAX_BODY_BYTES": "1_000_000", "REQUEST_LIMITS__MAX_HEADERS": "none"},
    ),
    (
        {"request_limits": RequestLimits(max_headers=None, total_seconds=0.5)},
        "request_limits = {max_headers = false, total_seconds = 0.5}",
        {"REQUEST_LIMITS": '{"max_headers": null, "total_seconds": 0.5}'},
    ),
    (
        {"ip_filter": IPFilter(allow=None, block=["192.0.2.0/24"])},
        '[ip_filter]\nallow = "none"\nblock = ["192.0.2.0/24"]',
        {"IP_FILTER__ALLOW": "none", "IP_FILTER__BLOCK": "192.0.2.0/24"},
    ),
    (
        {"rate_limit": RateLimit("5/second", shadow=True)},
        '[rate_limit]\nrate = "5/second"\nshadow = true',
        {"RATE_LIMIT": "5/second", "RATE_LIMIT__SHADOW": "TRUE"},
    ),
    (
        {"rate_limit": [RateLimit("5/minute", name="login", paths=["/login"]), RateLimit("100/minute")]},
        '[[rate_limit]]\nrate="5/minute"\nname="login"\npaths=["/login"]\n[[rate_limit]]\nrate="100/minute"',
        {"RATE_LIMIT": '[{"rate": "5/minute", "name": "login", "paths": ["/login"]}, {"rate": "100/minute"}]'},
    ),
]


@pytest.mark.parametrize(("code", "toml", "variables"), THREE_TIMES, ids=range(len(THREE_TIMES)))
def test_the_names_are_the_same_everywhere(code, toml, variables, write) -> None:
    """In code, in a file, in the environment: the same guard."""
    in_code = Guard(app, **code).explain()

    assert Guard.from_mapping(app, code).explain() == in_code
    assert Guard.from_toml(app, write(toml)).explain() == in_code
    assert Guard.from_env(app, environment(**variables)).explain() == in_code


class TestMapping:
    """In code a mapping may hold whatever the guard takes."""

    def test_a_mapping_may_hold_settings_and_functions(self) -> None:
        """They need no form of their own there."""
        guard = Guard.from_mapping(
            app, {"request_limits": RequestLimits(max_headers=7), "request_id": {"factory": lambda: "0123456789"}}
        )

        assert settings_of(guard)["request_limits"] == RequestLimits(max_headers=7)
        assert settings_of(guard)["request_id"] != RequestID()

    def test_several_policies_may_be_tables_or_settings(self) -> None:
        """In one list."""
        policies = [{"rate": "5/minute", "name": "login"}, RateLimit("9/minute")]

        assert "9/minute" in Guard.from_mapping(app, {"rate_limit": policies}).explain()

    @pytest.mark.parametrize("wrong", [None, 7, "rate_limit", ["rate_limit"]], ids=str)
    def test_what_is_no_mapping_is_refused(self, wrong: Any) -> None:
        """As settings, and not with a TypeError."""
        assert problems_of(lambda: Guard.from_mapping(app, wrong)) == {"settings": "AG500"}

    def test_what_the_code_says_wins(self) -> None:
        """The mapping is checked all the same: it is wrong, whoever overrides it."""
        said = {"rate_limit": "5/second", "https": True}

        assert "rate_limit: off" in Guard.from_mapping(app, said, rate_limit=False).explain()
        assert problems_of(lambda: Guard.from_mapping(app, {"https": "no"}, https=False)) == {"https": "AG105"}

    def test_listeners_come_from_code(self) -> None:
        """They are functions."""
        heard: list[Any] = []

        assert Guard.from_mapping(app, {}, listeners=[heard.append]).layers[0].listeners
        assert problems_of(lambda: Guard.from_mapping(app, {"listeners": []})) == {"listeners": "AG110"}


class TestProblems:
    """Every problem is told at once, each under the name that the user wrote."""

    def test_a_file_is_told_by_its_paths(self, write) -> None:
        """Over all parts, with what is wrong in code as well."""
        path = write(
            f"""
            rate_limt = "{SECRET}"
            https = "requird"
            cors = ["{SHOP}", "http://shop.example/"]
            trusted_host = "*"
            telemetry = {{ token = "{SECRET}" }}
            ip_filter = true
            fetch_metadata = "{SECRET}"
            [request_limits]
            max_body_bytes = "10MB"
            max_url = 4
            [client_address]
            header = "x-real-ip"
            hops = [1]
            [request_id]
            factory = "uuid"
            [error_envelope]
            hold_start = "no"
            [security_headers.headers]
            "X-Frame-Options" = "maybe"
            [[rate_limit]]
            rate = "5/minute"
            [[rate_limit]]
            rate = "fast"
            [[rate_limit]]
            rate = {{ amount = 5, seconds = 0 }}
            """
        )

        found = problems_of(lambda: Guard.from_toml("main:app", path, error_envelope=7))  # type: ignore[arg-type]

        assert found == {
            "rate_limt": "AG110",
            "https": "AG105",
            "cors[1]": "AG340",
            "trusted_host": "AG311",
            "telemetry.token": "AG110",
            "ip_filter": "AG226",
            "fetch_metadata": "AG501",
            "request_limits.max_url": "AG110",
            "request_limits.max_body_bytes": "AG101",
            "client_address.hops": "AG503",
            "request_id.factory": "AG502",
            "error_envelope.hold_start": "AG103",
            "security_headers.headers[X-Frame-Options]": found["security_headers.headers[X-Frame-Options]"],
            "rate_limit[1].rate": "AG210",
            "rate_limit[2].rate": "AG504",
            "Guard.app": "AG109",
            "ErrorEnvelope": "AG112",
        }

    def test_the_environment_is_told_by_its_variables(self) -> None:
        """Also what is missing, and what stands in a list."""
        variables = environment(
            RATE_LIMT=SECRET,
            RATE_LIMT__RATE=SECRET,
            RATE_LIMIT="fast",
            RATE_LIMIT__SHADOW="maybe",
            HTTPS="false",
            HTTPS__STATUS="307",
            REQUEST_LIMITS__MAX_BODY_BYTES="10MB",
            REQUEST_LIMITS__MAX_HEADR="1",
            CORS__DEBUG="true",
            IP_FILTER="10.0.0.0/8,localhost",
            SECURITY_HEADERS__HEADERS='{"X-Frame-Options": nul',
            REQUEST_ID__FACTORY="uuid",
            TELEMETRY="1",
            ENDPOINTS="false",
            FETCH_METADATA=SECRET,
        )

        assert problems_of(lambda: Guard.from_env(app, variables)) == {
            "ASGI_GUARD_RATE_LIMT": "AG110",
            "ASGI_GUARD_RATE_LIMIT": "AG210",
            "ASGI_GUARD_RATE_LIMIT__SHADOW": "AG103",
            "ASGI_GUARD_HTTPS": "AG520",
            "ASGI_GUARD_REQUEST_LIMITS__MAX_BODY_BYTES": "AG101",
            "ASGI_GUARD_REQUEST_LIMITS__MAX_HEADR": "AG110",
            "ASGI_GUARD_CORS__ORIGINS": "AG111",
            "ASGI_GUARD_IP_FILTER[1]": "AG302",
            "ASGI_GUARD_SECURITY_HEADERS__HEADERS": "AG201",
            "ASGI_GUARD_REQUEST_ID__FACTORY": "AG502",
            "ASGI_GUARD_TELEMETRY": "AG105",
            "ASGI_GUARD_FETCH_METADATA": "AG501",
        }

    @pytest.mark.parametrize(
        ("variables", "told"),
        [
            ({"RATE_LIMT": "5/second"}, "ASGI_GUARD_RATE_LIMT is not a field. Did you mean 'rate_limit'?"),
            ({"REQUEST_LIMITS__MAX_HEADERS": "ten"}, "not 'ten'. Write a whole number like 1000 or none."),
            ({"ERROR_ENVELOPE__HOLD_START": "maybe"}, "not 'maybe'. Write true or false."),
            ({"SECURITY_HEADERS__POLICY": "merge"}, "not 'merge'. Write a table as JSON."),
            (
                {"RATE_LIMIT__RATE": "1/second", "RATE_LIMIT__STORE__URL": "redis://localhost"},
                """Write all of it into ASGI_GUARD_RATE_LIMIT__STORE, as JSON: {"url": ...}.""",
            ),
            ({"SECURITY_HEADERS": "strickt"}, "not 'strickt'. Did you mean 'strict'?"),
            ({"REQUEST_LIMITS": "1"}, "must be true, false or a table of its fields, not a value of type str."),
            ({"IP_FILTER": "{}x"}, "ASGI_GUARD_IP_FILTER[0] must be an address"),
            ({"REQUEST_ID__FACTORY": "uuid"}, "Leave it out here, and give request_id=... in code."),
        ],
        ids=str,
    )
    def test_the_remedy_is_one_for_the_environment(self, variables, told) -> None:
        """There are no quotes to leave out, and no brackets to add."""
        with pytest.raises(ConfigError) as caught:
            Guard.from_env(app, environment(**variables))

        assert told in str(caught.value)

    @pytest.mark.parametrize(
        "said",
        [{"telemetry": {"token": SECRET}}, {"token": SECRET}, {"request_limits": SECRET}, {"request_limits": [SECRET]}],
        ids=str,
    )
    def test_what_stands_in_a_wrong_place_is_not_shown(self, said) -> None:
        """It may be a secret under a misspelt name."""
        with pytest.raises(ConfigError) as caught:
            Guard.from_mapping(app, said)

        assert SECRET not in str(caught.value)

    def test_two_variables_that_differ_in_case_are_one_name(self) -> None:
        """Nobody can say which one holds."""
        twice = {"ASGI_GUARD_HTTPS": "true", "ASGI_GUARD_https": "false"}

        assert problems_of(lambda: Guard.from_env(app, twice)) == {"ASGI_GUARD_https": "AG520"}

    def test_policies_of_one_name_are_told_by_their_place(self) -> None:
        """That is found by the part, which knows nothing of files."""
        policies = [{"rate": "5/minute"}, {"rate": "9/minute"}]

        assert problems_of(lambda: Guard.from_mapping(app, {"rate_limit": policies})) == {"rate_limit[1].name": "AG215"}


class TestFile:
    """A file that cannot be read is a settings error, with its name and the line."""

    @pytest.mark.parametrize(
        ("content", "problem", "told"),
        [
            ('https = true\nrate_limit = "5/second', "AG513", "line 2"),
            ("https = true\nhttps = true", "AG513", "line 2"),
            ("https", "AG513", "line 1"),
            (b"https = true\n# caf\xe9", "AG512", "line 2"),
            (f"#{'x' * MAX_BYTES}", "AG511", "1,000,000 bytes"),
            ("https = true\ncors = [", "AG513", "line 2, where the file ends"),
            (f"a = {'[' * 100_000}", "AG513", "TOML"),
        ],
        ids=range(7),
    )
    def test_it_says_where(self, content, problem, told, write) -> None:
        """And nothing of it holds."""
        path = write(content)
        with pytest.raises(ConfigError) as caught:
            Guard.from_toml(app, path)

        assert [(found.id, found.field) for found in caught.value.problems] == [(problem, str(path))]
        assert told in str(caught.value)

    @pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"], ids=ascii)
    def test_a_file_that_is_not_there_is_named(self, name, tmp_path) -> None:
        """So is a folder, and what is no name."""
        path = f"{tmp_path}/{name}"

        assert problems_of(lambda: Guard.from_toml(app, path)) == {path: "AG510"}

    def test_a_byte_order_mark_is_no_part_of_it(self, write) -> None:
        """Some editors write one."""
        assert "https: off" in Guard.from_toml(app, write(b"\xef\xbb\xbfhttps = false")).explain()


class TestLayers:
    """The file, the environment over it, and the code over both."""

    FILE = f"""
    rate_limit = "5/second"
    cors = "{SHOP}"
    https = true
    [request_limits]
    max_headers = 10
    max_url_bytes = 100
    """

    def test_the_environment_wins_field_by_field(self, write) -> None:
        """Of a part that both speak of, what only the file says stays."""
        variables = environment(
            RATE_LIMIT__SHADOW="true", REQUEST_LIMITS__MAX_HEADERS="20", HTTPS="false", FETCH_METADATA="true"
        )

        guard = Guard.from_toml(app, write(self.FILE), variables)

        told = settings_of(guard)
        assert told["rate_limit"] == RateLimit("5/second", shadow=True)
        assert told["request_limits"] == RequestLimits(max_headers=20, max_url_bytes=100)
        assert {"https", "fetch_metadata"} & told.keys() == {"fetch_metadata"}

    def test_true_keeps_what_the_file_says(self, write) -> None:
        """It says that the part is on."""
        guard = Guard.from_toml(app, write(self.FILE), environment(REQUEST_LIMITS="true"))

        assert settings_of(guard)["request_limits"] == RequestLimits(max_headers=10, max_url_bytes=100)

    def test_each_problem_has_the_name_that_it_was_given(self, write) -> None:
        """In the file or in the environment."""
        path = write('rate_limit = "fast"\n[request_limits]\nmax_headers = 0\nmax_url_bytes = 0')
        variables = environment(RATE_LIMIT__SHADOW="x", REQUEST_LIMITS__MAX_HEADERS="-1")

        assert problems_of(lambda: Guard.from_toml(app, path, variables)) == {
            "rate_limit": "AG210",
            "ASGI_GUARD_RATE_LIMIT__SHADOW": "AG103",
            "ASGI_GUARD_REQUEST_LIMITS__MAX_HEADERS": "AG101",
            "request_limits.max_url_bytes": "AG101",
        }

    def test_the_code_wins_over_both(self, write) -> None:
        """Whole parts, since that is what it gives."""
        guard = Guard.from_toml(app, write(self.FILE), environment(HTTPS="false"), https=True, rate_limit=False)

        assert {"https", "rate_limit"} & settings_of(guard).keys() == {"https"}

    def test_the_environment_is_read_when_it_is_asked_for(self, monkeypatch, write) -> None:
        """By `from_env`, and by nothing else."""
        monkeypatch.setenv("ASGI_GUARD_HTTPS", "true")

        assert "https: off" in Guard(app).explain()
        assert "https: off" in Guard.from_toml(app, write("")).explain()
        assert "https: HTTPS" in Guard.from_env(app).explain()

    def test_two_names_are_reserved_for_whoever_starts_the_server(self) -> None:
        """What to serve is no setting of a guard; the prefix may be another."""
        Guard.from_env(app, environment(APP="shop:app", CONFIG="guard.toml"))

        assert "https: HTTPS" in Guard.from_env(app, {"SHOP_HTTPS": "true"}, prefix="SHOP_").explain()


# A part that is added later


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Settings within settings."""

    above: float
    hold_seconds: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Settings with fields of every kind."""

    cpu: Threshold | None = None
    each: Sequence[Threshold] = ()
    rates: Mapping[str, float] = field(default_factory=dict[str, float])
    to: str | None = None
    mode: Literal["log", "mail"] = "log"
    sizes: tuple[int, ...] = ()
    quiet: bool = False
    send: Callable[[str], None] | None = None
    token: str = "x"

    def __post_init__(self) -> None:
        problems = Problems("Alerts", secrets=["token"])
        problems.choice("mode", self.mode, ("log", "mail"))
        problems.text("token", self.token)
        hash(self.sizes)
        problems.raise_if_any()


class AlertsLayer(Layer):
    """Does nothing."""

    name = "alerts"

    def __init__(self, settings: Alerts) -> None:
        self.settings: object = settings


PARTS = {"alerts": Part(lambda: (Alerts, AlertsLayer))}


class TestPartOfTomorrow:
    """What a part takes is read off its settings, so that nothing has to be said here when one is added."""

    def test_its_fields_are_read_by_their_annotations(self) -> None:
        """Texts of the environment become what the field takes, where there is no doubt."""
        variables = environment(
            ALERTS__CPU='{"above": 0.5, "hold_seconds": 5}',
            ALERTS__EACH='[{"above": 1}]',
            ALERTS__RATES='{"error": 2.5}',
            ALERTS__TO="5",
            ALERTS__MODE="mail",
            ALERTS__QUIET="True",
            ALERTS__SEND="none",
        )

        (alerts,) = from_env(variables, PARTS).parts.values()

        assert alerts == Alerts(
            cpu=Threshold(above=0.5, hold_seconds=5),
            each=[Threshold(above=1)],
            rates={"error": 2.5},
            to="5",
            mode="mail",
            quiet=True,
        )

    @pytest.mark.parametrize(
        ("said", "problems"),
        [
            ({"cpu": {"abov": 1}}, {"alerts.cpu.abov": "AG110", "alerts.cpu.above": "AG111"}),
            ({"each": [{"above": 1}, {}], "mode": "x"}, {"alerts.each[1].above": "AG111", "alerts.mode": "AG105"}),
            ({"send": "print"}, {"alerts.send": "AG502"}),
            ({"sizes": [1], "cpu": 7}, {"alerts.cpu": "AG503"}),
        ],
        ids=range(4),
    )
    def test_its_problems_are_told_by_their_place(self, said, problems) -> None:
        """However deep."""
        found = from_mapping({"alerts": said}, PARTS).problems

        assert {problem.field: problem.id for problem in found} == problems

    def test_its_secrets_stay_secret(self) -> None:
        """The part says which fields are."""
        (found,) = from_mapping({"alerts": {"token": f"{SECRET}\n"}}, PARTS).problems

        assert SECRET not in str(found)

    def test_a_fault_of_its_own_is_not_blamed_on_the_user(self) -> None:
        """An exception that no value explains is the part's."""

        @dataclass(frozen=True)
        class Broken:
            name: str = ""

            def __post_init__(self) -> None:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            from_mapping({"broken": {"name": "x"}}, {"broken": Part(lambda: (Broken, AlertsLayer))})


@pytest.mark.parametrize(
    ("hint", "text", "value"),
    [
        (int, "1_000", 1_000),
        (int, "-5", -5),
        (int, "5.0", "5.0"),
        (int, "9" * 5_000, "9" * 5_000),
        (int, "٣", "٣"),
        (int | None, " None ", None),
        (int | None, "", ""),
        (float, "0.5", 0.5),
        (float, "1e3", 1_000.0),
        (float, "nan", "nan"),
        (float, "inf", "inf"),
        (int | float, "5", 5),
        (bool, "TRUE", True),
        (bool, "1", "1"),
        (bool, "yes", "yes"),
        (str, "5", "5"),
        (str, " x ", " x "),
        (str | int, "5", "5"),
        (str | None, "none", None),
        (Sequence[str], "a, b", ["a", "b"]),
        (Sequence[str], "", []),
        (Sequence[str], '["a,b"]', ["a,b"]),
        (Sequence[str] | None, "none", None),
        (list[int], "1,2", [1, 2]),
        (tuple[int, ...], "1,x", [1, "x"]),
        (str | Sequence[str], "a,b", "a,b"),
        (str | Sequence[str], '["a"]', ["a"]),
        (Mapping[str, str | None], '{"a": null}', {"a": None}),
        (Mapping[str, str], "a=b", "a=b"),
        (Mapping[str, str], "{" * 100_000, "{" * 100_000),
        (Callable[[], str], "uuid", "uuid"),
    ],
)
def test_a_text_is_read_by_what_the_field_takes(hint, text, value) -> None:
    """Only where there is no doubt; otherwise it stays a text, and the part says what is wrong with it."""
    read = Kind(hint).read(text)

    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("part", [name for name, part in ORDER.items() if part is not None])
def test_every_field_of_every_part_is_understood(part) -> None:
    """Its annotation is either data, or what only code can give."""
    given = ORDER[part]
    assert given is not None

    for name, kind in kinds_of(given.settings_class).items():
        assert kind.is_code or kind.words, name


@pytest.mark.parametrize(
    ("hint", "fitting", "others"),
    [
        (bool, [True], [1, "true", None]),
        (int, [5], [True, 5.0, "5"]),
        (float | None, [5, 0.5, None], [True, "5"]),
        (Literal["a", "b"], ["a"], ["c", ["a"], None]),
        (Sequence[str], [[], ["a"], ("a",)], ["a", [1], {"a": 1}]),
        (Mapping[str, int], [{}, {"a": 1}], [{"a": "1"}, ["a"]]),
        (list[Any], [[1, "a"]], [1]),
        (Any, [1, "a", [], None], []),
        (Threshold | None, [Threshold(above=1), None], [{"above": 1}, 1]),
        (Callable[[], str], [print], ["print", {}]),
    ],
)
def test_a_value_fits_by_its_type(hint, fitting, others) -> None:
    """So that a check that stumbles over another type can be told apart from one that is broken."""
    kind = Kind(hint)

    assert all(map(kind.fits, fitting))
    assert not any(map(kind.fits, others))


class TestShortNames:
    """`ASGI_GUARD_TOKEN` and `ASGI_GUARD_SHARED_DIR` say one field, and switch nothing on."""

    LONG = "a-token-of-twenty-and-more"

    def endpoints(self, variables: dict[str, str], file: Path | None = None) -> Any:
        """Return the settings of the endpoints; None where they are off."""
        guard = Guard.from_env(app, variables) if file is None else Guard.from_toml(app, file, variables)
        return next((layer.settings for layer in guard.layers if layer.name == "endpoints"), None)

    def test_a_token_stands_for_the_field(self) -> None:
        """Alone, or beside other fields."""
        assert self.endpoints(environment(TOKEN=self.LONG)) == Endpoints(token=self.LONG)
        both = environment(TOKEN=self.LONG, ENDPOINTS__PREFIX="/internal")
        assert self.endpoints(both) == Endpoints(token=self.LONG, prefix="/internal")
        assert self.endpoints(environment(TOKEN=self.LONG, ENDPOINTS="local")) == Endpoints(token=self.LONG, local=True)

    def test_it_wins_over_the_file(self, write) -> None:
        """Field by field."""
        path = write('endpoints = {token = "another-token-of-twenty", metrics = "/m"}')

        assert self.endpoints(environment(TOKEN=self.LONG), path) == Endpoints(token=self.LONG, metrics="/m")

    @pytest.mark.parametrize("variables", [{}, {"ENDPOINTS": "false"}], ids=["in the file", "in the environment"])
    def test_a_part_that_is_off_stays_off(self, write, variables) -> None:
        """Wherever that is said."""
        path = write("endpoints = true" if variables else "endpoints = false")

        assert self.endpoints(environment(TOKEN=self.LONG, **variables), path) is None

    def test_to_say_it_twice_is_refused(self) -> None:
        """Nobody can know which is meant."""
        variables = environment(TOKEN=self.LONG, ENDPOINTS__TOKEN=self.LONG)

        assert problems_of(lambda: Guard.from_env(app, variables)) == {"ASGI_GUARD_TOKEN": "AG520"}

    def test_what_is_wrong_is_told_under_the_short_name(self) -> None:
        """And never shown."""
        with pytest.raises(ConfigError) as caught:
            Guard.from_env(app, environment(TOKEN="0123"))

        assert [(problem.id, problem.field) for problem in caught.value.problems] == [("AG820", "ASGI_GUARD_TOKEN")]
        assert "0123" not in str(caught.value)

    @pytest.mark.parametrize(
        ("variables", "methods"),
        [({}, ("GET", "PURGE")), ({"ASGI_GUARD_TELEMETRY__KNOWN_METHODS": "GET"}, ("GET",))],
        ids=["alone", "beside ours"],
    )
    def test_a_name_of_opentelemetry_is_understood(self, variables, methods) -> None:
        """Our own wins."""
        variables = {"OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS": "GET, PURGE", **variables}

        assert tuple(Guard.from_env(app, variables).part("telemetry").settings.known_methods) == methods

    def test_a_folder_is_that_of_the_telemetry(self, tmp_path) -> None:
        """It is shared by whatever counts in this process, so this is asked in one of its own."""
        program = (
            "import sys; from asgi_guard import Guard; "
            "guard = Guard.from_env(print, {'ASGI_GUARD_SHARED_DIR': sys.argv[1]}); "
            "print(type(guard.part('telemetry').aggregate).__name__)"
        )
        run = [sys.executable, "-c", program, str(tmp_path / "cells")]

        assert subprocess.check_output(run, text=True).strip() == "SharedAggregate"


def test_what_a_part_of_the_settings_tells_stands_under_their_name() -> None:
    """Also where it has a name of its own for itself."""
    with pytest.raises(ConfigError, match=r"AG882 monitor\.alert_thresholds\.cpu is not the threshold"):
        Guard(app, monitor={"alert_thresholds": {"cpu": 1}})


def test_every_item_of_a_list_is_checked_whatever_is_wrong_with_the_others() -> None:
    """Also the sound fields of one that is wrong itself; each stands under the name that the user wrote."""
    exclude = [
        {"paths": ["admin"], "rules": ["sqlii"]},
        {"paths": ["bare"]},
        {"places": ["cookies"], "rules": ["AG-SQLI-999"]},
        {"rules": ["AG-SQLI-998"]},
    ]

    assert problems_of(lambda: Guard.from_mapping(app, {"validation": {"on_limit": "no", "exclude": exclude}})) == {
        "validation.on_limit": "AG105",
        "validation.exclude[0].paths[0]": "AG708",
        "validation.exclude[0].rules[0]": "AG709",
        "validation.exclude[1].paths[0]": "AG708",
        "validation.exclude[2].places[0]": "AG105",
        "validation.exclude[2].rules[0]": "AG709",
        "validation.exclude[3].rules[0]": "AG709",
    }
