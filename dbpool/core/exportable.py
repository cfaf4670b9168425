"""Tells whether a text that is to be exported names a table, or is a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.core.identifier import quoted
from dbpool.core.sqltext import SqlTextError, Token, tokens
from dbpool.core.statements import classify
from dbpool.errors import StatementError

_QUERIES = frozenset({"SELECT", "TABLE", "VALUES", "WITH"})
_WRITES = frozenset({"DELETE", "INSERT", "MERGE", "UPDATE"})  # with RETURNING


@dataclass(frozen=True, slots=True)
class TableName:
    """A table as the catalogs hold its name; *schema* is "" where the search path decides."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}" if self.schema else quoted(self.name)


@dataclass(frozen=True, slots=True)
class Query:
    """One statement that gives rows, without the semicolon or comment that may have followed it."""

    sql: str
    parameters: int
    """The highest n of all ``$n``."""
    is_write: bool


def read_source(text: str) -> TableName | Query:
    """What *text* is: ``users``, ``shop."Orders"`` and ``odd"name`` are tables, ``SELECT ...`` is a query.

    Names are read as in SQL, where ``Users`` means users; one word that SQL could not read is taken as it stands.

    Raises:
        StatementError: it is neither; or several statements.
    """
    if not isinstance(text, str):
        raise StatementError(f"what is exported must be a str, a table's name or a query, not {type(text).__name__}")
    if not text.strip() or "\0" in text:
        raise StatementError(f"{text!r} is neither a table's name nor a query")
    is_one_word = not any(character.isspace() for character in text)
    try:
        seen = list(tokens(text))
    except SqlTextError:
        if is_one_word:
            return TableName("", text)
        raise
    name = _name_of(seen)
    if name is None and is_one_word and classify(text).first_word not in _QUERIES:
        return TableName("", text)
    return name or _query_of(text, seen)


def _name_of(seen: Sequence[Token]) -> TableName | None:
    names = [token.name for token in seen[::2]]
    if len(seen) not in (1, 3) or not all(names) or any(token.text != "." for token in seen[1::2]):
        return None
    if len(seen) == 1 and seen[0].keyword in _QUERIES:
        return None
    return TableName(names[0] if len(names) > 1 else "", names[-1])


def _query_of(text: str, seen: Sequence[Token]) -> Query:
    statement = classify(text)
    first = statement.first_word
    if first not in _QUERIES | _WRITES:
        raise StatementError(
            f"{text.split(maxsplit=1)[0]!r} begins neither a query (SELECT, WITH, VALUES, TABLE, or a write with "
            f"RETURNING) nor is it a table alone: a name with blanks is written '\"my table\"'"
        )
    if statement.count > 1:
        raise StatementError(f"{statement.count} statements: an export takes one query")
    if first in _WRITES and not any(token.keyword == "RETURNING" for token in seen):
        raise StatementError(f"{first} without RETURNING gives no rows to export")
    last = len(seen)
    while seen[last - 1].text == ";":
        last -= 1
    return Query(text[: seen[last - 1].end], statement.parameters, first in _WRITES)
