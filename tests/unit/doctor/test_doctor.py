"""The doctor: each planted fault is found, with its fix, and nothing is found in an application that is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doctor_patients import SICK

from asgi_guard.cli import main
from asgi_guard.doctor.finding import CHECKS

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nobody's environment say how many workers there are."""
    for name in ("WEB_CONCURRENCY", "ASGI_GUARD_WORKERS", "ASGI_GUARD_SHARED_DIR"):
        monkeypatch.delenv(name, raising=False)
    return


def examined(capsys: Any, app: str, *arguments: str) -> dict[str, Any]:
    """Have it examined, and read what is told to a program."""
    capsys.readouterr()
    code = main(["doctor", app, "--json", *arguments])
    told = json.loads(capsys.readouterr().out)
    return {"code": code, **told}


@pytest.mark.parametrize("check", SICK)
def test_a_planted_fault_is_found(check: str, capsys) -> None:
    """With what was seen, why it matters and what to do."""
    _, arguments = SICK[check]
    told = examined(capsys, f"doctor_patients:patient_{check}()", *arguments)

    found = {finding["check"]: finding for finding in told["findings"]}
    assert check in found, [*found, told["skipped"]]
    assert all(found[check][part] for part in ("title", "seen", "why", "fix", "severity"))


@pytest.mark.parametrize("patient", ["well", "well_at_a_port", "well_at_an_address"])
def test_an_application_that_is_well_has_none(patient: str, capsys) -> None:
    """Behind a server that lacks nothing that matters, and a page with the best grade."""
    told = examined(capsys, f"doctor_patients:{patient}()", "--server", "hypercorn", "--error-path", "/boom")

    grave = [finding for finding in told["findings"] if finding["severity"] != "note"]
    assert (told["code"], grave) == (0, [])
    assert told["skipped"] == []
    assert told["score"]["grade"] == "A+"
    assert told["score"]["points"] >= 125


def test_nothing_at_all_is_found_behind_a_proxy_that_is_believed(capsys) -> None:
    """Not even a note; each check was made, or says what the proxy does in its place."""
    options = "--timeout-graceful-shutdown 30"
    told = examined(capsys, "doctor_patients:behind_a_proxy()", "--behind-proxy", f"--server-options={options}")

    assert told["findings"] == []
    assert {skipped["check"] for skipped in told["skipped"]} == {"DR101", "DR201", "DR202"}


def test_each_check_has_a_patient() -> None:
    """Who adds a check plants its fault; that of the settings file has a test of its own."""
    assert {*SICK, "DR012"} == set(CHECKS)


def test_each_check_is_in_the_readme() -> None:
    """By its id, or within a range of ids."""
    table = re.findall(r"^\| (DR.+?) \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = {
        f"DR{number:03}"
        for first, last in re.findall(r"DR(\d{3})(?: to DR(\d{3}))?", " ".join(table))
        for number in range(int(first), int(last or first) + 1)
    }

    assert named == set(CHECKS)


@pytest.mark.parametrize(("fail_on", "code"), [("error", 0), ("warning", 1), ("note", 1)])
def test_the_exit_code_is_for_what_is_grave_enough(fail_on: str, code: int, capsys) -> None:
    """For CI."""
    arguments = ["doctor", "doctor_patients:patient_DR104()", "--server", "hypercorn", "--fail-on", fail_on]
    assert main(arguments) == code
    assert "DR104" in capsys.readouterr().out


def test_a_settings_file_that_everybody_reads_is_found(tmp_path: Path, capsys) -> None:
    """Where it has secrets."""
    file = tmp_path / "guard.toml"
    file.write_text('[endpoints]\ntoken = "correct-horse-battery-staple"\n')
    file.chmod(0o644)
    told = examined(capsys, "doctor_patients:shop()", "--config", str(file))
    assert "DR012" in {finding["check"] for finding in told["findings"]}
    assert "correct-horse" not in json.dumps(told)

    file.chmod(0o600)
    told = examined(capsys, "doctor_patients:shop()", "--config", str(file))
    assert "DR012" not in {finding["check"] for finding in told["findings"]}


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian", "daphne", "gunicorn"])
def test_every_server_is_known(server: str, capsys) -> None:
    """What it cannot do is told as its own."""
    pytest.importorskip(server)
    told = examined(capsys, "doctor_patients:well()", "--server", server)

    assert told["server"] == server
    of_the_server = [finding for finding in told["findings"] if finding["check"].startswith("DR2")]
    assert all(server in finding["title"] + finding["seen"] + finding["fix"] for finding in of_the_server)


def test_options_of_the_server_are_read(capsys) -> None:
    """What a flag mends is not found."""
    flags = "--no-server-header --no-proxy-headers --timeout-graceful-shutdown 30 --http h11"
    plain = examined(capsys, "doctor_patients:well()", "--server", "uvicorn")
    mended = examined(capsys, "doctor_patients:well()", "--server", "uvicorn", f"--server-options={flags}")

    assert len(mended["findings"]) < len(plain["findings"])


def test_the_report_for_a_person_has_the_fix(capsys) -> None:
    """The gravest first, and a verdict at the end."""
    assert main(["doctor", "doctor_patients:shop()"]) == 1
    lines = capsys.readouterr().out.splitlines()

    assert sum(line.startswith("  fix:  ") for line in lines) > 4
    assert lines[-1].endswith("findings")
    graves = [line.split()[0] for line in lines if line.split()[0] in {"error", "warning", "note"}]
    assert graves == sorted(graves, key=["error", "warning", "note"].index)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing_there:app"],
        ["doctor_patients:nobody"],
        ["doctor_patients:shop()", "--config", "/nowhere.toml"],
        ["doctor_patients:broken"],
    ],
)
def test_what_cannot_be_examined_is_said_in_a_line(arguments: list[str], capsys) -> None:
    """With a code of its own."""
    assert main(["doctor", *arguments]) == 2
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize("module", ["fastapi", "quart", "litestar", "django"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_applications_of_every_framework_are_examined(module: str, capsys) -> None:
    """Without a guard, which is what is found first."""
    pytest.importorskip(module)
    told = examined(capsys, f"doctor_frameworks:of_{module}()")

    assert "DR001" in {finding["check"] for finding in told["findings"]}
    assert not [skipped for skipped in told["skipped"] if "failed" in skipped["why"]]
