"""Transactions that fail because of others are tried again, with the same numbers, as pgbench does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload
from dbpool.loadtest.measuring import Measuring
from dbpool.loadtest.point import Point
from dbpool.loadtest.pointjson import counts_json
from dbpool.loadtest.recording.tally import Outcome, Tally
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from tests.support.databases import Database
from tests.support.loads import loaded
from tests.support.pools import witness_of

ONE = Load(clients=1, warmup_s=0.0, time_s=0.5, timeout_s=10.0, max_tries=5)
DRIVERS = [name for name in DriverName if name not in (DriverName.NOOP, DriverName.PGBENCH)]

# Sequences know nothing of transactions: of three calls two fail, and the third sees whether all had the same number.
TABLES = """
create table seen (n int, k int);
create sequence calls; create sequence drawn;
create function third_time(n int, code text) returns void language plpgsql as $$
declare
  call bigint := nextval('calls') % 3;
begin
  if call = 1 then perform setval('drawn', n); end if;
  if n <> (select last_value from drawn) then raise exception 'another number' using errcode = '22000'; end if;
  if call <> 0 then raise exception 'not yet' using errcode = code; end if;
end $$;
"""
SCRIPT = """\\set n random(1, 1000000)
\\set k :k + 1
begin;
insert into seen values (:n, :k);
select third_time(:n, '40001');
commit;
"""


def workload(text: str, mode: QueryMode = QueryMode.PREPARED) -> Workload:
    return Workload((Part("test", script=text),), mode, defined={"k": "0"})


@pytest.fixture
async def failing(database: Database) -> Database:
    async with witness_of(database) as witness:
        await witness.run(TABLES)
    return database


async def left(database: Database) -> tuple[int, int, int]:
    """Rows, the largest k, and how many of k there are."""
    async with witness_of(database) as witness:
        [found] = await witness.rows("select count(*), max(k), count(distinct k) from seen")
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("mode", [QueryMode.PREPARED, QueryMode.SIMPLE])
async def test_a_transaction_is_tried_until_it_goes_well(
    failing: Database, driver: DriverName, mode: QueryMode
) -> None:
    total = (await loaded(failing.dsn, workload(SCRIPT, mode), ONE, driver=driver)).total
    done = total.counts[Outcome.OK]
    assert done > 0
    assert total.counts == {Outcome.OK: done, Outcome.RETRIED: done, Outcome.RETRIES: 2 * done}
    assert total.due == done
    assert await left(failing) == (done, done, done)  # each once, and each began with the variables of the one before


async def test_pgbench_retries_the_same(failing: Database) -> None:
    measuring = Measuring(workload(SCRIPT), 1, sampler=None)
    load = replace(ONE, timeout_s=30.0)  # half a second, of the whole one that pgbench takes
    for driver in (DriverName.PGBENCH, DriverName.ASYNCPG):
        async with witness_of(failing) as witness:
            await witness.run("alter sequence calls restart")  # pgbench retries nothing when its time is over
        counts = counts_json(await measuring.measure(Target(failing.dsn, driver, 1), load))
        assert counts["errors"] == {}
        assert (counts["retried"], counts["retries"]) == (counts["ok"], 2 * counts["ok"])
        assert counts["due"] == counts["ok"] > 0


async def test_tries_have_an_end(failing: Database) -> None:
    total = (await loaded(failing.dsn, workload(SCRIPT), replace(ONE, max_tries=2))).total
    # of three calls two are one transaction that fails, and the third is one that goes well, or begins the next
    assert set(total.errors) <= {"40001", "22000"}
    assert total.errors["40001"] > 0
    assert 0 < total.counts[Outcome.RETRIES] == total.counts[Outcome.RETRIED]


async def test_without_the_option_none_is_tried_again(failing: Database) -> None:
    total = (await loaded(failing.dsn, workload("select third_time(1, '40001')"), replace(ONE, max_tries=1))).total
    assert total.errors["40001"] > total.counts[Outcome.OK] > 0
    assert not total.counts[Outcome.RETRIED]
    point = Point(
        target=Target("", DriverName.DBPOOL, 1), load=Load(), workers=1, total=Tally(), seconds=[], healths=[]
    )
    assert (counts_json(point)["retried"], counts_json(point)["retries"]) == (None, None)


@pytest.mark.parametrize(("code", "is_retried"), [("40P01", True), ("40003", False), ("23505", False)])
async def test_only_what_others_caused_is_tried_again(failing: Database, code: str, is_retried: bool) -> None:
    total = (await loaded(failing.dsn, workload(f"select third_time(1, '{code}')"), ONE)).total
    assert (total.counts[Outcome.RETRIED] > 0) is is_retried
    assert set(total.errors) == (set() if is_retried else {code})


async def test_what_is_late_already_is_not_tried_again(failing: Database) -> None:
    text = "select pg_sleep(0.05);\nselect third_time(1, '40001');"
    total = (await loaded(failing.dsn, workload(text), replace(ONE, max_tries=0, limit_s=0.07))).total
    assert total.errors["40001"] > 0  # after two tries
    assert total.counts[Outcome.RETRIED] > 0


async def test_tries_without_end_stop_at_the_time_out(failing: Database) -> None:
    text = "do $$ begin raise exception using errcode = '40001'; end $$"
    total = (await loaded(failing.dsn, workload(text), replace(ONE, max_tries=0, timeout_s=0.2))).total
    assert total.counts[Outcome.TIMEOUT] == total.counts[Outcome.RETRIED] > 0
    assert not total.errors


async def test_a_function_is_called_again(failing: Database) -> None:
    parts = (Part("f", target=f"{__name__}:transaction"),)
    for driver in (DriverName.DBPOOL, DriverName.ASYNCPG):
        total = (await loaded(failing.dsn, Workload(parts), ONE, driver=driver)).total
        assert not total.errors
        assert total.counts[Outcome.RETRIES] == 2 * total.counts[Outcome.OK] > 0


async def transaction(connection: Any, client: Client) -> None:  # noqa: ANN401 - the driver's
    async with connection.transaction():
        await connection.execute("select third_time($1, '40001')", client.random.uniform(1, 1000000))
