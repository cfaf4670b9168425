"""How a load is shared among workers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.stages import Stage
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload, shares_of

WORKLOAD = Workload((Part("one", script="select 1"),))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.booleans())
def test_workers_together_do_exactly_the_load(connections: int, clients: int, workers: int, is_open: bool) -> None:
    stages = (Stage(3.0, 100.0, 50.0),) if is_open else ()
    target = Target("postgresql://x", DriverName.DBPOOL, connections)
    shares = shares_of(target, Load(clients=clients, stages=stages, max_in_flight=clients), WORKLOAD, workers)
    assert sum(share.target.connections for share in shares) == connections
    assert sum(share.load.most_clients for share in shares) == clients
    assert [share.first_client for share in shares] == [
        sum(before.load.most_clients for before in shares[:number]) for number in range(len(shares))
    ]
    assert len(shares) == min(workers, connections, clients)
    for share in shares:
        areas = [sum(stage.area for stage in each) for each in (share.load.stages, stages)]
        assert areas[0] * len(shares) == pytest.approx(areas[1])


def test_the_warm_up_of_an_open_load_has_the_first_level() -> None:
    load = Load(stages=(Stage(3.0, 100.0, 50.0),), warmup_s=2.0)
    assert load.whole == (Stage(2.0, 100.0, 100.0), Stage(3.0, 100.0, 50.0))
    assert replace(load, warmup_rate=400.0).whole[0] == Stage(2.0, 400.0, 400.0)


def test_workers_share_the_rate_of_the_warm_up() -> None:
    load = Load(stages=(Stage(3.0, 100.0, 50.0),), warmup_rate=400.0)
    shares = shares_of(Target("postgresql://x", DriverName.DBPOOL, 2), load, WORKLOAD, 2)
    assert [share.load.warmup_rate for share in shares] == [200.0, 200.0]


def test_no_message_shows_the_address() -> None:
    assert "secret" not in repr(Target("postgresql://a:secret@h/d", DriverName.DBPOOL, 1))


def test_what_connects_for_each_transaction_is_kept_to_the_connections_that_a_pool_would_have() -> None:
    load = Load(clients=50, stages=(Stage(3.0, 100.0, 50.0),), max_in_flight=400)
    assert load.by(DriverName.ASYNCPG_CONNECT, 8).most_clients == 8
    assert load.by(DriverName.DBPOOL, 8) == load
    closed = replace(load, stages=())
    assert closed.by(DriverName.ASYNCPG_CONNECT, 8) == closed
