"""An engine that cannot be: one clear sentence each."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine

from dbpool import DatabasePool, PoolClosed, SettingsError, UsageError, create_pool
from dbpool.sqlalchemy import create_engine
from tests.support.databases import Database
from tests.support.pools import pool_of


@pytest.mark.parametrize("what", ["postgresql://localhost/db", None, object()])
def test_what_is_no_pool_is_refused(what: object) -> None:
    with pytest.raises(UsageError, match="takes a DatabasePool or a lane of one, not "):
        create_engine(what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool_size": 5}, "takes no pool_size: max_connections"),
        ({"max_overflow": 5}, "takes no max_overflow: max_connections"),
        ({"poolclass": object}, "takes no poolclass"),
        ({"creator": print}, "takes no creator: the pool opens"),
        ({"connect_args": {}}, "takes no connect_args"),
        ({"pool_pre_ping": True}, "takes no pool_pre_ping: the pool tests"),
        ({"pool_recycle": 60}, "takes no pool_recycle: max_lifetime"),
        ({"pool_timeout": -1}, "pool_timeout must be"),
    ],
)
def test_options_that_are_the_pools_affair_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        create_engine(DatabasePool("postgresql://localhost/db"), **options)


def test_an_option_that_nobody_knows_is_refused_as_sqlalchemy_does() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        create_engine(DatabasePool("postgresql://localhost/db"), no_such_option=1)


async def test_a_pool_of_create_pool_is_refused(database: Database) -> None:
    async with create_pool(database.dsn, min_size=0, max_size=1) as pool:
        with pytest.raises(UsageError, match="make a DatabasePool"):
            create_engine(pool)


async def test_options_that_make_sense_pass_through(database: Database) -> None:
    async with pool_of(database) as db:
        engine = create_engine(
            db,
            echo=False,
            isolation_level="SERIALIZABLE",
            json_serializer=lambda _: '"mine"',
            execution_options={"logging_token": "t"},
            query_cache_size=7,
            pool_logging_name="p",
            hide_parameters=True,
        )
        async with engine.connect() as connection:
            assert await connection.scalar(sqlalchemy.text("show transaction_isolation")) == "serializable"
            document = sqlalchemy.literal({"a": 1}, sqlalchemy.JSON)
            assert await connection.scalar(select(document)) == "mine"


async def test_a_pool_that_is_not_open_is_told_when_it_is_used(database: Database) -> None:
    db = DatabasePool(database.dsn)
    engine = create_engine(db)
    with pytest.raises(UsageError, match="is not open"):
        await engine.connect().start()
    async with db, engine.connect() as connection:
        assert await connection.scalar(select(1)) == 1
    with pytest.raises(PoolClosed, match="is closed"):
        await engine.connect().start()
    with pytest.raises(PoolClosed, match="is closed"):
        create_engine(db)


async def test_another_event_loop_is_told(database: Database) -> None:
    async with pool_of(database) as db:
        engine = create_engine(db)

        async def elsewhere() -> None:
            async with engine.connect():
                pass

        with pytest.raises(UsageError, match="another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(elsewhere()))


async def test_its_address_alone_connects_nowhere() -> None:
    engine = create_async_engine("postgresql+dbpool://localhost/db")
    with pytest.raises(sqlalchemy.exc.InterfaceError, match=r"create_engine\(db\)"):
        await engine.connect().start()


@pytest.mark.parametrize("missing", ["sqlalchemy", "greenlet"])
def test_a_missing_package_is_told_with_what_installs_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ImportError, match=r"pip install 'dbpool\[sqlalchemy\]'"):
        create_engine(DatabasePool("postgresql://localhost/db"))


def test_a_release_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlalchemy, "__version__", "2.0.45")
    with pytest.raises(ImportError, match=r"needs SQLAlchemy 2\.1, and 2\.0\.45"):
        create_engine(DatabasePool("postgresql://localhost/db"))
