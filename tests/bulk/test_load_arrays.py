"""Columns that are numpy arrays."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from dbpool import UsageError
from tests.support.databases import Database
from tests.support.pools import pool_of

ARRAYS = "create table arrays (a int, b float8, c bool, d timestamp, e timestamptz, f date, g int2, h float4, i int8)"


async def test_arrays_are_columns(database: Database) -> None:
    moments = np.array(["2024-01-01T00:00:01.5", "NaT", "1969-12-31T23:59:59.999999", "2100-01-01"], "M8[ns]")
    arrays = {
        "a": np.array([1, -2, 3, 4], "i8"),
        "b": np.array([0.5, np.nan, -np.inf, 1e300]),
        "c": np.array([True, False, True, False]),
        "d": moments,
        "e": moments,
        "f": moments.astype("M8[D]"),
        "g": np.array([1, 2, 3, 4], "u1"),
        "h": np.array([0.5, 1, 2, 3], "f4"),
        "i": np.array([2**62, 1, 2, 3]),
    }
    async with pool_of(database) as db:
        await db.execute(ARRAYS)
        for source in (arrays, list(arrays.items())):
            await db.execute("truncate arrays")
            done = await db.load("arrays", source, chunk_bytes=100)
            assert (done.rows, done.rejected) == (4, 0)
            rows = [tuple(row) for row in await db.fetch("select * from arrays order by g")]
            zone = datetime.fromisoformat("2024-01-01T00:00:01.500000")
            assert rows[0] == (1, 0.5, True, zone, zone.replace(tzinfo=UTC), date(2024, 1, 1), 1, 0.5, 2**62)
            assert rows[1][3:6] == (None, None, None)
            assert str(rows[1][1]) == "nan"
            assert rows[2][:4] == (3, -np.inf, True, datetime.fromisoformat("1969-12-31T23:59:59.999999"))
            assert rows[3][4] == datetime(2100, 1, 1, tzinfo=UTC)


async def test_what_is_masked_in_an_array_is_null(database: Database) -> None:
    mask = [False, True, True, False]
    arrays = {
        "i": np.array([1, 2, 3, 4]),
        "a": np.ma.array([1, 2**40, 3, 4], mask=mask),
        "b": np.ma.array([0.5, 1.5, np.nan, 3], mask=mask),
        "c": np.ma.array([True, True, False, False], mask=mask),
        "d": np.ma.array(np.array(["2024-01-01", "2024-01-02", "NaT", "NaT"], "M8[us]"), mask=mask),
        "g": np.ma.array([1, 2, 3, 4], "i2", mask=True),
        "h": np.ma.array([1, 2, 3, 4], "f4"),
    }
    async with pool_of(database) as db:
        await db.execute(ARRAYS)
        assert (await db.load("arrays", arrays)).rows == 4
        assert [tuple(row) for row in await db.fetch("select a, b, c, d, g, h from arrays order by i")] == [
            (1, 0.5, True, datetime.fromisoformat("2024-01-01"), None, 1),
            (None, None, None, None, None, 2),
            (None, None, None, None, None, 3),
            (4, 3, False, None, None, 4),
        ]


async def test_what_is_masked_is_null_in_rejects_and_beside_them(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table arrays (a int, b int check (b < 3))")
        with pytest.raises(UsageError, match="holds 1 to 1099511627776"):
            await db.load("arrays", {"a": np.ma.array([1, 2**40, 2**50], mask=[False, False, True])})
        arrays = {"a": np.ma.array([1, 2, 3], mask=[False, True, True]), "b": np.arange(1, 4)}
        done = await db.load("arrays", arrays, on_reject="skip")
        assert [reject.row for reject in done.rejects] == ["(None, 3)"]
        assert [tuple(row) for row in await db.fetch("select * from arrays order by b")] == [(1, 1), (None, 2)]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"a": np.array(["x"], object)}, "object"),
        ({"a": np.array([2**40])}, "holds 1099511627776"),
        ({"a": np.array([0.5])}, "float64"),
        ({"h": np.array([0.5])}, "float64"),
        ({"a": np.array([[1]])}, "1-D"),
        ({"a": np.array([1]), "h": np.array([1, 2], "f4")}, "one length"),
        ({"z": np.array([1])}, "no column z"),
    ],
)
async def test_an_array_that_its_column_does_not_take_is_refused_at_once(
    database: Database, arrays: dict[str, object], reason: str
) -> None:
    async with pool_of(database) as db:
        await db.execute("create table arrays (a int, h float4)")
        with pytest.raises(UsageError, match=reason):
            await db.load("arrays", arrays)


async def test_rows_of_arrays_that_are_refused_cost_only_themselves(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table arrays (a int primary key, at timestamp not null)")
        at = np.array(["2024-01-01", "NaT", "2024-01-02", "2024-01-03"], "M8[us]")
        done = await db.load("arrays", {"a": np.array([1, 2, 1, 4]), "at": at}, on_reject="skip")
        assert [(reject.line, reject.sqlstate) for reject in done.rejects] == [(2, "23502"), (3, "23505")]
        assert await db.fetchval("select array_agg(a) from arrays") == [1, 4]
