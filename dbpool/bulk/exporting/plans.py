"""The statements that read what is exported, each a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from dbpool.bulk.exporting.literals import with_literals
from dbpool.bulk.exporting.parquet import SESSION, Column, as_readable
from dbpool.bulk.exporting.requests import PAGE_BYTES, ExportRequest
from dbpool.bulk.exporting.session import Session
from dbpool.bulk.exporting.snapshots import begin_alone, export_snapshot
from dbpool.bulk.exporting.tables import Leaf, Table, find_leaves, find_table
from dbpool.core.copyformats import Format, as_json
from dbpool.core.exportable import Query
from dbpool.core.pages import PageRange, pages_per_part

# Parts of one file wait in memory for their turn, so they are small; 1 ms is what a statement costs besides its rows.
LEAST_JOINED: Final = 1 << 20
MOST_JOINED: Final = 4 << 20
ALONE: Final = 64 << 20  # where nothing has to wait: parts only tell how far it has come
LEAST_SPLIT: Final = 4 << 20
MOST_SPLIT: Final = 128 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be read.

    Args:
        select: the whole of it.
        columns: for Parquet only.
        note: why nobody else can help.
        table: None for a query.
        ranges: the parts of *table* in the order of the result; empty where *select* is the only one.
        snapshot: by which others can read parts, too; "" if they cannot.
    """

    select: str
    columns: Sequence[Column] = ()
    note: str = ""
    table: Table | None = None
    ranges: Sequence[tuple[Leaf, PageRange]] = ()
    snapshot: str = ""

    @property
    def parts(self) -> int:
        return max(1, len(self.ranges))

    def statement(self, part: int, request: ExportRequest) -> str:
        """What reads *part*; made when it is needed, for of a large table there are many."""
        select = self.select
        if self.ranges:
            assert self.table is not None
            select = self.table.select_range(*self.ranges[part])
        if request.what.is_json:
            return as_json(select, is_write=isinstance(request.source, Query) and request.source.is_write)
        return as_readable(select, self.columns) if request.what is Format.PARQUET else select


async def begin_plan(session: Session, request: ExportRequest, readers: int) -> Plan:
    """Begin the transaction in which *session* reads; say what there is to read, for *readers* connections."""
    if isinstance(request.source, Query):
        return await _plan_of_query(session, request, request.source)
    table = await find_table(session, request.source)
    await begin_alone(session, table)
    plan = await _plan_of_table(session, request, table, readers)
    if plan.parts == 1 or readers == 1:
        return plan
    snapshot, obstacle = await export_snapshot(session)
    if obstacle:
        await session.command("ROLLBACK")
        await begin_alone(session, table)
        plan = await _plan_of_table(session, request, table, 1)  # anew: it sees another state
    return replace(plan, note=plan.note or obstacle, snapshot=snapshot)


async def prepare_formats(session: Session, what: Format) -> None:
    """Make the transaction write values as *what* needs them."""
    if what is Format.PARQUET:
        await session.command(SESSION)


async def _plan_of_query(session: Session, request: ExportRequest, query: Query) -> Plan:
    await session.command("BEGIN")
    await prepare_formats(session, request.what)
    sql = query.sql
    if request.options.args:
        sql = await with_literals(session, sql, request.options.args)
    return Plan(sql, await _columns(session, request, sql, ()), "a query is one statement")


async def _plan_of_table(session: Session, request: ExportRequest, table: Table, readers: int) -> Plan:
    await prepare_formats(session, request.what)
    columns = await _columns(session, request, table.select(), table.columns)
    leaves: Sequence[Leaf] | str = table.whole or await find_leaves(session, table)
    if isinstance(leaves, str):
        return Plan(table.select(), columns, leaves, table)
    per_part = _pages_per_part(request, sum(leaf.pages or 0 for leaf in leaves), readers)
    ranges = [(leaf, pages) for leaf in leaves for pages in leaf.ranges(per_part)]
    return Plan(table.select(), columns, "", table, ranges)


def _pages_per_part(request: ExportRequest, pages: int, readers: int) -> int:
    if request.options.part_bytes is not None:
        return max(1, request.options.part_bytes // PAGE_BYTES)
    least, most = (LEAST_JOINED, MOST_JOINED) if readers > 1 else (ALONE, ALONE)
    if request.is_split:
        least, most = LEAST_SPLIT, MOST_SPLIT
    return pages_per_part(pages, readers, least=least // PAGE_BYTES, most=most // PAGE_BYTES)


async def _columns(
    session: Session, request: ExportRequest, sql: str, of_table: Sequence[tuple[str, int]]
) -> list[Column]:
    """What the columns are where the format must know; a query's have no modifiers that the driver would tell."""
    if request.what is not Format.PARQUET:
        return []
    described = await session.describe(sql)
    modifiers = [modifier for _, modifier in of_table] or [-1] * len(described)
    return [
        Column(name, oid, shown, modifier) for (name, oid, shown), modifier in zip(described, modifiers, strict=True)
    ]
