"""Many files into a table, a few at a time; killed and run again, each file is stored once.

    DATABASE_URL=postgresql://app@localhost/shop python examples/parallel_files.py [folder]

Reading and parsing would hold up the event loop, so they go to threads; ``for_each`` bounds how many files are in
memory. What is in a file is stored in one transaction together with the file's name: all of it, or nothing. A file that
cannot be parsed costs only itself. Without a folder one is made, with a broken file in it.

For files that are rows already, as CSV, ``db.load`` is quicker: see etl.py.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from pathlib import Path

from dbpool import DatabasePool

from support.database import database_url

AT_ONCE = 4  # files in memory, and connections
LINE = re.compile(r"(\S+) (GET|POST) (\S+) (\d{3}) (\d+)ms")
TABLES = """
create table if not exists example_file (name text primary key, lines int not null);
create table if not exists example_hit (file text not null, client text, path text, status int, took_ms int)
"""
STORE = """
insert into example_hit select $1, * from unnest($2::text[], $3::text[], $4::int[], $5::int[])
"""


def parse(path: Path) -> list[tuple[str, str, int, int]]:
    """The hits in a file. Raises: ValueError: a line is none."""
    hits = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        found = LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"{path.name}, line {number}: {line[:40]!r} is no hit")
        client, _, where, status, took = found.groups()
        hits.append((client, where, int(status), int(took)))
    return hits


async def store(db: DatabasePool, path: Path) -> int:
    """Store a file that is not stored yet; return how many lines were."""
    hits = await asyncio.to_thread(parse, path)
    async with db.transaction() as tx:
        insert = "insert into example_file values ($1, $2) on conflict do nothing returning name"
        if await tx.fetchval(insert, path.name, len(hits)) is None:
            return 0  # by an earlier run, or by another at this moment
        columns = [list(column) for column in zip(*hits, strict=True)] or [[], [], [], []]
        await tx.execute(STORE, path.name, *columns)
    return len(hits)


def make_files(folder: Path, count: int = 40) -> None:
    for number in range(count):
        lines = [f"10.0.0.{n % 250} GET /page/{n % 7} {200 if n % 9 else 404} {n % 50}ms" for n in range(number * 25)]
        (folder / f"access-{number:03}.log").write_text("\n".join(lines))
    (folder / "access-013.log").write_text("10.0.0.1 GET /page/1 200 5ms\nthe disk was full when th")


async def main(logs: list[Path]) -> None:
    with database_url() as dsn:
        async with DatabasePool(dsn, AT_ONCE) as db:
            await db.execute(TABLES)
            for run in ("first run", "again"):
                done = await db.fetch("select name from example_file")
                names = {row["name"] for row in done}
                left = [path for path in logs if path.name not in names]
                lines, failed = 0, []
                work = db.for_each(
                    left, lambda path: store(db, path), at_once=AT_ONCE, ordered=False, on_error="collect"
                )
                async for _, stored, error in work:
                    lines += stored or 0
                    if error is not None:
                        failed.append(str(error))
                print(f"{run}: {len(left)} files to do, {lines} lines stored, {len(failed)} failed")
                for sentence in failed:
                    print(f"  {sentence}")
            print(f"{await db.fetchval('select count(*) from example_hit')} lines are in the table")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(sorted(Path(sys.argv[1]).glob("*.log"))))
    else:
        with tempfile.TemporaryDirectory() as place:
            make_files(Path(place))
            asyncio.run(main(sorted(Path(place).glob("*.log"))))
