"""The commands for many rows, each in a process of its own."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
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

from tests.cli.tool import MAIN, PATIENCE_S, ended, lines, numbers, run, start
from tests.support.databases import Database
from tests.support.pools import until, witness_of


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


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("'NaN'::float8", '"NaN"'),
        ("'-Infinity'::float4", '"-Infinity"'),
        ("array['Infinity'::float8, 0.1]", '["Infinity", 0.1]'),
        ("'NaN'::numeric", '"NaN"'),
        (r"'\x00ff'::bytea", r'"\\x00ff"'),
        ("""'{"b": [1.50, 1e400], "a": null}'::json""", '{"b": [1.50, 1e400], "a": null}'),
        ("""'["é"]'::jsonb""", '["é"]'),
        ("'null'::jsonb", "null"),
        ("null::jsonb", "null"),
        ("row(1, true)", "[1, true]"),
        ("date '2026-01-31'", '"2026-01-31"'),
        (r"E'a\tb\"'", r'"a\tb\""'),
    ],
)
async def test_bulk_writes_what_json_has_no_number_or_type_for_as_text(
    database: Database, tmp_path: Path, column: str, text: str
) -> None:
    sql = f"select {column} as c from (select $1::int) p"
    code, stdout, stderr = await run("bulk", sql, "--params", numbers(tmp_path, 1), dsn=database.dsn)
    assert (code, stdout) == (0, f'{{"item": ["1"], "rows": [{{"c": {text}}}]}}\n'), stderr


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


@pytest.mark.parametrize(("sql", "code"), [("select $1::int", 0), ("select 1 / ($1::int - 1)", 3)])
async def test_a_reader_that_has_had_enough_is_no_error(
    database: Database, tmp_path: Path, sql: str, code: int
) -> None:
    words = ["bulk", sql, "--params", numbers(tmp_path, 50_000), "--keep-going"]
    process = await start(*words, dsn=database.dsn)
    assert process.stdout is not None
    assert process.stderr is not None
    await process.stdout.readline()
    process.stdout._transport.close()  # type: ignore[attr-defined] # noqa: SLF001 - its only end
    async with asyncio.timeout(PATIENCE_S):
        stderr = await process.stderr.read()
        assert await process.wait() == code
    assert stderr == b""


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["selec $1", "--explain"], 1, 'dbpool bulk: PostgresSyntaxError: syntax error at or near "selec"'),
        (["select 1; select $1"], 2, "dbpool bulk: 2 statements in one call"),
        (["/**/"], 2, "dbpool bulk: no statement"),
        (["select $1::int, $1::int"], 2, "dbpool bulk: 2 columns are called 'int4'"),
        (["select $1::int", "--params", "ids.csv", "--delimiter", ""], 2, "delimiter must be one character"),
        (["select $1::int", "--params", "ids.csv", "--columns", "x"], 2, "ids.csv has no column 'x'; it has 'id'"),
        (["select $1::int, $2::int as b", "--params", "ids.csv"], 1, "InterfaceError: the server expects 2 arguments"),
        (["select $1::int", "--params", "ids.csv.gz"], 1, "ids.csv.gz, line 1: Compressed file ended before"),
        (["select $1::jsonb", "--params", "deep.jsonl"], 1, "deep.jsonl, line 1: it is nested too deeply"),
        (["select $1::int", "--params", "gone.csv"], 1, "dbpool bulk: gone.csv cannot be read: No such file"),
        (["select $1::int", "--params", "x.txt"], 2, "dbpool bulk: x.txt ends in neither .csv"),
        (["select $1::int", "--rate", "0"], 2, "0.0 is not in the range x>0"),
        (["select $1::int", "--dsn", "nonsense"], 2, "Invalid value for '--dsn'"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(
    database: Database, tmp_path: Path, words: Sequence[str], code: int, sentence: str
) -> None:
    (tmp_path / "ids.csv").write_text("id\n1\n")
    (tmp_path / "ids.csv.gz").write_bytes(gzip.compress(b"id\n1\n")[:12])
    (tmp_path / "deep.jsonl").write_text("[" * 100_000)
    words = [str(tmp_path / word) if word.endswith(("ids.csv", ".gz", ".jsonl")) else word for word in words]
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
