"""Writes through dbpool, and what each error that it raises says of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from dbpool import (
    AcquireTimeout,
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabasePool,
    LineFull,
    LoadFailed,
    Outcome,
    PoolClosed,
    QueryTimeout,
    ServerUnavailable,
    WriteFailed,
    WriteOutcomeUnknown,
)
from tests.rigs.ledger.records import Fate, Kind, Part
from tests.rigs.ledger.writes import ACQUIRE_S, CONNECT_S, DUPLICATE, INSERT, QUERY_S, RESET_S, Batch, Write, Writes

COLUMNS = ("worker", "seq", "kind")
NOT_SENT = (AcquireTimeout, LineFull, PoolClosed, ServerUnavailable)  # raised before anything was
FATES = {Outcome.COMMITTED: Fate.COMMITTED, Outcome.ABORTED: Fate.ABORTED}
COMMIT_S = 2 * QUERY_S  # the transaction's id, then COMMIT
ROWS_TOGETHER = 400


@asynccontextmanager
async def opened(dsn: str, connections: int, seed: int) -> AsyncIterator[Writes]:
    """A pool with time limits that end within a soak's patience."""
    db = DatabasePool(
        dsn,
        connections,
        acquire_timeout=ACQUIRE_S,
        query_timeout=QUERY_S,
        connect_timeout=CONNECT_S,
        reset_timeout=RESET_S,
        close_timeout=2 * RESET_S,
        coalesce=seed % 2 == 1,
        max_lifetime=60.0,
    )
    await db.open()
    try:
        yield ByDbpool(db)
    finally:
        await db.close()


class ByDbpool:
    """See the module."""

    def __init__(self, db: DatabasePool) -> None:
        self._db = db
        self._doubts: dict[int, CommitOutcomeUnknown] = {}
        self.kinds: Mapping[Kind, Write] = {
            Kind.ONE: self.one,
            Kind.TX: self.transaction,
            Kind.SWALLOWED: self.swallowed,
            Kind.BEGUN_AGAIN: self.begun_again,
            Kind.MAP: self.map,
            Kind.INSERT: self.insert,
            Kind.LOAD: self.load,
        }

    async def one(self, batch: Batch) -> list[Part]:
        """A write that was sent and not answered may have been applied; all else says which."""
        batch.enter("statement")
        try:
            ((args,)) = batch.records()
            await batch.within(batch.limit_s, self._db.execute(INSERT, *args, timeout=batch.limit_s))
        except NOT_SENT:
            return batch.all(Fate.NACK)
        except (asyncio.CancelledError, QueryTimeout, ConnectionLost):
            return batch.all(Fate.UNKNOWN)
        except Exception as error:
            return batch.all(refused(error))
        return batch.all(Fate.ACK)

    async def transaction(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=False)

    async def swallowed(self, batch: Batch) -> list[Part]:
        return await self._in_transaction(batch, swallows=True)

    async def _in_transaction(self, batch: Batch, *, swallows: bool) -> list[Part]:
        block = self._db.transaction(traceable=True, timeout=batch.limit_s)
        tx = None
        try:
            batch.enter("begin")
            tx = await batch.within(batch.limit_s + QUERY_S, block.__aenter__())
            error: BaseException | None = None
            try:
                for args in batch.records():
                    batch.enter("body")
                    await batch.within(batch.limit_s, tx.execute(INSERT, *args, timeout=batch.limit_s))
                if swallows:
                    try:
                        await batch.within(batch.limit_s, tx.execute(DUPLICATE, timeout=batch.limit_s))
                    except Exception:
                        batch.told.faults[46] += 1
            except BaseException as raised:
                error = raised
            batch.enter("commit" if error is None else "rollback")
            end = block.__aexit__(None if error is None else type(error), error, None)
            await batch.within(
                COMMIT_S + 2 * RESET_S, end, cancelled_s=COMMIT_S + 2 * RESET_S if error is None else 2 * RESET_S
            )
            if error is not None:
                raise error
        except BaseException as error:
            fate, xid = of_transaction(error, None if tx is None else tx.xid)
            return batch.all(fate, self._doubted(unknown_of(error), xid))
        return batch.all(Fate.ACK)

    async def begun_again(self, batch: Batch) -> list[Part]:
        """BEGIN is given up; then a transaction is tried on the same connection."""
        try:
            acquiring = self._db.acquire(timeout=batch.limit_s)
            connection = await batch.within(batch.limit_s, acquiring.__aenter__())
            try:
                batch.enter("begin")
                begun = connection.transaction()
                try:
                    async with asyncio.timeout(batch.soon_s):
                        await begun.start()
                except TimeoutError:
                    batch.told.faults[8] += 1
                else:
                    await begun.rollback()
                async with connection.transaction():
                    batch.enter("body")
                    for args in batch.records():
                        await connection.execute(INSERT, *args)
                    batch.enter("commit")
            finally:
                await batch.within(2 * RESET_S, acquiring.__aexit__(None, None, None), cancelled_s=2 * RESET_S)
        except BaseException as error:
            return batch.all(of_transaction(error, None)[0])
        return batch.all(Fate.ACK)

    async def map(self, batch: Batch) -> list[Part]:
        """Each item says by itself what became of it; of those that were never yielded nothing is known."""
        batch.enter("bulk")
        parts: list[Part] = []
        sql = f"{INSERT} returning seq"
        try:
            answers = self._db.map_val(sql, batch.records(), on_error="collect", timeout=batch.limit_s)
            async with aclosing(answers):  # type: ignore[type-var]
                async for (_, row, _), _, error in answers:
                    parts.append(Part(row, 1, Fate.ACK if error is None else of_item(error)))
        except BaseException as error:
            batch.told.done[f"map ended by {type(error).__name__}"] += 1
            parts.append(Part(batch.first + len(parts), batch.count - len(parts), Fate.UNKNOWN))
        return parts

    async def insert(self, batch: Batch) -> list[Part]:
        batch.enter("bulk")
        work = self._db.insert(
            "ledger", batch.records(), columns=COLUMNS, rows_per_transaction=ROWS_TOGETHER, timeout=batch.limit_s
        )
        limit_s = 8 * (ACQUIRE_S + batch.limit_s)
        try:
            await batch.within(limit_s, work, cancelled_s=COMMIT_S + 2 * RESET_S)
        except WriteOutcomeUnknown as error:
            stored, first, last = error.rows_stored, error.first_row, error.last_row
            doubt = (last + 1 - first, Fate.UNKNOWN, self._doubted(error, error.xid))
            return parts_of(batch, (stored, Fate.ACK, 0), doubt)
        except WriteFailed as error:
            return parts_of(batch, (error.rows_stored, Fate.ACK, 0))
        except NOT_SENT:
            return batch.all(Fate.NACK)
        except BaseException:  # how many rows are stored stands in its note, which is for people
            return batch.all(Fate.UNKNOWN)
        return batch.all(Fate.ACK)

    async def load(self, batch: Batch) -> list[Part]:
        batch.enter("bulk")
        work = self._db.load(
            "ledger", batch.records(), columns=COLUMNS, chunk_rows=ROWS_TOGETHER, timeout=batch.limit_s
        )
        limit_s = 8 * (ACQUIRE_S + batch.limit_s)
        try:
            await batch.within(limit_s, work, cancelled_s=COMMIT_S + 2 * RESET_S)
        except LoadFailed as error:
            fates = bytearray([Fate.NACK]) * batch.count
            for fate, parts in ((Fate.ACK, error.stored), (Fate.UNKNOWN, error.doubtful)):
                for part in parts:
                    fates[part.offset : part.offset + part.size] = bytes([fate]) * part.size
            return [Part(batch.first + index, 1, Fate(fate)) for index, fate in enumerate(fates)]
        except NOT_SENT:
            return batch.all(Fate.NACK)
        except BaseException:
            return batch.all(Fate.UNKNOWN)
        return batch.all(Fate.ACK)

    async def resolve(self, part: Part) -> Fate | None:
        error = self._doubts.get(part.xid) or CommitOutcomeUnknown("", xid=str(part.xid))
        try:
            fate = FATES.get(await self._db.outcome(error))
        except Exception:  # the server is away: ask again
            return None
        if fate is not None:
            self._doubts.pop(part.xid, None)
        return fate

    def _doubted(self, error: BaseException | None, xid: str | None) -> int:
        """The transaction's id, for ``resolve``; 0: nobody knows it."""
        if isinstance(error, CommitOutcomeUnknown) and error.xid:
            self._doubts[int(error.xid)] = error
        return int(xid or 0)

    async def count(self, worker: int, row: int) -> int:
        sql = "select count(*) from ledger where worker = $1 and seq = $2"
        return int(await self._db.fetchval(sql, worker, row))


def refused(error: Exception) -> Fate:
    """The server's own answer says that nothing is stored."""
    return Fate.NACK if getattr(error, "sqlstate", None) else Fate.UNKNOWN


def of_item(error: Exception) -> Fate:
    if isinstance(error, NOT_SENT):
        return Fate.NACK
    return Fate.UNKNOWN if isinstance(error, (ConnectionLost, TimeoutError)) else refused(error)


def unknown_of(error: BaseException) -> CommitOutcomeUnknown | None:
    """What to ask the outcome of; of a cancelled COMMIT it is the cause."""
    for each in (error, error.__cause__):
        if isinstance(each, CommitOutcomeUnknown):
            return each
    return None


def of_transaction(error: BaseException, xid: str | None) -> tuple[Fate, str | None]:
    """Only a COMMIT that was sent can have stored anything; a cancelled one has a note of what became of it."""
    if isinstance(error, CommitOutcomeUnknown):
        return Fate.UNKNOWN, error.xid
    notes = " ".join(getattr(error, "__notes__", ()))
    if "cancelled during COMMIT" in notes:
        if "committed" in notes:
            return Fate.ACK, None
        return (Fate.NACK, None) if "rolled back" in notes else (Fate.UNKNOWN, xid)
    return Fate.NACK, None


def parts_of(batch: Batch, *runs: tuple[int, Fate, int]) -> list[Part]:
    """From the first row on, in order; of what is left nothing is stored."""
    parts, at = [], batch.first
    for count, fate, xid in runs:
        if count:
            parts.append(Part(at, count, fate, xid))
        at += count
    rest = batch.first + batch.count - at
    return [*parts, Part(at, rest, Fate.NACK)] if rest else parts
