"""A script run here and the same script run by pgbench leave the same rows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import asyncpg
import pytest

from dbpool.loadtest.scripts.builtin import BUILTIN
from dbpool.loadtest.scripts.client import make_cast
from dbpool.loadtest.scripts.mix import Mix, Weighted
from dbpool.loadtest.scripts.script import parse_script
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from tests.support.databases import Database
from tests.support.pgbench import Pgbench
from tests.support.scriptrunner import Connection, Runner, exchange_texts

SEED, CLIENTS, TIMES = 4711, 3, 20

TABLES = """
create table seen (client int, what text, number bigint, real double precision, noted text, whole boolean);
create table pairs (id int primary key, name text, worth numeric);
insert into pairs select n, 'name ' || n, n / 3.0 from generate_series(1, 9) n;
"""

EVERYTHING = r"""
-- every command, and every way to write a variable
\set n :client_id * 3 + 1
\SET twice :n \
    + :n
select id as id, name, worth::numeric(10, 2), id % 2 = 0 as even
  from pairs where id = :n \gset p_
\if :p_even
  insert into seen values (:client_id, 'even', :p_id, :p_worth, <p_name>, <p_even>);
\elif :p_id > 6
  insert into seen values (:client_id, 'large', :p_id, :p_worth, 'a:p_id''; -- :p_id', <p_even>);
\else
  insert into seen (client, what, number) /* ; */ values (:client_id, $$odd;$$, :twice);
  \if :p_worth < 0.5
    insert into seen (client, what, real) values (:client_id, 'small', 1.0 / :twice);
    \sleep 1 ms
  \else
    insert into seen (client, what) values (:client_id, 'never');
  \endif
\endif
select id as last from pairs where id <= :n + 1 order by id;
\aset
insert into seen (client, what, number) values (:client_id, 'last', :last + 0);
select null as nothing, '' as empty, true as yes, 1.5e300::float8 as big, -7 as minus \gset
\set real double(:minus) / 3
insert into seen (client, what, number, real, whole) values (:client_id, 'casts', :minus::int, :real, :scale::int = 5);
\set hashed hash(:n, 7)
\set placed permute(:n, 1000, 8)
\set huge 9223372036854775807
insert into seen (client, what, number) values (:client_id, 'hash', :hashed);
insert into seen (client, what, number) values (:client_id, 'permute', :placed);
insert into seen (client, what, number) values (:client_id, 'huge', :huge);
\sleep :n us
begin;
update pairs set worth = worth + :n where id = :n;
\set n case when :n is null then 1 else :n end
end;
select count(*) as "n" from pairs \gset
insert into seen (client, what, number) select :client_id, 'n', :n
"""


def everything(mode: QueryMode) -> str:
    """The script for *mode*: a text is a parameter, or stands in quotes, where pgbench finds variables too."""
    if mode is QueryMode.SIMPLE:
        return re.sub(r"<(\w+)>", r"':\1'", EVERYTHING)
    return re.sub(r"<(\w+)>", r":\1", EVERYTHING).replace("'a:p_id''; -- :p_id'", "'a''; --'")


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    connection: Connection = await asyncpg.connect(database.dsn)
    yield connection
    await connection.close()


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: the clients in their threads, each doing *times* transactions in turn."""

    scripts: Sequence[str]
    mode: QueryMode
    weights: Sequence[int] = (1,)
    clients: int = CLIENTS
    threads: int = 1
    times: int = 1
    texts: bool = True

    @property
    def mix(self) -> Mix:
        parsed = [parse_script(text, name="test.sql") for text in self.scripts]
        return Mix([Weighted(script, weight) for script, weight in zip(parsed, self.weights, strict=True)])


async def run_here(dsn: str, plan: Plan) -> list[Runner]:
    mix, cast = plan.mix, make_cast(plan.clients, seed=SEED, scale=5, threads=plan.threads)
    runners: list[Runner] = []
    async with AsyncExitStack() as stack:
        for client in cast.clients:
            connection: Connection = await asyncpg.connect(dsn)
            stack.push_async_callback(connection.close)
            if plan.texts:
                await exchange_texts(connection)
            runners.append(Runner(connection, client, plan.mode, texts=plan.texts))
        for _ in range(plan.times):
            for number, runner in enumerate(runners):
                chooser = cast.choosers[number * plan.threads // plan.clients]
                await runner.run(mix.parts[mix.choose(chooser)].script)
    return runners


@pytest.mark.parametrize("texts", [True, False], ids=["texts", "values"])
@pytest.mark.parametrize("mode", QueryMode, ids=lambda mode: mode.value)
async def test_a_script_with_every_command_leaves_what_pgbench_leaves(
    pgbench: Pgbench, database: Database, connection: Connection, mode: QueryMode, texts: bool
) -> None:
    async def left() -> list[list[tuple[object, ...]]]:
        tables = ["seen order by client, what, number, real", "pairs order by id"]
        return [[tuple(row) for row in await connection.fetch(f"select * from {table}")] for table in tables]

    async def afresh() -> None:
        await connection.execute("drop table if exists seen, pairs;" + TABLES)

    script = everything(mode)
    await afresh()
    run = pgbench.run(database.dsn, [script], "-c", str(CLIENTS), "-s", "5", "-M", mode.value, f"--random-seed={SEED}")
    assert (run.returncode, run.error) == (0, "")
    theirs = await left()
    await afresh()
    runners = await run_here(database.dsn, Plan([script], mode, texts=texts))
    assert await left() == theirs
    assert {row[1] for row in theirs[0]} == {
        *("even", "large", "odd;", "small", "last", "casts", "hash", "permute", "huge", "n")
    }
    assert [runner.pauses for runner in runners] == [[0.001, 0.000001], [0.000004], [0.000007]]


async def test_the_same_seed_chooses_the_same_scripts_with_the_same_numbers(
    pgbench: Pgbench, database: Database, connection: Connection
) -> None:
    """Each client in a thread of its own, so that none's choice depends on whose answer comes first."""
    insert = "\\set n random_zipfian(1, 1000, 1.3)\ninsert into drawn (client, script, n) values (:client_id, {}, :n);"
    scripts, weights, times = [insert.format(number) for number in range(3)], [5, 0, 3], 60
    create = "drop table if exists drawn; create table drawn (at serial, client int, script int, n int)"
    query = "select client, script, n from drawn order by client, at"
    await connection.execute(create)
    options = ["-c", "2", "-j", "2", "-t", str(times), "-M", "prepared", f"--random-seed={SEED}"]
    run = pgbench.run(database.dsn, scripts, *options, weights=weights)
    assert (run.returncode, run.error) == (0, "")
    theirs = await connection.fetch(query)
    await connection.execute(create)
    plan = Plan(scripts, QueryMode.PREPARED, weights=weights, clients=2, threads=2, times=times, texts=False)
    await run_here(database.dsn, plan)
    assert await connection.fetch(query) == theirs
    assert {(row["client"], row["script"]) for row in theirs} == {(0, 0), (0, 2), (1, 0), (1, 2)}


@pytest.mark.parametrize("name", BUILTIN)
async def test_a_builtin_script_touches_the_rows_that_pgbenchs_own_touches(
    pgbench: Pgbench, database: Database, connection: Connection, name: str
) -> None:
    async def left() -> list[list[tuple[object, ...]]]:
        tables = [
            "aid, abalance from pgbench_accounts where abalance <> 0 order by aid",
            "tid, tbalance from pgbench_tellers order by tid",
            "bid, bbalance from pgbench_branches order by bid",
            "tid, bid, aid, delta from pgbench_history order by tid, bid, aid, delta",
        ]
        return [[tuple(row) for row in await connection.fetch(f"select {table}")] for table in tables]

    async def afresh() -> None:
        await connection.execute(
            """drop table if exists pgbench_accounts, pgbench_tellers, pgbench_branches, pgbench_history;
            create table pgbench_accounts (aid int primary key, bid int, abalance int, filler char(84));
            create table pgbench_tellers (tid int primary key, bid int, tbalance int, filler char(84));
            create table pgbench_branches (bid int primary key, bbalance int, filler char(88));
            create table pgbench_history
              (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
            insert into pgbench_branches select n, 0 from generate_series(1, 5) n;
            insert into pgbench_tellers select n, (n - 1) / 10 + 1, 0 from generate_series(1, 50) n;
            insert into pgbench_accounts select n, (n - 1) / 100000 + 1, 0 from generate_series(1, 500000, 7) n;"""
        )

    await afresh()
    run = pgbench.run(database.dsn, [], "-b", name, "-t", str(TIMES), "-c", str(CLIENTS), f"--random-seed={SEED}")
    assert (run.returncode, run.error) == (0, "")
    theirs = await left()
    await afresh()
    await run_here(database.dsn, Plan([BUILTIN[name]], QueryMode.PREPARED, times=TIMES))
    assert await left() == theirs
    assert len(theirs[3]) == (0 if name == "select-only" else TIMES * CLIENTS)
