"""Which statements took the server's time, on a server that counts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbpool.embedded import EmbeddedPostgres
from dbpool.loadtest.samplejson import statements_json
from dbpool.loadtest.server.connecting import close, lifeline
from dbpool.loadtest.server.sampler import Sampler
from dbpool.loadtest.server.statements import LONGEST, StatementUse, StatementUses, most_used, read_statements, short
from tests.support.databases import Database
from tests.support.pools import witness_of


@pytest.fixture(scope="module")
def counting() -> Iterator[str]:
    with EmbeddedPostgres(settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        yield server.dsn()


async def test_a_stage_has_the_statements_that_were_run_in_it(counting: str) -> None:
    session = await lifeline(counting, "run")
    async with witness_of(counting) as witness:
        await witness.run("create extension pg_stat_statements")
        await witness.value("select 1 + 1 as before")
        sampler = Sampler(session, is_local=False)
        await sampler.look()
        before = await read_statements(session)
        for number in range(5):
            await witness.value("select pg_sleep(0.002) /* slow */, $1::int", number)
        await witness.value("select 2 as fast")
        await witness.run("create role someone password 'not-the-secret'")
        await witness.run("drop role someone")
        counted = (await sampler.look()).deltas["statements"]
        used = most_used(before, await read_statements(session))
    await close(session)
    assert used is not None
    assert used[0].text == "select pg_sleep($2) /* slow */, $1::int"
    assert used[0].calls == 5
    assert used[0].total_ms >= 10
    texts = [use.text for use in used]
    assert "select $1 as fast" in texts
    assert "select $1 + $2 as before" not in texts
    assert "create role …" in texts
    assert not [text for text in texts if "looks" in text or "not-the-secret" in text]
    assert counted is not None
    assert (counted["calls"] or 0) >= 7
    assert statements_json("sweep", used)[0] == {
        "stage": "sweep",
        "query": used[0].text,
        "calls": 5,
        "total_ms": used[0].total_ms,
    }


async def test_where_statements_are_not_counted_they_are_unknown(database: Database) -> None:
    session = await lifeline(database.dsn, "run")
    assert await read_statements(session) is None
    await close(session)
    assert most_used(None, {}) is None
    assert most_used({}, None) is None


def test_a_statement_that_was_reset_between_is_left_out() -> None:
    before: StatementUses = {1: StatementUse("a", 10, 10.0), 2: StatementUse("b", 1, 5.0), 3: StatementUse("c", 1, 1.0)}
    after: StatementUses = {
        1: StatementUse("a", 3, 2.0),
        2: StatementUse("b", 2, 6.0),
        3: StatementUse("c", 1, 1.0),
        4: StatementUse("d", 1, 9.0),
    }
    assert most_used(before, after) == [StatementUse("d", 1, 9.0), StatementUse("b", 1, 1.0)]
    assert most_used(before, after, most=1) == [StatementUse("d", 1, 9.0)]


def test_a_text_is_short_and_on_one_line() -> None:
    assert short("select\n  1\t+ 1 ") == "select 1 + 1"
    assert len(short("select " + "x" * 1000)) == LONGEST
    assert short("ALTER ROLE a\n PASSWORD 'secret'") == "ALTER ROLE …"
