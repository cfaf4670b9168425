"""The commands for jobs, each in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from dbpool import CsvRows
from tests.cli.tool import PATIENCE_S, ended, numbers, run, start
from tests.support.clusters import cluster_of
from tests.support.databases import Database
from tests.support.pools import pool_of, until, witness_of


async def test_a_job_can_be_stopped_and_goes_on(shop: Database, tmp_path: Path) -> None:
    async with witness_of(shop) as witness:
        await witness.run("create table done (id int)")
        sql = "insert into done select $1::int from pg_sleep(0.002)"
        words = ["bulk", sql, "--params", numbers(tmp_path, 3000), "--job", "fill"]
        process = await start(*words, dsn=shop.dsn)

        async def has_begun() -> bool:
            return bool(await witness.value("select count(*) > 0 from dbpool_job_chunk"))

        await until(has_begun, PATIENCE_S)
        process.send_signal(signal.SIGINT)
        code, _, stderr = await ended(process)
        assert (code, stderr) == (130, "dbpool bulk: stopped; what was stored stays stored\n")
        code, stdout, _ = await run("jobs", "list", dsn=shop.dsn)
        assert stdout.startswith("fill: stopped, ")
        code, stdout, stderr = await run("jobs", "resume", "fill", "--params", words[3], "--json", dsn=shop.dsn)
        assert code == 0, stderr
        assert json.loads(stdout)["skipped"] > 0
        assert await witness.value("select count(*), count(distinct id) from done") == 3000
        code, stdout, stderr = await run(*words, dsn=shop.dsn)
        assert (code, stderr.split(", in")[0]) == (0, "job 'fill': 3,000 stored before")


async def test_a_job_that_was_begun_in_other_chunks_goes_on_in_them(shop: Database, tmp_path: Path) -> None:
    ids = numbers(tmp_path, 250)
    async with witness_of(shop) as witness, pool_of(shop) as db:
        await witness.run("create table done (id int)")
        sql = await db.taking_text("insert into done values ($1)")
        await db.job("fill", sql, CsvRows(ids), chunk=100).run()
        code, _, stderr = await run("jobs", "resume", "fill", "--params", ids, dsn=shop.dsn)
        assert (code, stderr.split(", in")[0]) == (0, "job 'fill': 250 stored before")


async def test_a_job_that_waits_for_stdin_can_be_stopped(shop: Database) -> None:
    async with witness_of(shop) as witness:
        await witness.run("create table done (id int)")
        words = ["bulk", "insert into done values ($1)", "--job", "fill"]
        process = await start(*words, dsn=shop.dsn, stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.write(b"".join(b"%d\n" % n for n in range(600)))

        async def has_begun() -> bool:
            return bool(await witness.value("select count(*) > 0 from done"))

        await until(has_begun, PATIENCE_S)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            assert await process.wait() == 130
        process.stdin.close()
        assert await witness.value("select count(*) from done") == 500


@pytest.mark.slow
async def test_a_job_is_spread_over_a_cluster(shop: Database, tmp_path: Path) -> None:
    ids = numbers(tmp_path, 3000)
    async with witness_of(shop) as witness, cluster_of(2) as cluster:
        await witness.run("create table seen (n int not null)")
        words = ["bulk", "insert into seen values ($1)", "--params", ids, "--dask", cluster.address]
        code, _, err = await run(*words, dsn=shop.dsn)
        assert (code, "give it a name with --job" in err) == (2, True), err
        code, out, err = await run(*words, "--job", "seen", "--json", dsn=shop.dsn)
        assert code == 0, err
        assert (json.loads(out)["done"], json.loads(out)["state"]) == (3000, "done")
        assert await witness.rows("select count(*), count(distinct n) from seen") == [(3000, 3000)]
        resume = ["jobs", "resume", "seen", "--params", ids, "--dask"]
        code, _, err = await run(*resume, cluster.address, dsn=shop.dsn)
        assert (code, "3,000 stored before" in err) == (0, True), err
    code, _, err = await run(*resume, "tcp://127.0.0.1:1", dsn=shop.dsn)
    assert code == 1
    assert err.startswith("dbpool jobs resume: no Dask scheduler answers at tcp://127.0.0.1:1"), err


async def test_a_jobs_rejects_are_shown_and_run_again(shop: Database, tmp_path: Path) -> None:
    async with witness_of(shop) as witness:
        await witness.run("create table done (id int check (id <> 7))")
        words = ["bulk", "insert into done values ($1::int)", "--params", numbers(tmp_path, 20), "--job", "fill"]
        code, _, stderr = await run(*words, "--keep-going", dsn=shop.dsn)
        assert (code, stderr.split(", in")[0]) == (3, "job 'fill': 19 stored, 1 put aside")
        code, stdout, _ = await run("jobs", "show", "fill", dsn=shop.dsn)
        assert 'item 7: ["7"]' in stdout
        assert "violates check constraint" in stdout
        await witness.run("alter table done drop constraint done_id_check")
        code, _, stderr = await run("jobs", "retry-rejects", "fill", dsn=shop.dsn)
        assert code == 0, stderr
        assert await witness.value("select count(*) from done") == 20
        code, _, _ = await run("jobs", "forget", "fill", dsn=shop.dsn)
        assert code == 0
        code, _, stderr = await run("jobs", "show", "fill", dsn=shop.dsn)
        assert (code, stderr) == (1, "dbpool jobs show: there is no job 'fill' in this database\n")
