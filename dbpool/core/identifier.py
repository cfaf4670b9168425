"""A name, written so that it means exactly itself in a statement."""

from __future__ import annotations

from typing import Final

from dbpool.errors import StatementError

LONGEST_NAME: Final = 63  # bytes: NAMEDATALEN - 1; the server cuts longer ones off, and means another thing


class Identifier:
    """The name of a table, a column or anything else, for the text of a statement: ``str()`` quotes it.

    Values belong into parameters; a name cannot be one.

    Args:
        parts: 1 or more, from the outermost: ``Identifier("shop", "Orders")``. Each is taken as it stands, capitals,
            dots and quotes included.
    Raises:
        StatementError: a part can be no name: it is empty, has a NUL or a lone surrogate, or more than 63 bytes.
    Example: ``await db.fetch(f"select * from {Identifier(schema, table)} where id = $1", 7)``
    """

    __slots__ = ("_sql", "parts")

    def __init__(self, *parts: str) -> None:
        if not parts:
            raise StatementError("an Identifier needs at least one name")
        self.parts = parts
        self._sql = ".".join(map(quoted, parts))

    def __str__(self) -> str:
        return self._sql

    def __format__(self, format_spec: str) -> str:
        return format(self._sql, format_spec)

    def __repr__(self) -> str:
        return f"Identifier({', '.join(map(repr, self.parts))})"

    def __eq__(self, other: object) -> bool:
        return self.parts == other.parts if isinstance(other, Identifier) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.parts)


def quoted(name: str) -> str:
    """*name* as an identifier that means exactly it.

    Raises:
        StatementError: nothing can have this name.
    """
    if (problem := problem_with(name)) is not None:
        raise StatementError(f"{name!r:.80} can be nobody's name: {problem}")
    return '"' + name.replace('"', '""') + '"'


def problem_with(name: object) -> str | None:
    """Why the server could not, or would not, take *name* as it stands; None: it does."""
    if not isinstance(name, str):
        return f"it is no str but {type(name).__name__}"
    if not name:
        return "it is empty"
    if "\0" in name:
        return "it has a NUL"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "it has a lone surrogate"
    return f"it has {length} bytes, and names have at most {LONGEST_NAME}" if length > LONGEST_NAME else None
