"""What can never work gets one clear error, at once, and costs nobody else anything."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dbpool import (
    DatabasePool,
    DbPoolError,
    PoolClosed,
    ServerUnavailable,
    SettingsError,
    StatementError,
    UsageError,
)
from tests.support.databases import Database
from tests.support.pools import dsn_with, pool_of, role_in

ROOT = Path(__file__).parents[2]
CANARY = "kanari3nv0gel"  # stands for a password: no text that anybody could see may hold it
ADDRESS = "postgresql://app:secret@localhost/shop"

Use = Callable[[Any], Awaitable[object]]  # of whatever has fetch() and execute()

BAD_STATEMENTS: dict[str, Use] = {
    "nothing at all": lambda on: on.fetch(""),
    "blanks and comments": lambda on: on.execute(" ; -- nothing\n /* at all */ ;"),
    "a NUL in the text": lambda on: on.fetch("select 'a\0b'"),
    "a lone surrogate in the text": lambda on: on.fetch("select '\ud800'"),
    "several statements to fetch": lambda on: on.fetch("select 1; select 2"),
    "several statements with parameters": lambda on: on.execute("select $1::int; select 2", 1),
    "copy from stdin to execute": lambda on: on.execute("copy t from stdin"),
    "copy from stdin to fetch": lambda on: on.fetch("COPY t (a) FROM STDIN WITH (FORMAT csv)"),
    "copy to stdout": lambda on: on.fetch("copy (select 1) to stdout"),
    "copy hidden in a script": lambda on: on.execute("select 1; copy t from stdin"),
    "begin": lambda on: on.execute("begin"),
    "commit": lambda on: on.execute("commit"),
    "rollback in a comment's company": lambda on: on.execute("/* x */ rollback -- y"),
    "start transaction": lambda on: on.fetch("start transaction read only"),
    "savepoint": lambda on: on.execute("savepoint a"),
    "a text that is bytes": lambda on: on.fetch(b"select 1"),
    "a text that is none": lambda on: on.execute(None),
}
BAD_PARAMETERS: dict[str, Use] = {
    "a NUL in a parameter": lambda on: on.fetch("select $1::text", "a\0b"),
    "a lone surrogate in a parameter": lambda on: on.fetchval("select $1::text", "\udfff"),
    "too many parameters": lambda on: on.execute("select 1", *range(32_768)),
}
BAD_TIMEOUTS = [0, -1, math.nan, math.inf, -math.inf, True, "5"]


async def test_a_statement_that_cannot_work_takes_no_permit(database: Database) -> None:
    async with pool_of(database, 1) as db:
        before = db.stats()
        for name, use in {**BAD_STATEMENTS, **BAD_PARAMETERS}.items():
            with pytest.raises(StatementError) as caught:
                await use(db)
            assert db.stats() == before, name
            assert str(caught.value), name
            assert caught.value.__cause__ is None, name


async def test_a_statement_that_cannot_work_leaves_a_transaction_as_it_was(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (a int)")
        async with db.transaction() as tx:
            await tx.execute("insert into t values (1)")
            for use in {**BAD_STATEMENTS, **BAD_PARAMETERS}.values():
                with pytest.raises(StatementError):
                    await use(tx)
            await tx.execute("insert into t values (2)")
        assert await db.fetchval("select count(*) from t") == 2


async def test_copy_as_a_statement_is_refused_on_a_connection_too(database: Database) -> None:
    async with pool_of(database, 1) as db, db.acquire() as connection:
        for use in (use for name, use in BAD_STATEMENTS.items() if "copy" in name):
            with pytest.raises(StatementError, match="copy_"):
                await use(connection)
        assert await connection.fetchval("select 1") == 1


async def test_executemany_and_stream_refuse_the_same(database: Database) -> None:
    async with pool_of(database, 1) as db:
        for sql in "", "select 1; select 2", "copy t from stdin", "begin":
            with pytest.raises(StatementError):
                await db.executemany(sql, [(1,)])
            with pytest.raises(StatementError):
                async for _ in db.stream(sql):
                    pass


async def test_a_stream_that_cannot_work_takes_no_permit(database: Database) -> None:
    async with pool_of(database, 1) as db:
        before = db.stats().granted_total
        with pytest.raises(StatementError):
            async for _ in db.stream("select 1; select 2"):
                pass
        with pytest.raises(SettingsError):
            async for _ in db.stream("select 1", prefetch=0):
                pass
        assert db.stats().granted_total == before


async def test_a_timeout_that_is_none_is_refused(database: Database) -> None:
    async with pool_of(database, 1) as db:
        before = db.stats().granted_total
        uses: list[Callable[[Any], Awaitable[object]]] = [
            lambda timeout: db.fetch("select 1", timeout=timeout),
            lambda timeout: db.execute("select 1", timeout=timeout),
            lambda timeout: db.executemany("select $1::int", [(1,)], timeout=timeout),
            lambda timeout: db.acquire(timeout=timeout).__aenter__(),
            lambda timeout: db.transaction(timeout=timeout).__aenter__(),
            db.close,
        ]
        for use in uses:
            for timeout in BAD_TIMEOUTS:
                with pytest.raises(SettingsError, match="timeout must be a finite number of seconds above 0"):
                    await use(timeout)
        assert db.stats().granted_total == before
        assert await db.fetchval("select 1") == 1


async def test_parameters_that_do_not_fit_cost_no_connection(database: Database) -> None:
    uses: list[tuple[type[Exception], str, tuple[object, ...]]] = [
        (asyncpg.DataError, "select $1::int", ("one",)),
        (asyncpg.DataError, "select $1::int", (2**40,)),
        (asyncpg.InterfaceError, "select $1::int", ()),
        (asyncpg.InterfaceError, "select $1::int", (1, 2)),
        (asyncpg.PostgresError, "select $1::text[]", (["a\0b"],)),
        (asyncpg.DataError, "select $1::text[]", (["\ud800"],)),
    ]
    async with pool_of(database, 1) as db:
        for error, sql, args in [*uses, *uses]:  # not prepared yet, and prepared
            with pytest.raises(error):
                await db.fetch(sql, *args)
        assert await db.fetchval("select 1") == 1
        assert (db.stats().discarded_total, db.stats().connects_total) == (0, 1)


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "shop",
        "mysql://h/d",
        "postgresql:/h/d",
        "postgresql:h/d",
        f"postgresql://u:{CANARY}/x@h/d",
        f"postgresql://u:{CANARY}#x@h/d",
        f"postgresql://u:{CANARY}@x@h/d",
        f"postgresql://u:{CANARY}@h:port/d",
        f"postgresql://u:{CANARY}@h:0/d",
        f"postgresql://u:{CANARY}@h:65536/d",
        f"postgresql://u:{CANARY}@[::1/d",
        f"postgresql://u:{CANARY}\n@h/d",
        f"postgresql://u:{CANARY}\ud800@h/d",
        f"postgresql://u@h/d?password={CANARY}&x",
    ],
)
def test_a_malformed_dsn_is_told_without_being_quoted(dsn: str) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabasePool(dsn)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("dsn", [None, 5, b"postgresql://h/d"])
def test_a_dsn_must_be_a_str(dsn: object) -> None:
    with pytest.raises(SettingsError, match="DSN"):
        DatabasePool(dsn)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "options",
    [
        {"max_connections": 0},
        {"max_connections": 1.5},
        {"max_connections": True},
        {"min_connections": -1},
        {"min_connections": 6},
        {"max_waiting": -1},
        {"max_connecting": 0},
        {"statement_cache_size": -1},
        {"reset": "sometimes"},
        {"trusted_functions": "f"},
        *({name: 0} for name in ("acquire_timeout", "query_timeout", "connect_timeout", "max_idle")),
        *({"query_timeout": value} for value in BAD_TIMEOUTS),
        {"acquire_timeout": None},
        {"unknown": 1},
    ],
    ids=str,
)
def test_settings_out_of_range_or_in_contradiction_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        DatabasePool(ADDRESS, **options)
    assert next(iter(options)) in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_use_before_open_and_after_close_is_refused(database: Database) -> None:
    db = DatabasePool(database.dsn)
    with pytest.raises(UsageError, match="open"):
        await db.fetch("select 1")
    with pytest.raises(UsageError, match="open"):
        async with db.acquire():
            pass
    await db.open()
    await db.close()
    with pytest.raises(PoolClosed):
        await db.fetch("select 1")
    with pytest.raises(PoolClosed):
        async with db.transaction():
            pass
    with pytest.raises(PoolClosed):
        await db.open()
    assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def test_use_in_another_event_loop_is_refused(database: Database) -> None:
    async with pool_of(database) as db:

        async def elsewhere() -> None:
            uses: list[Callable[[], Awaitable[object]]] = [
                lambda: db.fetch("select 1"),
                lambda: db.acquire().__aenter__(),
                lambda: db.transaction().__aenter__(),
                db.open,
                db.close,
            ]
            for use in uses:
                with pytest.raises(UsageError, match="event loop"):
                    await use()

        await asyncio.to_thread(asyncio.run, elsewhere())
        assert await db.fetchval("select 1") == 1


AFTER_FORK = """
import asyncio, os, sys
from dbpool import DatabasePool, UsageError

async def use(db):
    try:
        await db.fetchval("select 1")
    except UsageError as error:
        os.write(1, str(error).encode())
    await db.close()

async def main():
    async with DatabasePool(sys.argv[1], 1) as db:
        await db.fetchval("select 1")
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(use(db))
            finally:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        print("; the parent still reads", await db.fetchval("select 1"))

asyncio.run(main())
"""


async def test_use_after_fork_is_refused_and_harms_no_parent(database: Database) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", AFTER_FORK, database.dsn],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fork" in done.stdout
    assert done.stdout.endswith("the parent still reads 1\n")


async def test_releasing_twice_is_refused_and_frees_nothing_twice(database: Database) -> None:
    async with pool_of(database, 2) as db:
        first, second = await db.acquire(), await db.acquire()
        await db.release(first)
        with pytest.raises(UsageError, match="released"):
            await db.release(first)
        assert db.stats().held == 1
        await db.release(second)


async def test_a_connection_of_another_pool_cannot_be_released_here(database: Database) -> None:
    async with pool_of(database) as one, pool_of(database) as other:
        connection = await one.acquire()
        with pytest.raises(UsageError):
            await other.release(connection)
        await one.release(connection)


async def test_a_connection_used_after_its_release_is_refused(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            pass
        async with db.acquire() as heir:
            with pytest.raises(asyncpg.InterfaceError, match="released"):
                await connection.fetchval("select 1")
            assert await heir.fetchval("select 1") == 1


async def test_one_acquire_makes_one_lease(database: Database) -> None:
    async with pool_of(database, 2) as db:
        acquiring = db.acquire()
        async with acquiring:
            with pytest.raises(UsageError):
                await acquiring.__aenter__()
        assert db.stats().held == 0


# The password


def everything_said(error: BaseException | None, db: DatabasePool, log: pytest.LogCaptureFixture) -> str:
    """Whatever a log, a debugger or a crash report would show."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or error.__context__
    texts = [f"{e!r} {e} {e.args} {vars(e)}" + "".join(traceback.format_exception(e)) for e in seen]
    return "\n".join(
        [*texts, repr(db), repr(db.settings), str(db.settings), repr(db.dsn), str(db.dsn), str(db.stats()), log.text]
    )


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://app:{CANARY}@127.0.0.1:1/shop",
        f"postgresql://app:{CANARY}@nowhere.invalid/shop",
        f"postgresql://app@127.0.0.1:1/shop?password={CANARY}",
        f"postgresql:///shop?host=/nonexistent&user=app&password={CANARY}",
        f"postgresql://app:{CANARY}@127.0.0.1:1/shop?sslmode=verify-full&sslrootcert=/nonexistent",
    ],
)
async def test_an_unreachable_server_is_told_without_the_password(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    db = DatabasePool(dsn, outage_patience=0.01, connect_timeout=1.0)
    with pytest.raises((ServerUnavailable, SettingsError)) as caught:
        await db.open()
    assert "app" not in db.settings.name
    assert CANARY not in everything_said(caught.value, db, caplog)
    assert (db.stats().held, db.stats().waiting) == (0, 0)


async def test_a_wrong_password_is_told_at_once_and_without_it(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with role_in(database, password="right") as dsn:
        db = DatabasePool(dsn_with(dsn, user=f"role_of_{database.name}", password=CANARY))
        with pytest.raises(ServerUnavailable, match="password authentication failed") as caught:
            await db.open()
        assert isinstance(caught.value.__cause__, asyncpg.InvalidPasswordError)
        assert CANARY not in everything_said(caught.value, db, caplog)


async def test_errors_of_statements_do_not_tell_the_password(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with role_in(database, password=CANARY) as dsn, pool_of(dsn, 1) as db:
        uses: list[Callable[[], Awaitable[object]]] = [
            lambda: db.fetch("select 1/0"),
            lambda: db.fetch("select pg_sleep(9)", timeout=0.01),
            lambda: db.fetch("select pg_terminate_backend(pg_backend_pid())"),
            lambda: db.fetch("begin"),
        ]
        for use in uses:
            with pytest.raises((DbPoolError, asyncpg.PostgresError)) as caught:
                await use()
            assert CANARY not in everything_said(caught.value, db, caplog)
