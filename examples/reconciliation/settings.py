"""Settings: what the environment says, checked before anything starts, all problems at once.

| variable, after `RECONCILIATION_` | default | what it says |
|---|---|---|
| `DATABASE_URL` | a SQLite file in the folder | `sqlite+aiosqlite:///...` or `postgresql+asyncpg://...` |
| `REDIS_URL` | none: each process counts alone | where all processes count their rate limits together |
| `AI_URL` | none: nobody suggests anything | the service that suggests why something does not match |
| `USERS` | none: nobody may do anything | `name:role:hash`, with commas; a role is `clerk` or `auditor` |
| `FOLDER` | `reconciliation-data` | the folder of the SQLite file and of the audit log |
| `AUDIT_KEY` | none: accidents are found, forgeries are not | the key of the audit log, 32 bytes or more |
| `TOKEN` | none: this machine alone | who shows it may see `/metrics` and `/performance` |
| `RATE` | `600/minute` | for each user |
| `HOSTS` | any | the hosts that are answered for, with commas |
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from asgi_guard.settings import Problem, Problems

PREFIX: Final = "RECONCILIATION_"
_DATABASES: Final = ("sqlite+aiosqlite://", "postgresql+asyncpg://")
_REDIS: Final = ("redis://", "rediss://", "unix://")
_USER: Final = re.compile(r"([a-z0-9_.-]{1,64}):(clerk|auditor):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who asks: a clerk uploads and reads what is their own, an auditor reads everything and uploads nothing."""

    name: str
    role: str
    token_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the service is told; see the table above."""

    folder: Path = Path("reconciliation-data")
    database_url: str = field(default="", repr=False)
    redis_url: str | None = field(default=None, repr=False)
    ai_url: str | None = None
    users: tuple[User, ...] = ()
    audit_key: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    rate: str = "600/minute"
    hosts: tuple[str, ...] = ()
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.database_url:
            object.__setattr__(self, "database_url", f"sqlite+aiosqlite:///{self.folder / 'reconciliation.db'}")
        problems = Problems("Settings", secrets=("database_url", "redis_url"))
        if not self.database_url.startswith(_DATABASES):
            rule = f"must begin with one of {', '.join(_DATABASES)}"
            problems.add("RC01", "database_url", self.database_url, rule, "Name the driver as well.")
        if self.ai_url is not None and urlsplit(self.ai_url).scheme not in {"http", "https"}:
            problems.add(
                "RC02", "ai_url", self.ai_url, "must be a URL of http or https", "Write http://127.0.0.1:8001."
            )
        if self.redis_url is not None and not self.redis_url.startswith(_REDIS):
            problems.add(
                "RC05",
                "redis_url",
                self.redis_url,
                f"must begin with one of {', '.join(_REDIS)}",
                "Write redis://127.0.0.1.",
            )
        names = [user.name for user in self.users]
        if len({*names}) != len(names):
            problems.add("RC03", "users", ", ".join(names), "must have different names", "Leave one of the two out.")
        problems.raise_if_any()

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment.

        Raises:
            ConfigError: lists every problem.
        """
        environ = os.environ if environ is None else environ
        known = {"FOLDER", "DATABASE_URL", "REDIS_URL", "AI_URL", "USERS", "AUDIT_KEY", "TOKEN", "RATE", "HOSTS"}
        said = {
            name.removeprefix(PREFIX): value for name, value in environ.items() if name.startswith(PREFIX) and value
        }
        problems = Problems("Settings")
        problems.known([name.lower() for name in said], [name.lower() for name in known])
        given: dict[str, Any] = {name.lower(): value for name, value in said.items() if name in known}
        if "folder" in given:
            given["folder"] = Path(given["folder"])
        if "hosts" in given:
            given["hosts"] = tuple(host.strip() for host in given["hosts"].split(","))
        if "users" in given:
            given["users"] = tuple(_users(problems, given["users"]))
        problems.raise_if_any()
        return cls(environ=environ, **given)


def _users(problems: Problems, text: str) -> list[User]:
    found = []
    for number, said in enumerate(text.split(",")):
        read = _USER.fullmatch(said.strip())
        if read is None:  # what was said may be a token, so it is not shown
            rule, remedy = "must be name:role:hash", "Make one: python -m reconciliation token ann clerk"
            problems.extend([Problem("RC04", f"Settings.users[{number}]", "", rule, remedy)])
        else:
            found.append(User(name=read[1], role=read[2], token_hash=read[3]))
    return found
