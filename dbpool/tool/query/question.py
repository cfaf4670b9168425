"""One statement, with its parameters in it, and the columns that it gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbpool import DatabasePool, UsageError
from dbpool.core.placeholders import constant, with_constants
from dbpool.core.statements import Statement, classify
from dbpool.wording import counted

NUMERIC: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8", "oid", "money", "xid", "xid8"})
_COPIED: Final = frozenset({"SELECT", "TABLE", "VALUES", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE"})
_TYPES: Final = """
    SELECT pg_catalog.format_type(oid, -1) AS name FROM unnest($1::oid[]) WITH ORDINALITY AS t (oid, place)
    ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A name, and the name of a type as ``pg_type`` has it."""

    name: str
    type_name: str

    @property
    def is_numeric(self) -> bool:
        return self.type_name in NUMERIC


@dataclass(frozen=True, slots=True)
class Question:
    """*sql* needs no parameters any more; without columns it gives a status only."""

    sql: str
    statement: Statement
    columns: tuple[Column, ...]

    @property
    def can_be_copied(self) -> bool:
        """Whether COPY takes it, which gives each value as the server writes it."""
        return self.statement.first_word in _COPIED


def checked_statement(sql: str, parameters: int) -> Statement:
    """What *sql* is.

    Raises:
        UsageError, SqlTextError: it is no statement that this command can run, or has another number of parameters.
    """
    statement = classify(sql)
    if statement.count > 1:
        raise UsageError(f"{statement.count} statements: a call takes one")
    if statement.controls_transaction:
        raise UsageError(f"{statement.first_word} alone means nothing here: each call is a transaction of its own")
    if statement.is_copy_stdio:
        raise UsageError("COPY from or to the client is what dbpool load and dbpool export are for")
    if statement.parameters != parameters:
        takes = (
            "none"
            if not statement.parameters
            else "$1"
            if statement.parameters == 1
            else f"$1 to ${statement.parameters}"
        )
        raise UsageError(f"{counted(parameters, 'parameter')} given, the statement takes {takes}")
    return statement


async def prepared(db: DatabasePool, sql: str, statement: Statement, texts: Sequence[str | None]) -> Question:
    """Have the server say what types *sql* takes and gives. Raises: PostgresError: it refuses the statement."""
    async with db.acquire() as connection:
        server_side = await connection.prepare(sql)
        takes = [each.oid for each in server_side.get_parameters()]
        gives = server_side.get_attributes()
        names = [row["name"] for row in await connection.fetch(_TYPES, takes)] if takes else []
    constants = [constant(text, name) for text, name in zip(texts, names, strict=True)]
    columns = tuple(Column(each.name, each.type.name) for each in gives)
    return Question(with_constants(sql, constants) if constants else sql, statement, columns)
