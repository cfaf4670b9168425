"""More different texts of SQL than are kept."""

from __future__ import annotations

from dbpool.queries import _one_statement
from tests.support.databases import Database
from tests.support.pools import pool_of

PREPARED = "select count(*) from pg_prepared_statements"


async def test_endless_texts_leave_so_many_prepared_at_the_server_as_are_to_be_kept(database: Database) -> None:
    async with pool_of(database, 1, statement_cache_size=5) as db:
        for number in range(40):
            assert await db.fetchval(f"select {number}") == number
            assert await db.fetchval(PREPARED) <= 5 + 1  # one is closed when the next is prepared
        room = _one_statement.cache_info().maxsize
        assert room is not None
        for number in range(40):
            assert await db.fetchval(f"select {number} + 1") == number + 1
        assert _one_statement.cache_info().currsize <= room
