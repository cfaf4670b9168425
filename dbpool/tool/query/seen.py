"""The rows of a question as texts, a few of them or all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dbpool import Csv, DatabasePool
from dbpool.core.csvtext import Dialect, rows, values
from dbpool.tool.query.question import Question

Row: TypeAlias = Sequence[str | None]
_DIALECT: Final = Dialect()


class Enough(Exception):
    """No more rows are wanted."""


@dataclass(slots=True)
class Seen:
    """The first rows, at most *most*; *total* of all that were read, and whether there are more."""

    most: int | None
    rows: list[Row] = field(default_factory=list)
    total: int = 0
    has_more: bool = False

    def add(self, row: Row) -> None:
        self.total += 1
        if self.most is None or len(self.rows) < self.most:
            self.rows.append(row)
        else:
            self.has_more = True


async def see(db: DatabasePool, question: Question, limit: int) -> Seen:
    """Ask; 0 is no limit. A statement that may write goes on to its end, of which only the first rows are kept."""
    seen = Seen(limit or None)
    if not question.can_be_copied:
        for record in await db.fetch(question.sql):
            seen.add([None if value is None else str(value) for value in record.values()])
        return seen
    may_stop = question.statement.reads_only

    async def take(block: bytes) -> None:
        for line in rows(block, _DIALECT):
            seen.add([None if value is None else value.decode() for value in values(line, _DIALECT)])
            if seen.has_more and may_stop:
                raise Enough

    try:
        await db.export(question.sql, take, format=Csv(header=False))
    except Enough:
        pass
    return seen
