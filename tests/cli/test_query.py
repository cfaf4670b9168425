"""``dbpool query``: at a terminal, in a pipe, into files, and what bad input gets."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbpool import UsageError
from dbpool.core.sqltext import SqlTextError
from dbpool.tool.query.question import checked_statement
from dbpool.tool.query.types import type_named
from tests.cli.tool import MAIN, PATIENCE_S, ended, run, start
from tests.support.databases import Database
from tests.support.pools import witness_of
from tests.support.terminals import Terminal, at_a_terminal

TYPES = """
from dataclasses import dataclass

@dataclass
class Item:
    id: int
    name: str | None
"""
MIXED = """
    select 7 as id, null::text as nothing, '' as empty, 12.50::numeric as price, 'größe 漢字' as name,
    E'two\\nlines \\x1b[31mred' as text
"""


@contextmanager
def shown(dsn: str, *words: str, columns: int = 80) -> Iterator[Terminal]:
    with at_a_terminal(MAIN, ["query", *words], columns=columns, lines=60, env={"DATABASE_URL": dsn}) as terminal:
        yield terminal


def lines_of(dsn: str, *words: str, columns: int = 80) -> list[str]:
    with shown(dsn, *words, columns=columns) as terminal:
        assert terminal.end() == 0, terminal.text
        return [line for line in terminal.lines if line]


async def at(dsn: str, *words: str, columns: int = 80) -> list[str]:
    return await asyncio.to_thread(lines_of, dsn, *words, columns=columns)


async def test_a_table_tells_null_from_empty_and_has_numbers_at_the_right(database: Database) -> None:
    found = await at(database.dsn, MIXED, columns=120)
    assert found[0].split() == ["id", "nothing", "empty", "price", "name", "text"]
    assert found[2].startswith(" 7  NULL            12.50  größe 漢字  two\\nlines \\x1b[31mred")
    assert found[3] == "(1 row)"


async def test_a_wide_table_says_what_it_leaves_out(database: Database) -> None:
    wide = "select 1234567890 as number, repeat('x', 200) as long, repeat('y', 20) as short"
    found = await at(database.dsn, wide)
    assert max(map(len, found[:3])) <= 80
    assert found[2].startswith("1234567890  xxx")
    assert "…" in found[2]
    assert found[3] == "(1 row; long cut: --expanded shows all)"
    many = "select " + ", ".join(f"{n}00000000 as column{n}" for n in range(1, 21))
    found = await at(database.dsn, many)
    assert "without column8, column9, column10 and 10 more: --expanded shows all" in " ".join(found[3:])


async def test_expanded_is_a_line_for_each_value(database: Database) -> None:
    found = await at(database.dsn, MIXED, "-x")
    assert found[0] == "-[ 1 ]-"
    assert "nothing  NULL" in found
    assert "text     two" in found


async def test_a_table_is_no_flood(database: Database) -> None:
    found = await at(database.dsn, "select g from generate_series(1, 10000000) g", "--limit", "3")
    assert found[-4:] == ["1", "2", "3", "(3 rows, and there are more: --limit 0 shows all)"]


async def test_a_write_is_done_though_few_of_its_rows_are_shown(database: Database) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table t (a int)")
        found = await at(database.dsn, "insert into t select generate_series(1, 500) returning a", "--limit", "2")
        assert found[-1] == "(2 rows of 500: --limit 0 shows all)"
        assert await witness.value("select count(*) from t") == 500
        assert await at(database.dsn, "insert into t values (0)") == ["INSERT 0 1"]


async def test_in_a_pipe_it_is_csv(database: Database) -> None:
    assert await run("query", "select 1 as a, null as b, '' as c", dsn=database.dsn) == (0, 'a,b,c\n1,,""\n', "")


async def test_parameters_are_read_by_the_servers_own_types(database: Database) -> None:
    sql = """select $1::int + 1 as n, $2::text[] as t, $3::timestamptz at time zone 'UTC' as at, $4::jsonb->>'a' as j,
                    $5::int4range as r, $6 || '!' as text, $7::date as nothing, '$1' as quoted"""
    parameters = ["41", "{a,'b'}", "2026-01-01 00:00+00", '{"a": "it\'s"}', "[1,5)", "back\\slash", "-", "--null", "-"]
    code, out, err = await run("query", sql, *parameters, "--format", "json", dsn=database.dsn)
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {
            "n": 42,
            "t": ["a", "'b'"],
            "at": "2026-01-01T00:00:00",
            "j": "it's",
            "r": "[1,5)",
            "text": "back\\slash!",
            "nothing": None,
            "quoted": "$1",
        }
    ]


async def test_a_negative_parameter_comes_behind_two_hyphens(database: Database) -> None:
    assert (await run("query", "select abs($1::int)", "--", "-5", dsn=database.dsn))[1] == "abs\n5\n"


@pytest.mark.parametrize(
    ("name", "words", "written"),
    [
        ("out.ndjson", [], '{"a":1}\n{"a":2}\n'),
        ("out", ["--format", "json"], '[\n{"a":1},\n{"a":2}\n]\n'),
    ],
)
async def test_rows_go_into_a_file(
    database: Database, tmp_path: Path, name: str, words: list[str], written: str
) -> None:
    path = tmp_path / name
    sql = "select g as a from generate_series(1, 2) g"
    assert await run("query", sql, "-o", str(path), *words, dsn=database.dsn) == (0, "", f"2 rows in {path}\n")
    assert path.read_text() == written


async def test_a_file_is_packed_where_its_name_says_so_and_none_is_left_by_an_error(
    database: Database, tmp_path: Path
) -> None:
    code, _, _ = await run("query", "select 1 as a", "-o", str(tmp_path / "a.csv.gz"), dsn=database.dsn)
    assert code == 0
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == b"a\n1\n"
    code, _, err = await run(
        "query", "select 1 / (3 - g) from generate_series(1, 5) g", "-o", str(tmp_path / "b.csv"), dsn=database.dsn
    )
    assert (code, err) == (1, "dbpool query: DivisionByZeroError: division by zero\n")
    assert os.listdir(tmp_path) == ["a.csv.gz"]  # noqa: PTH208 - as short


async def test_rows_become_objects(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "shop.py").write_text(TYPES)
    monkeypatch.chdir(tmp_path)
    sql = "select g as id, null::text as name from generate_series(1, 2) g"
    words = ["--into", "shop:Item"]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    assert (await run("query", sql, *words, dsn=database.dsn))[1].splitlines() == [
        "Item(id=1, name=None)",
        "Item(id=2, name=None)",
    ]
    _, out, _ = await run("query", sql, *words, "--format", "json", "-o", "items.json", dsn=database.dsn)
    assert json.loads((tmp_path / "items.json").read_text())[1]["id"] == 2
    code, out, err = await run("query", "select 1 as id, 2 as colour", *words, dsn=database.dsn)
    assert (code, out) == (1, "")
    assert "no column for name; no field for colour" in err
    for name, says in (("shop:Nothing", "shop has no Nothing"), ("nowhere:Item", "No module named"), ("Item", "takes")):
        with pytest.raises(UsageError, match=says):
            type_named(name)


@pytest.mark.parametrize(
    ("sql", "parameters", "says"),
    [
        ("select 1; select 2", 0, "2 statements: a call takes one"),
        ("begin", 0, "BEGIN alone means nothing here"),
        ("copy t from stdin", 0, "dbpool load"),
        ("select $1", 0, "0 parameters given, the statement takes \\$1$"),
        ("select $1 || $3", 2, "2 parameters given, the statement takes \\$1 to \\$3"),
        ("select 1", 1, "1 parameter given, the statement takes none"),
        (" -- nothing", 0, "empty"),
    ],
)
def test_what_is_no_question_is_refused_before_anything_is_connected(sql: str, parameters: int, says: str) -> None:
    with pytest.raises((UsageError, SqlTextError), match=says):
        checked_statement(sql, parameters)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["select 1; select 2"], 2, "2 statements: a call takes one"),
        (["select 1 as a, 2 as a", "--format", "json"], 2, "2 columns are called 'a'"),
        (["select $1::int", "x"], 1, 'invalid input syntax for type integer: "x"'),
        (["create table t ()", "--readonly"], 1, "read-only transaction"),
        (["select pg_sleep(60)", "--timeout", "0.1"], 1, "stopped after 0.1 s (--timeout)"),
        (["select 1", "--format", "table", "-o", "x"], 2, "a table goes to the terminal only"),
        (["-f", "/nowhere.sql"], 2, "/nowhere.sql cannot be read"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(database: Database, words: list[str], code: int, says: str) -> None:
    returned, out, err = await run("query", *words, dsn=database.dsn)
    assert (returned, out, says in err) == (code, "", True), err
    assert "Traceback" not in err


async def test_sql_comes_from_a_file_or_stdin(database: Database, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("select $1 || 'ö' as a\n;\n")
    assert (await run("query", "-f", str(tmp_path / "a.sql"), "x", dsn=database.dsn))[1] == "a\nxö\n"
    process = await start("query", "-", "y", dsn=database.dsn, stdin=subprocess.PIPE)
    assert await ended(process, "select $1 as a") == (0, "a\ny\n", "")


async def test_what_show_and_explain_give_is_shown_too(database: Database) -> None:
    assert (await run("query", "show server_encoding", "--format", "json", dsn=database.dsn))[1] == (
        '[\n{"server_encoding": "UTF8"}\n]\n'
    )
    code, out, _ = await run("query", "delete from pg_class where relname = $1", "x", "--explain", dsn=database.dsn)
    assert (code, out.startswith("Delete on pg_class")) == (0, True)


async def test_whoever_reads_may_stop(database: Database) -> None:
    process = await start("query", "select g from generate_series(1, 3000000) g", dsn=database.dsn)
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - as head does
        assert await process.wait() == 0
    assert process.stderr is not None
    assert b"Traceback" not in await process.stderr.read()


async def test_ctrl_c_cancels_it_at_the_server(database: Database) -> None:
    async with witness_of(database) as witness:
        process = await start("query", "select pg_sleep(600)", dsn=database.dsn)
        running = (
            "select count(*) from pg_stat_activity where query like 'COPY (select pg_sleep(600)%' and state='active'"
        )
        async with asyncio.timeout(PATIENCE_S):
            while not await witness.value(running):
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert await ended(process) == (130, "", "dbpool query: stopped\n")
        assert await witness.value(running) == 0
