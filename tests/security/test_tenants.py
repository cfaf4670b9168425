"""A transaction's settings are its own: the guard of rows by tenant rests on that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, UsageError
from tests.support.databases import Database
from tests.support.pools import pool_of, role_in, witness_of
from tests.support.proxy import Do, Message, proxy_before

TABLE = """
create table notes (tenant text not null default current_setting('app.tenant', true), body text);
alter table notes enable row level security;
alter table notes force row level security;
create policy by_tenant on notes using (tenant = nullif(current_setting('app.tenant', true), ''));
insert into notes values ('a', 'of a'), ('b', 'of b');
grant all on notes to public;
"""
HOSTILE = [
    "a' or true --",
    "a'; reset app.tenant; --",
    "a\\",
    '"a"',
    "$1",
    "a\nb",
    "*",
    "%",
    "null",
    "b' --",
    "é" * 3000,
]


@pytest.fixture
async def app_dsn(database: Database) -> AsyncIterator[str]:
    async with role_in(database) as dsn:
        async with witness_of(database) as witness:
            for statement in filter(str.strip, TABLE.split(";\n")):
                if statement.startswith("insert"):
                    await witness.run("alter table notes no force row level security")
                await witness.run(statement)
            await witness.run("alter table notes force row level security")
        yield dsn


async def seen(db: DatabasePool, tenant: str) -> list[str]:
    async with db.transaction(settings={"app.tenant": tenant}) as tx:
        return [row["body"] for row in await tx.fetch("select body from notes")]


async def test_each_sees_its_own_whoever_had_the_connection_before(app_dsn: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        for _ in range(3):
            assert await db.fetch("select * from notes") == [], "who says no tenant has none"
            assert await seen(db, "a") == ["of a"]
            assert await db.fetchval("select current_setting('app.tenant', true)") in (None, "")
            assert await seen(db, "b") == ["of b"]
            with pytest.raises(ZeroDivisionError):
                async with db.transaction(settings={"app.tenant": "a"}) as tx:
                    await tx.execute("insert into notes (body) values ('gone')")
                    raise ZeroDivisionError
            assert await db.fetch("select * from notes") == []


@pytest.mark.parametrize("tenant", HOSTILE)
async def test_a_tenants_name_is_a_value_and_never_sql(app_dsn: str, tenant: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        assert await seen(db, tenant) == []
        async with db.transaction(settings={"app.tenant": tenant}) as tx:
            assert await tx.fetchval("select current_setting('app.tenant')") == tenant
        assert await seen(db, "a") == ["of a"]


@pytest.mark.parametrize("name", ["app.tenant'; --", "app.tenant = 'a', x.y", "no such", ""])
async def test_so_is_a_settings_name(app_dsn: str, name: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        with pytest.raises((asyncpg.PostgresError, ValueError)):
            async with db.transaction(settings={name: "a"}) as tx:
                await tx.fetch("select * from notes")
        assert await db.fetch("select * from notes") == []


async def test_it_is_set_before_any_statement_of_the_caller(app_dsn: str) -> None:
    sent: list[bytes] = []

    def note(message: Message) -> Do:
        if message.kind in ("Q", "P"):
            sent.append(message.body)
        return Do.PASS

    async with proxy_before(app_dsn) as proxy, pool_of(proxy.dsn(app_dsn), 1) as db:
        await db.fetchval("select 1")
        proxy.rule = note
        await seen(db, "a")
    begins, sets, asks = (each for each in sent[:3])
    assert b"BEGIN" in begins.upper()
    assert b"set_config" in sets
    assert b"select body from notes" in asks


async def test_many_at_once_on_few_connections_never_see_another_s(app_dsn: str) -> None:
    async with pool_of(app_dsn, 3) as db:

        async def one(number: int) -> None:
            tenant = "ab"[number % 2]
            assert await seen(db, tenant) == [f"of {tenant}"]
            if number % 7 == 0:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.005), db.transaction(settings={"app.tenant": tenant}) as tx:
                        await tx.execute("select pg_sleep(20)")
            assert await db.fetch("select * from notes") == []

        await asyncio.gather(*(one(number) for number in range(40)))


async def test_who_says_no_tenant_cannot_write(app_dsn: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        await seen(db, "a")
        with pytest.raises(asyncpg.PostgresError):
            await db.execute("insert into notes (body) values ('nobody''s')")
        async with db.transaction(settings={"app.tenant": "a"}) as tx:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                async with tx.transaction():
                    await tx.execute("insert into notes values ('b', 'not mine')")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"app.tenant": None}, "not NoneType by 'app.tenant'"),
        ({7: "a"}, "not str by 7"),
        ([("app.tenant", "a")], "must be a mapping"),
        ("app.tenant", "must be a mapping"),
    ],
)
async def test_none_is_not_the_tenant_of_all_who_have_none(app_dsn: str, settings: Any, says: str) -> None:  # noqa: ANN401 - what mypy would find
    async with pool_of(app_dsn, 1) as db:
        with pytest.raises(UsageError, match=says):
            async with db.transaction(settings=settings) as tx:
                await tx.execute("insert into notes (body) values ('of somebody')")
        async with db.transaction(settings={"app.tenant": "a"}) as tx:
            with pytest.raises(UsageError, match=says):
                await tx.transaction(settings=settings).__aenter__()
