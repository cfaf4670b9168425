"""What a type checker knows of a program that uses dbpool; it is checked, never run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, assert_type

import sqlalchemy as sa
from asyncpg import Record
from sqlalchemy.ext.asyncio import AsyncEngine

import dbpool
from dbpool import (
    AsyncpgPool,
    BatchPlan,
    Caller,
    CommitOutcomeUnknown,
    DatabasePool,
    Dsn,
    Exported,
    Gate,
    Job,
    JobInfo,
    JobReject,
    JobResult,
    Lane,
    Loaded,
    Notification,
    Outcome,
    PoolSettings,
    PoolStats,
    Report,
    Row,
    Rows,
    Subscription,
    Transaction,
    Value,
    Written,
    migrate,
)
from dbpool.sqlalchemy import create_engine
from dbpool.telemetry.prometheus import PoolCollector
from dbpool.testing import FakePool
from dbpool.web import Shedding, status_app


@dataclass
class User:
    id: int
    name: str


class Point(NamedTuple):
    x: float
    y: float


def point_of(x: float, y: float) -> tuple[float, float]:
    return x, y


async def opening() -> None:
    async with DatabasePool("postgresql://me@localhost/shop", max_connections=4) as db:
        assert_type(db, DatabasePool)
    settings = PoolSettings(dsn=Dsn("postgresql://me@localhost/shop"), max_connections=4)
    assert_type(DatabasePool.from_settings(settings), DatabasePool)
    assert_type(await DatabasePool("postgresql://me@localhost/shop", 4).open(), DatabasePool)


async def one_statement(db: DatabasePool) -> None:
    assert_type(await db.fetch("select 1"), list[Record])
    assert_type(await db.fetch("select id, name from users where id = $1", 7, into=User), list[User])
    assert_type(await db.fetch("select x, y from points", into=Point), list[Point])
    assert_type(await db.fetch("select x, y from points", into=point_of), list[tuple[float, float]])
    assert_type(await db.fetchrow("select 1"), Record | None)
    assert_type(await db.fetchrow("select 1 as id, 'a' as name", into=User), User | None)
    assert_type(await db.execute("delete from users", timeout=2.0), str)
    await db.executemany("insert into users values ($1)", [(1,), (2,)])


async def transactions(db: DatabasePool) -> None:
    async with db.transaction(isolation="serializable", readonly=True) as tx:
        assert_type(tx, Transaction)
        assert_type(await tx.fetch("select 1", into=User), list[User])
        async with tx.transaction() as inner:
            assert_type(inner, Transaction)

    async def transfer(tx: Transaction) -> int:
        await tx.execute("update accounts set balance = 0")
        return 7

    assert_type(await db.run(transfer, attempts=3), int)
    try:
        await db.run(transfer)
    except CommitOutcomeUnknown as error:
        assert_type(await db.outcome(error), Outcome)


async def connections(db: DatabasePool) -> None:
    async with db.acquire(timeout=1.0) as connection:
        assert_type(await connection.fetch("select 1"), list[Record])
    held = await db.acquire()
    await db.release(held)


async def many_items(db: DatabasePool) -> None:
    assert_type(db.map("select $1::int", [1, 2]), AsyncIterator[Rows])
    assert_type(db.map_row("select $1::int", [1, 2]), AsyncIterator[Row])
    assert_type(db.map_val("select $1::int", [1, 2], ordered=False), AsyncIterator[Value])
    assert_type(await db.fetch_all("select $1::int", [1, 2]), list[list[Any]])
    assert_type(await db.explain_map("select $1::int", [1]), BatchPlan)
    job = db.job("prices", "update prices set p = $1", [1, 2])
    assert_type(job, Job)
    assert_type(await job.run(), JobResult)
    assert_type(await db.jobs(), list[JobInfo])
    assert_type(await db.job_rejects("prices"), list[JobReject])


async def many_rows(db: DatabasePool) -> None:
    assert_type(await db.insert("users", [(1, "a")], columns=["id", "name"]), Written)
    assert_type(await db.load("users", "users.csv"), Loaded)
    assert_type(await db.export("users", "users.csv"), Exported)
    async for _ in db.stream("select 1"):
        pass


async def lanes_and_numbers(db: DatabasePool) -> None:
    batch = db.lane("batch", at_most=2)
    assert_type(batch, Lane)
    assert_type(await batch.fetch("select 1", into=User), list[User])
    assert_type(db.stats(), PoolStats)
    assert_type(db.stats().waiting, int)
    assert_type(db.report(), Report)
    assert_type(db.report().holders, tuple[Caller, ...])


async def notifications(db: DatabasePool) -> None:
    async with db.listen("orders") as events:
        assert_type(events, Subscription)
        async for event in events:
            if isinstance(event, Notification):
                assert_type(event.payload, str)


async def in_place_of_asyncpg() -> None:
    async with dbpool.create_pool("postgresql://me@localhost/shop", min_size=2) as pool:
        assert_type(pool, AsyncpgPool)
    assert_type(await dbpool.create_pool(dsn="postgresql://me@localhost/shop"), AsyncpgPool)


async def migrations() -> None:
    assert_type(await migrate.upgrade("postgresql://me@localhost/shop", folder="migrations"), migrate.Migrated)
    assert_type((await migrate.status("postgresql://me@localhost/shop")).pending, tuple[migrate.Revision, ...])
    assert_type(await migrate.current("postgresql://me@localhost/shop"), str | None)


async def beside_sqlalchemy(db: DatabasePool) -> None:
    users = sa.table("users", sa.column("id", sa.Integer))
    assert_type(await db.fetch(sa.select(users).where(users.c.id == 7), into=User), list[User])
    assert_type(create_engine(db), AsyncEngine)


async def seen_from_outside(db: DatabasePool) -> None:
    app = Shedding(status_app(db, token="secret"))
    assert_type(app, Shedding)
    assert_type(PoolCollector(db), PoolCollector)
    assert_type(db.on_event(print), Callable[[], None])


async def in_tests() -> None:
    async with FakePool() as db:
        assert_type(db, FakePool)
        assert_type(await db.fetch("select 1", into=User), list[User])


def a_bound_of_anything() -> None:
    assert_type(Gate(4), Gate)


async def what_is_wrong_is_found(db: DatabasePool, name: str) -> None:
    await db.fetch(f"select * from {name}")  # pyright: ignore[reportArgumentType] - mypy takes any str
    await db.fetch("select 1", into=7)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await db.execute("select 1", timeout="soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    DatabasePool("postgresql://me@localhost/shop", max_connection=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
