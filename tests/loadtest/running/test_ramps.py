"""Clients that join and leave as a closed load goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbpool.core.stages import Stage
from dbpool.loadtest.load import Load
from dbpool.loadtest.recording.tally import Outcome
from dbpool.loadtest.workers.fleet import WorkerFailed
from tests.support.databases import Database
from tests.support.loads import loaded, script
from tests.support.pools import witness_of

UP_AND_DOWN = (Stage(0.7, 1, 1), Stage(0.7, 4, 4), Stage(0.7, 1, 1))
RAMP = Load(clients=4, client_stages=UP_AND_DOWN, warmup_s=0.3, time_s=2.1, timeout_s=10.0)
NOTE = "insert into seen (client) values (:client_id);\nselect pg_sleep(0.01);"


async def seen(database: Database) -> list[int]:
    """The clients of transactions, in their order."""
    async with witness_of(database) as witness:
        return [int(str(client)) for (client,) in await witness.rows("select client from seen order by at")]


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.slow), 3])
async def test_clients_join_and_leave_as_the_stages_say(database: Database, workers: int) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table seen (at serial, client int)")
    brought = await loaded(database.dsn, script(NOTE), RAMP, workers=workers)
    assert brought.is_complete
    clients = await seen(database)
    assert set(clients) == {0, 1, 2, 3}
    others = [number for number, client in enumerate(clients) if client != 0]
    assert others[0] > 10  # the first alone, also during the warm-up
    assert len(clients) - others[-1] > 10  # and again
    assert len(others) > 2 * (len(clients) - len(others)) / 3  # three of four, for a third of the time


@pytest.mark.slow
async def test_the_load_goes_on_to_the_end_of_the_window(database: Database) -> None:
    load = replace(RAMP, client_stages=(Stage(1.0, 0, 3), Stage(1.1, 3, 3)), warmup_s=0.0)
    total = (await loaded(database.dsn, script("select pg_sleep(0.01)"), load)).total
    assert total.counts[Outcome.OK] > 0
    assert max(total.completions) >= 20  # tenths of a second
    assert min(total.completions) >= 1  # a sixth of a second passes before there is half a client


async def test_a_wrong_script_ends_it_at_once_also_for_clients_that_are_away(database: Database) -> None:
    load = replace(RAMP, client_stages=(Stage(500.0, 1, 1), Stage(1.0, 4, 4)), time_s=501.0)
    with pytest.raises(WorkerFailed, match="undefined variable"):
        await loaded(database.dsn, script("select :missing"), load)
