"""The commands for many rows, each in a process of its own."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from dbpool import CsvRows
from tests.support.clusters import cluster_of
from tests.support.databases import Database
from tests.support.pools import pool_of, until, witness_of

MAIN = "from dbpool.cli import main; main(prog_name='dbpool')"
PATIENCE_S = 40.0


async def start(*words: str, dsn: str, stdin: int = asyncio.subprocess.DEVNULL) -> asyncio.subprocess.Process:
    env = {**os.environ, "DATABASE_URL": dsn, "COLUMNS": "100"}
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", MAIN, *words, stdin=stdin, stdout=pipe, stderr=pipe, env=env
    )


async def ended(process: asyncio.subprocess.Process, text: str | None = None) -> tuple[int, str, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate(None if text is None else text.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def run(*words: str, dsn: str) -> tuple[int, str, str]:
    return await ended(await start(*words, dsn=dsn))


def numbers(folder: Path, count: int, name: str = "ids.csv") -> str:
    path = folder / name
    path.write_text("id\n" + "".join(f"{n}\n" for n in range(1, count + 1)))
    return str(path)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("command", ["bulk", "load", "export"])
async def test_help_has_the_example_and_the_exit_codes_in_lines_of_their_own(command: str) -> None:
    code, out, _ = await run(command, "--help", dsn="")
    lines = [line.strip() for line in out.splitlines()]
    assert code == 0
    assert any(line.startswith(f"Example:  dbpool {command} ") for line in lines), out
    assert any(line.startswith("Exit codes: 0 ") for line in lines), out


# dbpool bulk


async def test_bulk_writes_a_line_for_each_row_in_order(database: Database, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    words = ["select $1::int * 2 as double", "--params", numbers(tmp_path, 2000), "--out", str(out)]
    code, stdout, stderr = await run("bulk", *words, dsn=database.dsn)
    assert (code, stdout) == (0, ""), stderr
    assert "2,000 items in" in stderr
    assert lines(out) == [{"item": [str(n)], "rows": [{"double": 2 * n}]} for n in range(1, 2001)]


async def test_bulk_reads_lines_of_json_from_stdin_and_writes_to_stdout(database: Database) -> None:
    process = await start(
        "bulk", "select $1::int + $2::int as sum", "--json", dsn=database.dsn, stdin=asyncio.subprocess.PIPE
    )
    code, stdout, stderr = await ended(process, "[1, 2]\n[3, 4]\n")
    assert [json.loads(line)["rows"] for line in stdout.splitlines()] == [[{"sum": 3}], [{"sum": 7}]]
    assert (code, json.loads(stderr)["items"]) == (0, 2)


async def test_bulk_gives_up_at_the_first_error_or_goes_on(database: Database, tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"
    words = ["bulk", "select 6 / ($1::int - 3) as n", "--params", numbers(tmp_path, 50), "--out", str(out)]
    code, _, stderr = await run(*words, dsn=database.dsn)
    assert code == 1
    assert stderr == "dbpool bulk: DivisionByZeroError: division by zero (ids.csv, line 4)\n"
    code, stdout, _ = await run(*words, "--keep-going", "--json", dsn=database.dsn)
    assert (code, json.loads(stdout)["failed"]) == (3, 1)
    assert lines(out)[2] == {
        "item": ["3"],
        "error": "DivisionByZeroError: division by zero",
        "where": "ids.csv, line 4",
    }


async def test_bulk_explains_itself_and_sends_nothing(database: Database, tmp_path: Path) -> None:
    words = ["bulk", "select random() + $1::int", "--params", numbers(tmp_path, 9), "--explain"]
    code, stdout, _ = await run(*words, dsn=database.dsn)
    assert code == 0
    assert stdout.startswith("many: one statement for each item, sent together; no quicker form, for random()")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_the_reading_and_what_was_read_is_answered(
    database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    out = tmp_path / "out.ndjson"
    sql = "select pg_sleep(0.002), $1::int as n"  # nothing is written before 500 of them are answered
    process = await start("bulk", sql, "--params", numbers(tmp_path, 100_000), "--out", str(out), dsn=database.dsn)

    async def has_begun() -> bool:
        return out.exists() and out.stat().st_size > 0

    await until(has_begun, PATIENCE_S)
    process.send_signal(number)
    code, _, stderr = await ended(process)
    assert code == 130
    assert "stopped early" in stderr
    assert [line["item"] for line in lines(out)] == [[str(n)] for n in range(1, len(lines(out)) + 1)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_lines_of_a_slow_producer_are_answered_as_they_come_until_a_signal(
    database: Database, number: signal.Signals
) -> None:
    process = await start("bulk", "select $1::int as n", dsn=database.dsn, stdin=asyncio.subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        for n in range(3):
            process.stdin.write(f"{n}\n".encode())
            assert json.loads(await process.stdout.readline()) == {"item": [str(n)], "rows": [{"n": n}]}
        process.send_signal(number)  # stdin stays open
        stderr = (await process.stderr.read()).decode() if process.stderr is not None else ""
        assert await process.wait() == 130, stderr
    assert "3 items in" in stderr
    assert "stopped early" in stderr
    process.stdin.close()


async def test_ctrl_c_ends_what_is_typed_at_a_terminal(database: Database) -> None:
    terminal, its_end = pty.openpty()
    leads = f"import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); {MAIN}"  # so that Ctrl-C reaches it
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", leads, "bulk", "select $1::int + 41 as n"),
        stdin=its_end,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "DATABASE_URL": database.dsn},
        start_new_session=True,
    )
    os.close(its_end)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        os.write(terminal, b"1\n")
        assert json.loads(await process.stdout.readline())["rows"] == [{"n": 42}]
        os.write(terminal, b"\x03")
        code, stdout, stderr = await ended(process)
    os.close(terminal)
    assert (code, stdout) == (130, "")
    assert "1 items in" in stderr


async def test_a_signal_ends_the_reading_of_a_named_pipe(database: Database, tmp_path: Path) -> None:
    pipe = tmp_path / "ids.csv"
    os.mkfifo(pipe)
    process = await start("bulk", "select $1::int", "--params", str(pipe), dsn=database.dsn)
    writing = -1

    async def is_read() -> bool:
        nonlocal writing
        with suppress(OSError):  # as long as nobody reads
            writing = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        return writing >= 0

    await until(is_read, PATIENCE_S)
    process.send_signal(signal.SIGTERM)
    code, stdout, stderr = await ended(process)
    os.close(writing)
    assert (code, stdout) == (130, "")
    assert "0 items in" in stderr


async def test_a_reader_that_has_had_enough_is_no_error(database: Database, tmp_path: Path) -> None:
    process = await start("bulk", "select $1::int", "--params", numbers(tmp_path, 50_000), dsn=database.dsn)
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - its only end
    async with asyncio.timeout(PATIENCE_S):
        stderr = await process.stderr.read()
        assert await process.wait() == 0
    assert stderr == b""


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["selec $1", "--explain"], 1, 'dbpool bulk: PostgresSyntaxError: syntax error at or near "selec"'),
        (["select 1; select $1"], 1, "dbpool bulk: 2 statements in one call"),
        (["select $1::int", "--params", "gone.csv"], 1, "dbpool bulk: gone.csv cannot be read: No such file"),
        (["select $1::int", "--params", "x.txt"], 1, "dbpool bulk: x.txt ends in neither .csv"),
        (["select $1::int", "--rate", "0"], 2, "0.0 is not in the range x>0"),
        (["select $1::int", "--dsn", "nonsense"], 2, "Invalid value for '--dsn'"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    database: Database, words: Sequence[str], code: int, sentence: str
) -> None:
    ended_with, _, stderr = await run("bulk", *words, dsn=database.dsn)
    assert ended_with == code
    assert sentence in stderr
    assert "Traceback" not in stderr


async def test_a_terminal_shows_a_bar(database: Database, tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    words = [
        "bulk",
        "select pg_sleep(0.002), $1::int",
        "--params",
        numbers(tmp_path, 1500),
        "--out",
        str(tmp_path / "o"),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MAIN, *words),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=its_end,
        env={**os.environ, "DATABASE_URL": database.dsn, "TERM": "xterm-256color"},
    )
    os.close(its_end)
    shown = b""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                shown += await asyncio.to_thread(os.read, terminal, 65536)
            except OSError:
                break
        assert await process.wait() == 0
    os.close(terminal)
    assert "━".encode() in shown
    assert b"/s, 0 failed" in shown
    assert b"1,500 items in" in shown


# dbpool load, dbpool export


async def test_load_and_export_are_each_others_inverse(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table t (id int primary key, name text)")
        source, target = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_text("id,name\n" + "".join(f"{n},name {n}\n" for n in range(5000)))
        code, stdout, stderr = await run("load", "t", str(source), "--json", dsn=database.dsn)
        assert (code, json.loads(stdout)["rows"]) == (0, 5000), stderr
        code, _, stderr = await run("export", "t", str(target), dsn=database.dsn)
        assert code == 0, stderr
        assert "5,000 rows" in stderr
        assert sorted(target.read_text().splitlines()[1:]) == sorted(source.read_text().splitlines()[1:])
        code, stdout, _ = await run("export", "select count(*) from t", "--format", "csv", dsn=database.dsn)
        assert (code, stdout.split()) == (0, ["count", "5000"])


async def test_load_sets_rows_aside_that_cannot_be_stored(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table t (id int primary key)")
        source, rejects = tmp_path / "in.csv", tmp_path / "rejects.csv"
        source.write_text("id\n1\ntwo\n3\n3\n")
        code, _, stderr = await run("load", "t", str(source), dsn=database.dsn)
        assert code == 1
        assert stderr.startswith("dbpool load: ")
        code, _, stderr = await run("load", "t", str(source), "--rejects", str(rejects), dsn=database.dsn)
        assert code == 3
        assert "2 rejected" in stderr
        assert await witness.value("select count(*) from t") == 2
        assert "two" in rejects.read_text()


# dbpool jobs


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
