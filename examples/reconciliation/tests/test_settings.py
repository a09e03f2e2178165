"""Settings: what is wrong is told all at once, before anything starts, and no secret with it."""

from __future__ import annotations

import pytest

from asgi_guard import ConfigError
from asgi_guard.tokens import has_checksum
from reconciliation.__main__ import main
from reconciliation.settings import Settings


def test_all_problems_are_told_at_once() -> None:
    environ = {
        "RECONCILIATION_DATABASE_URL": "mysql://root:secret-1@db/x",
        "RECONCILIATION_AI_URL": "ftp://advisor",
        "RECONCILIATION_REDIS_URL": "http://:secret-2@limits",
    }
    with pytest.raises(ConfigError) as raised:
        Settings.from_env(environ)

    assert [problem.field for problem in raised.value.problems] == [
        "Settings.database_url",
        "Settings.ai_url",
        "Settings.redis_url",
    ]
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("environ", "field"),
    [
        ({"RECONCILIATION_USERS": "ann:clerk:a-token-in-the-clear"}, "Settings.users[0]"),
        ({"RECONCILIATION_USERS": f"ann:boss:{'0' * 64}"}, "Settings.users[0]"),
        ({"RECONCILIATION_USERS": f"ann:clerk:{'0' * 64},ann:auditor:{'1' * 64}"}, "Settings.users"),
        ({"RECONCILIATION_DATABASE": "sqlite+aiosqlite://"}, "Settings.database"),
    ],
)
def test_nonsense_is_refused(environ: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Settings.from_env(environ)

    assert [problem.field for problem in raised.value.problems] == [field]
    assert "a-token-in-the-clear" not in str(raised.value)


def test_secrets_are_not_shown() -> None:
    settings = Settings.from_env(
        {"RECONCILIATION_TOKEN": "secret-1", "RECONCILIATION_REDIS_URL": "redis://:secret-2@h"}
    )

    assert "secret" not in repr(settings)


def test_a_token_is_made_for_a_user(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "ann", "clerk"]) == 0
    token, line = capsys.readouterr().out.splitlines()

    assert has_checksum(token.removeprefix("token: "))
    assert [user.name for user in Settings.from_env(dict([line.split("=")])).users] == ["ann"]
