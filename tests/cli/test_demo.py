"""The demo as its user meets it: a process, its output, its exit code, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.cli.command import SMALL, Demo, demo
from tests.support.databases import Database
from tests.support.pools import role_in, until, witness_of

pytestmark = pytest.mark.timeout(45)


@asynccontextmanager
async def demo_in_the_middle(database: Database, *arguments: str) -> AsyncIterator[tuple[Demo, str]]:
    """A demo on the database's server, as soon as its pool is in use, with the name of the database that it made."""
    async with (
        witness_of(database) as witness,
        demo(*SMALL, "--seconds", "30", *arguments, dsn=database.dsn) as process,
    ):

        async def named() -> object:
            return await witness.value(
                "select w.datname from pg_stat_activity w join pg_stat_activity p "
                "on p.application_name = w.application_name || ' watcher' and p.datname = $1 limit 1",
                database.name,
            )

        yield process, str(await until(named))


async def has_database(database: Database, name: str) -> bool:
    async with witness_of(database) as witness:
        return bool(await witness.value("select count(*) from pg_database where datname = $1", name))


async def results(database: Database, *arguments: str) -> dict[str, Any]:
    async with demo(*SMALL, "--json", *arguments, dsn=database.dsn) as process:
        exit_code, stdout, stderr = await process.end()
    assert (exit_code, stderr) == (0, "")
    document = json.loads(stdout)
    assert isinstance(document, dict)
    return document


async def test_the_results_are_one_document_which_says_that_the_bound_held(database: Database) -> None:
    document = await results(database, "--connections", "4")
    assert document["ok"] is True
    assert document["problems"] == []
    assert document["bound"] == 4
    assert 1 <= document["server_connections_max"] <= 4
    assert document["server_connections_looks"] >= 3
    assert document["orders"] == 2000
    assert document["queries"] > 100
    assert 0 < document["p50_ms"] <= document["p90_ms"] <= document["p99_ms"] <= document["longest_ms"]
    assert document["transfer_retries"] > 0
    assert document["balance_after_cents"] == document["balance_before_cents"]
    assert "2 of 2 permits held" in document["acquire_timeout_message"]
    assert "max_waiting" in document["line_full_message"]
    assert "in _month_end, in a transaction, SQL: SELECT count(*) FROM orders" in document["acquire_timeout_message"]
    assert "greedy" in document["deadlock_message"]
    assert 0 < document["first_result_s"] < document["total_s"]


@pytest.mark.slow
async def test_the_same_seed_gives_the_same_data_set(database: Database) -> None:
    documents = [await results(database, "--seconds", "0.1", "--seed", seed) for seed in ("7", "7", "8")]
    first, second, other = [document["dataset_checksum"] for document in documents]
    assert first == second != other


async def test_one_of_everything_is_enough(database: Database) -> None:
    document = await results(database, "--connections", "1", "--callers", "1", "--orders", "1")
    assert (document["ok"], document["orders"], document["server_connections_max"]) == (True, 1, 1)


async def test_without_a_server_it_brings_its_own_which_is_gone_afterwards() -> None:
    async with demo(*SMALL, dsn=None) as process:
        exit_code, stdout, stderr = await process.end()
    assert (exit_code, stderr) == (0, "")
    assert "an embedded PostgreSQL" in stdout
    assert "never counted more than 10 connections" in stdout
    assert "\x1b" not in stdout
    assert not [line for line in stdout.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
async def test_a_signal_ends_it_in_one_line_and_nothing_is_left(database: Database, number: signal.Signals) -> None:
    async with demo_in_the_middle(database) as (process, name):
        assert await has_database(database, name)
        process.send_signal(number)
        exit_code, _, stderr = await process.end()
    assert (exit_code, stderr) == (128 + number, f"dbpool demo: stopped by {number.name}; nothing is left of it\n")
    assert not await has_database(database, name)


async def test_nothing_is_left_after_it_was_shown(database: Database) -> None:
    async with demo_in_the_middle(database, "--seconds", "0.5") as (process, name):
        assert (await process.end())[0] == 0
    assert not await has_database(database, name)


@pytest.mark.slow
async def test_a_terminal_sees_it_live_and_gets_its_cursor_back(database: Database) -> None:
    async with demo(*SMALL, dsn=database.dsn, columns=60) as process:
        exit_code, shown, _ = await process.end()
    assert exit_code == 0
    assert "wait in line" in shown
    assert "a second" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert shown.index("\x1b[?25l") < shown.rindex("\x1b[?25h")


async def test_ctrl_c_at_a_terminal_gives_the_cursor_back(database: Database) -> None:
    async with demo(*SMALL, "--seconds", "30", dsn=database.dsn, columns=80) as process:
        await process.shown("wait in line")
        process.type("\x03")
        exit_code, shown, _ = await process.end()
    assert exit_code == 130
    assert shown.rstrip().endswith("dbpool demo: stopped by SIGINT; nothing is left of it")
    assert "Traceback" not in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


async def test_json_at_a_terminal_is_still_all_of_stdout(database: Database) -> None:
    async with demo(*SMALL, "--json", dsn=database.dsn, columns=80, stdout=subprocess.PIPE) as process:
        exit_code, stdout, shown = await process.end()
    assert exit_code == 0
    assert json.loads(stdout)["ok"] is True
    assert "wait in line" in shown


async def test_an_unreachable_server_is_told_in_a_sentence_without_the_password() -> None:
    async with demo(*SMALL, dsn="postgresql://user:geheim@127.0.0.1:1/shop") as process:
        exit_code, _, stderr = await process.end()
    assert exit_code == 1
    assert stderr.startswith("dbpool demo: no connection to database 'shop' at 127.0.0.1:1")
    assert len(stderr.splitlines()) == 1
    assert "geheim" not in stderr


async def test_a_role_that_may_make_no_database_is_told_what_to_do(database: Database) -> None:
    async with role_in(database) as dsn, demo(*SMALL, dsn=dsn) as process:
        exit_code, _, stderr = await process.end()
    assert exit_code == 1
    assert "CREATEDB" in stderr
    assert len(stderr.splitlines()) == 1


async def test_more_connections_than_the_server_has_are_refused_before_anything_is_made(database: Database) -> None:
    async with demo(*SMALL, "--connections", "1000", dsn=database.dsn) as process:
        exit_code, _, stderr = await process.end()
    assert exit_code == 1
    assert "lower --connections to" in stderr


async def test_a_reader_who_goes_away_ends_it_quietly(database: Database) -> None:
    reading, writing = os.pipe()
    async with demo(*SMALL, dsn=database.dsn, stdout=writing) as process:
        os.close(writing)
        await asyncio.to_thread(os.read, reading, 1)
        os.close(reading)
        exit_code, _, stderr = await process.end()
    assert (exit_code, stderr) == (1, "")
