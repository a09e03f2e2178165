"""The application: the service, and the guard around it, as the environment says.

    asgi-guard run reconciliation.serve:app --app-dir examples --workers 2

Rule 1: nothing is connected when it is built: a database that is away keeps nobody from starting, and /health says so.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from anyio import create_task_group
from fastapi import FastAPI

from asgi_guard import (
    Alert,
    Audit,
    Endpoints,
    Guard,
    HealthCheck,
    Monitor,
    RateLimit,
    RedisStore,
    RequestLimits,
    SecurityMiddleware,
    Validation,
    by_client,
)
from reconciliation.ai import Advisor
from reconciliation.database import Database
from reconciliation.jobs import Jobs
from reconciliation.routes import router
from reconciliation.settings import Settings
from reconciliation.users import Users

MAX_UPLOAD_BYTES = 8_000_000


def create_api(settings: Settings, *, advisor: Advisor | None = None) -> FastAPI:
    """Build the service, which nothing protects yet.

    Args:
        settings: what it is told.
        advisor: another one than that at `ai_url`.
    """
    database = Database(settings.database_url)
    advisor = advisor or Advisor(settings.ai_url)
    jobs = Jobs(database, advisor)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with create_task_group() as tasks:
            tasks.start_soon(jobs.run)
            yield
            tasks.cancel_scope.cancel()
        await advisor.close()
        await database.close()

    api = FastAPI(title="Reconciliation", lifespan=lifespan, docs_url=None, redoc_url=None)
    api.state.settings, api.state.database, api.state.jobs = settings, database, jobs
    api.state.advisor, api.state.users = advisor, Users(settings.users)
    api.include_router(router)
    return api


def guarded(api: FastAPI) -> Guard:
    """Put the guard around it; the environment has the last word on what is not said here.

    `ENABLE_SECURITY_MIDDLEWARE`, `ENABLE_ERROR_HANDLING` and `ENABLE_PERFORMANCE_MONITORING` switch off what they did
    in the earlier system.
    """
    settings: Settings = api.state.settings
    users: Users = api.state.users

    def by_user(exchange):
        shown = exchange.header(b"authorization")
        user = users.known(shown.decode("latin-1")) if shown else None
        return f"user:{user.name}" if user else by_client(exchange)

    def is_known(exchange):
        shown = exchange.header(b"authorization")
        return shown is not None and users.known(shown.decode("latin-1")) is not None

    store = None if settings.redis_url is None else RedisStore(settings.redis_url, timeout_seconds=0.1)
    checks = [HealthCheck("database", api.state.database.ping, timeout_seconds=5)]
    if settings.redis_url is not None:
        checks.append(HealthCheck("redis", _pings(settings.redis_url), required=False))
    guard = SecurityMiddleware.from_env(
        api,
        settings.environ,
        audit=Audit(
            path=str(settings.folder / "audit.jsonl"),
            key=settings.audit_key,
            service="reconciliation",
            overflow="block",  # an entry that is missing is worse than a request that waits for a tenth of a second
        ),
        security_headers="api",
        trusted_host=list(settings.hosts) or False,
        fetch_metadata=True,
        request_limits=RequestLimits(
            max_body_bytes=MAX_UPLOAD_BYTES, total_seconds=60, idle_seconds=10, max_concurrent=100
        ),
        rate_limit=[
            RateLimit("10/minute", name="guesses", exempt=is_known, store=store),
            RateLimit(settings.rate, name="users", key=by_user, store=store),
        ],
        validation=Validation(level=2),  # an API, and what it is sent as files is left alone
        endpoints=Endpoints(token=settings.token, local=settings.token is None, checks=checks),
        monitor=Monitor(alerts=[*Monitor().alerts, Alert("backlog", "reconciliation.waiting", above=100)]),
    )
    jobs: Jobs = api.state.jobs
    with suppress(KeyError):  # it is off
        jobs.audit = guard.part("audit").log
    return guard


def _pings(url: str):
    async def ping() -> None:
        from redis.asyncio import from_url

        async with from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            await client.ping()

    return ping


def create_app() -> Guard:
    """Build all of it as the environment says.

    Raises:
        ConfigError: lists what is wrong with it.
    """
    settings = Settings.from_env()
    settings.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return guarded(create_api(settings))
