"""The same writes through asyncpg.Pool, with every time limit that its documentation has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from tests.rigs.ledger.records import Fate, Kind, Part
from tests.rigs.ledger.writes import CONNECT_S, DUPLICATE, INSERT, QUERY_S, RESET_S, Batch, Write, Writes

COLUMNS = ("worker", "seq", "kind")


@asynccontextmanager
async def opened(dsn: str, connections: int, seed: int) -> AsyncIterator[Writes]:
    pool = await asyncpg.create_pool(
        dsn, min_size=connections, max_size=connections, timeout=CONNECT_S, command_timeout=QUERY_S
    )
    try:
        yield ByAsyncpg(pool)
    finally:
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()


class ByAsyncpg:
    """See the module."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401 - its stubs and it do not agree on Record
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
        connection = await batch.within(batch.limit_s, self._pool.acquire(timeout=batch.limit_s))
        try:
            yield connection
        finally:
            release = self._pool.release(connection, timeout=RESET_S)
            await batch.within(RESET_S, release, cancelled_s=RESET_S)

    async def one(self, batch: Batch) -> list[Part]:
        (args,) = batch.records()
        return await self._alone(batch, "execute", INSERT, *args)

    async def many(self, batch: Batch) -> list[Part]:
        return await self._alone(batch, "executemany", INSERT, batch.records())

    async def copy(self, batch: Batch) -> list[Part]:
        return await self._alone(
            batch, "copy_records_to_table", "ledger", records=batch.records(), columns=list(COLUMNS)
        )

    async def _alone(self, batch: Batch, method: str, *args: Any, **options: Any) -> list[Part]:  # noqa: ANN401
        """One call that is a transaction by itself."""
        try:
            async with self._lease(batch) as connection:
                batch.enter("statement")
                call = getattr(connection, method)(*args, **options, timeout=batch.limit_s)
                await batch.within(batch.limit_s, call)
                batch.enter("done")
        except BaseException as error:
            return batch.all(Fate.ACK if batch.phase == "done" else fate_of(batch, error))
        return batch.all(Fate.ACK)

    async def transaction(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=False)

    async def swallowed(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=True)

    async def _in_transaction(self, batch: Batch, *, swallows: bool, begins: bool = False) -> list[Part]:
        try:
            async with self._lease(batch) as connection:
                if begins:
                    await self._give_begin_up(batch, connection)
                batch.enter("begin")
                transaction = connection.transaction()
                await batch.within(QUERY_S, transaction.start())
                try:
                    batch.enter("body")
                    for args in batch.records():
                        await batch.within(batch.limit_s, connection.execute(INSERT, *args, timeout=batch.limit_s))
                    if swallows:
                        with suppress(asyncpg.PostgresError):
                            batch.told.faults[46] += 1
                            await connection.execute(DUPLICATE)
                except BaseException:
                    await batch.within(QUERY_S, transaction.rollback(), cancelled_s=QUERY_S)
                    raise
                batch.enter("commit")
                await batch.within(QUERY_S, transaction.commit())
                batch.enter("done")
        except BaseException as error:
            return batch.all(Fate.ACK if batch.phase == "done" else fate_of(batch, error))
        return batch.all(Fate.ACK)

    async def begun_again(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=False, begins=True)

    async def _give_begin_up(self, batch: Batch, connection: Any) -> None:  # noqa: ANN401
        begun = connection.transaction()
        try:
            async with asyncio.timeout(batch.soon_s):
                await begun.start()
        except TimeoutError:
            batch.told.faults[8] += 1
        else:
            await begun.rollback()

    async def resolve(self, part: Part) -> Fate | None:
        """It has no such thing."""
        return None

    async def count(self, worker: int, row: int) -> int:
        sql = "select count(*) from ledger where worker = $1 and seq = $2"
        return int(await self._pool.fetchval(sql, worker, row, timeout=QUERY_S))


def fate_of(batch: Batch, error: BaseException) -> Fate:
    """What its documentation lets one conclude: nothing is stored before COMMIT, or where the server refused."""
    if batch.phase not in ("statement", "commit"):
        return Fate.NACK
    state = getattr(error, "sqlstate", None) or "08"
    return Fate.UNKNOWN if state[:2] == "08" or state[:3] == "57P" else Fate.NACK
