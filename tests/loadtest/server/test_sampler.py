"""The sampler: what a server is seen doing, and that unknown is None."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dbpool.errors import SettingsError
from dbpool.loadtest.samplejson import sample_json
from dbpool.loadtest.server.activity import by_event, by_state, by_wait
from dbpool.loadtest.server.connecting import PREFIX, Session, application_name, close, connect, lifeline
from dbpool.loadtest.server.counters import delta
from dbpool.loadtest.server.processor import ServerProcessor
from dbpool.loadtest.server.sampler import Sample, Sampler, next_look
from dbpool.loadtest.server.watch import Watch
from tests.support.databases import Database
from tests.support.pools import Witness, role_in, witness_of


@pytest.fixture
async def session(database: Database) -> AsyncIterator[Session]:
    session = await lifeline(database.dsn, "run")
    yield session
    await close(session)


async def test_sessions_count_by_whose_they_are_and_what_they_wait_for(database: Database, session: Session) -> None:
    sampler = Sampler(session, is_local=False)
    ours = await connect(database.dsn, application_name("run", "load"))
    async with witness_of(database) as witness, witness.holding():
        waiting = asyncio.create_task(ours.fetchval("select pg_advisory_lock(1)"))
        await witness.until_blocked()
        sample = await sampler.look()
    await waiting
    await close(ours)
    assert sample.ours is not None
    assert sample.ours["active"] >= 1  # tests at the same time may share the server
    assert sample.others is not None
    assert sample.others["idle"] >= 1
    assert sample.waits is not None
    assert sample.waits["Lock"] >= 1
    assert sample.wait_events is not None
    assert sample.wait_events["Lock:advisory"] >= 1
    assert sample.cpu is None
    assert sample.took_ms > 0


async def test_counters_are_told_as_what_they_rose(database: Database, session: Session) -> None:
    sampler = Sampler(session, is_local=False)
    first = await sampler.look()
    assert first.deltas["database"] is None  # nothing to compare with
    async with witness_of(database) as witness:
        for _ in range(30):
            await witness.value("select 1")
        await witness.run("select pg_stat_force_next_flush()")
    second = await sampler.look()
    counters = second.deltas["database"]
    assert counters is not None
    assert (counters["commits"] or 0) >= 1
    assert counters["deadlocks"] == 0


async def test_a_view_that_is_not_there_is_unknown_not_zero(session: Session) -> None:
    sampler = Sampler(session, is_local=False)
    await sampler.look()
    assert (await sampler.look()).deltas["statements"] is None  # pg_stat_statements is not installed


async def test_a_lost_connection_is_told_and_ends_the_sampling(database: Database, session: Session) -> None:
    told: list[tuple[str, str]] = []
    sampler = Sampler(session, is_local=False, watch=Watch(0.2), warn=lambda code, text: told.append((code, text)))
    running = asyncio.create_task(sampler.run())
    async with witness_of(database) as witness:
        await witness.terminate(*await _pids(witness))
    await asyncio.wait_for(running, 10)
    assert [code for code, _ in told] == ["lifeline_lost"]


async def test_each_point_has_its_own_looks_and_the_first_has_no_deltas(session: Session) -> None:
    sampler = Sampler(session, is_local=False, watch=Watch(0.2))
    for _ in range(2):
        seen: list[Sample] = []
        enough = asyncio.Event()

        def take(sample: Sample, seen: list[Sample] = seen, enough: asyncio.Event = enough) -> None:
            seen.append(sample)
            if len(seen) == 2:
                enough.set()

        running = asyncio.create_task(sampler.run(take))
        await asyncio.wait_for(enough.wait(), 10)
        running.cancel()
        await asyncio.wait([running])
        assert sampler.take() == seen
        assert [sample.deltas["database"] is None for sample in seen] == [True, False]
        assert seen[1].at_ns - seen[0].at_ns >= 190_000_000


@pytest.mark.parametrize(
    ("ended", "took", "expected"),
    [
        (5, 5, 1000),
        (1001, 10, 2000),  # ended on the beat after
        (400, 400, 1000),
        (600, 600, 2000),  # which leaves a pause of 1400, not of 400
        (5600, 5600, 12000),
    ],
)
def test_looking_that_takes_long_is_done_less_often(ended: int, took: int, expected: int) -> None:
    assert next_look(0, ended, took_ns=took, interval_ns=1000) == expected


@pytest.mark.parametrize("interval_s", [0.1, 61.0, float("nan")])
def test_an_interval_out_of_range_is_refused(interval_s: float) -> None:
    with pytest.raises(SettingsError, match=r"0\.2 to 60"):
        Watch(interval_s)


def test_addresses_and_commands_are_in_no_message() -> None:
    assert "secret" not in repr(Watch(pgbouncer_admin="postgresql://a:secret@h/pgbouncer", server_cmd="secret"))


async def test_a_sample_stands_in_json_with_null_for_what_was_not_seen(session: Session) -> None:
    sampler = Sampler(session, is_local=False)
    await sampler.look()
    line = sample_json(await sampler.look())
    assert list(line) == ["ours", "others", "waits", "wait_events", "cpu", "commits", "took_ms", "pools"]
    assert (line["cpu"], line["pools"]) == (None, None)
    assert line["commits"] >= 0
    assert line["took_ms"] > 0
    unseen = sample_json(Sample(0, None, None, None, {}, None, 1.0))
    assert [value for name, value in unseen.items() if name != "took_ms"] == [None] * 7


async def _pids(witness: Witness) -> list[int]:
    rows = await witness.rows(f"select pid from pg_stat_activity where application_name = '{PREFIX}run/lifeline'")
    return [int(str(pid)) for (pid,) in rows]


async def test_an_ordinary_role_sees_what_it_may(database: Database) -> None:
    async with role_in(database) as dsn:
        session = await lifeline(dsn, "run")
        async with witness_of(database):
            sample = await Sampler(session, is_local=False).look()
        await close(session)
    assert sample.ours is not None
    assert sample.others is not None
    assert sum(sample.others.values()) >= 1


def test_states_and_waits_of_what_could_not_be_seen_are_unknown() -> None:
    assert by_state(None, ours=True) is None
    assert by_wait(None) is None
    assert by_event(None) is None


def test_an_active_session_that_waits_for_nothing_computes() -> None:
    activity: list[dict[str, object]] = [
        {"is_ours": True, "state": "active", "wait_class": None, "wait_event": None, "sessions": 2},
        {"is_ours": False, "state": "active", "wait_class": "IO", "wait_event": "WalSync", "sessions": 1},
        {"is_ours": True, "state": "active", "wait_class": "IO", "wait_event": "WalSync", "sessions": 3},
        {"is_ours": True, "state": "active", "wait_class": "IO", "wait_event": "DataFileRead", "sessions": 1},
        {"is_ours": True, "state": "idle", "wait_class": "Client", "wait_event": "ClientRead", "sessions": 5},
        {"is_ours": None, "state": "idle", "wait_class": None, "wait_event": None, "sessions": 1},
    ]
    assert by_wait(activity) == {"CPU": 2, "IO": 5}
    assert by_event(activity) == {"IO:WalSync": 4, "IO:DataFileRead": 1}
    assert by_state(activity, ours=True) == {"active": 6, "idle": 5}
    assert by_state(activity, ours=False) == {"active": 1, "idle": 1}


def test_a_counter_that_was_reset_or_is_not_known_has_no_rise() -> None:
    before = {"a": 1, "b": 5, "c": None, "d": 1}
    assert delta(before, {"a": 3, "b": 4, "c": 1, "d": None, "e": 1}) == {
        "a": 2,
        "b": None,
        "c": None,
        "d": None,
        "e": None,
    }
    assert delta(None, before) is None
    assert delta(before, None) is None


async def test_the_processor_time_of_a_server_here_is_known(database: Database, session: Session) -> None:
    pytest.importorskip("psutil")
    processor = ServerProcessor(is_local=True)
    pid = session.get_server_pid()
    first = processor.used_since(pid)
    assert first is None  # nothing to compare with
    await session.fetchval("select count(*) from generate_series(1, 3000000)")
    used = processor.used_since(pid)
    if used is None:
        pytest.skip("the server is on another machine, or in a container")
    assert used > 0


def test_the_processor_time_of_what_is_no_server_is_unknown() -> None:
    import os

    processor = ServerProcessor(is_local=True)
    processor.used_since(os.getpid())
    assert processor.used_since(os.getpid()) is None
    assert ServerProcessor(is_local=False).used_since(os.getpid()) is None
