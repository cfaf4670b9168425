"""What may stand where SQL text does: a statement of SQLAlchemy's, known without importing SQLAlchemy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from dbpool.core.want import Want
from dbpool.errors import StatementError

if TYPE_CHECKING:
    from types import ModuleType

OLDEST = (2, 1)  # of SQLAlchemy: what is used of its inside was another before


@runtime_checkable
class Executable(Protocol):
    """A statement of SQLAlchemy Core: ``select()``, ``insert()``, ``update()``, ``delete()``, ``text()``, DDL."""

    def get_execution_options(self) -> Mapping[str, Any]: ...


class Telling(Protocol):
    """How the caller of such a statement is told its answer."""

    def rows(self, rows: list[Any]) -> list[Any]:
        """The server's rows, with what the types of the columns make of their values."""
        ...

    def told(self, error: Exception, args: Sequence[object]) -> Exception:
        """The server's or driver's error, or one that the caller understands."""
        ...


class Bound(NamedTuple):
    """A statement as the server takes it, and its values; *telling* is None where that is how it was given."""

    sql: str
    args: Sequence[object]  # a tuple, where it was made
    telling: Telling | None


class BoundMany(NamedTuple):
    """The same for many items, of which *args_of* makes values; None: they are values."""

    sql: str
    items: Iterable[Any]
    args_of: Callable[[Any], Sequence[object]] | None


def bound(statement: str | Executable, args: Sequence[object], want: Want) -> Bound:
    """*statement* as the server takes it.

    Raises:
        StatementError: it is no statement, or *args* are no values for it.
    """
    if isinstance(statement, str):
        return Bound(statement, args, None)
    made: Bound = sqlalchemys(statement).bound(statement, args, want)
    return made


def bound_many(statement: str | Executable, items: Iterable[Any]) -> BoundMany:
    """The same for many items; the first one is looked at, and is among those returned."""
    if isinstance(statement, str):
        return BoundMany(statement, items, None)
    made: BoundMany = sqlalchemys(statement).bound_many(statement, items)
    return made


_executing: ModuleType | None = None


def sqlalchemys(statement: object) -> ModuleType:
    """The part of this package that knows SQLAlchemy's statements.

    Raises:
        StatementError: *statement* cannot be one, or is one of a version that is too old.
    """
    global _executing  # noqa: PLW0603 - an import statement that finds its module again takes a quarter of a microsecond
    if _executing is None:
        sqlalchemy = sys.modules.get("sqlalchemy")
        if sqlalchemy is None:  # whoever has a statement has imported it
            raise StatementError(f"SQL must be a str, not {type(statement).__name__}")
        version = str(sqlalchemy.__version__)
        if tuple(map(int, version.split(".")[:2])) < OLDEST:
            raise StatementError(
                f"SQLAlchemy {version} is installed, its statements are taken from 2.1 on: "
                f"pip install -U 'dbpool[sqlalchemy]'"
            )
        from dbpool.sqlalchemy import executing

        _executing = executing
    return _executing
