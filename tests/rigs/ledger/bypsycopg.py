"""The same writes through psycopg_pool, with every time limit that its documentation has.

psycopg has none for a statement: it is ``statement_timeout`` on the server, and ``asyncio.timeout`` around the call.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from psycopg import Error
from psycopg_pool import AsyncConnectionPool

from tests.rigs.ledger.byasyncpg import fate_of
from tests.rigs.ledger.records import Fate, Kind, Part
from tests.rigs.ledger.writes import ACQUIRE_S, CONNECT_S, DUPLICATE, QUERY_S, RESET_S, Batch, Write, Writes

INSERT = "insert into ledger (worker, seq, kind) values (%s, %s, %s)"


@asynccontextmanager
async def opened(dsn: str, connections: int, seed: int) -> AsyncIterator[Writes]:
    options = {
        "autocommit": True,
        "connect_timeout": int(CONNECT_S),
        "tcp_user_timeout": int(QUERY_S * 1000),
        "options": f"-c statement_timeout={int(QUERY_S * 1000)}",
    }
    async with AsyncConnectionPool(
        dsn, min_size=connections, max_size=connections, kwargs=options, open=False, timeout=ACQUIRE_S
    ) as pool:
        yield ByPsycopg(pool)


class ByPsycopg:
    """See the module."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - generic in what nobody here needs
        self._pool = pool
        self.kinds: Mapping[Kind, Write] = {
            Kind.ONE: self.one,
            Kind.TX: self.transaction,
            Kind.SWALLOWED: self.swallowed,
            Kind.BEGUN_AGAIN: self.begun_again,
            Kind.MAP: self.many,
            Kind.INSERT: self.copy,
        }

    @asynccontextmanager
    async def _lease(self, batch: Batch) -> AsyncIterator[Any]:
        connection = await batch.within(batch.limit_s, self._pool.getconn(timeout=batch.limit_s))
        try:
            yield connection
        finally:
            await batch.within(RESET_S, self._pool.putconn(connection), cancelled_s=RESET_S)

    async def one(self, batch: Batch) -> list[Part]:
        (args,) = batch.records()

        async def write(connection: Any) -> None:  # noqa: ANN401
            await connection.execute(INSERT, args)

        return await self._alone(batch, write)

    async def many(self, batch: Batch) -> list[Part]:
        async def write(connection: Any) -> None:  # noqa: ANN401
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(INSERT, batch.records())

        return await self._alone(batch, write)

    async def copy(self, batch: Batch) -> list[Part]:
        async def write(connection: Any) -> None:  # noqa: ANN401
            async with connection.cursor() as cursor:
                async with cursor.copy("copy ledger (worker, seq, kind) from stdin") as copy:
                    for record in batch.records():
                        await copy.write_row(record)

        return await self._alone(batch, write)

    async def _alone(self, batch: Batch, write: Any) -> list[Part]:  # noqa: ANN401
        try:
            async with self._lease(batch) as connection:
                batch.enter("statement")
                await batch.within(batch.limit_s, in_time(batch.limit_s, write(connection)))
                batch.enter("done")
        except BaseException as error:
            return batch.all(Fate.ACK if batch.phase == "done" else fate_of(batch, error))
        return batch.all(Fate.ACK)

    async def transaction(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch)

    async def swallowed(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=True)

    async def begun_again(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, begins=True)

    async def _in_transaction(self, batch: Batch, *, swallows: bool = False, begins: bool = False) -> list[Part]:
        try:
            async with self._lease(batch) as connection:
                if begins:
                    await self._give_begin_up(batch, connection)
                batch.enter("begin")
                block = connection.transaction()
                await batch.within(QUERY_S, in_time(QUERY_S, block.__aenter__()))
                try:
                    batch.enter("body")
                    for args in batch.records():
                        call = connection.execute(INSERT, args)
                        await batch.within(batch.limit_s, in_time(batch.limit_s, call))
                    if swallows:
                        with suppress(Error):
                            batch.told.faults[46] += 1
                            await in_time(QUERY_S, connection.execute(DUPLICATE))
                except BaseException as error:
                    end = block.__aexit__(type(error), error, None)
                    await batch.within(QUERY_S, in_time(QUERY_S, end), cancelled_s=QUERY_S)
                    raise
                batch.enter("commit")
                await batch.within(QUERY_S, in_time(QUERY_S, block.__aexit__(None, None, None)))
                batch.enter("done")
        except BaseException as error:
            return batch.all(Fate.ACK if batch.phase == "done" else fate_of(batch, error))
        return batch.all(Fate.ACK)

    async def _give_begin_up(self, batch: Batch, connection: Any) -> None:  # noqa: ANN401
        begun = connection.transaction()
        try:
            await in_time(batch.soon_s, begun.__aenter__())
        except TimeoutError:
            batch.told.faults[8] += 1
        else:
            await begun.__aexit__(None, None, None)

    async def resolve(self, part: Part) -> Fate | None:
        """It has no such thing."""
        return None

    async def count(self, worker: int, row: int) -> int:
        sql = "select count(*) from ledger where worker = %s and seq = %s"
        async with asyncio.timeout(ACQUIRE_S), self._pool.connection(timeout=ACQUIRE_S) as connection:
            found = await (await connection.execute(sql, (worker, row))).fetchone()
            return int(found[0])


async def in_time(seconds: float, work: Awaitable[Any]) -> Any:  # noqa: ANN401 - what it gives
    async with asyncio.timeout(seconds):
        return await work
