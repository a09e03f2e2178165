"""What the tests stand on: a service of its own for each, on SQLite, or where TEST_DATABASE_URL says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from asgi_guard.testing import lifespan
from reconciliation.ai_stand_in import StandIn
from reconciliation.models import Base
from reconciliation.settings import PREFIX, Settings
from reconciliation.stage import TOKEN, USERS, Service


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def settings(tmp_path: Path) -> Settings:
    environ = {f"{PREFIX}USERS": ",".join(kept for _, kept in USERS.values()), f"{PREFIX}FOLDER": str(tmp_path)}
    environ |= {f"{PREFIX}TOKEN": TOKEN, f"{PREFIX}AUDIT_KEY": "k" * 32, f"{PREFIX}RATE": "100000/minute"}
    if url := os.environ.get("TEST_DATABASE_URL"):
        environ[f"{PREFIX}DATABASE_URL"] = url
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await engine.dispose()
    return Settings.from_env(environ)


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    found = Service(settings, StandIn())
    async with lifespan(found.app, timeout_seconds=20):
        yield found
