"""``dbpool loadtest sweep``, ``run`` and ``analyze``: a limit that is known is found, named, and reported."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dbpool.embedded import EmbeddedPostgres
from tests.cli.loadtesting import ended, run, script, start, told
from tests.support.databases import Database
from tests.support.pools import dsn_with, role_in, until, witness_of

pytestmark = pytest.mark.timeout(150)
SHORT = ("-T", "0.6", "--warmup", "0.1", "-P", "0")
# two at a time, however many ask: a server whose knee is known
TWO_AT_A_TIME = """\\set k :client_id % 2
begin;
select pg_advisory_xact_lock(:k);
select pg_sleep(0.01);
end;
"""
SURELY = ("--quick", "-T", "1.2", "--enough", "0.8", "-L", "1000")  # also on a busy machine
SLEEP = "select pg_sleep(0.02)"


@pytest.fixture
async def here() -> AsyncIterator[Database]:
    """A server that is known to share this machine: what else goes on here, is then no limit of the generator's."""
    async with EmbeddedPostgres() as server:
        yield Database("postgres", server.dsn())


async def swept(*words: str, dsn: str, code: int = 0, command: str = "sweep") -> dict[str, Any]:
    returned, out, err = await run(command, *SHORT, *words, "--json", dsn=dsn)
    assert returned == code, err
    document: dict[str, Any] = json.loads(out)
    return document


def check_knee(document: dict[str, Any]) -> None:
    """What is found of TWO_AT_A_TIME, each time that it is looked for."""
    knee, advice = document["knee"], document["recommendation"]
    assert knee["status"] == "BOUNDED", knee
    assert 2 <= knee["size"] <= 4
    assert 100 < knee["peak_tps"] <= 205  # two every 10 ms
    assert advice["pool_size"] == knee["size"]
    assert advice["grade"] in ("A", "B", "C")
    assert f"max_connections={knee['size']}" in advice["code"]


@pytest.mark.slow
async def test_a_limit_inside_the_server_is_the_knee(here: Database, tmp_path: Path) -> None:
    file = script(tmp_path, TWO_AT_A_TIME)
    check_knee(await swept("--pool-size", "1,2,4,8", "--repeat", "1", *SURELY, "-f", file, dsn=here.dsn))


@pytest.mark.slow
async def test_the_limit_of_a_role_is_named_and_no_session_stays(here: Database, tmp_path: Path) -> None:
    file = script(tmp_path, SLEEP)
    async with role_in(here, limit=7) as dsn:
        document = await swept("--pool-size", "1..32", "--quick", "--force", "-L", "1000", "-f", file, dsn=dsn)
        async with witness_of(here) as witness:
            await witness.until_alone()
    advice, knee = document["recommendation"], document["knee"]
    assert (knee["status"], knee["refused"]) == ("LOWER_BOUND", True)
    assert advice["pool_size"] == 6  # the seventh is the one that looks
    assert advice["binding"] == "the slots that each instance can have"
    assert "the role's connection limit (7)" in advice["reasons"][0]


@pytest.mark.slow
async def test_the_limit_of_a_database_is_named(here: Database, tmp_path: Path) -> None:
    async with role_in(here) as dsn:
        async with witness_of(here) as witness:
            await witness.run(f'alter database "{here.name}" connection limit 6')
        words = ("--pool-size", "1..32", "--quick", "--force", "-L", "1000", "-f", script(tmp_path, SLEEP))
        document = await swept(*words, dsn=dsn)
    assert document["recommendation"]["pool_size"] == 5
    assert "the database's connection limit (6)" in document["recommendation"]["reasons"][0]


@pytest.mark.slow
async def test_reserved_slots_are_named(tmp_path: Path) -> None:
    settings = {"max_connections": "10", "superuser_reserved_connections": "3"}
    async with EmbeddedPostgres(settings=settings) as small:
        async with witness_of(small.dsn()) as witness:
            await witness.run("create role ordinary login password 'pw'")
        dsn = dsn_with(small.dsn(), user="ordinary", password="pw")
        words = ("--pool-size", "1..32", "--quick", "--force", "-L", "1000", "-f", script(tmp_path, SLEEP))
        document = await swept(*words, dsn=dsn)
    assert document["recommendation"]["pool_size"] == 6
    assert "max_connections less the reserved slots (7)" in document["recommendation"]["reasons"][0]


@pytest.mark.slow
async def test_a_server_that_refuses_what_was_listed_is_heard(here: Database, tmp_path: Path) -> None:
    async with role_in(here, limit=5) as dsn:
        words = ("--pool-size", "2,4,8", "--force", "--repeat", "1", "-L", "1000", "-f", script(tmp_path, SLEEP))
        document = await swept(*words, dsn=dsn)
    assert any(event["kind"] == "refused" and "the role has all" in event["text"] for event in document["events"])
    assert document["knee"]["refused"]
    assert document["recommendation"]["pool_size"] == 4


@pytest.mark.slow
async def test_instances_share_what_there_is(here: Database, tmp_path: Path) -> None:
    async with role_in(here, limit=20) as dsn:
        words = ("--pool-size", "2,4,8", "--repeat", "1", "-L", "1000", "-f", script(tmp_path, SLEEP))
        document = await swept(*words, "--instances", "3", "--surge", "2", "--reserve", "2", dsn=dsn)
        refused, _, err = await run("sweep", *SHORT, "--pool-size", "1..40", "-f", script(tmp_path, SLEEP), dsn=dsn)
    advice = document["recommendation"]
    assert (advice["per_instance"], advice["pool_size"]) == (3, 9)
    assert document["budget"]["share"] == 3
    assert {entry["fits"] for entry in document["budget"]["rows"] if entry["pool_size"] <= 3} == {True}
    assert {entry["fits"] for entry in document["budget"]["rows"] if entry["pool_size"] > 3} == {False}
    assert refused == 6
    assert "41 connections" in err


@pytest.mark.slow
async def test_a_slow_generator_recommends_nothing(database: Database, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\n\nasync def think(connection, client):\n    await connection.fetch('select 1')\n"
        "    time.sleep(0.02)\n"
    )
    words = ("--quick", "--pool-size", "1..8", "-j", "1", "-f", "slow:think", "--json", "--strict")
    process = await start("sweep", *SHORT, *words, dsn=database.dsn, folder=tmp_path)
    code, out, err = await ended(process)
    assert code == 5, err
    document = json.loads(out)
    assert document["knee"]["status"] == "GENERATOR_BOUND"
    assert document["recommendation"]["grade"] == "no recommendation"
    assert document["recommendation"]["pool_size"] is None


@pytest.mark.slow
async def test_a_whole_run_leaves_its_report_and_is_judged_again(here: Database, tmp_path: Path) -> None:
    folder, file = tmp_path / "report", script(tmp_path, TWO_AT_A_TIME)
    words = ("--pool-size", "1,2,4,8", "--repeat", "1", *SURELY, "-f", file, "-o", str(folder))
    skipped = ("--skip", "queue", "--skip", "overload")  # which take longest, and have tests of their own
    thresholds = ("--threshold", "tps>1", "--threshold", "recommended_size<=8", "--threshold", "error_rate<1%")
    code, out, err = await run("run", *SHORT, *words, *skipped, *thresholds, dsn=here.dsn)
    assert code == 0, err
    assert "Throughput by pool size" in out
    assert {each.name for each in folder.iterdir()} == {"run.json", "report.html", "report.md", "timeline.ndjson"}
    document = json.loads((folder / "run.json").read_text())
    check_knee(document)
    assert document["run"]["status"] == "complete"
    assert {entry["stage"] for entry in document["points"]} >= {"calibrate", "sweep", "storm"}
    assert [entry["name"] for entry in document["storm"]["parts"]]
    assert all(each["ok"] for each in document["thresholds"])
    kinds = [json.loads(line)["type"] for line in (folder / "timeline.ndjson").read_text().splitlines()]
    assert (kinds[0], kinds[-1]) == ("meta", "summary")
    assert {"stage", "load", "tick", "sample", "point", "event", "verdict"} <= set(kinds)
    code, out, err = await run("analyze", str(folder / "run.json"), "--json")
    assert code == 0, err
    again = json.loads(out)
    assert again["recommendation"] == document["recommendation"]
    assert again["knee"]["size"] == document["knee"]["size"]
    code, out, _ = await run("analyze", str(folder / "run.json"), "--instances", "500", "--json")
    assert json.loads(out)["recommendation"]["grade"] == "no recommendation"
    code, _, err = await run("compare", str(folder / "run.json"), str(folder / "run.json"))
    assert code == 0, err


@pytest.mark.slow
async def test_what_is_recommended_is_not_loaded_beyond_what_may_be_taken(database: Database, tmp_path: Path) -> None:
    words = ("--quick", "--pool-size", "1,2", "--repeat", "1", "--max-connections", "10", "-f", script(tmp_path, SLEEP))
    tasks = ("--tasks", "12", "--connections-each", "2", "--skip", "storm", "--skip", "queue")
    document = await swept(*words, *tasks, dsn=database.dsn, command="run")
    assert document["recommendation"]["pool_size"] == 13
    assert document["overload"]["size"] == 2
    assert max(point["pool_size"] for point in document["points"]) == 2


@pytest.mark.slow
async def test_a_signal_leaves_a_partial_report(database: Database, tmp_path: Path) -> None:
    folder, file = tmp_path / "report", script(tmp_path, SLEEP)
    words = ("-T", "0.5", "--warmup", "0", "-o", str(folder), "-f", file)
    process = await start("run", *words, dsn=database.dsn)
    line = folder / "timeline.ndjson"

    async def has_swept() -> bool:
        return line.exists() and line.read_text().count('"stage": "sweep", "driver"') >= 3

    await until(has_swept, 40.0)
    os.killpg(process.pid, signal.SIGTERM)  # Ctrl-C in test_loadtest_stages
    code, out, err = await ended(process)
    assert code == 130, err
    document = json.loads((folder / "run.json").read_text())
    assert (document["run"]["status"], document["exit_code"]) == ("interrupted", 130)
    assert document["recommendation"]["grade"] in ("C", "no recommendation")
    assert "Throughput by pool size" in out
    assert "<html" in (folder / "report.html").read_text()
    async with witness_of(database) as witness:
        await witness.until_alone()


@pytest.mark.slow
async def test_a_regression_against_a_baseline_is_exit_code_4(database: Database, tmp_path: Path) -> None:
    words = ("bench", "-T", "0.8", "--warmup", "0.1", "-c", "2", "--repeat", "3", "-P", "0")
    fast, slow = script(tmp_path, "select pg_sleep(:s)"), tmp_path / "fast.json"
    code, out, err = await run(*words, "-D", "s=0.01", "-f", fast, "--json", dsn=database.dsn)
    assert code == 0, err
    slow.write_text(out)
    code, out, err = await run(*words, "-D", "s=0.02", "-f", fast, "--baseline", str(slow), dsn=database.dsn)
    assert code == 4, err
    assert "worse" in out


def test_a_dry_run_loads_nothing(database: Database) -> None:
    code, out, _ = told("run", "--dry-run", dsn=database.dsn)
    assert code == 0
    assert "calibrate, sweep, queue, overload, storm: about 8 min, at most " in out
    few = ("run", "--dry-run", "--max-connections", "6", "--pool-size", "1..5")
    code, out, _ = told(*few, dsn=database.dsn)
    assert (code, out.endswith("at most 6 connections at once\n")) == (0, True)
    code, out, _ = told("run", "--dry-run", "--quick", "--skip", "storm")
    assert "on an embedded server: calibrate, sweep, overload: about " in out


@pytest.mark.slow
async def test_no_file_of_a_run_has_the_password(database: Database, tmp_path: Path) -> None:
    async with role_in(database, password="hunter2-secret") as dsn:
        folder = tmp_path / "report"
        words = ("--pool-size", "1", "--repeat", "1", "-f", script(tmp_path, "select 1"), "-o", str(folder))
        code, out, err = await run("sweep", *SHORT, *words, dsn, "--json")
        assert code == 0, err
    texts = [out, err, *(each.read_text() for each in folder.iterdir())]
    assert not any("hunter2" in text for text in texts)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep", "--pool-size", "2..8"), "pool sizes are like 1..64"),
        (("sweep", "--surge", "0.5"), "range"),
        (("run", "--skip", "sweep"), "sweep"),
        (("sweep", "--baseline", "nothing.json"), "does not exist"),
        (("sweep", "--json", "--timeseries", "-"), "both write to stdout"),
        (("sweep", "-o", "/proc/nowhere"), "cannot be made"),
        (("analyze", "nothing.json"), "nothing.json"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(words: tuple[str, ...], said: str) -> None:
    code, out, err = told(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


@pytest.mark.slow
async def test_a_threshold_that_is_missed_again_and_again_ends_the_run(database: Database, tmp_path: Path) -> None:
    words = ("bench", "-T", "60", "--warmup", "0", "-c", "2", "-P", "0", "-f", script(tmp_path, SLEEP), "--json")
    process = await start(*words, "--threshold", "tps>=100000", "--threshold-abort", dsn=database.dsn)
    code, out, err = await ended(process)
    document = json.loads(out)
    assert code == 3, err
    assert document["run"]["status"] == "interrupted"
    assert document["points"][0]["window_s"] < 30
    assert "stopped early" in document["warnings"][-1]["text"]
