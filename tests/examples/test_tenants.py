"""A tenant sees and changes its own rows, whatever happens on the connections that tenants share."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from dbpool import DatabasePool, QueryTimeout
from examples.services.tenants_app import app
from tests.support.databases import Database
from tests.support.pools import dsn_with, pool_of
from tests.support.serving import ROOT, asked

TENANTS = [f"tenant-{number}" for number in range(6)]


@pytest.fixture
async def app_dsn(database: Database) -> AsyncIterator[str]:
    """The address of the service's own role, in a database with its table."""
    password = secrets.token_hex(8)
    owner = await asyncpg.connect(database.dsn)
    try:
        await owner.execute((ROOT / "examples/services/tenants.sql").read_text())
        await owner.execute(f"alter role tenants_app password '{password}'")
        for tenant in TENANTS:
            await owner.execute("insert into notes values ($1, 'whose', $1)", tenant)
        yield dsn_with(database.dsn, user="tenants_app", password=password)
        assert await owner.fetchval("select count(*) from notes where slug = 'whose' and body <> tenant") == 0
        await owner.execute("drop owned by tenants_app; drop role tenants_app")
    finally:
        await owner.close()


async def seen(db: DatabasePool, tenant: str) -> set[str]:
    async with db.transaction(settings={"app.tenant": tenant}) as tx:
        return {row["body"] for row in await tx.fetch("select body from notes")}


async def test_who_says_no_tenant_sees_and_changes_nothing(app_dsn: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        for _ in range(2):  # before the setting was ever made on the connection, and after
            assert await db.fetch("select * from notes") == []
            assert await db.execute("update notes set body = 'x'") == "UPDATE 0"
            assert await db.execute("delete from notes") == "DELETE 0"
            with pytest.raises(asyncpg.PostgresError):
                await db.execute("insert into notes (slug, body) values ('a', 'b')")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute("insert into notes values ('tenant-1', 'a', 'b')")
            assert await seen(db, "tenant-1") == {"tenant-1"}
        assert await seen(db, "") == set()
        assert await seen(db, "tenant-1' or true --") == set()


async def test_nobody_writes_for_another_or_lifts_the_guard(app_dsn: str) -> None:
    async with pool_of(app_dsn, 1) as db:
        for sql in (
            "insert into notes values ('tenant-2', 'a', 'b')",
            "update notes set tenant = 'tenant-2'",
            "alter table notes disable row level security",
            "drop policy of_tenant on notes",
            "set role postgres",
        ):
            with pytest.raises(asyncpg.PostgresError):
                async with db.transaction(settings={"app.tenant": "tenant-1"}) as tx:
                    await tx.execute(sql)
        async with db.transaction(settings={"app.tenant": "tenant-1"}) as tx:
            assert await tx.execute("delete from notes where tenant = 'tenant-2'") == "DELETE 0"
            await tx.execute("insert into notes (slug, body) values ('whose', 'x') on conflict do nothing")


async def test_tenants_share_connections_but_never_rows_under_errors_timeouts_and_cancellation(app_dsn: str) -> None:
    chance = random.Random(7)

    async def visit(tenant: str) -> None:
        async with db.transaction(settings={"app.tenant": tenant}) as tx:
            rows = await tx.fetch("select tenant, body from notes")
            assert {row["tenant"] for row in rows} == {tenant}, rows
            match chance.randrange(5):
                case 0:
                    await tx.execute("select 1 / 0")
                case 1:
                    raise ZeroDivisionError
                case 2:
                    await tx.fetchval("select pg_sleep(60)", timeout=0.02)
                case 3:
                    await tx.execute("insert into notes (slug, body) values ($1, '') on conflict do nothing", tenant)
            assert {row["tenant"] for row in await tx.fetch("select tenant from notes")} == {tenant}

    async def impatient(tenant: str) -> None:
        with suppress(asyncpg.DivisionByZeroError, ZeroDivisionError, QueryTimeout, TimeoutError):
            async with asyncio.timeout(chance.choice([0.005, 0.05, 10])):
                await visit(tenant)

    async def forgetful() -> None:
        assert await db.fetch("select * from notes") == []

    async with pool_of(app_dsn, 3) as db, asyncio.TaskGroup() as group:
        for _ in range(60):
            group.create_task(impatient(chance.choice(TENANTS)))
            group.create_task(forgetful())


async def test_the_service_keeps_tenants_apart(app_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", app_dsn)
    monkeypatch.setenv("DBPOOL_MAX_CONNECTIONS", "2")
    async with asked(app) as ask:
        mine, theirs = {"x-tenant": "tenant-1"}, {"x-tenant": "tenant-2"}
        note = {"slug": "plan", "body": "secret"}
        assert (await ask.put("/notes/plan", json=note, headers=mine)).status_code == 200
        assert (await ask.get("/notes", headers=mine)).json() == [note, {"slug": "whose", "body": "tenant-1"}]
        assert (await ask.get("/notes", headers=theirs)).json() == [{"slug": "whose", "body": "tenant-2"}]
        assert (await ask.delete("/notes/plan", headers=theirs)).status_code == 404
        assert (await ask.get("/notes")).status_code == 422
        everyone = [ask.get("/notes", headers={"x-tenant": tenant}) for tenant in TENANTS * 10]
        for tenant, answer in zip(TENANTS * 10, await asyncio.gather(*everyone), strict=True):
            assert {"slug": "whose", "body": tenant} in answer.json()
            assert len(answer.json()) == 1 + (tenant == "tenant-1")


async def test_the_service_refuses_a_role_that_row_level_security_does_not_hold(
    app_dsn: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    with pytest.raises(RuntimeError, match="row-level security does not hold for this role"):
        async with asked(app):
            pass
