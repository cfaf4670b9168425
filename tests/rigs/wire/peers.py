"""The same session by other pools, as far as they can: with every time limit that they have set."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import psycopg
import psycopg_pool

from tests.rigs.caller import Caller
from tests.rigs.told import Told, told_by_asyncpg
from tests.rigs.wire.ours import ACQUIRE_S, CALL_S, CLOSE_S, CONNECT_S, INSERT, NAP_S, QUERY_S, RESET_S


class AsyncpgPool:
    """asyncpg.Pool."""

    name = "asyncpg.Pool"

    def __init__(self) -> None:
        self.steps: tuple[Any, ...] = (
            self.one_shots, self.one_shot_write, self.transaction, self.many, self.copied_in, self.copied_out,
            self.cancelled, self.streamed, self.one_shots,
        )  # fmt: skip
        self.tells = told_by_asyncpg

    async def opened(self, dsn: str, me: Caller) -> Any:  # noqa: ANN401 - its pool
        pool = asyncpg.create_pool(dsn, min_size=0, max_size=1, timeout=CONNECT_S, command_timeout=QUERY_S)
        await me.waits("open", pool, CONNECT_S)
        return pool

    def _connection(self, pool: Any, me: Caller) -> Any:  # noqa: ANN401
        return me.block("acquire", pool.acquire(timeout=ACQUIRE_S), ACQUIRE_S, RESET_S + ACQUIRE_S)

    async def one_shots(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        for _ in "parsed", "prepared":
            async with self._connection(pool, me) as connection:
                n = await me.waits("fetchval", connection.fetchval("select $1::bigint", me.number), QUERY_S)
            me.expects("fetchval", n, me.number)

    async def one_shot_write(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing() as key:
                await me.waits("execute", connection.execute(INSERT, key), QUERY_S)

    async def transaction(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing(in_transaction=True) as key:
                async with me.block("transaction", connection.transaction(), QUERY_S, QUERY_S):
                    await me.waits("tx.execute", connection.execute(INSERT, key), QUERY_S)

    async def many(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing(rows=3) as key:
                await me.waits("executemany", connection.executemany(INSERT, [(key,)] * 3), QUERY_S)

    async def copied_in(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing(rows=3) as key:
                work = connection.copy_records_to_table("wire", records=[(key,)] * 3, columns=["key"])
                await me.waits("copy in", work, QUERY_S)

    async def copied_out(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async def take(data: bytes) -> None:
            pass

        async with self._connection(pool, me) as connection:
            work = connection.copy_from_query("select n from generate_series(1, 9) as n", output=take)
            await me.waits("copy out", work, QUERY_S)

    async def cancelled(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            try:
                await me.waits("sleep", connection.fetch("select pg_sleep(5)", timeout=NAP_S), NAP_S)
            except TimeoutError:
                await me.waits("after a cancel", connection.fetchval("select 1"), QUERY_S)

    async def streamed(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            async with me.block("transaction", connection.transaction(), QUERY_S, QUERY_S):
                seen = [row[0] async for row in connection.cursor("select generate_series(1, 6)", prefetch=2)]
        me.expects("stream", seen, [1, 2, 3, 4, 5, 6])

    async def serves(self, pool: Any) -> bool:  # noqa: ANN401
        async with asyncio.timeout(5):
            return bool(await pool.fetchval("select 1") == 1)

    async def left(self, pool: Any) -> str:  # noqa: ANN401
        return "" if pool.get_size() - pool.get_idle_size() == 0 else "a connection that nobody holds is not idle"

    async def close(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        try:
            async with asyncio.timeout(2 * CLOSE_S):
                await pool.close()
        except TimeoutError:
            pool.terminate()


def told_by_psycopg(error: BaseException, *, in_transaction: bool) -> Told:
    """What an error of psycopg's says of a write."""
    if isinstance(error, (psycopg.OperationalError, OSError, asyncio.CancelledError)):
        return Told.UNKNOWN
    return Told.NOT_DONE if isinstance(error, psycopg.Error) else Told.BARE


class PsycopgPool:
    """psycopg_pool.AsyncConnectionPool; a statement has no time limit but that of the caller around it."""

    name = "psycopg_pool"

    def __init__(self) -> None:
        self.steps: tuple[Any, ...] = (
            self.one_shots, self.one_shot_write, self.transaction, self.many, self.copied_in, self.copied_out,
            self.cancelled, self.streamed, self.one_shots,
        )  # fmt: skip
        self.tells = told_by_psycopg

    async def opened(self, dsn: str, me: Caller) -> Any:  # noqa: ANN401 - its pool
        pool = psycopg_pool.AsyncConnectionPool(
            dsn, min_size=0, max_size=1, timeout=ACQUIRE_S, open=False, kwargs={"autocommit": True}
        )
        await me.waits("open", pool.open(), CONNECT_S)
        return pool

    def _connection(self, pool: Any, me: Caller) -> Any:  # noqa: ANN401
        return me.block("acquire", pool.connection(timeout=ACQUIRE_S), ACQUIRE_S, RESET_S)

    async def _asks(self, me: Caller, connection: Any, sql: str, *args: object) -> Any:  # noqa: ANN401
        async def asked() -> Any:  # noqa: ANN401
            async with asyncio.timeout(QUERY_S):
                cursor = await connection.execute(sql, args)
                return await cursor.fetchone() if cursor.description else None

        return await me.waits("execute", asked(), QUERY_S)

    async def one_shots(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        for _ in "parsed", "prepared":
            async with self._connection(pool, me) as connection:
                row = await self._asks(me, connection, "select %s::bigint", me.number)
            me.expects("fetchval", row, (me.number,))

    async def one_shot_write(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing() as key:
                await self._asks(me, connection, "insert into wire values (%s)", key)

    async def transaction(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            with me.writing(in_transaction=True) as key:
                async with me.block("transaction", connection.transaction(), QUERY_S, QUERY_S):
                    await self._asks(me, connection, "insert into wire values (%s)", key)

    async def many(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection, connection.cursor() as cursor:
            with me.writing(rows=3) as key:
                async with connection.transaction():
                    work = cursor.executemany("insert into wire values (%s)", [(key,)] * 3)
                    await me.waits("executemany", asyncio.wait_for(work, QUERY_S), QUERY_S)

    async def copied_in(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async def copied(connection: Any, key: int) -> None:  # noqa: ANN401
            async with asyncio.timeout(QUERY_S), connection.cursor() as cursor:
                async with cursor.copy("copy wire (key) from stdin") as copy:
                    for _ in range(3):
                        await copy.write_row((key,))

        async with self._connection(pool, me) as connection:
            with me.writing(rows=3) as key:
                await me.waits("copy in", copied(connection, key), QUERY_S)

    async def copied_out(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async def copied(connection: Any) -> None:  # noqa: ANN401
            async with asyncio.timeout(QUERY_S), connection.cursor() as cursor:
                async with cursor.copy("copy (select generate_series(1, 9)) to stdout") as copy:
                    async for _ in copy:
                        pass

        async with self._connection(pool, me) as connection:
            await me.waits("copy out", copied(connection), QUERY_S)

    async def cancelled(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async def slept(connection: Any) -> None:  # noqa: ANN401
            async with asyncio.timeout(NAP_S):
                await connection.execute("select pg_sleep(5)")

        async with self._connection(pool, me) as connection:
            try:
                await me.waits("sleep", slept(connection), NAP_S)
            except TimeoutError:
                await self._asks(me, connection, "select 1")

    async def streamed(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        async with self._connection(pool, me) as connection:
            async with connection.transaction(), connection.cursor("of_the_rig") as cursor:
                cursor.itersize = 2
                async with asyncio.timeout(QUERY_S):
                    await cursor.execute("select generate_series(1, 6)")
                    seen = [row[0] async for row in cursor]
        me.expects("stream", seen, [1, 2, 3, 4, 5, 6])

    async def serves(self, pool: Any) -> bool:  # noqa: ANN401
        async with asyncio.timeout(CALL_S), pool.connection() as connection:
            cursor = await connection.execute("select 1")
            return bool(await cursor.fetchone() == (1,))

    async def left(self, pool: Any) -> str:  # noqa: ANN401
        stats = pool.get_stats()
        return "" if stats["pool_size"] == stats["pool_available"] else f"a connection is not back: {stats}"

    async def close(self, pool: Any, me: Caller) -> None:  # noqa: ANN401
        await pool.close(timeout=CLOSE_S)
