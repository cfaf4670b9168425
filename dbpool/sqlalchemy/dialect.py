"""SQLAlchemy's dialect of asyncpg, for connections as the pool has them: with no codec set on them.

SQLAlchemy's own sets codecs for JSON when it connects. A pooled connection is everybody's, so here the same is done to
each value instead, by the processors of its type: JSON goes over the driver as text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy.dialects.postgresql import CIDR, INET
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.types import NullType

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

    colspecs = PGDialect_asyncpg.colspecs | {NullType: Untyped, INET: _InetAsText, CIDR: _CidrAsText}

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

    def processed(value: Any) -> Any:  # noqa: ANN401 - a value of the server, or a list of them
        if isinstance(value, list):
            return [processed(element) for element in value]
        return None if value is None else process(value)

    return processed
