"""The doctor: each planted fault is found, with its fix, and nothing is found in an application that is well."""

from __future__ import annotations

import json
import logging
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import doctor_patients
import pytest
from doctor_patients import SICK

from asgi_guard import Guard, RateLimit, RedisStore, SecurityHeaders
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


def findings(capsys: Any, app: str, *arguments: str) -> dict[str, list[dict[str, str]]]:
    """Return what is found, by its id."""
    by_id: dict[str, list[dict[str, str]]] = {}
    for finding in examined(capsys, f"doctor_patients:{app}", *arguments)["findings"]:
        by_id.setdefault(finding["check"], []).append(finding)
    return by_id


@pytest.mark.parametrize("check", SICK)
def test_no_fix_names_what_was_made_up(check: str, capsys) -> None:
    """Neither a client, nor a host, that nobody has but the doctor."""
    _, arguments = SICK[check]
    told = findings(capsys, f"patient_{check}()", *arguments)

    for found in [one for each in told.values() for one in each]:
        assert not re.search(r"198\.|evil|(?<!app\.)example\.com", found["fix"])


def test_debug_mode_is_told_once(capsys) -> None:
    """With each way in which it was seen, and what to write for both."""
    (found,) = findings(capsys, "debugging()")["DR006"]

    assert found["seen"] == (
        "starlette (Starlette.debug), starlette (ServerErrorMiddleware.debug), starlette (ExceptionMiddleware.debug), "
        "ErrorEnvelope.debug"
    )
    assert "debug=False" in found["fix"]
    assert "ErrorEnvelope(...)" in found["fix"]


def test_all_cookies_are_told_at_once(capsys) -> None:
    """Each with what it has not."""
    (found,) = findings(capsys, "careless()")["DR113"]

    assert found["seen"] == "sessionid has no Secure, no HttpOnly, no SameSite; seen has no Secure, no HttpOnly"


def test_who_sees_the_metrics_is_told_of_each_as_its_own(capsys) -> None:
    """What the application shows is not what the guard counts, and no token of the guard closes it."""
    told = findings(capsys, "counting_metrics_of_its_own()")
    assert told["DR013"][0]["title"] == "nobody may see what the guard counts"
    assert told["DR112"][0]["title"] == "everybody may see metrics or a dashboard of the application"
    assert told["DR112"][0]["seen"] == "/metrics, answered by the application to a stranger"

    told = findings(capsys, "open_metrics()")
    assert told["DR112"][0]["title"] == "everybody may see what the guard counts"
    assert told["DR112"][0]["fix"].startswith("Endpoints(allowed=[...])")
    assert "DR013" not in told


def test_a_limit_that_is_off_is_told_once(capsys) -> None:
    """By what was seen, where that could be asked for."""
    told = findings(capsys, "without_limits()")

    assert {"DR104", "DR105"} <= {*told}
    assert "DR014" not in told


@pytest.mark.parametrize(
    ("patient", "fix"),
    [
        ("careless()", 'Guard(app, https="redirect", security_headers=SecurityHeaders(preset="web", cookies="fix"))'),
        ("shop()", 'Guard(app, https="redirect", security_headers="web")'),
        ("guarded(https=False, security_headers=True)", 'Guard(app, https="redirect", security_headers="web")'),
        ("patient_DR113()", 'Guard(app, security_headers=SecurityHeaders(preset="strict", cookies="fix"))'),
    ],
)
def test_the_fix_of_the_score_mends_it(patient: str, fix: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the settings that do, and no others."""
    monkeypatch.setattr(doctor_patients, "sick", lambda: eval(patient, vars(doctor_patients)), raising=False)
    (found,) = findings(capsys, "sick()")["DR114"]
    assert found["fix"] == fix

    app = eval(patient, vars(doctor_patients))
    given = eval(fix.replace("Guard(app, ", "dict("), {"SecurityHeaders": SecurityHeaders})
    if isinstance(app, Guard):
        app.reconfigure(**given)
    else:
        app = Guard(app, **given)
    monkeypatch.setattr(doctor_patients, "sick", lambda: app, raising=False)
    assert "DR114" not in findings(capsys, "sick()")


def test_headers_of_its_own_are_not_blamed_on_the_settings(capsys) -> None:
    """They win, so no preset changes them."""
    (found,) = findings(capsys, "with_weak_headers_of_its_own()")["DR114"]

    mended = "mend what the application sends itself, and so wins: content-security-policy, referrer-policy"
    assert found["fix"] == f'{mended}; give scripts of other hosts integrity="sha384-..." and https'


@pytest.mark.parametrize(("on_failure", "severity"), [("local", "warning"), ("open", "error"), ("closed", "error")])
def test_a_store_that_is_away_is_found(on_failure: str, severity: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """As grave as what happens without it; no password is told."""
    store = RedisStore("redis://shop:hunter2@127.0.0.1:1", on_failure=on_failure)
    app = doctor_patients.guarded(rate_limit=RateLimit("100/minute", store=store))
    monkeypatch.setattr(doctor_patients, "sick", lambda: app, raising=False)
    told = findings(capsys, "sick()", "--workers", "4", "--server", "hypercorn")

    (found,) = told["DR015"]
    assert found["severity"] == severity
    assert "127.0.0.1:1" in found["seen"]
    assert "hunter2" not in str(told)
    assert "DR007" not in told


def test_a_store_that_never_answers_is_waited_for_a_second(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who accepts a connection does not answer by that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = doctor_patients.guarded(rate_limit=RateLimit("100/minute", store=f"redis://127.0.0.1:{port}"))
        monkeypatch.setattr(doctor_patients, "sick", lambda: app, raising=False)
        told = findings(capsys, "sick()")

    assert told["DR015"][0]["seen"].endswith("no answer within 1 second")


def test_nothing_is_logged_of_clients_and_failures_that_were_made_up(capsys, caplog: pytest.LogCaptureFixture) -> None:
    """But for the entries of the audit log, in which a gap would look like a forgery."""
    caplog.set_level("INFO")
    examined(capsys, "doctor_patients:well()", "--error-path", "/boom")
    assert "hunter2" not in "".join(one.getMessage() for one in caplog.records if not one.name.endswith("entries"))

    assert {record.name for record in caplog.records} == {"asgi_guard.audit.entries"}
    numbers = [json.loads(record.message)["seq"] for record in caplog.records]
    assert sorted(numbers) == [*range(len(numbers))]
    logging.getLogger("shop").warning("heard again")
    assert caplog.records[-1].message == "heard again"


def test_what_is_not_served_at_all_is_no_reason_for_another_page(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is away: what is told of the checks that could not be made is the status, and not a remedy for others."""
    store = RedisStore("redis://127.0.0.1:1", on_failure="closed")
    app = doctor_patients.guarded(rate_limit=RateLimit("100/minute", store=store))
    monkeypatch.setattr(doctor_patients, "sick", lambda: app, raising=False)

    skipped = {one["check"]: one["why"] for one in examined(capsys, "doctor_patients:sick()")["skipped"]}
    assert (skipped["DR114"], skipped["DR115"]) == ("GET / was answered with 503",) * 2


@pytest.mark.parametrize(("option", "does"), [("--reload", "watches files"), ("--debug", "tells more")])
def test_an_option_for_development_is_told_with_what_it_does(option: str, does: str, capsys) -> None:
    """And with nothing of others."""
    (found,) = findings(capsys, "well()", "--server", "uvicorn", f"--server-options={option}")["DR207"]

    assert found["seen"] == option
    assert does in found["why"]
    assert found["why"].count(".") == 1


def test_what_the_application_prints_is_not_in_the_report(capsys) -> None:
    """A program reads it."""
    assert main(["doctor", "doctor_patients:talkative()", "--server", "hypercorn", "--json"]) == 0
    said = capsys.readouterr()

    assert json.loads(said.out)["app"] == "doctor_patients:talkative()"
    assert "home was asked" in said.err


PROXIED = (
    ("uvicorn", "--no-proxy-headers --timeout-graceful-shutdown 30"),
    ("hypercorn", ""),
    ("granian", "--workers-kill-timeout 30"),
    ("gunicorn", "-k uvicorn_worker.UvicornWorker --forwarded-allow-ips ''"),
    ("gunicorn", "-k asgi --forwarded-allow-ips ''"),
)


@pytest.mark.parametrize(("server", "options"), PROXIED)
def test_nothing_is_found_behind_a_proxy_with_the_options_that_each_server_wants(
    server: str, options: str, capsys
) -> None:
    """Not even a note."""
    pytest.importorskip(server)
    arguments = ["--behind-proxy", "--server", server, f"--server-options={options}"]

    assert findings(capsys, "behind_a_proxy()", *arguments) == {}


def test_the_fix_is_in_the_language_of_its_file(capsys) -> None:
    """TOML knows no False."""
    (found,) = findings(capsys, "well()", "--server", "hypercorn")["DR203"]
    line = re.search(r"Write (.+) into a TOML file", found["fix"])

    assert line is not None
    assert tomllib.loads(line[1]) == {"include_server_header": False}


def test_a_worker_of_gunicorns_is_told_what_a_worker_understands(capsys) -> None:
    """Its options are not those of uvicorn; one of your own is not known."""
    (found,) = findings(capsys, "well()", "--server", "gunicorn")["DR202"]
    assert "--http" not in found["fix"]
    assert "CONFIG_KWARGS" in found["fix"]

    told = findings(capsys, "well()", "--server", "gunicorn", "--server-options=-k shop.Quiet")
    assert "DR203" not in told


def test_whom_the_server_believes_is_told_as_it_was_given(capsys) -> None:
    """And not what it would believe by default."""
    (found,) = findings(capsys, "well()", "--server", "uvicorn", "--server-options=--forwarded-allow-ips 10.0.0.7")[
        "DR204"
    ]
    assert found["seen"] == "it believes those of 10.0.0.7"


def test_options_of_a_server_that_run_starts_are_told_as_run_takes_them(capsys) -> None:
    """It has an option for them."""
    (found,) = findings(capsys, "well()")["DR205"]
    assert found["fix"].endswith("--timeout-graceful-shutdown 30. By asgi-guard run: --server-options='...'.")


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
