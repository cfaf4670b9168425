"""Lines of JSON that are blank, or none: where they stand, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from dbpool import LoadFailed
from tests.support.databases import Database
from tests.support.pools import pool_of

TABLE = "create table things (id int, name text)"


@pytest.mark.parametrize("on_reject", ["raise", "skip"])
async def test_blank_lines_are_none_before_the_first_object_too(
    database: Database, tmp_path: Path, on_reject: Literal["raise", "skip"]
) -> None:
    file = tmp_path / "things.ndjson"
    async with pool_of(database) as db:
        await db.execute(TABLE)
        for text, rows in (('\n\r\n{"id": 1}\n\n{"id": 2}', 2), ("\n\n", 0), ("", 0), ("{}\n", 1)):
            file.write_text(text)
            columns = ["id"] if text == "{}\n" else None
            assert (await db.load("things", file, on_reject=on_reject, columns=columns)).rows == rows
        assert await db.fetchval("select array_agg(id order by id) from things") == [1, 2, None]


async def test_a_first_line_that_is_no_object_costs_only_itself(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "things.ndjson"
    file.write_text('\n{"id": 1\n[]\n{"id": 2, "name": "b"}\n{"id": 3}\n')
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(LoadFailed, match=r"line 2 of .* is no JSON") as caught:
            await db.load("things", file)
        assert caught.value.line == 2
        done = await db.load("things", file, on_reject="skip")
        assert [reject.line for reject in done.rejects] == [2, 3]
        assert done.rows == 2
        file.write_text("7\nnull\n")
        assert (await db.load("things", file, on_reject="skip")).rejected == 2


async def test_a_value_that_does_not_fit_is_told_with_its_line(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "things.ndjson"
    file.write_text("".join(f'{{"id": {n if n != 700 else chr(34) + "x" + chr(34)}}}\n\n' for n in range(1000)))
    async with pool_of(database) as db:
        await db.execute(TABLE)
        for atomic in (False, True):
            with pytest.raises(LoadFailed, match="line 1,401: 22P02 invalid input syntax") as caught:
                await db.load("things", file, atomic=atomic, at_once=1)
            assert (caught.value.line, caught.value.rows_stored) == (1401, 0)
        assert await db.fetchval("select count(*) from things") == 0
