"""The servers, and what each of them protects from: facts, each as it was seen on the version that is named.

What comes before ASGI begins can only be limited by the server: how long it waits for the head of a request, how large
that may be, and what it adds to an answer. Rule 1: a fact was seen on the wire, or is the documented default of an
option. Must never import a server, nor promise more than was seen: other versions may differ.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Final

from asgi_guard.serve.servers import SERVERS, CannotServeError, Place, choose

NEVER: Final = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What one server does.

    Attributes:
        package: what it is called where it is installed.
        seen: the version that was looked at.
        slow_headers_seconds: after how long it closes a connection whose headers trickle; None where it never does.
        slow_headers_option: the option that makes it, or changes the time; empty where there is none.
        max_headers: how many header lines are let through at most, as far as was seen; None where no end was seen.
        max_head_bytes: how large one header may be, as far as was seen; None where 800,000 bytes came through.
        head_fix: what to do where it has no limit; empty where it has one.
        name: what it writes into `Server`.
        name_options: the options that leave it out, any of them; none where it cannot be told to.
        name_fix: what to do about it.
        trusts: whose forwarding headers it believes by default; empty for nobody's.
        trust_off: the options that switch this off, any of them.
        trust_fix: what to write.
        trusts_all: how an option looks that believes everybody.
        stop_seconds: how long it waits for requests when it stops; None where it waits for ever.
        stop_options: the options that limit it.
        stop_fix: what to write.
        lacks: what the guard builds on, and it does not do.
    """

    package: str
    seen: str
    slow_headers_seconds: float | None
    slow_headers_option: str = ""
    max_headers: int | None
    max_head_bytes: int | None
    head_fix: str = ""
    name: str
    name_options: tuple[str, ...] = ()
    name_fix: str
    trusts: str = ""
    trust_off: tuple[str, ...] = ()
    trust_fix: str = ""
    trusts_all: tuple[str, ...] = ()
    stop_seconds: float | None
    stop_options: tuple[str, ...] = ()
    stop_fix: str = ""
    lacks: str = ""


_IN_A_WORKER: Final = (
    "Subclass the worker: class Quiet(UvicornWorker): CONFIG_KWARGS = {**UvicornWorker.CONFIG_KWARGS, "
    '"server_header": False}; then --worker-class shop.Quiet.'
)
_TAKE_IT_OUT: Final = "It has no option for this: let a proxy in front take the header out."

_GUNICORN: Final = Facts(
    package="gunicorn",
    seen="27.0.1 with uvicorn-worker 0.4.0",
    slow_headers_seconds=NEVER,
    max_headers=None,  # with a worker of uvicorn's, which reads requests itself
    max_head_bytes=None,
    head_fix='subclass the worker, with "http": "h11" in its CONFIG_KWARGS, which takes 64 KiB.',
    name="uvicorn",
    name_fix=_IN_A_WORKER,
    trusts="those of 127.0.0.1 and ::1, or of FORWARDED_ALLOW_IPS",
    trust_off=("--forwarded-allow-ips=",),
    trust_fix="Start gunicorn with --forwarded-allow-ips '', and name proxies, if any, in client_address.",
    trusts_all=("--forwarded-allow-ips", "*"),
    stop_seconds=30.0,
    stop_options=("--graceful-timeout",),
)

FACTS: Final[Mapping[str, Facts]] = MappingProxyType(
    {
        "uvicorn": Facts(
            package="uvicorn",
            seen="0.54.0",
            slow_headers_seconds=NEVER,
            max_headers=None,
            max_head_bytes=None,  # with httptools; 64 KiB with --http h11
            head_fix="start uvicorn with --http h11, which takes 64 KiB.",
            name="uvicorn",
            name_options=("--no-server-header",),
            name_fix="Start uvicorn with --no-server-header.",
            trusts="those of 127.0.0.1 and ::1, or of FORWARDED_ALLOW_IPS",
            trust_off=("--no-proxy-headers",),
            trust_fix="Start uvicorn with --no-proxy-headers, and name proxies, if any, in client_address.",
            trusts_all=("--forwarded-allow-ips", "*"),
            stop_seconds=NEVER,
            stop_options=("--timeout-graceful-shutdown",),
            stop_fix="Start uvicorn with --timeout-graceful-shutdown 30.",
        ),
        "hypercorn": Facts(
            package="hypercorn",
            seen="0.18.0",
            slow_headers_seconds=5.0,
            slow_headers_option="--keep-alive",
            max_headers=None,
            max_head_bytes=65_536,
            name="hypercorn-h11",
            name_options=("include_server_header=False",),
            name_fix="Write include_server_header = false into a TOML file for its --config.",
            stop_seconds=3.0,
            stop_options=("--graceful-timeout",),
        ),
        "granian": Facts(
            package="granian",
            seen="2.8.7",
            slow_headers_seconds=30.0,
            slow_headers_option="--http1-header-read-timeout",
            max_headers=100,
            max_head_bytes=417_792,
            name="granian",
            name_fix="It keeps a Server header that the application sends, and has no option to leave its own out: let "
            "a proxy in front take the header out.",
            stop_seconds=NEVER,
            stop_options=("--workers-kill-timeout",),
            stop_fix="Start granian with --workers-kill-timeout 30.",
        ),
        "gunicorn": _GUNICORN,
        "gunicorn-asgi": replace(
            _GUNICORN,
            seen="27.0.1 with its own worker",
            max_headers=100,
            max_head_bytes=8_190,
            name="gunicorn/asgi",
            name_fix=_TAKE_IT_OUT,
        ),
        "daphne": Facts(
            package="daphne",
            seen="4.2.3",
            slow_headers_seconds=NEVER,
            max_headers=500,
            max_head_bytes=16_384,
            name="daphne",
            name_options=("--no-server-name", "--server-name=", "-s="),
            name_fix="Start daphne with --no-server-name.",
            trusts_all=("--proxy-headers", ""),
            stop_seconds=10.0,
            stop_options=("--application-close-timeout",),
            lacks="it has no lifespan, so that nothing is done at startup and shutdown, and a request hangs where the "
            "application returns without an answer",
        ),
    }
)
"""What each server does, by its name."""

DEVELOPMENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "--reload": "It watches files, and starts again when one changes.",
        "--debug": "It tells more than it should.",
    }
)
"""Options of several servers that are for development, and what each does."""

_AS_RUN: Final = {"hypercorn": ("include_server_header=False",)}  # in the configuration that `run` gives it


@dataclass(frozen=True, slots=True)
class Chosen:
    """The server that serves, and how.

    Attributes:
        name: which of `FACTS`.
        options: those it is given, split; `--name value` and `--name=value` both stand as the latter.
        is_run: whether `asgi-guard run` starts it, with options of its own before these.
        installed: the version that is installed; empty where none is.
    """

    name: str
    options: tuple[str, ...]
    is_run: bool
    installed: str

    @property
    def facts(self) -> Facts:
        """What is known of it."""
        return FACTS[self.name]

    @property
    def has_own_worker(self) -> bool:
        """Whether gunicorn is given a worker that is neither its own nor one of uvicorn's."""
        given = self.value("--worker-class") or self.value("-k")
        return self.name == "gunicorn" and given is not None and not given.startswith(("uvicorn.", "uvicorn_worker."))

    def has(self, names: Sequence[str]) -> bool:
        """Tell whether any of these options is given: `--name` with any value, `--name=` with an empty one."""
        return any(
            option == name or (not name.endswith("=") and option.startswith(f"{name}="))
            for name in names
            for option in self.options
        )

    def value(self, name: str) -> str | None:
        """Return the last value of an option; None where it is not given."""
        values = [option[len(name) + 1 :] for option in self.options if option.startswith(f"{name}=")]
        return values[-1] if values else None


def chosen(name: str | None, options: Sequence[str], workers: int) -> Chosen:
    """Return the server that would serve.

    Args:
        name: of the server, started by its own command; None for the one that `asgi-guard run` takes.
        options: of its command.
        workers: how many processes serve.

    Raises:
        CannotServeError: `asgi-guard run` finds none.
    """
    is_run = name is None
    if name is None:
        name = choose(None)
        options = [*SERVERS[name].options(Place("127.0.0.1", 8000, workers)), *_AS_RUN.get(name, ()), *options]
    joined = _joined(options)
    if name == "gunicorn" and _is_own_worker(joined):
        name = "gunicorn-asgi"
    return Chosen(name, joined, is_run, _installed(FACTS[name].package))


def _is_own_worker(options: Sequence[str]) -> bool:
    return any(option in {"--worker-class=asgi", "-k=asgi"} for option in options)


def _joined(options: Sequence[str]) -> tuple[str, ...]:
    """Write `--name value` as `--name=value`."""
    joined: list[str] = []
    for option in options:
        if joined and joined[-1].startswith("-") and "=" not in joined[-1] and not option.startswith("-"):
            joined[-1] += f"={option}"
        else:
            joined.append(option)
    return tuple(joined)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def allowed_by_environment() -> str:
    """Return whose forwarding headers the environment tells uvicorn and gunicorn to believe."""
    return os.environ.get("FORWARDED_ALLOW_IPS", "")


__all__ = ["DEVELOPMENT", "FACTS", "CannotServeError", "Chosen", "Facts", "allowed_by_environment", "chosen"]
