"""``dbpool loadtest overload``, ``storm``, ``soak`` and ``fleet``, each time in a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.cli.loadtesting import ended, run, script, start, told
from tests.support.databases import Database
from tests.support.pools import PATIENCE_S, role_in, until, witness_of
from tests.support.stands import check_section

QUICK = ("-T", "1", "--warmup", "0.2", "--pool-size", "2")
COMMANDS = ("overload", "storm", "soak", "fleet")


async def document_of(command: str, *words: str, dsn: str, code: int = 0) -> dict[str, Any]:
    returned, out, err = await run(command, *words, "--json", dsn=dsn)
    assert returned == code, err
    document: dict[str, Any] = json.loads(out)
    assert document["run"]["command"] == command
    if code == 0:
        check_section(command, document[command])
    return document


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(command: str) -> None:
    code, out, _ = told(command, "--help")
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith(f"Example:  dbpool loadtest {command} ") for line in lines), out
    assert any(line.startswith("Exit codes: 0 ") for line in lines), out


@pytest.mark.slow
async def test_a_soak_measures_the_peak_of_which_it_offers_a_part(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    words = (*QUICK, "-f", file, "--minutes", "0.02", "--threshold", "error_rate<=0")
    document = await document_of("soak", *words, dsn=database.dsn)
    peak, soak = document["points"]
    assert (peak["stage"], soak["stage"], document["soak"]["point"]) == ("calibrate", "soak", soak["id"])
    assert soak["offered_rate"] == pytest.approx(0.7 * peak["tps"]["mean"])
    assert document["thresholds"] == [{"expr": "error_rate<=0", "value": 0.0, "ok": True, "point": soak["id"]}]


@pytest.mark.slow
async def test_a_whole_run_ends_with_a_soak_at_the_size_it_found(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    words = ("-T", "0.5", "--warmup", "0", "--pool-size", "1,2", "--repeat", "1", "-f", file, "--soak", "0.02")
    skipped = ("--skip", "queue", "--skip", "overload", "--skip", "storm")
    code, out, err = await run("run", *words, *skipped, "--json", dsn=database.dsn)
    document = json.loads(out)
    assert code == 0, err
    soak = document["points"][document["soak"]["point"]]
    expected = document["recommendation"]["expected"]
    assert (soak["stage"], soak["pool_size"]) == ("soak", expected["size"])
    assert soak["offered_rate"] == pytest.approx(0.7 * expected["tps"])


async def test_a_fleet_is_refused_by_the_limit_of_its_role(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    async with role_in(database, limit=4) as dsn:
        words = (*QUICK, "-f", file, "--instances", "2", "--surge", "1", "--force")
        document = await document_of("fleet", *words, dsn=dsn)
        (step,) = document["fleet"]["steps"]
        assert set(step["refusals"]) == {"53300.role_limit"}
        assert [event["kind"] for event in document["events"]] == ["stage", "refused"]


@pytest.mark.slow
async def test_what_others_need_is_not_taken(database: Database) -> None:
    async with witness_of(database):
        for words in (
            ("storm", "--connections", "500"),
            ("fleet", "--instances", "100", "--pool-size", "100"),
            ("overload", "--pool-size", "9999"),
            ("soak", "--pool-size", "9999"),
        ):
            code, out, err = await run(*words, "-f", "tests.cli.test_loadtest_stages:nothing", dsn=database.dsn)
            assert (code, out) == (6, ""), err
            assert "--force" in err


async def nothing(connection: object, client: object) -> None:
    """A transaction that does nothing."""


@pytest.mark.slow
async def test_nothing_that_went_well_is_no_peak(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select 1 / 0")
    document = await document_of("overload", *QUICK, "-f", file, dsn=database.dsn, code=1)
    assert document["run"]["status"] == "failed"
    assert document["overload"] is None
    assert "there is no peak to start from" in " ".join(warning["text"] for warning in document["warnings"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("overload", ("--peak-tps", "50", "-L", "500")),
        ("storm", ("--connections", "20", "--force")),
        ("soak", ("--peak-tps", "50")),
        ("fleet", ("--surge", "1")),
    ],
)
async def test_a_signal_ends_it_with_what_there_was(
    database: Database, tmp_path: Path, command: str, words: tuple[str, ...]
) -> None:
    file = script(tmp_path, "select pg_sleep(0.01)")
    common = ("--warmup", "0", "-T", "60", "--pool-size", "2", "-f", file, "--json")
    process = await start(command, *common, *words, dsn=database.dsn)
    async with witness_of(database) as witness:
        await until(lambda: _loading(witness.value, "bystander" if command == "storm" else "load"), 5 * PATIENCE_S)
        await asyncio.sleep(1.2)  # what was measured in a second or so
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
        assert code == 130, err
        document = json.loads(out)
        assert document["run"]["status"] == "interrupted"
        check_section(command, document[command])
        await witness.until_alone()


async def _loading(value: object, role: str) -> bool:
    sql = f"select count(*) from pg_stat_activity where application_name like 'dbpool-loadtest/%/{role}'"
    return bool(await value(sql))  # type: ignore[operator]


async def test_a_storm_is_not_for_a_server_that_others_use(database: Database, tmp_path: Path) -> None:
    file = script(tmp_path, "select 1")
    async with witness_of(database):
        code, out, err = await run("storm", *QUICK, "-f", file, dsn=database.dsn)
    assert (code, out) == (6, "")
    assert "a storm is felt by all, and 1 session of others is on this server now: --force it" in err
