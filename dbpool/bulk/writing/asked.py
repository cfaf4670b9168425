"""What the callers of insert, upsert and update_from ask for, checked as far as it can be without the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbpool.bulk.writing.applying import Insert, Job, Update, Upsert
from dbpool.core.tables import Table
from dbpool.core.writesql import Repeat, Staged
from dbpool.errors import StatementError
from dbpool.observing import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written, before the table and the first row have been seen."""

    asked: Asked
    columns: tuple[str, ...] | None
    key: tuple[str, ...] = ()
    key_is_written: bool = True
    """Else it is only matched, so that it may be an identity column."""
    check: Callable[[Table], None]
    job: Callable[[Table, tuple[str, ...]], Job]

    def checked_columns(self, table: Table, names: Sequence[str] | None) -> tuple[str, ...]:
        """The columns to be written, where the rows have *names* for their values, or None.

        Raises:
            StatementError: some cannot be.
        """
        matched = () if self.key_is_written else self.key
        columns = self.columns or (table.all_names(key=matched) if names is None else tuple(names))
        table.check_given(columns, only_matched=matched)
        if missing := [name for name in self.key if name not in columns]:
            raise StatementError(f"the key column {missing[0]!r} is not among the columns ({', '.join(columns)})")
        return columns


def insert_plan(columns: Sequence[str] | None, returning: str | Sequence[str] | None, on_conflict: str | None) -> Plan:
    """See ``Lane.insert``."""
    wanted = () if returning is None else _names(returning, "returning")
    if on_conflict not in (None, "nothing"):
        raise StatementError(f"on_conflict must be None or 'nothing', not {on_conflict!r}: to update, use upsert()")

    def check(table: Table) -> None:
        table.check_names(wanted, "returning")

    def job(table: Table, columns: tuple[str, ...]) -> Job:
        order = next((sorted(unique) for unique in table.unique if unique <= set(columns)), [])
        staged = Staged(table=table, columns=columns)
        return Insert(staged=staged, returning=wanted, skips=on_conflict is not None, order=tuple(order))

    return Plan(asked=Asked.INSERT, columns=_columns(columns), check=check, job=job)


def upsert_plan(
    key: str | Sequence[str], columns: Sequence[str] | None, update: Sequence[str] | None, on_repeat: str
) -> Plan:
    """See ``Lane.upsert``."""
    by, repeat = _key(key), _repeat(on_repeat)
    updated = None if update is None else _names(update, "update", may_be_none=True)

    def check(table: Table) -> None:
        table.check_names(by, "key")
        table.check_key(by)
        table.check_names(updated or (), "update")

    def job(table: Table, columns: tuple[str, ...]) -> Job:
        if missing := [name for name in updated or () if name not in columns]:
            raise StatementError(f"update: {missing[0]!r} is not among the columns ({', '.join(columns)})")
        sets = tuple(name for name in columns if name not in by) if updated is None else updated
        return Upsert(staged=Staged(table=table, columns=columns), key=by, repeat=repeat, update=sets)

    return Plan(asked=Asked.UPSERT, columns=_columns(columns), key=by, check=check, job=job)


def update_plan(key: str | Sequence[str], columns: Sequence[str] | None, on_repeat: str) -> Plan:
    """See ``Lane.update_from``."""
    by, repeat = _key(key), _repeat(on_repeat)

    def check(table: Table) -> None:
        table.check_names(by, "key")

    def job(table: Table, columns: tuple[str, ...]) -> Job:
        if set(columns) <= set(by):
            raise StatementError(f"nothing to update: the rows have the key ({', '.join(by)}) and no other column")
        return Update(staged=Staged(table=table, columns=columns), key=by, repeat=repeat)

    return Plan(asked=Asked.UPDATE, columns=_columns(columns), key=by, key_is_written=False, check=check, job=job)


def _columns(columns: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if columns is None else _names(columns, "columns")


def _names(names: str | Sequence[str], what: str, *, may_be_none: bool = False) -> tuple[str, ...]:
    found = (names,) if isinstance(names, str) else tuple(names)
    if not all(isinstance(name, str) for name in found) or not (found or may_be_none):
        raise StatementError(f"{what} must be names of columns, not {names!r}")
    return found


def _key(key: str | Sequence[str]) -> tuple[str, ...]:
    """In an order that depends on nothing but the names, for in it all writers take their locks."""
    return tuple(sorted(_names(key, "key")))


def _repeat(on_repeat: str) -> Repeat:
    try:
        return Repeat(on_repeat)
    except ValueError:
        raise StatementError(f"on_repeat must be 'last', 'first' or 'raise', not {on_repeat!r}") from None
