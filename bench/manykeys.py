"""Each way to have many lookups answered together, opened and ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg

from bench.contenders import CONNECTIONS, SQL, Access, Opening
from dbpool import DatabasePool

CHUNK: Final = 1000  # keys
_ANY: Final = SQL.replace("= $1", "= any($1)")
TEXTS: Final = [f"SELECT id, name, email, {number} AS text FROM users WHERE id = $1" for number in range(10)]

Answer = Callable[[list[int]], Awaitable[Sequence[Any]]]
"""The rows of a chunk of keys, in their order; each begins with its key."""


@asynccontextmanager
async def mapping(dsn: str) -> AsyncIterator[Access]:
    async with DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS) as db:

        async def of_all(keys: list[int]) -> None:
            async for key, row, _ in db.map_row(SQL, keys):
                assert row[0] == key

        yield Access((), of_all=of_all)


@asynccontextmanager
async def coalescing(dsn: str) -> AsyncIterator[Access]:
    async with DatabasePool(dsn, CONNECTIONS, min_connections=CONNECTIONS, coalesce=True) as db:
        yield Access((partial(db.fetchrow, SQL),))


@asynccontextmanager
async def by_chunks(
    opening: Callable[[str], AbstractAsyncContextManager[Answer]], dsn: str, *, at_once: int
) -> AsyncIterator[Access]:
    """Chunk by chunk, on *at_once* connections."""
    async with AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(opening(dsn)) for _ in range(at_once)]

        async def of_all(keys: list[int]) -> None:
            chunks = (keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK))

            async def work(answer: Answer) -> None:
                for chunk in chunks:
                    for key, row in zip(chunk, await answer(chunk), strict=True):
                        assert row[0] == key

            await asyncio.gather(*map(work, answers))

        yield Access((), of_all=of_all)


@asynccontextmanager
async def _by_any(dsn: str) -> AsyncIterator[Answer]:
    async with _asyncpg(dsn) as connection:

        async def answer(keys: list[int]) -> Sequence[Any]:
            by_key = {row[0]: row for row in await connection.fetch(_ANY, keys)}
            return [by_key[key] for key in keys]

        yield answer


@asynccontextmanager
async def _by_fetchmany(dsn: str) -> AsyncIterator[Answer]:
    async with _asyncpg(dsn) as connection:
        yield lambda keys: connection.fetchmany(SQL, [(key,) for key in keys])


@asynccontextmanager
async def _by_psycopg(dsn: str) -> AsyncIterator[Answer]:
    import psycopg

    sql = SQL.replace("$1", "%s")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, prepare_threshold=0) as connection:

        async def answer(keys: list[int]) -> Sequence[Any]:
            cursor = connection.cursor()
            await cursor.executemany(sql, [(key,) for key in keys], returning=True)  # in pipeline mode
            return [await result.fetchone() async for result in cursor.results()]

        yield answer


@asynccontextmanager
async def _by_psqlpy(dsn: str) -> AsyncIterator[Answer]:
    from psqlpy import connect

    connection = await connect(dsn=dsn)

    async def answer(keys: list[int]) -> Sequence[Any]:
        async with connection.transaction() as transaction:
            results = await transaction.pipeline([(SQL, [key]) for key in keys])
        return [tuple(result.result()[0].values()) for result in results]

    try:
        yield answer
    finally:
        connection.close()


@asynccontextmanager
async def _asyncpg(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def ten_texts(dsn: str, *, coalesce: bool) -> AsyncIterator[Access]:
    async with DatabasePool(dsn, CONNECTIONS, min_connections=CONNECTIONS, coalesce=coalesce) as db:
        yield Access((lambda key: db.fetchrow(TEXTS[key % len(TEXTS)], key),))


@asynccontextmanager
async def ten_texts_of_asyncpg(dsn: str) -> AsyncIterator[Access]:
    async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        yield Access((lambda key: pool.fetchrow(TEXTS[key % len(TEXTS)], key),))


OF_ALL: Final = ("any", "fetchmany", "psycopg-pipeline", "psqlpy-pipeline")  # as map: all keys by one call
TOGETHER: Final[dict[str, Opening]] = {
    "dbpool-map": mapping,
    "dbpool-coalesce": coalescing,
    # as many connections as each is quickest with; db.map_row() takes four
    "any": partial(by_chunks, _by_any, at_once=4),
    "fetchmany": partial(by_chunks, _by_fetchmany, at_once=4),
    "psycopg-pipeline": partial(by_chunks, _by_psycopg, at_once=1),
    "psqlpy-pipeline": partial(by_chunks, _by_psqlpy, at_once=1),
    "ten": partial(ten_texts, coalesce=False),
    "ten-coalesce": partial(ten_texts, coalesce=True),
    "ten-asyncpg.Pool": ten_texts_of_asyncpg,
}
