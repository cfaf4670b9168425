"""SQLAlchemy's dialect of asyncpg, for connections as the pool has them: with no codec set on them.

SQLAlchemy's own sets codecs for JSON when it connects. A pooled connection is everybody's, so here the same is done to
each value instead, by the processors of its type: JSON goes over the driver as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import CIDR, INET
from sqlalchemy.dialects.postgresql.asyncpg import AsyncpgARRAY, AsyncpgFloat, AsyncpgNumeric, PGDialect_asyncpg
from sqlalchemy.engine.processors import to_decimal_processor_factory
from sqlalchemy.types import ARRAY, Float, NullType, Numeric

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect as AnyDialect

Process = Callable[[Any], Any]

_JSON, _JSONB, _JSONS, _JSONBS = 114, 3802, 199, 3807  # pg_type.oid; those with an s are the arrays


class Untyped(NullType):
    """A column that the statement gives no type: of text(), or of a function that SQLAlchemy does not know."""

    def result_processor(self, dialect: AnyDialect, coltype: object) -> Process | None:
        """What a codec on the connection would do: *coltype* is the server's oid of the column's type."""
        if coltype in (_JSON, _JSONB):
            return _unless_null(_loads(dialect))
        if coltype in (_JSONS, _JSONBS):
            return _unless_null(_each(_loads(dialect)))
        return None


class Unless:
    """A processor of values that leaves those of some classes as they are."""

    __slots__ = ("_process", "_spared")

    def __init__(self, spared: tuple[type, ...], process: Process) -> None:
        self._spared = spared
        self._process = process

    def __call__(self, value: Any) -> Any:
        return value if value is None or isinstance(value, self._spared) else self._process(value)

    def spares(self, values: Iterable[object]) -> bool:
        """Whether it leaves all of a column's values: one tells, as the server gives all of them one type."""
        return isinstance(next((value for value in values if value is not None), None), (*self._spared, type(None)))


class _Numeric(AsyncpgNumeric):
    def result_processor(self, dialect: AnyDialect, coltype: object) -> Process | None:
        if coltype is None:
            return _number(self)
        return super().result_processor(dialect, coltype)  # type: ignore[no-any-return, no-untyped-call]


class _Float(AsyncpgFloat):
    def result_processor(self, dialect: AnyDialect, coltype: object) -> Process | None:
        if coltype is None:
            return _number(self)
        return super().result_processor(dialect, coltype)  # type: ignore[no-any-return, no-untyped-call]


def _number(kind: Numeric[Any] | Float[Any]) -> Unless:
    """What makes the number that *kind* promises, told by the value where the server's type is not known."""
    if kind.asdecimal:
        return Unless((Decimal, int), to_decimal_processor_factory(Decimal, kind._effective_decimal_return_scale))
    return Unless((float,), float)


class _Array(AsyncpgARRAY):
    def result_processor(  # type: ignore[override]
        self, dialect: AnyDialect, coltype: object
    ) -> Process | None:
        """None where it would only make the same list again."""
        of_items = self.item_type.dialect_impl(dialect).result_processor(dialect, coltype)
        if of_items is None and not self.as_tuple and not self._against_native_enum:
            return None
        return super().result_processor(dialect, coltype)


class _InetAsText(INET):
    def result_processor(self, dialect: AnyDialect, coltype: object) -> Process | None:  # noqa: ARG002
        return _unless_null(str) if _wants_text(dialect) else None


class _CidrAsText(CIDR):
    def result_processor(self, dialect: AnyDialect, coltype: object) -> Process | None:  # noqa: ARG002
        return _unless_null(str) if _wants_text(dialect) else None


class Dialect(PGDialect_asyncpg):
    """PostgreSQL through asyncpg, which needs nothing done to a new connection."""

    supports_statement_cache = True
    supports_native_json_deserialization = False  # so that the types JSON and JSONB do it
    dialect_injects_custom_json_deserializer = False

    colspecs = PGDialect_asyncpg.colspecs | {
        ARRAY: _Array,
        CIDR: _CidrAsText,
        Float: _Float,
        INET: _InetAsText,
        NullType: Untyped,
        Numeric: _Numeric,
    }

    def on_connect(self) -> None:
        """Nothing: what another dialect would set on the connection is done to each value here."""


def _wants_text(dialect: AnyDialect) -> bool:
    return getattr(dialect, "_native_inet_types", None) is False


def _loads(dialect: AnyDialect) -> Process:
    return getattr(dialect, "_json_deserializer", None) or json.loads


def _unless_null(process: Process) -> Process:
    return lambda value: None if value is None else process(value)


def _each(process: Process) -> Process:
    """The same for an array of any number of dimensions."""

    def processed(value: Any) -> Any:
        if isinstance(value, list):
            return [processed(element) for element in value]
        return None if value is None else process(value)

    return processed
