"""A job's rejects, run once more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dbpool.bulk.jobs.effect import Effect
from dbpool.bulk.jobs.hold import Hold
from dbpool.bulk.jobs.ledger import Rejected, insert_rejects, rejects_among, rejects_of, take_rejects
from dbpool.bulk.jobs.storing import Stored, Target, rejected
from dbpool.bulk.jobs.trying import tried
from dbpool.bulk.jobs.unit import in_transaction
from dbpool.connection import PooledConnection, Want
from dbpool.core.columns import Args
from dbpool.core.params import Unreadable, from_json


async def retry_rejects(target: Target, hold: Hold, check: Callable[[], None]) -> Stored:
    """Run each item that is put aside once more; each is then no reject any more, or one with an attempt more.

    Returns: done; put aside again; skipped, as their parameters cannot be read.
    Raises: as ``Storing.store``.
    """
    stored, after = Stored(), 0
    while True:
        check()
        async with hold.connection() as connection:
            rows = await rejects_of(connection, target.job_id, after, target.chunk_size)
        if not rows:
            return stored
        after = rows[-1]["ord"]
        readable = [pair for row in rows if (pair := _readable(row["ord"], row["params"], row["attempts"])) is not None]
        stored += Stored(skipped=len(rows) - len(readable))
        if readable:
            stored += await _retry(target, hold, readable)


def _readable(ord: int, params: str, attempts: int) -> tuple[Rejected, Args] | None:  # noqa: A002 - the column's name
    try:
        return Rejected(ord, params, None, "", attempts), from_json(params)
    except Unreadable:
        return None


async def _retry(target: Target, hold: Hold, pairs: Sequence[tuple[Rejected, Args]]) -> Stored:
    effect = Effect(
        target.effect.sql, target.effect.parameters, target.effect.one_by_one, target.effect.timeout, collects=True
    )

    async def attempt(connection: PooledConnection) -> Stored:
        async def begin() -> None:
            await connection.run("BEGIN", (), Want.STATUS, effect.timeout)

        async def work(_: None) -> Stored:
            # Those that are there as they were read: after a COMMIT that was not answered, none is.
            taken = await take_rejects(connection, target.job_id, [each for each, _ in pairs])
            mine = [pair for pair in pairs if pair[0].ord in taken]
            failed = await effect.on_each(connection, [args for _, args in mine])
            again = [
                rejected(mine[at][0].ord, mine[at][1], error, mine[at][0].attempts + 1) for at, error in failed.items()
            ]
            if again:
                await insert_rejects(connection, target.job_id, again)
            left = await rejects_among(connection, target.job_id, [each.ord for each, _ in pairs])
            return Stored(done=len(pairs) - left, rejected=left)

        return await in_transaction(connection, begin, work, timeout=effect.timeout)

    return await tried(hold, target.tries, attempt)
