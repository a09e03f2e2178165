"""Every check of the project, each as a session: `nox` runs the default ones, `nox --list` names them all.

What runs code runs the wheel: `package` builds it once, and the checkout's own package is never importable, so that a
file missing from the wheel fails here and not at a user's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import nox
import nox.command

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False  # `matrix` skips them by name, under CI as well
nox.options.sessions = ["lint", "types", "tests", "stranger", "browser", "examples"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
DIST = Path("dist")

INSTALLED = {
    "WHEEL_UNDER_TEST": "1",  # tests/house proves that the package under test is the wheel
    "PYTHONSAFEPATH": "1",  # `python -m` and `python -c` leave the checkout out of sys.path
}
COVERAGE = {
    "asgi_guard/engine/*": 100,
    "asgi_guard/limiting/*": 100,
    "asgi_guard/resilience/*": 100,
    "asgi_guard/*": 95,
}
ELSEWHERE = ("tests/browser", "tests/docs", "tests/plugin/test_a_strangers_suite.py")  # in sessions of their own
SUITE = (*(f"--ignore={place}" for place in ELSEWHERE), "--dist=worksteal", "--randomly-dont-reset-seed")


def install(session: nox.Session, *groups: str) -> None:
    """Install the wheel with every extra, and the dependency groups that the session names."""
    (wheel,) = DIST.glob("*.whl")
    requirements = nox.project.dependency_groups(PROJECT, *groups)
    session.install(f"asgi-guard[all,testing] @ {wheel.resolve().as_uri()}", *requirements)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, spelling, the project file, and who may import whom."""
    session.install(*nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "."})
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")


@nox.session(requires=["package"])
def types(session: nox.Session) -> None:
    """Two type checkers in strict mode, and every public name fully typed."""
    install(session, "types")
    quiet = {"PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}  # it would ask for its newest release over the network
    session.run("mypy")
    session.run("pyright", env=quiet)
    session.run("pyright", "--verifytypes", "asgi_guard", "--ignoreexternal", env=quiet)


@nox.session(requires=["package"])
def tests(session: nox.Session) -> None:
    """The suite but for what takes long; with arguments, pytest alone: `nox -s tests -- -k cors`."""
    install(session, "tests", "servers", "redis", "frameworks")
    session.run("pytest", *(session.posargs or [*SUITE, "-n2"]), env=INSTALLED)


@nox.session(requires=["package"])
def stranger(session: nox.Session) -> None:
    """The pytest plugin by its entry point, in an environment with what its users install and nothing else."""
    (wheel,) = DIST.glob("*.whl")
    session.install(f"asgi-guard[testing] @ {wheel.resolve().as_uri()}", "fastapi", "httpx")
    alone = ("-c", "/dev/null", "--noconftest", "--import-mode=importlib", "-W", "error")  # without what our suite uses
    session.run("pytest", *alone, "tests/plugin/test_a_strangers_suite.py", *session.posargs, env=INSTALLED)


@nox.session(requires=["package"])
def long(session: nox.Session) -> None:
    """What takes a second and more: real servers, outages, each event loop; four at once, since most of it waits."""
    install(session, "tests", "servers", "redis", "frameworks")
    session.run("pytest", "-m", "long and not slow", *SUITE, "-n4", *session.posargs, env=INSTALLED)


def marked(session: nox.Session, marker: str) -> None:
    """Run the tests with one marker, but for the slow ones, and write their report into test_reports/."""
    install(session, "tests", "servers", "redis", "frameworks")
    chosen = ("-m", f"{marker} and not slow", "--ignore=tests/browser", f"--guard-report=test_reports/{marker}")
    session.run("pytest", *chosen, *session.posargs, env=INSTALLED)


@nox.session(requires=["package"])
def unit(session: nox.Session) -> None:
    """One part alone, in memory."""
    marked(session, "unit")


@nox.session(requires=["package"])
def integration(session: nox.Session) -> None:
    """Parts together, over sockets, processes and databases."""
    marked(session, "integration")


@nox.session(requires=["package"])
def security(session: nox.Session) -> None:
    """What an attacker would try."""
    marked(session, "security")


@nox.session(requires=["package"])
def performance(session: nox.Session) -> None:
    """What it costs."""
    marked(session, "performance")


@nox.session(requires=["package"])
def coverage(session: nox.Session) -> None:
    """The suite with what takes long, its branch coverage in test_reports/, and whether it suffices."""
    install(session, "tests", "servers", "redis", "frameworks")
    reports = ("--cov-report=html:test_reports/coverage", "--cov-report=xml:test_reports/coverage.xml")
    measured = ("--cov=asgi_guard", "--cov-branch", *reports, "--guard-report=test_reports")
    session.run("pytest", "-m", "not slow", *SUITE, "-n3", *measured, *session.posargs, env=INSTALLED)
    for files, percent in COVERAGE.items():
        session.run("coverage", "report", f"--include={files}", f"--fail-under={percent}")


@nox.session(requires=["package"])
def flakes(session: nox.Session) -> None:
    """The suite 20 times in an order of chance, and which tests are not green each time: `nox -s flakes -- 3`."""
    install(session, "tests", "servers", "redis", "frameworks")
    session.run("python", "tests/support/flakes.py", *session.posargs, env=INSTALLED)


@nox.session(requires=["package"])
def browser(session: nox.Session) -> None:
    """The dashboard in a real Chromium, where there is one; its pictures are in test_reports/."""
    install(session, "tests", "browser")
    session.run("pytest", *(session.posargs or ["-n2", "--dist=loadfile", "tests/browser"]), env=INSTALLED)


@nox.session(requires=["package"])
def servers(session: nox.Session) -> None:
    """Every server and every framework, for some minutes; `tests` has a part of each."""
    install(session, "tests", "servers", "redis", "frameworks")
    session.run("pytest", "-m", "slow", *(session.posargs or ["tests"]), env=INSTALLED)


@nox.session(requires=["package"])
def examples(session: nox.Session) -> None:
    """Every example prints what its docstring promises, and the demo runs."""
    if not any(Path("examples").glob("*.py")):
        session.skip("there is no example yet")
    install(session, "tests", "examples", "servers", "redis", "frameworks")
    session.run("pytest", "tests/docs", *session.posargs, env=INSTALLED)
    session.run("asgi-guard", "demo", "--once", env=INSTALLED)


@nox.session(requires=["package"])
def reference(session: nox.Session) -> None:
    """The reference system: its suite, on PostgreSQL as well where it is installed, and its faults; some minutes."""
    install(session, "tests", "redis")
    places = session.posargs or ["examples/reconciliation/tests", "tests/reference"]
    session.run("pytest", "-m", "slow or not slow", *places, env=INSTALLED)


@nox.session(requires=["package"])
def benchmarks(session: nox.Session) -> None:
    """Measure the wheel for a minute or two, on a machine at rest; write the results and the figures of README.md."""
    (wheel,) = DIST.glob("*.whl")
    session.install(str(wheel))
    session.run("python", "benchmarks/run.py")
    session.run("python", "benchmarks/render.py")


@nox.session(requires=["package"])
def peers(session: nox.Session) -> None:
    """Measure the wheel beside its peers for some minutes, on a machine at rest; write the results and their table."""
    install(session, "peers")
    session.run("python", "benchmarks/peers.py")
    session.run("python", "benchmarks/peers_table.py")
    session.run("python", "benchmarks/whole.py")
    session.run("python", "benchmarks/whole_table.py")
    session.run("python", "benchmarks/breakers.py")
    session.run("python", "benchmarks/resilience.py")
    session.run("python", "benchmarks/sanitize.py")
    session.run("python", "benchmarks/passwords.py")
    session.run("pytest", "tests/benchmarks/test_peers.py", env=INSTALLED)


@nox.session(requires=["package"])
def telemetry(session: nox.Session) -> None:
    """Ask the wheel and its peers what they tell of a request, and what it costs; write the results and their table."""
    install(session, "peers")
    session.run("python", "benchmarks/telemetry_matrix.py")
    session.run("python", "benchmarks/telemetry.py")
    session.run("python", "benchmarks/telemetry_table.py")
    session.run("python", "benchmarks/monitor.py")


@nox.session(requires=["package"])
def redis(session: nox.Session) -> None:
    """Measure the wheel over a real server, beside its peers, and simulate many workers; write the figures. Minutes."""
    install(session, "peers")
    session.run("python", "benchmarks/over_redis.py")
    session.run("python", "benchmarks/scale.py")
    session.run("python", "benchmarks/render_redis.py")


@nox.session(requires=["package"])
def chaos(session: nox.Session) -> None:
    """Do every harm to every Redis that is installed, while requests come; write the account. Some minutes, at rest."""
    install(session, "tests", "redis")
    session.run("python", "benchmarks/redis_chaos.py")
    session.run("python", "benchmarks/render_redis.py")


@nox.session(requires=["package"])
def detection(session: nox.Session) -> None:
    """Measure what the validator and its peers find and block: `nox -s detection -- --corpora DIR`. Some minutes."""
    install(session, "detection")
    session.run("python", "benchmarks/detection.py", *session.posargs)


@nox.session(requires=["package"])
def fuzz(session: nox.Session) -> None:
    """Fuzz the inspection for some minutes, guided by coverage: `nox -s fuzz -- -max_total_time=600`."""
    try:
        install(session, "fuzz")
    except nox.command.CommandFailed:
        session.skip("atheris does not install for this Python")
    session.run("python", "tests/fuzz/fuzz_inspection.py", *(session.posargs or ["-max_total_time=120"]))


@nox.session(requires=["package"])
def conformance(session: nox.Session) -> None:
    """Every rule of ASGI on every server, and on the peers, whose faults it finds; write the matrix. Some minutes."""
    install(session, "tests", "conformance")
    session.run("pytest", "tests/conformance", *session.posargs, env={**INSTALLED, "CONFORMANCE": "1"})
    session.run("python", "benchmarks/conformance.py")  # beside its own modules, away from the checkout's package


@nox.session(python=PYTHONS, requires=["package"])
def matrix(session: nox.Session) -> None:
    """The suite on each supported Python that is installed."""
    install(session, "tests", "redis")
    session.run("pytest", "--ignore=tests/docs", *session.posargs, env=INSTALLED)


@nox.session(venv_backend="uv", requires=["package"])
def lowest(session: nox.Session) -> None:
    """The suite on the oldest dependencies that pyproject.toml admits."""
    session.install(
        "--resolution=lowest-direct", "--requirements=pyproject.toml", "--all-extras", "--group=tests", "--group=redis"
    )
    session.install("--no-deps", *map(str, DIST.glob("*.whl")))
    session.run("pytest", "--ignore=tests/docs", *session.posargs, env=INSTALLED)


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist, from it the wheel, and check what is inside."""
    shutil.rmtree(DIST, ignore_errors=True)
    session.install(*nox.project.dependency_groups(PROJECT, "package"))
    session.run("python", "-m", "build", "--installer=uv")
    packages = [*map(str, DIST.iterdir())]
    session.run("twine", "check", "--strict", *packages)
    session.run("check-wheel-contents", str(DIST))
