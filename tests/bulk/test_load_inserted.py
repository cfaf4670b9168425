"""Records of types that the driver can send as text only."""

from __future__ import annotations

import pytest

from dbpool import LoadFailed
from tests.support.databases import Database
from tests.support.pools import pool_of

VALUES = {"money": "$1.50", "macaddr": "08:00:2b:01:02:03", "tsvector": "'a' 'b'", "regclass": "pg_class"}


@pytest.mark.parametrize("type_", VALUES)
@pytest.mark.parametrize("atomic", [False, True])
async def test_what_has_no_binary_form_is_inserted(database: Database, type_: str, atomic: bool) -> None:
    records = [(n, VALUES[type_] if n % 2 else None) for n in range(2500)]
    async with pool_of(database, 1) as db:
        await db.execute(f"create table texts (id int generated always as identity, value {type_})")
        session = await db.fetchval("select pg_backend_pid()")
        assert (await db.load("texts", records, atomic=atomic)).rows == 2500
        assert (await db.load("texts", [(2500, None)], atomic=atomic, on_reject="skip")).rows == 1
        found = "count(*) = 2501 and sum(id) = 3126250 and count(value) = 1250 and min(value::text) = max(value::text)"
        assert await db.fetchval(f"select {found} from texts")
        assert await db.fetchval("select pg_backend_pid()") == session


async def test_rows_that_are_refused_on_the_way_cost_only_themselves(database: Database) -> None:
    records = [(n, "one" if n == 1700 else "$1") for n in range(2500)]
    async with pool_of(database) as db:
        await db.execute("create table texts (id int, value money check (value::numeric < 5))")
        with pytest.raises(LoadFailed, match="one") as caught:
            await db.load("texts", records)
        assert (caught.value.rows_stored, await db.fetchval("select count(*) from texts")) == (0, 0)
        records[3] = (3, "$9")
        done = await db.load("texts", [*records, (1,)], on_reject="skip")
        assert [reject.line for reject in done.rejects] == [4, 1701, 2501]
        assert done.rows == await db.fetchval("select count(*) from texts") == 2498
