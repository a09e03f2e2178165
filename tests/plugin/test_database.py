"""A transaction for each test, on SQLite and, where it is installed, on PostgreSQL."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from reference_databases import a_postgresql, postgresql_programs
from sqlalchemy import ForeignKey, String, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from asgi_guard.testing import Database, Generator
from asgi_guard.testing.database import find_metadata, run_apart


class Base(DeclarativeBase):
    pass


class Owner(Base):
    __tablename__ = "owners"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))


needs_postgresql = pytest.mark.skipif(postgresql_programs() is None, reason="PostgreSQL is not installed")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def database(request, tmp_path_factory):
    """Give one with the tables made, twice: the second time finds them there."""
    folder: Path = tmp_path_factory.mktemp("database")
    if request.param == "sqlite":
        made = Database(f"sqlite+aiosqlite:///{folder / 'test.db'}", Base)
        run_apart(made.create_tables)
        run_apart(made.create_tables)
        yield made
        return
    with a_postgresql(folder) as port:
        made = Database(f"postgresql+asyncpg://tests@127.0.0.1:{port}/postgres", Base.metadata)
        run_apart(made.create_tables)
        run_apart(made.create_tables)
        yield made


@pytest.fixture(
    scope="module", params=[("asyncio", {}), ("asyncio", {"use_uvloop": True})], ids=["asyncio", "asyncio+uvloop"]
)
def anyio_backend(request):
    """SQLAlchemy knows no trio."""
    return request.param


@pytest.fixture(autouse=True)
def no_blocking_calls():
    """Do not watch here: drivers look for their certificates and passwords when they connect, in files."""


async def names(session) -> list[str]:
    """Read what is there."""
    return [*(await session.scalars(select(Owner.name).order_by(Owner.name)))]


@pytest.mark.anyio
async def test_what_a_test_commits_is_not_there_for_the_next(database) -> None:
    """However it ends; each transaction begins with empty tables."""
    for error in (None, LookupError):
        try:
            async with database.transaction() as transaction, transaction.session() as session:
                assert await names(session) == []
                session.add(Owner(id=1, name="ada"))
                await session.commit()
                assert await names(session) == ["ada"]
                if error is not None:
                    raise error
        except LookupError:
            pass
    async with database.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(Owner)) == 0


@pytest.mark.anyio
async def test_a_rollback_takes_back_what_was_not_committed_and_no_more(database) -> None:
    """A violated constraint too, after which a PostgreSQL would refuse everything but for the savepoint."""
    async with database.transaction() as transaction, transaction.session() as session:
        session.add(Owner(id=1, name="ada"))
        await session.commit()
        session.add(Owner(id=2, name="ada"))
        with pytest.raises(IntegrityError):
            await session.flush()
        await session.rollback()
        session.add(Owner(id=3, name="bob"))
        await session.commit()

        assert await names(session) == ["ada", "bob"]


@pytest.mark.anyio
async def test_the_sessions_of_the_application_join_it_for_a_while(database) -> None:
    """And have their own settings back afterwards, those that were not told as well."""
    own = async_sessionmaker(create_async_engine("sqlite+aiosqlite:////nowhere/at/all.db"), info={"mine": 1})
    before = dict(own.kw)

    async with database.transaction() as transaction:
        with transaction.joins(own):
            async with own() as session, session.begin():
                session.add(Owner(id=1, name="ada"))
                assert session.info["mine"] == 1
        async with transaction.session() as session:
            assert await names(session) == ["ada"]

    assert own.kw == before


@pytest.mark.long
@pytest.mark.anyio
async def test_data_that_is_put_into_a_transaction_needs_no_clean_up(database) -> None:
    """What is put elsewhere is taken out, the last first, so that nothing is left that something else needs."""
    generate = Generator("seed")
    async with database.transaction() as transaction, transaction.session() as session:
        await generate.put(session, Owner, 3)
        await generate.clean_up()
        assert len(await names(session)) == 3

    sessions = async_sessionmaker(database.engine)
    session = sessions()
    (owner,) = await generate.put(session, Owner)
    await generate.put(session, Item, 2, owner_id=owner.id)
    name = owner.name
    await session.commit()
    async with sessions() as another:
        assert await names(another) == [name]
    await generate.clean_up()
    async with sessions() as another:
        assert await names(another) == []


def test_each_event_loop_has_a_connection_of_its_own(database) -> None:
    """A loop for each test, as pytest-asyncio and anyio have it, and no connection of one is used in another."""

    async def ask() -> int:
        async with database.transaction() as transaction:
            return int((await transaction.connection.execute(text("SELECT 1"))).scalar_one())

    assert [asyncio.run(ask()) for _ in range(3)] == [1, 1, 1]


@pytest.mark.parametrize("url", ["sqlite+aiosqlite://", "sqlite+aiosqlite:///:memory:"])
def test_a_sqlite_in_memory_is_refused(url) -> None:
    """Each connection would see another one."""
    with pytest.raises(ValueError, match="name a file"):
        Database(url)


def test_without_tables_none_are_made(tmp_path: Path) -> None:
    """And no connection is opened."""
    path = tmp_path / "none.db"

    run_apart(Database(f"sqlite+aiosqlite:///{path}").create_tables)

    assert not path.exists()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("sqlalchemy", "must be like"),
        (":Base", "must be like"),
        ("sqlalchemy:Nothing.metadata", "has no 'Nothing'"),
    ],
)
def test_a_setting_that_names_no_tables_is_refused(path, problem) -> None:
    """With what it should be like."""
    with pytest.raises(ValueError, match=problem):
        find_metadata(path)


def test_tables_are_found_by_their_name() -> None:
    """An empty setting names none."""
    assert find_metadata("sqlalchemy.orm:DeclarativeBase.__name__") == "DeclarativeBase"
    assert find_metadata("") is None


def test_work_on_a_loop_apart_hands_back_its_result_and_its_error() -> None:
    """For fixtures that are not async, whatever loop the test has."""

    async def seven() -> int:
        return 7

    async def broken() -> None:
        raise LookupError("mine")

    assert run_apart(seven) == 7
    with pytest.raises(LookupError, match="mine"):
        run_apart(broken)
