"""README.md is true: its snippets run, its tables are complete, and what it shows is what was observed.

Run as a script, this file writes the block between `<!-- generated: before-after -->` and `<!-- end -->` anew.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import asgi_guard
from asgi_guard import Guard, RequestLimits, Validation
from asgi_guard.demo.app import Shop
from asgi_guard.demo.report import told
from asgi_guard.demo.run import compare
from asgi_guard.guard import ORDER
from asgi_guard.inspection.rules import ATTACKS
from asgi_guard.monitor import names
from asgi_guard.monitor.metric import Metric
from asgi_guard.telemetry import semconv
from asgi_guard.testing import call
from asgi_guard.watch import names as watch_names

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
PACKAGE = {path: path.read_text(encoding="utf-8") for path in (ROOT / "asgi_guard").rglob("*.py")}
BLOCK = re.compile(r"(?<=<!-- generated: before-after -->\n).*?(?=<!-- end -->)", re.DOTALL)


def fenced(language: str) -> list[str]:
    """Return the fenced blocks in a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def table(name: str) -> list[tuple[str, ...]]:
    """Return the rows of the table under a marker, without its head; what stands in a cell as code is the code."""
    (lines,) = re.findall(rf"^<!-- {name} -->\n.*\n.*\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    return [tuple(cell.strip(" `") for cell in line[1:-1].split(" | ")) for line in lines.splitlines()]


def before_and_after() -> str:
    """Send the requests of the demo, and write what came back as a table."""
    rows = [(result.name, told(result.plain), told(result.guarded)) for result in compare(Shop(), Guard(Shop()))]
    lines = ["| request | plain | guarded |", "|---|---|---|", *[f"| {' | '.join(row)} |" for row in rows]]
    return re.sub(r"Retry-After: \d+", "Retry-After", "\n".join([*lines, ""]))


SAID_THREE_TIMES = table("configuration")


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Be the `app` of the snippets."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def failing(scope: Any, receive: Any, send: Any) -> None:
    """Be an application with an exception that nobody handles."""
    raise ConnectionError


def refused_with() -> Iterator[str]:
    """Return the statuses with which the standard stack refuses, every part of it on."""
    host = "example.com"
    every = Guard(
        hello,
        cors=f"https://{host}",
        trusted_host=host,
        https=True,
        ip_filter=["10.0.0.0/8"],
        request_limits=RequestLimits(total_seconds=30, idle_seconds=10, max_concurrent=100),
        fetch_metadata=True,
    )
    for layer in every.layers:
        for refusal in layer.refusals():
            yield refusal[:3]


def codes() -> set[str]:
    """Return the stable names of errors that the package answers with."""
    layers = [text for path, text in PACKAGE.items() if path.parent.name in {"layers", "limiting"}]
    named = {code for text in layers for code in re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', text)}
    return named - {"KNOWN_METHODS"} | {"CONFIGURATION_ERROR", "INTERNAL_ERROR", "NO_RESPONSE", "STORE_ERROR"}


def test_before_and_after_is_what_the_demo_observes() -> None:
    """To write it anew: python tests/docs/test_readme.py."""
    block = BLOCK.search(TEXT)

    assert block is not None
    assert block[0] == before_and_after()


@pytest.mark.parametrize("snippet", fenced("python"), ids=range(len(fenced("python"))))
def test_a_snippet_runs_and_prints_what_it_shows(snippet: str, capsys, monkeypatch) -> None:
    """Each stands alone around an `app`; comments at its end are what it prints."""
    monkeypatch.setenv("AUDIT_KEY", "0" * 64)
    shown = re.search(r"(?:^# .*\n)*\Z", snippet, re.MULTILINE)

    exec(compile(snippet, "README.md", "exec"), {"app": hello})

    assert capsys.readouterr().out == re.sub("^# ", "", shown[0] if shown else "", flags=re.MULTILINE)


def test_every_extra_is_told() -> None:
    """Whoever misses one finds its name."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    told = [name for extra, _ in table("extras") for name in extra.split("`, `")]

    assert sorted(told) == sorted(extras)
    assert {*re.findall(r"\[(.*)\]", extras["all"][0])[0].split(",")} == {*told} - {"all", "otel-grpc", "testing"}


@pytest.mark.parametrize("file", fenced("toml"), ids=range(len(fenced("toml"))))
def test_a_file_can_be_read(file: str, tmp_path: Path) -> None:
    """Each is a configuration that starts."""
    path = tmp_path / "guard.toml"
    path.write_text(file, encoding="utf-8")

    assert isinstance(Guard.from_toml(hello, path), Guard)


@pytest.mark.parametrize(("code", "toml", "variable"), SAID_THREE_TIMES, ids=[row[1] for row in SAID_THREE_TIMES])
def test_code_a_file_and_the_environment_say_the_same(code: str, toml: str, variable: str) -> None:
    """Each row is one setting, written in three ways."""
    public = {name: getattr(asgi_guard, name) for name in asgi_guard.__all__}
    in_code = Guard(hello, **eval(f"dict({code})", public))
    name, _, text = variable.partition("=")

    assert Guard.from_mapping(hello, tomllib.loads(toml)).explain() == in_code.explain()
    assert Guard.from_env(hello, {f"ASGI_GUARD_{name}": text}).explain() == in_code.explain()


def test_the_error_is_the_one_that_is_answered() -> None:
    """But for its time and its request id."""
    (shown,) = map(json.loads, fenced("json"))
    answered = asyncio.run(call(Guard(failing))).json()
    answered["request_id"], answered["error"]["timestamp"] = shown["request_id"], shown["error"]["timestamp"]

    assert answered == shown


@pytest.mark.parametrize("name", asgi_guard.__all__)
def test_a_public_name_is_explained(name: str) -> None:
    """Whatever can be imported is at least named here."""
    assert re.search(rf"\b{re.escape(name)}\b", TEXT)


@pytest.mark.parametrize("status", sorted(set(refused_with())))
def test_a_status_is_explained(status: str) -> None:
    """Whatever the guard refuses with has its row."""
    assert re.search(rf"^\| {status} \|", TEXT, re.MULTILINE)


@pytest.mark.parametrize("code", sorted(codes()))
def test_a_code_is_explained(code: str) -> None:
    """So has whatever a program may branch on."""
    assert f"`{code}`" in TEXT


@pytest.mark.parametrize("name", ORDER)
def test_a_part_is_told_as_it_is(name: str) -> None:
    """It has its row among the parts."""
    assert f"| `{name}` |" in TEXT


def test_every_class_of_attack_is_told() -> None:
    """In the order in which the rules have them."""
    assert tuple(name for name, _ in table("attacks")) == ATTACKS


@pytest.mark.parametrize(("said", "field"), [(row[1], row[2]) for row in table("limits")])
def test_a_limit_of_the_validation_is_told_as_it_is(said: str, field: str) -> None:
    """With the extra and without."""
    defaults = {getattr(Validation(engine=engine).limits, field.removeprefix("max_")) for engine in ("re2", "re")}

    assert {int(number.replace(",", "")) for number in re.findall(r"\b[\d,]+\b", said)} == defaults


TABLES = (semconv, names, watch_names)
METRICS = [metric for part in TABLES for metric in vars(part).values() if isinstance(metric, Metric)]


def test_every_metric_is_told_and_no_other() -> None:
    """In the order of their tables in the code."""
    assert [name for name, *_ in table("metrics")] == [metric.name for metric in METRICS]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_metric_is_told_as_it_is(metric: Metric) -> None:
    """Its kind, its unit, and all of its attributes, those of ours without their part; they alone stand as code."""
    (line,) = (line for line in TEXT.splitlines() if line.startswith(f"| `{metric.name}` |"))
    short = [name.rpartition(".")[2] if name.startswith("asgi_guard.") else name for name in metric.attributes]
    assert re.findall(r"`([^`]+)`", line) == [metric.name, metric.unit, *short]
    assert line.split(" | ")[1] == metric.kind.value.replace("up_down", "up-down counter")


def test_the_order_of_the_parts_is_the_one_that_is_built() -> None:
    """Outermost first."""
    (told,) = re.findall(r"^The order is fixed, outermost first: (.*?)\.", TEXT, re.DOTALL | re.MULTILINE)

    assert re.findall(r"`(\w+)`", told) == list(ORDER)


def test_every_problem_of_settings_is_documented() -> None:
    """Each id has its row, here or at the head of the file that gives it, and nobody's row is left over."""
    given = {number for text in PACKAGE.values() for number in re.findall(r'"(AG\d{3})"', text)}
    tables = "\n".join([TEXT, *PACKAGE.values()])

    assert given == set(re.findall(r"^\| (AG\d{3}) +\|", tables, re.MULTILINE))


def test_every_range_of_problems_leads_to_their_table() -> None:
    """Each id stands in one range, and a range that links a file has the ids of its table."""
    rows = re.findall(r"^\| AG(\d+)(?: to AG(\d+))? \|.+\| (.+) \|$", TEXT, re.MULTILINE)
    ranges = {range(int(first), int(last or first) + 1): place for first, last, place in rows}

    for number in {int(number) for text in PACKAGE.values() for number in re.findall(r'"AG(\d{3})"', text)}:
        (place,) = [place for numbers, place in ranges.items() if number in numbers]
        link = re.search(r"\((.+)\)", place)
        table = TEXT if link is None else PACKAGE[ROOT / link[1]]
        assert re.search(rf"^\| AG{number} +\|", table, re.MULTILINE)


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda example: example.name)
def test_an_example_can_be_found(example: Path) -> None:
    """It is linked."""
    assert f"](examples/{example.name})" in TEXT


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https:|#)(.+?)\)", TEXT))))
def test_a_link_leads_somewhere(target: str) -> None:
    """What is linked in the project is there."""
    assert (ROOT / target).is_file()


@pytest.mark.parametrize("name", ["demo", "tests"])
def test_a_command_can_be_read_by_a_machine(name: str) -> None:
    """It is one line, and stands in the fence that follows its marker."""
    assert re.search(rf"^<!-- command: {name} -->\n```sh\n.+\n```$", TEXT, re.MULTILINE)


if __name__ == "__main__":
    README.write_text(BLOCK.sub(lambda _: before_and_after(), TEXT, count=1), encoding="utf-8")


def migrations() -> list[tuple[str, str, str]]:
    """Return what stands under "Coming from another package": the package, what is written there, and here."""
    (section,) = re.findall(r"^## Coming from another package\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    rows: list[tuple[str, str, str]] = []
    for package, lines in re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", section, re.DOTALL | re.MULTILINE):
        found = re.findall(r"^\| (.*?) \| (.*) \|$", lines, re.MULTILINE)
        rows += [(package, there, here) for there, here in found[1:]]
    return rows


@pytest.mark.parametrize(
    "code", sorted({code for *_, here in migrations() for code in re.findall(r"`(\w+\([^`]*\))`", here)})
)
def test_what_stands_on_the_right_of_a_migration_runs(code: str) -> None:
    """Name by name."""
    from asgi_guard import resilience

    known = {name: getattr(module, name) for module in (asgi_guard, resilience) for name in module.__all__}
    assert eval(code, {"app": hello, **known}) is not ...


def test_every_package_has_a_way_over() -> None:
    """Those that this one replaces."""
    assert {
        package: sum(row[0] == package for row in migrations()) > 4 for package, *_ in migrations()
    } == dict.fromkeys(
        (
            "slowapi",
            "secure",
            "Starlette's CORSMiddleware",
            "fastapi-guard",
            "asgi-correlation-id",
            "prometheus-fastapi-instrumentator",
            "pybreaker",
            "tenacity",
        ),
        True,
    )
