"""A primary with standbys that tests may stop, freeze, cut off and promote."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dbpool.errors import EmbeddedError
from dbpool.testing import PostgresCluster, PostgresNode

PATIENCE_S = 10.0


def shows(node: PostgresNode, *ids: int) -> None:
    """Return once a server shows just these rows."""
    wanted, deadline = "\n".join(map(str, ids)), time.monotonic() + PATIENCE_S
    while (seen := node.ask("select id from t order by id")) != wanted:
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)


def put(node: PostgresNode, number: int) -> None:
    node.ask(f"insert into t values ({number})")


def test_what_the_primary_writes_is_on_its_standbys_until_they_are_held_back(cluster: PostgresCluster) -> None:
    primary, (one, other) = cluster.primary, cluster.standbys
    put(primary, 1)
    shows(one, 1)
    shows(other, 1)
    one.pause_replay()
    other.cut()
    put(primary, 2)  # the first one still receives it
    assert one.ask("select count(*) from t") == other.ask("select count(*) from t") == "1"
    one.resume_replay()
    other.follow(primary)
    shows(one, 1, 2)
    shows(other, 1, 2)


def test_a_commit_waits_for_a_standby_where_that_was_asked_for(cluster: PostgresCluster) -> None:
    for node in cluster.standbys:
        node.freeze()
    cluster.primary.ask("set synchronous_commit = local; insert into t values (1)")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(put, cluster.primary, 2)
        deadline = time.monotonic() + PATIENCE_S
        while cluster.primary.ask("select count(*) from pg_stat_activity where wait_event = 'SyncRep'") != "1":
            assert time.monotonic() < deadline
        assert not waiting.done()
        for node in cluster.standbys:
            node.thaw()
        waiting.result(PATIENCE_S)


def test_after_a_failover_the_old_primary_comes_back_as_a_standby(cluster: PostgresCluster) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    put(old, 1)
    for node in cluster.standbys:  # one that has more than the new primary could not follow it
        shows(node, 1)
    old.stop(immediate=True)
    assert not old.is_running
    cluster.promote(new)
    put(new, 2)
    assert (cluster.primary, old in cluster.standbys) == (new, True)
    cluster.heal()
    shows(old, 1, 2)
    assert old.is_standby


def test_a_server_keeps_its_address_and_its_data_over_any_restart(cluster: PostgresCluster) -> None:
    put(cluster.primary, 1)
    address = cluster.primary.address
    for immediate in (False, True):
        cluster.primary.restart(immediate=immediate)
    shows(cluster.primary, 1)
    assert cluster.primary.address == address
    cluster.primary.configure(work_mem="7MB")
    assert cluster.primary.ask("show work_mem") == "7MB"


def test_a_frozen_server_can_be_stopped(cluster: PostgresCluster) -> None:
    cluster.standbys[0].freeze()
    cluster.standbys[0].stop()
    assert repr(cluster.standbys[0]).startswith("<PostgresNode node")


def test_a_cluster_leaves_nothing_and_says_when_it_is_not_there() -> None:
    cluster = PostgresCluster(1)
    with pytest.raises(EmbeddedError, match="not started"):
        cluster.dsn()
    with cluster:
        with pytest.raises(EmbeddedError, match="started already"):
            cluster.start()
        pids = [node.pid for node in cluster.nodes]
    shown = subprocess.run(
        ["ps", "-o", "stat=", "-p", ",".join(map(str, pids))], capture_output=True, text=True, check=False
    )
    assert not [line for line in shown.stdout.split() if not line.startswith("Z")]
    with pytest.raises(EmbeddedError, match="not running"):
        cluster.primary.ask("select 1")


def test_a_standby_that_was_away_finds_what_was_written_meanwhile(cluster: PostgresCluster) -> None:
    away = cluster.standbys[0]
    away.stop()
    for number in range(3):
        for sql in (f"insert into t values ({number})", "select pg_switch_wal()", "checkpoint"):
            cluster.primary.ask(sql)
    away.start()
    shows(away, 0, 1, 2)
