"""Faults of sections F and G: much of something, and what does not fit among it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from dbpool import LoadFailed, WriteFailed
from tests.rigs.misuse.cases import case, expect, expect_same, refused
from tests.rigs.misuse.kinds import CROWD, FRUGAL, LONE
from tests.rigs.misuse.stage import Stage

MANY_ROWS = 5_000
TEXTS = 10
PREPARED = "select count(*) from pg_prepared_statements"
# What is wrong with a file, the SQLSTATE of its row, that row's line, and how many of the others there are.
FILES: tuple[tuple[bytes, str, int, int], ...] = (
    (b"1,Ada\n2\n3,x\n", "22P04", 2, 2),
    (b"1,Ada\n2,a,b\n3,x\n", "22P04", 2, 2),
    (b'1,"a\nb"\n2,"Grace\n3,x\n', "22P04", 3, 1),
    (b"1,Ada\n2,\x00\n3,x\n", "22021", 2, 2),
    (b"1,Ada\n2,\xff\n3,x\n", "22021", 2, 2),
    (b"1,Ada\n2,a\rb\n3,x\n", "22P04", 2, 2),
    (b"\xef\xbb\xbf1,Ada\r\ntwo,x\n3,x\r\n", "22P02", 2, 2),
    (b"1,Ada\n99999999999,x\n3,x\n", "22003", 2, 2),
)


@case(77, CROWD)
async def huge_value(stage: Stage) -> int:
    """There and back; and a huge result, of which a stream holds a few rows."""
    value = "x" * stage.rng.randint(2**19, 2**20)
    got = await stage.db.fetchval("select $1::text || 'y'", value)
    expect(holds=got == value + "y", goal="M3", text=f"{len(value)} characters came back as {len(got)} others")
    total = 0
    async for row in stage.db.stream(f"select generate_series(1, {MANY_ROWS})", prefetch=1000):
        total += row[0]
    expect_same(total, MANY_ROWS * (MANY_ROWS + 1) // 2, "M3", "the sum of a stream's rows")
    return 2


@case(78, FRUGAL)
async def endless_texts(stage: Stage) -> int:
    most = stage.kind.options["statement_cache_size"] + 1  # one is closed when the next is prepared
    for _ in range(TEXTS):
        number = stage.number()
        expect_same(await stage.db.fetchval(f"select {number}"), number, "M3", "a new text's answer")
    kept = await stage.db.fetchval(PREPARED)
    expect(holds=kept <= most, goal="M8", text=f"{kept} statements are prepared, and {most} may be")
    return TEXTS


@case(80, CROWD, setup="create table many (id int, n int check (n > 0))")
async def one_bad_row(stage: Stage) -> int:
    """It costs only itself, where that was asked for; else nothing of its transaction is stored."""
    number, bad = stage.number(), stage.rng.randrange(20)
    items = [0 if n == bad else 1 for n in range(20)]
    seen = [each async for each in stage.db.map("select 100 / $1::int", items, on_error="collect")]
    failed = [at for at, each in enumerate(seen) if isinstance(each.error, asyncpg.DivisionByZeroError)]
    expect_same((len(seen), failed), (20, [bad]), "M5", "items, and which of them failed")
    rows = [(number, n) for n in items]
    error = await refused(stage.db.insert("many", rows, columns=["id", "n"]), WriteFailed)
    expect(
        holds=isinstance(error.__cause__, asyncpg.CheckViolationError),
        goal="M6",
        text=f"its cause: {error.__cause__!r}",
    )
    count = "select count(*) from many where id = $1"
    expect_same(await stage.db.fetchval(count, number), 0, "M5", "rows stored of an insert that failed")
    return 2


@case(80, LONE, setup="create table many (id int, n int check (n > 0))")
async def one_bad_record(stage: Stage) -> int:
    number, bad = stage.number(), stage.rng.randrange(20)
    rows = [(number, 0 if n == bad else 1) for n in range(20)]
    done = await stage.db.load("many", rows, on_reject="skip")
    expect_same((done.rows, done.rejected), (19, 1), "M5", "rows stored and refused")
    expect_same([each.sqlstate for each in done.rejects], ["23514"], "M5", "why")
    stored = await stage.db.fetchval("select count(*) from many where id = $1", number)
    expect_same(stored, 19, "M3", "rows stored beside a bad one")
    return 1


@case(86, CROWD, setup="create table people (id int, name text)")
async def broken_csv(stage: Stage) -> int:
    """Each broken row costs only itself, and is told with its line."""
    text, state, line, others = stage.rng.choice(FILES)
    with _file_of(text) as file:
        done = await stage.db.load("people", file, header=False, on_reject="skip")
    told = [(each.line, each.sqlstate) for each in done.rejects]
    expect_same(told, [(line, state)], "M6", f"what is told of {text!r}")
    expect_same((done.rows, done.rejected), (others, 1), "M5", f"rows of {text!r}")
    expect_same(await _people(stage), others, "M3", f"rows stored of {text!r}")
    return 1


# A chunk beside the broken one may be cancelled in its BEGIN, which costs its connection.
@case(86, CROWD, is_harmless=False)
async def broken_csv_that_ends_the_load(stage: Stage) -> int:
    text, _, line, _ = stage.rng.choice(FILES)
    with _file_of(text) as file:
        error = await refused(stage.db.load("people", file, header=False), LoadFailed)
    assert isinstance(error, LoadFailed)
    expect_same(error.line, line, "M6", f"the line told of {text!r}")
    expect_same(await _people(stage), error.rows_stored, "M3", f"rows stored of {text!r}")
    return 1


@contextmanager
def _file_of(text: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dbpool-rig-") as folder:
        file = Path(folder) / "people.csv"
        file.write_bytes(text)
        yield file


async def _people(stage: Stage) -> int:
    """How many there were; now there are none."""
    count: int = await stage.db.fetchval("with gone as (delete from people returning 1) select count(*) from gone")
    return count
