"""Statements into shapes, each compiled once, however many calls and values it has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

from sqlalchemy import Executable, FunctionElement, Insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.cache_key import HasCacheKey
from sqlalchemy.util import LRUCache

from dbpool.errors import StatementError
from dbpool.sqlalchemy.dialect import Dialect
from dbpool.sqlalchemy.refusing import as_ours, not_compiled, not_executable, refuse_entities
from dbpool.sqlalchemy.shapes import Brought, Shape

MOST_SHAPES = 1000  # kept: a few kilobytes each
DIALECT = Dialect(dbapi=Dialect.import_dbapi())  # type: ignore[no-untyped-call]

_shapes: LRUCache[Any, Shape] = LRUCache(MOST_SHAPES)
_MEMO = "_dbpool_shape"
_MEMOIZED = frozenset({_MEMO})  # what SQLAlchemy leaves out where it makes one statement of another


class Found(NamedTuple):
    """The shape of a statement, and what this one brings along for it."""

    shape: Shape
    brought: Brought

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        """A statement that is pickled, or copied deeply, leaves it behind."""
        return NoneType, ()


def shape_of(statement: Any, names: Sequence[str]) -> Found:
    """The shape of a statement, and what this one brings along for it.

    Args:
        names: of the values that are given with it, sorted: they are the columns that an INSERT or UPDATE sets.
    Raises:
        StatementError: it is no statement, or none of PostgreSQL's.
    """
    if not names:
        known = getattr(statement, "__dict__", {}).get(_MEMO)
        if known is not None:
            return known  # type: ignore[no-any-return]
    if not isinstance(statement, Executable) or not isinstance(statement, ClauseElement):
        raise not_executable(statement)
    if isinstance(statement, FunctionElement):
        statement = statement.select()
    try:
        found = _found(statement, names)
    except StatementError:
        raise
    except SQLAlchemyError as error:
        raise as_ours(error) from error
    except Exception as error:
        raise not_compiled(statement, error) from error
    if not names:
        statement.__dict__[_MEMO] = found
        statement._memoized_keys = statement._memoized_keys | _MEMOIZED if statement._memoized_keys else _MEMOIZED
    return found


def _found(statement: Any, names: Sequence[str]) -> Found:
    schemas = statement._execution_options.get("schema_translate_map")
    key = HasCacheKey._generate_cache_key(statement)  # not by the statement's own, which keeps it: the shape is kept
    if key is None:
        shape = _compiled(statement, names, schemas, None)
        return Found(shape, Brought((), shape.collected))
    at = (key.key, tuple(names), None if schemas is None else tuple(schemas.items()))
    known = _shapes.get(at)
    if known is None:
        known = _shapes[at] = _compiled(statement, names, schemas, key)
    return Found(known, Brought(key.bindparams, key.params))


def _compiled(
    statement: Any,
    names: Sequence[str],
    schemas: Mapping[str | None, str | None] | None,
    key: Any,
) -> Shape:
    refuse_entities(statement)
    if isinstance(statement, Insert):
        statement = statement.inline()  # else it would return the primary key, unasked
    compiled = statement._compiler(DIALECT, cache_key=key, column_keys=[*names], schema_translate_map=schemas)
    return Shape(
        compiled,
        (lambda sql: sql) if schemas is None else lambda sql: compiled.preparer._render_schema_translates(sql, schemas),
    )
