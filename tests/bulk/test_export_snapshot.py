"""Several connections that see one state, of every kind of relation, with as many as can be had."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dbpool import Csv
from tests.support.databases import Database
from tests.support.exports import LARGE, MIXED, PAGE, servers_own
from tests.support.pools import Witness, becomes, held, pool_of, role_in, settled, until, witness_of

HERE = "database = (select oid from pg_database where datname = current_database())"


class Stalled:
    """A target that takes nothing until it is told to, so that an export stands in its middle."""

    def __init__(self) -> None:
        self.is_reached, self.may_go = asyncio.Event(), asyncio.Event()
        self.blocks: list[bytes] = []

    async def __call__(self, block: bytes) -> None:
        self.is_reached.set()
        await self.may_go.wait()
        self.blocks.append(block)


async def copies(witness: Witness) -> int:
    return sum("COPY" in row["query"] and row["state"] == "active" for row in await witness.backends())


async def test_who_joins_late_sees_the_state_of_the_beginning(database: Database) -> None:
    target = Stalled()
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await witness.run(LARGE)
        before = await servers_own(witness, "large", "csv")
        async with asyncio.TaskGroup() as group:
            async with held(db):
                export = group.create_task(db.export("large", target, at_once=2))
                await target.is_reached.wait()
                await witness.run("update large set id = -id where id % 3 = 0; delete from large where id % 3 = 1")
                await witness.run("insert into large select n, 'new' from generate_series(1, 9000) as n")

            async def both_read() -> bool:
                return sum("COPY" in row["query"] for row in await witness.backends()) == 2

            await until(both_read)
            target.may_go.set()
        done = export.result()
    assert b"".join(target.blocks) == before
    assert (done.connections, done.note) == (2, "")


async def test_a_lock_that_excludes_readers_waits_behind_the_export_not_within_it(database: Database) -> None:
    target = Stalled()
    async with pool_of(database, 2) as db, witness_of(database) as witness, witness_of(database) as other:
        await witness.run(LARGE)
        before = await servers_own(witness, "large", "csv")
        async with asyncio.TaskGroup() as group:
            async with held(db):
                export = group.create_task(db.export("large", target, at_once=2))
                await target.is_reached.wait()
                group.create_task(other.run("truncate large"))

                async def truncate_waits() -> bool:
                    return bool(await witness.value("select count(*) from pg_locks where not granted and " + HERE))

                await until(truncate_waits)

            async def helper_gave_up() -> bool:
                return db.stats().held == 1

            await until(helper_gave_up)
            target.may_go.set()
        done = export.result()
    assert b"".join(target.blocks) == before
    assert done.connections == 1
    assert "could not join the snapshot" in done.note


async def test_memory_is_bounded_while_the_target_takes_nothing(database: Database) -> None:
    target = Stalled()
    async with pool_of(database, 3) as db, witness_of(database) as witness:
        await witness.run(LARGE)
        export = asyncio.create_task(db.export("large", target, at_once=2, part_bytes=64 * PAGE))
        await target.is_reached.wait()

        async def all_wait_to_send() -> bool:
            rows = await witness.backends()
            return all(row["wait_event"] in ("ClientWrite", "ClientRead") for row in rows)

        await until(all_wait_to_send)
        assert not export.done()
        assert db.stats().held == 2
        target.may_go.set()
        done = await export
        assert b"".join(target.blocks) == await servers_own(witness, "large", "csv")
    assert done.connections == 2


async def test_a_cancelled_export_ends_every_copy_and_gives_every_connection_back(database: Database) -> None:
    target = Stalled()
    async with pool_of(database, 3) as db, witness_of(database) as witness:
        await witness.run(LARGE)

        async def call() -> None:
            await db.export("large", target, at_once=3)

        export = asyncio.create_task(call())
        await target.is_reached.wait()
        await becomes(lambda: db.stats().held == 3)
        assert str(db.report()).count("test_export_snapshot.py") >= 3  # each is held from here
        export.cancel()
        with pytest.raises(asyncio.CancelledError):
            await export
        await settled(db)

        async def none_copies() -> bool:
            return await copies(witness) == 0

        await until(none_copies)  # a session learns within milliseconds that its client is gone
        assert await db.fetchval("select count(*) from large") == 16000


async def test_a_busy_pool_is_waited_for_by_none_that_are_not_needed(database: Database, tmp_path: Path) -> None:
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        async with held(db):
            done = await db.export("mixed", tmp_path / "a.csv", at_once=2, part_bytes=PAGE)
        assert (tmp_path / "a.csv").read_bytes() == await servers_own(witness, "mixed", "csv")
    assert (done.rows, done.connections) == (2000, 1)


async def test_a_full_line_leaves_an_export_with_the_connection_it_has(database: Database, tmp_path: Path) -> None:
    async with pool_of(database, 2, max_waiting=0) as db:
        await db.execute(LARGE)
        async with held(db):
            done = await db.export("large", tmp_path / "a.csv", at_once=2)
    assert (done.rows, done.connections) == (16000, 1)
    assert "could not be had (LineFull" in done.note


@pytest.mark.parametrize("connections", [1, 2, 3])
async def test_many_exports_at_once_on_few_connections_all_end(
    database: Database, tmp_path: Path, connections: int
) -> None:
    async with pool_of(database, connections, warn_nested=True) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        paths = [tmp_path / f"{number}.csv" for number in range(8)]
        await asyncio.gather(*(db.export("mixed", path, at_once=3, part_bytes=PAGE) for path in paths))
        whole = await servers_own(witness, "mixed", "csv")
    assert all(path.read_bytes() == whole for path in paths)


async def test_all_partitions_are_exported_whatever_the_order_of_their_columns(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database, 3) as db, witness_of(database) as witness:
        await witness.run(
            "create table parted (a int, b text) partition by range (a);"
            "create schema other; create table other.parted (gone int, b text, a int);"
            "alter table other.parted drop column gone;"
            "alter table parted attach partition other.parted for values from (0) to (1000);"
            "create table low partition of parted for values from (-1000) to (0) partition by list (b);"
            "create table low_x partition of low for values in ('x'); create table rest partition of parted default;"
            "insert into parted select n, 'x' from generate_series(-1000, 1999) as n"
        )
        done = await db.export("parted", tmp_path / "a.csv", at_once=3, part_bytes=PAGE, format=Csv(header=False))
    rows = sorted(int(line.split(",")[0]) for line in (tmp_path / "a.csv").read_text().splitlines())
    assert rows == list(range(-1000, 2000))
    assert done.parts > 3


async def test_children_of_an_inherited_table_are_exported_by_its_columns(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(
            "create table parent (a int); create table other_parent (a int);"
            "create table child (more text) inherits (parent, other_parent);"
            "create table grandchild () inherits (child, parent);"
            "insert into parent values (1); insert into child values (2, 'x'); insert into grandchild values (3, 'y')"
        )
        done = await db.export("parent", tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n3\n"
    assert done.parts == 3


@pytest.mark.parametrize(
    ("make", "note"),
    [
        ("create view it as select * from mixed", "a view"),
        ("create materialized view it as select * from mixed", "a materialized view"),
        ("create table it (like mixed) partition by range (id)", "no partitions"),
    ],
)
async def test_what_has_no_pages_of_its_own_is_read_by_one_connection(
    database: Database, tmp_path: Path, make: str, note: str
) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        await witness.run(make)
        done = await db.export("it", tmp_path / "a.csv", at_once=2, part_bytes=PAGE)
        assert done.rows == await witness.value("select count(*) from it")
    assert (done.parts, done.connections) == (1, 1)
    assert note in done.note


async def test_rules_of_a_partitioned_table_hold_for_its_export(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness, role_in(database) as dsn:
        role = f'"role_of_{database.name}"'
        await witness.run(
            "create table parted (a int) partition by range (a);"
            "create table low partition of parted for values from (minvalue) to (500);"
            "create table high partition of parted for values from (500) to (maxvalue);"
            "insert into parted select n from generate_series(1, 1000) as n;"
            f"grant select on parted to {role}"
        )
        async with pool_of(dsn) as db:
            done = await db.export("parted", tmp_path / "a.csv", part_bytes=PAGE)
            assert (done.rows, done.note) == (1000, "a part of the table may be read through the whole only")
            await witness.run(f"grant select on low, high to {role}; alter table parted enable row level security")
            await witness.run("create policy even on parted using (a % 2 = 0)")
            done = await db.export("parted", tmp_path / "a.csv", part_bytes=PAGE)
            assert (done.rows, done.note) == (500, "a part of the table has row security of its own")


async def test_where_no_snapshot_is_exported_one_connection_does_it_all(database: Database, tmp_path: Path) -> None:
    async with witness_of(database) as witness, role_in(database) as dsn:
        await witness.run(MIXED)
        await witness.run("revoke execute on function pg_export_snapshot() from public")
        await witness.run(f'grant select on mixed to "role_of_{database.name}"')
        async with pool_of(dsn) as db:
            done = await db.export("mixed", tmp_path / "a.csv", at_once=2, part_bytes=PAGE)
        assert (tmp_path / "a.csv").read_bytes() == await servers_own(witness, "mixed", "csv")
    assert done.connections == 1
    assert "exports no snapshot" in done.note
