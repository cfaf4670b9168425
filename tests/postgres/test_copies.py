"""COPY on a connection of one's own."""

from __future__ import annotations

import io

from tests.support.databases import Database
from tests.support.pools import pool_of


async def test_a_connection_copies_what_a_file_has(database: Database) -> None:
    async with pool_of(database) as db, db.acquire() as connection:
        await connection.execute("create table t (n int)")
        assert await connection.copy_to_table("t", source=io.BytesIO(b"1\n2\n")) == "COPY 2"
        assert await connection.fetchval("select sum(n) from t") == 3
