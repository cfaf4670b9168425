"""Extract, transform, load: CSV files in, each row looked up, a report out.

    DATABASE_URL=postgresql://app@localhost/shop python examples/etl.py [folder]

1. ``db.load`` copies all files into a raw table, over several connections; rows that do not fit go into a file of
   rejects with line and reason, and stop nothing.
2. ``db.map`` sends one lookup for each order, in batches: the price that was valid on its day. Nothing is held in
   memory but the few orders under way.
3. ``db.upsert`` stores the results: run again, nothing is there twice.
4. ``db.export`` writes the report, which gets its name when all of it is there.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

from dbpool import DatabasePool

from support.database import database_url

TABLES = """
drop table if exists example_raw, example_price, example_sale;
create table example_raw (id int primary key, product text not null, day date not null, pieces int check (pieces > 0));
create table example_price (product text, since date, cents int, primary key (product, since));
create table example_sale (id int primary key, product text, day date, cents int);
insert into example_price
    select 'p' || p, date '2026-01-01' + 30 * m, 100 + p * 10 + m
    from generate_series(1, 20) p, generate_series(0, 11) m
"""
PRICE = """
select $1::int as id, product, $3::date as day, $4::int * cents as cents from example_price
where product = $2 and since <= $3::date order by since desc limit 1
"""
REPORT = "select product, count(*) as sales, sum(cents) / 100.0 as total from example_sale group by 1 order by 3 desc"


def make_files(folder: Path, files: int = 3, rows: int = 2_000) -> None:
    for file in range(files):
        lines = ["id,product,day,pieces"]
        for n in range(file * rows, (file + 1) * rows):
            pieces = "many" if n % 997 == 5 else n % 5 + 1  # a mistake now and then
            lines.append(f"{n},p{n % 21},2026-{n % 12 + 1:02}-{n % 28 + 1:02},{pieces}")
        (folder / f"orders-{file}.csv").write_text("\n".join(lines) + "\n")


async def priced(db: DatabasePool, unpriced: list[int]) -> AsyncIterator[dict[str, object]]:
    """The orders with their prices; *unpriced* gets the others."""
    async with aclosing(db.stream("select id, product, day, pieces from example_raw order by id")) as orders:
        async for order, rows, _ in db.map(PRICE, (tuple(order) async for order in orders)):
            if rows:
                yield dict(rows[0])
            else:
                unpriced.append(order[0])


async def main(folder: Path) -> None:
    with database_url() as dsn:
        async with DatabasePool(dsn, 4, name="etl") as db:
            await db.execute(TABLES)
            loaded = await db.load(
                "example_raw", str(folder / "*.csv"), on_reject="file", reject_file=folder / "rejects.ndjson"
            )
            print(f"loaded {loaded.rows} orders, {loaded.rejected} rejected: {folder / 'rejects.ndjson'}")
            for reject in loaded.rejects[:2]:
                print(f"  {Path(reject.file or '').name}, line {reject.line}: {reject.message}")
            unpriced: list[int] = []
            written = await db.upsert("example_sale", priced(db, unpriced), key="id")
            print(f"priced {written.rows} of them, {len(unpriced)} have no price")
            again = await db.upsert("example_sale", priced(db, []), key="id")
            print(f"again: {again.inserted} inserted, {again.updated} updated")
            done = await db.export(REPORT, folder / "report.csv")
            print(f"report: {done.rows} products in {folder / 'report.csv'}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(main(Path(sys.argv[1])))
    else:
        with tempfile.TemporaryDirectory() as place:
            make_files(Path(place))
            asyncio.run(main(Path(place)))
