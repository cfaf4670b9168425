"""What a load can be made from besides CSV files."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from dbpool import LoadFailed, UsageError, create_pool
from tests.support.databases import Database
from tests.support.pools import pool_of

THINGS = "create table things (id int, name text, tags text[], data jsonb, at timestamptz)"


async def test_json_lines_are_taken_apart_by_the_server(database: Database, tmp_path: Path) -> None:
    lines = [
        {"id": 1, "name": "a\nb\u00e9", "tags": ["x", "y"], "data": {"k": [1, None]}, "at": "2024-01-01T00:00:00Z"},
        {"id": 2, "name": None},
        {"data": "text", "id": 3},
    ]
    file = tmp_path / "things.ndjson.gz"
    file.write_bytes(gzip.compress("\r\n\n".join(map(json.dumps, lines)).encode()))
    async with pool_of(database) as db:
        await db.execute(THINGS)
        assert (await db.load("things", file)).rows == 3
        rows = await db.fetch("select * from things order by id")
        assert tuple(rows[0]) == (1, "a\nb\u00e9", ["x", "y"], '{"k": [1, null]}', datetime(2024, 1, 1, tzinfo=UTC))
        assert tuple(rows[1]) == (2, None, None, None, None)
        assert tuple(rows[2]) == (3, None, None, '"text"', None)


async def test_json_lines_have_the_keys_of_the_first_or_those_that_are_named(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "things.jsonl"
    file.write_text('{"id": 1}\n{"id": 2, "nme": "x"}\n')
    async with pool_of(database) as db:
        await db.execute(THINGS)
        with pytest.raises(LoadFailed, match="line 2: 22023 no column for nme") as caught:
            await db.load("things", file)
        assert (caught.value.line, caught.value.rows_stored) == (2, 0)
        assert (await db.load("things", file, columns=["id"])).rows == 2
        file.write_text("[1]\n")
        with pytest.raises(LoadFailed, match="line 1"):
            await db.load("things", file)


async def test_json_lines_that_are_none_cost_only_themselves(database: Database, tmp_path: Path) -> None:
    lines = [
        '{"id": 1}',
        "not json",
        "7",
        "null",
        '{"id": "x"}',
        '{"id": 2}',
        "\\.",
        '{"id":\x02 3}',
        '{"id": 4}',
        '{"id":5',
    ]
    file = tmp_path / "things.data"
    file.write_text("\n".join(lines))
    async with pool_of(database) as db:
        await db.execute(THINGS)
        done = await db.load("things", file, format="ndjson", on_reject="skip")
        assert await db.fetchval("select array_agg(id order by id) from things") == [1, 2, 4]
        assert [(reject.line, reject.row) for reject in done.rejects] == [
            (line, lines[line - 1]) for line in (2, 3, 4, 5, 7, 8, 10)
        ]
        assert done.rows == 3


async def test_tuples_and_mappings_are_loaded_from_any_iterable(database: Database) -> None:
    def tuples() -> Iterator[tuple[object, ...]]:
        yield from ((n, f"name {n}") for n in range(2500))

    async def mappings() -> AsyncIterator[dict[str, object]]:
        for n in range(2500, 5000):
            yield {"name": f"name {n}", "id": n} if n % 2 else {"id": n}

    async with pool_of(database) as db:
        await db.execute(THINGS)
        assert (await db.load("things", tuples(), columns=["id", "name"], chunk_rows=1000)).rows == 2500
        with pytest.raises(LoadFailed, match=r"stopped at row 2: it has 'name', .*columns="):
            await db.load("things", mappings())
        assert (await db.load("things", mappings(), columns=["id", "name"], chunk_rows=999)).rows == 2500
        assert (await db.load("things", [])).rows == 0
        assert await db.fetchval("select count(*) from things where id < 2500 and name = 'name ' || id") == 2500
        assert await db.fetchval("select count(*) from things where id >= 2500 and name is not null") == 1250
        assert await db.fetchval("select count(distinct id) from things") == 5000


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ((1,), "1 values for 2"),
        ((1, "x", 2), "3 values for 2"),
        (("x", "y"), "cannot be encoded"),
        ((2**40, "y"), "cannot"),
    ],
)
@pytest.mark.parametrize("before", [300, 3000])  # in the first part that is encoded at once, and behind it
async def test_a_record_that_does_not_fit_is_told_with_its_number(
    database: Database, record: tuple[object, ...], reason: str, before: int
) -> None:
    records = [*((n, "ok") for n in range(before)), record, *((n, "ok") for n in range(300))]
    async with pool_of(database) as db:
        await db.execute(THINGS)
        with pytest.raises(LoadFailed, match=f"row {before + 1:,}: .*{reason}") as caught:
            await db.load("things", records, columns=["id", "name"])
        assert (caught.value.line, caught.value.file, caught.value.rows_stored) == (before + 1, None, 0)
        assert await db.fetchval("select count(*) from things") == 0
        done = await db.load("things", records, columns=["id", "name"], on_reject="skip")
        assert [(reject.line, reject.row) for reject in done.rejects] == [(before + 1, repr(record))]
        assert done.rows == await db.fetchval("select count(*) from things") == before + 300


async def test_what_only_the_driver_can_encode_does_not_move_the_numbers_behind_it(database: Database) -> None:
    moments: list[datetime] = [NEW_YEAR.replace(tzinfo=UTC)] * 5000
    moments[3000] = datetime.max.replace(tzinfo=UTC)  # for the driver, which goes on from there
    records = list(enumerate(moments))
    async with pool_of(database) as db:
        await db.execute(THINGS)
        await db.execute("create unique index on things (id)")
        assert (await db.load("things", records, columns=["id", "at"])).rows == 5000
        assert await db.fetchval("select id from things where at = 'infinity'") == 3000
        await db.execute("truncate things")
        records[4000] = (7, moments[7])
        with pytest.raises(LoadFailed, match=r"row 4,001: 23505 ") as caught:
            await db.load("things", records, columns=["id", "at"])
        assert (caught.value.line, await db.fetchval("select count(*) from things")) == (4001, 0)
        done = await db.load("things", records, columns=["id", "at"], on_reject="skip")
        assert ([each.line for each in done.rejects], done.rows) == ([4001], 4999)


async def test_what_fails_in_a_callers_iterable_is_the_cause(database: Database) -> None:
    def records() -> Iterator[tuple[int]]:
        yield from ((n,) for n in range(20))
        raise KeyError("mine")

    async with pool_of(database) as db:
        await db.execute(THINGS)
        with pytest.raises(LoadFailed, match="mine") as caught:
            await db.load("things", records(), columns=["id"], chunk_rows=10)
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.rows_stored == await db.fetchval("select count(*) from things")


@pytest.mark.parametrize("source", [7, {"id": 1}, b"1,2", [7], ["x", 7]])
async def test_what_is_no_source_is_refused(database: Database, source: object) -> None:
    async with pool_of(database) as db:
        await db.execute(THINGS)
        with pytest.raises((UsageError, LoadFailed), match=r"cannot load|give tuples"):
            await db.load("things", source)  # type: ignore[arg-type]


async def test_a_loop_goes_round_while_records_are_made_and_encoded(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(THINGS)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        seen: list[int] = []

        def records() -> Iterator[tuple[int, str]]:
            for n in range(100_000):
                seen.append(turns)
                yield n, "x"

        await db.load("things", records(), columns=["id", "name"], chunk_rows=100_000)
        made, whole = seen[-1] - seen[0], turns - seen[0]
        counting.cancel()
    assert made > 5  # while they were made, which without pauses is one turn
    assert whole > made + 5  # while they were encoded


NEW_YEAR = datetime.fromisoformat("2024-01-01T00:00:00")
FRAME = {
    "id": [1, 2, None],
    "name": ["a", None, "\u00e9" * 10],
    "at": [datetime(2024, 1, 1, tzinfo=UTC), None, datetime(1960, 1, 1, tzinfo=UTC)],
    "tags": [["x"], [], None],
}


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
async def test_frames_are_loaded_by_the_arrow_stream(database: Database, library: str) -> None:
    frame = pl.DataFrame(FRAME) if library == "polars" else pa.table(FRAME)
    async with pool_of(database) as db:
        await db.execute(THINGS)
        assert (await db.load("things", frame, chunk_bytes=1)).rows == 3
        rows = [tuple(row) for row in await db.fetch("select id, name, at, tags from things")]
        assert sorted(rows, key=str) == sorted(zip(*FRAME.values(), strict=True), key=str)


async def test_columns_of_a_frame_are_cast_to_the_tables(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table kinds (a int2, b text, c numeric, d float4, e timestamp, f date)")
        frame = pa.table(
            {
                "a": pa.array([1], pa.int64()),
                "b": pa.array(["x"]).dictionary_encode(),
                "c": pa.array([7], pa.int64()),
                "d": pa.array([0.5], pa.float64()),
                "e": pa.array([NEW_YEAR], pa.timestamp("ns")),
                "f": pa.array([date(2024, 1, 1)], pa.date64()),
            }
        )
        await db.load("kinds", frame)
        row = await db.fetchrow("select a, b, c::int, d, e, f from kinds")
        assert row is not None
        assert tuple(row) == (1, "x", 7, 0.5, NEW_YEAR, date(2024, 1, 1))
        with pytest.raises(LoadFailed, match="70000"):
            await db.load("kinds", pa.table({"a": [70000]}))
        with pytest.raises(UsageError, match="'f' is date"):
            await db.load("kinds", pa.table({"f": [True]}))
        with pytest.raises(UsageError, match="no column z"):
            await db.load("kinds", pa.table({"z": [1]}))


async def test_rows_of_a_frame_that_are_refused_cost_only_themselves(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table things (id int primary key, name varchar(3))")
        frame = pl.DataFrame({"id": [1, 2, 1, None, 5], "name": ["a", "long one", "b", "c", None]})
        done = await db.load("things", frame, on_reject="skip")
        assert [(reject.line, reject.sqlstate) for reject in done.rejects] == [(2, "22001"), (3, "23505"), (4, "23502")]
        assert await db.fetchval("select array_agg(id order by id) from things") == [1, 5]


async def test_categories_and_lists_of_a_frame_are_cast(database: Database) -> None:
    frame = pl.DataFrame(
        {
            "kind": pl.Series(["x", None, "y", "x"], dtype=pl.Categorical),
            "enum": pl.Series(["a", "b", "a", "b"], dtype=pl.Enum(["a", "b"])),
            "list": [[1, None], None, [2**40], []],
        }
    )
    async with pool_of(database) as db:
        await db.execute("create table things (kind text, enum varchar(1), list int[])")
        done = await db.load("things", frame, on_reject="skip")
        assert [(reject.line, reject.value) for reject in done.rejects] == [(3, "[1099511627776]")]
        assert [tuple(row) for row in await db.fetch("select * from things order by kind, enum")] == [
            ("x", "a", [1, None]),
            ("x", "b", []),
            (None, "b", None),
        ]
        await db.execute("alter table things alter list type numeric[]")
        with pytest.raises(UsageError, match=r"'list' is _numeric, .*cannot be cast"):
            await db.load("things", pa.table({"list": [[1.5]]}))


async def test_values_of_a_frame_that_cannot_be_cast_cost_only_their_rows(database: Database) -> None:
    frame = pa.table(
        {
            "id": pa.array([*range(20_000), 2**40, 20_001, None, 20_003]),
            "at": pa.array([*["2024-01-01T00:00:00Z"] * 20_001, "no time", None, "2024-01-01T00:00:00Z"]),
        }
    )
    async with pool_of(database) as db:
        await db.execute("create table things (id int, at timestamptz)")
        with pytest.raises(
            LoadFailed, match=r"row 20,001: 22000 .*1099511627776 not in range.*column \"id\""
        ) as caught:
            await db.load("things", frame, at_once=1)
        assert caught.value.line == 20_001
        await db.execute("truncate things")
        done = await db.load("things", frame, on_reject="skip")
        assert [(reject.line, reject.column, reject.value, reject.row[:15]) for reject in done.rejects] == [
            (20_001, "id", "1099511627776", "(1099511627776,"),
            (20_002, "at", "'no time'", "(20001, 'no tim"),
        ]
        assert done.rows == await db.fetchval("select count(*) from things") == 20_002
        assert [(part.offset, part.rows, part.rejected) for part in done.stored if part.rejected] == [(16384, 3618, 2)]


def test_without_extras_everything_but_frames_works() -> None:
    program = (
        "import sys\n"
        "for name in ('numpy', 'pyarrow', 'pgpq'): sys.modules[name] = None\n"
        "import dbpool.bulk.loading.load\n"
        "from dbpool.bulk.loading.arrowchunk import Frame\n"
        "try: Frame.of(None, None, None)\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'dbpool[arrow]'" in done.stdout


KINDS: dict[str, list[object]] = {
    "int2": [1, None, -32768],
    "int4": [1, None, 2**31 - 1],
    "int8": [2**62, 0, -1],
    "float4": [0.5, float("inf"), None],
    "float8": [0.1, 3, None],
    "bool": [True, False, None],
    "text": ["\u00e9", "", None],
    "varchar(3)": ["abc", "", None],
    "char(3)": ["ab ", "abc", None],
    "bytea": [b"\0", b"", None],
    "date": [date(2024, 2, 29), date(1, 1, 1), date.max],
    "timestamp": [NEW_YEAR, datetime.max, datetime.min],  # noqa: DTZ901 - infinities, to the driver
    "timestamptz": [NEW_YEAR.replace(tzinfo=UTC), NEW_YEAR, None],
    "uuid": [UUID(int=7), "00000000-0000-0000-0000-000000000007", None],
    "numeric": [Decimal("1.50"), 7, None],
    "jsonb": ['{"a": 1}', "null", None],
    "int[]": [[1, None], [], None],
    "email": ["x@y", "", None],
}


@pytest.mark.parametrize("kind", KINDS)
async def test_records_of_every_kind_are_stored_as_the_drivers_own_inserts_are(database: Database, kind: str) -> None:
    async with pool_of(database) as db:
        await db.execute("create domain email as text")
        await db.execute(f"create table a (n int, v {kind}); create table b (n int, v {kind})")
        records = list(enumerate(KINDS[kind]))
        for record in records:  # each by itself: one that the driver must see takes its chunk with it
            await db.load("a", [record])
        await db.load("a", records)
        await db.executemany("insert into b values ($1, $2)", records + records)
        assert await db.fetch("select n, v::text from a order by n") == await db.fetch(
            "select n, v::text from b order by n"
        )


async def test_a_pool_in_the_place_of_the_drivers_loads_too(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("id\n1\nx\n2\n")
    async with create_pool(database.dsn, min_size=1, max_size=2) as pool:
        await pool.execute("create table t (id int)")
        done = await pool.load("t", file, on_reject="skip")
        assert (done.rows, done.rejected) == (2, 1)
        assert (await pool.load("t", [(3,), (Decimal(4),)], on_reject="skip")).rows == 2
        assert (await pool.load("t", {"id": np.array([5])}, atomic=True)).rows == 1
        assert await pool.fetchval("select sum(id) from t") == 15
