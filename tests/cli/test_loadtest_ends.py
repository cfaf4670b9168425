"""How a load test ends: by a signal, killed, without its server; nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from dbpool.embedded import EmbeddedPostgres
from dbpool.tool.running import Stop
from tests.cli.loadtesting import PATIENCE_S, ended, run, script, start
from tests.support.databases import Database
from tests.support.pools import until, witness_of


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_what_was_measured(
    database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    process = await start(
        "bench", "-T", "60", "--warmup", "0", "-j", "2", "-c", "2", "-f", file, "--json", dsn=database.dsn
    )
    async with witness_of(database) as witness:
        await until(lambda: _loading(witness.value), PATIENCE_S)
        await asyncio.sleep(1.2)  # what was measured in a second or so
        children = _children(process.pid)
        os.killpg(process.pid, number)  # as a terminal does: to all that are in its group
        code, out, err = await ended(process)
        document = json.loads(out)
        assert (code, document["run"]["status"], document["exit_code"]) == (130, "interrupted", 130), err
        assert document["points"][0]["counts"]["ok"] > 0
        assert "incomplete" in document["points"][0]["flags"]
        assert len(children) == 2
        assert not any(map(_is_alive, children))
        assert not await _loading(witness.value)


async def test_a_signal_before_the_load_ends_it_with_nothing_measured(database: Database, tmp_path: Path) -> None:
    process = await start("bench", "-T", "60", "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        assert b"calibrating" in await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    code, out, err = await ended(process)
    assert (code, out.strip(), err) == (130, "", "")


@pytest.mark.slow
@pytest.mark.parametrize(("driver", "processes"), [("dbpool", 2), ("pgbench", 1)])
async def test_killed_outright_it_leaves_no_process_and_no_session(
    database: Database, tmp_path: Path, driver: str, processes: int
) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    words = ("-T", "60", "-j", "2", "-c", "2", "--driver", driver, "-f", file)
    process = await start("bench", *words, dsn=database.dsn)
    async with witness_of(database) as witness:
        await until(lambda: _loading(witness.value, " and wait_event = 'PgSleep'"), PATIENCE_S)
        children = _children(process.pid)
        process.kill()
        await ended(process)
        assert len(children) == processes

        async def gone() -> bool:
            return not any(map(_is_alive, children)) and not await _loading(witness.value)

        await until(gone, PATIENCE_S)


@pytest.mark.slow
async def test_a_server_that_is_lost_ends_in_errors_by_class_without_a_traceback(tmp_path: Path) -> None:
    with EmbeddedPostgres(listen=True) as server:
        words = ("-T", "3", "--warmup", "0", "-c", "2", "--driver", "asyncpg", "-f", script(tmp_path, "select 1"))
        process = await start("bench", *words, "--json", dsn=server.dsn())
        async with witness_of(server.dsn()) as witness:
            await until(lambda: _loading(witness.value, " and state_change > now() - interval '0.1 s'"), PATIENCE_S)
            await asyncio.sleep(0.5)  # so that some went well
        server.stop()
        code, out, err = await ended(process)
    document = json.loads(out)
    assert (code, document["run"]["status"]) == (1, "failed")
    assert "looks at the server was lost" in err
    assert document["points"][0]["counts"]["errors"]
    assert "lifeline_lost" in {warning["code"] for warning in document["warnings"]}
    assert "Traceback" not in err


async def _loading(value: object, and_also: str = "") -> bool:
    sql = (
        "select count(*) from pg_stat_activity where application_name like 'dbpool-loadtest/%/load'"
        f" and datname = current_database(){and_also}"
    )
    return bool(await value(sql))  # type: ignore[operator]


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_second_signal_does_not_wait_for_what_the_first_has_stopped() -> None:
    async def command() -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        Stop().cancels(told)
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait([told])
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.get_running_loop().create_future()

    running = asyncio.create_task(command())
    try:
        done, _ = await asyncio.wait([running], timeout=10.0)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)
        running.cancel()
    assert done
    assert running.cancelled()


@pytest.mark.slow
async def test_clean_can_be_stopped(database: Database) -> None:
    assert (await run("init", dsn=database.dsn))[0] == 0
    async with witness_of(database) as locker, witness_of(database) as witness:
        await locker.run("begin")
        await locker.run("lock table dbpool_loadtest.pgbench_accounts")
        process = await start("clean", dsn=database.dsn)
        await until(lambda: witness.value("select count(*) from pg_stat_activity where wait_event_type = 'Lock'"))
        process.send_signal(signal.SIGINT)
        assert (await ended(process))[0] == 130
        await locker.run("rollback")
        assert await witness.value("select to_regnamespace('dbpool_loadtest') is not null")
