"""What a transaction of a bulk write does with its rows: insert, upsert or update."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dbpool.bulk.writing.sending import Sender
from dbpool.connection import Record
from dbpool.core import writesql
from dbpool.core.naming import quoted_list
from dbpool.core.rowshape import Values
from dbpool.core.writesql import Repeat, Staged

_MERGE_RETURNS_SINCE = 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of the rows of a transaction; None: the server cannot tell."""

    inserted: int | None = 0
    updated: int | None = 0
    returned: list[Record] = field(default_factory=list)


class RepeatedKey(Exception):
    """Two rows of one transaction have the same key; *first* and *again* count from 0 in its rows."""

    def __init__(self, first: int, again: int) -> None:
        super().__init__("two rows have the same key")
        self.first, self.again = first, again


class Job(Protocol):
    """A kind of write."""

    @property
    def may_halve(self) -> bool:
        """Whether two transactions with half of the rows each, one after the other, mean the same."""

    async def apply(self, sender: Sender, rows: Sequence[Values]) -> Applied: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    """INSERT, or COPY where that does the same."""

    staged: Staged
    returning: tuple[str, ...] = ()
    skips: bool = False
    """Leave out the rows that a unique index refuses."""
    order: tuple[str, ...] = ()
    """Then in this order: that of the first unique index whose columns are given."""
    may_halve: bool = True

    async def apply(self, sender: Sender, rows: Sequence[Values]) -> Applied:
        staged = self.staged
        if self.returning:
            returned = await self._returned(sender, rows)
            return Applied(inserted=len(returned), returned=returned)
        if staged.table.takes_copy and not self.skips:
            return Applied(inserted=await sender.copy(staged, rows))
        await sender.stage(staged, rows)
        sql = writesql.insert_missing(staged, self.order) if self.skips else writesql.insert_staged(staged)
        return Applied(inserted=await sender.run(sql))

    async def _returned(self, sender: Sender, rows: Sequence[Values]) -> list[Record]:
        staged = self.staged
        if self.skips or sender.server_version < _MERGE_RETURNS_SINCE:  # one at a time, for INSERT keeps no order
            after = f"{' ON CONFLICT DO NOTHING' * self.skips} RETURNING {quoted_list(self.returning)}"
            return await sender.fetch_each(writesql.insert_values(staged.table.name, staged.columns, after), rows)
        await sender.stage(staged, rows)
        return await sender.ask(writesql.insert_returning(staged, self.returning))


@dataclass(frozen=True, slots=True, kw_only=True)
class _ByKey:
    staged: Staged
    key: tuple[str, ...]
    repeat: Repeat

    @property
    def may_halve(self) -> bool:
        return self.repeat is Repeat.LAST

    async def _stage(self, sender: Sender, rows: Sequence[Values]) -> None:
        await sender.stage(self.staged, rows)
        if self.repeat is Repeat.RAISE:
            for first, again in await sender.ask(self.staged.first_repeat(self.key)):
                raise RepeatedKey(first, again)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert(_ByKey):
    """INSERT of the rows whose key is not there, UPDATE of the columns *update* of the others."""

    update: tuple[str, ...]

    async def apply(self, sender: Sender, rows: Sequence[Values]) -> Applied:
        await self._stage(sender, rows)
        sql = writesql.upsert(self.staged, self.key, self.update, self.repeat)
        if not self.update:
            return Applied(inserted=await sender.run(sql))
        if not self.staged.table.is_plain:
            await sender.run(sql)
            return Applied(inserted=None, updated=None)
        [(written, inserted)] = await sender.ask(writesql.counted(sql, writesql.is_new(sender.server_version)))
        return Applied(inserted=inserted, updated=written - inserted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(_ByKey):
    """UPDATE of the rows that have the key of one of ours."""

    async def apply(self, sender: Sender, rows: Sequence[Values]) -> Applied:
        await self._stage(sender, rows)
        if self.staged.table.has_keys:
            await sender.ask(writesql.lock_by_key(self.staged, self.key))
        return Applied(updated=await sender.run(writesql.update_from(self.staged, self.key, self.repeat)))
