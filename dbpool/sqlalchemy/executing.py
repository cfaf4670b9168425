"""The door to SQLAlchemy's statements: what ``dbpool.executable`` opens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import ExecutableDDLElement

from dbpool.core.want import Want
from dbpool.errors import StatementError
from dbpool.executable import Bound, BoundMany
from dbpool.sqlalchemy.compiling import DIALECT, shape_of
from dbpool.sqlalchemy.many import many_values
from dbpool.sqlalchemy.mapping import bound_job, explained, mapped
from dbpool.sqlalchemy.refusing import as_ours, not_compiled
from dbpool.sqlalchemy.shapes import Given

__all__ = ["bound", "bound_job", "bound_many", "explained", "mapped"]


def bound(statement: object, args: Sequence[object], want: Want) -> Bound:
    """A statement with the values that are given for its binds, as one mapping."""
    if isinstance(statement, ExecutableDDLElement):
        return _ddl(statement, args, want)
    given = _given(statement, args) if args else None
    shape, brought = shape_of(statement, sorted(map(str, given)) if given else ())
    return Bound(*shape.bind(brought, given), shape)


def bound_many(statement: object, items: Iterable[Any]) -> BoundMany:
    """A statement for many items: mappings by the names of its binds or columns, or their values in order."""
    refuse_ddl(statement, "executemany()")
    many, items = many_values(statement, items)
    number = 0

    def args_of(item: object) -> tuple[object, ...]:
        nonlocal number
        number += 1
        try:
            return many.args_of(item)
        except StatementError as error:
            raise StatementError(f"item {number}: {error}") from error.__cause__

    return BoundMany(many.sql, items, args_of)


def _given(statement: object, args: Sequence[object]) -> Given:
    if len(args) > 1 or not isinstance(args[0], Mapping):
        many = " A list of them is for executemany()." if isinstance(args[0], (list, tuple)) else ""
        raise StatementError(
            f"the values for a {type(statement).__name__} of SQLAlchemy are one mapping by the names of its binds, as "
            f"{{'id': 7}}, not {', '.join(f'{arg!r:.40}' for arg in args)}.{many}"
        )
    return cast("Given", args[0])


def _ddl(statement: ExecutableDDLElement, args: Sequence[object], want: Want) -> Bound:
    if args:
        raise StatementError(f"a {type(statement).__name__} takes no values")
    if want is not Want.STATUS:
        refuse_ddl(statement, "this helper")
    schemas = statement.get_execution_options().get("schema_translate_map")
    try:
        compiled = statement.compile(
            dialect=DIALECT, schema_translate_map=schemas, render_schema_translate=schemas is not None
        )
        return Bound(str(compiled).strip(), (), None)
    except SQLAlchemyError as error:
        raise as_ours(error) from error
    except Exception as error:
        raise not_compiled(statement, error) from error


def refuse_ddl(statement: object, where: str) -> None:
    """Refuse DDL, which has neither rows nor values, everywhere but in ``execute``."""
    if isinstance(statement, ExecutableDDLElement):
        raise StatementError(f"a {type(statement).__name__} has neither rows nor values for {where}: use execute()")
