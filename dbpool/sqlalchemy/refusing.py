"""What cannot be run of what SQLAlchemy makes, each in a sentence that says what can."""

from __future__ import annotations

from typing import Any

from sqlalchemy import FromClause, inspect
from sqlalchemy.exc import CompileError, SQLAlchemyError, UnsupportedCompilationError
from sqlalchemy.sql import ClauseElement, Executable
from sqlalchemy.sql.compiler import Compiled

from dbpool.errors import StatementError
from dbpool.faults import one_line


def not_executable(thing: object) -> StatementError:
    """For what stands in the place of a statement and is none."""
    kind = type(thing).__name__
    if isinstance(thing, Compiled):
        return StatementError(f"a {kind} is not run again: give the statement that it was compiled from")
    if isinstance(thing, FromClause):
        return StatementError(f"a {kind} is no statement: select({_name(thing)}) reads its rows")
    if isinstance(thing, ClauseElement):
        return StatementError(f"a {kind} is no statement: select(...) of it gives its value")
    if inspect(thing, raiseerr=False) is not None and isinstance(thing, type):
        return StatementError(
            f"{thing.__name__} is a mapped class, no statement: select({thing.__name__}.__table__), or use a session "
            f"of dbpool.sqlalchemy.create_engine(db)"
        )
    return StatementError(f"SQL must be a str or a statement of SQLAlchemy, not {kind}")


def _name(clause: FromClause) -> str:
    return str(getattr(clause, "name", None) or "it")


def refuse_entities(statement: Executable) -> None:
    """Refuse a select of mapped classes: making objects of rows is a session's work."""
    if getattr(statement, "_propagate_attrs", {}).get("compile_state_plugin") != "orm":
        return
    for column in getattr(statement, "column_descriptions", ()):
        entity: Any = column.get("entity")
        if entity is not None and column.get("expr") is entity:
            name = getattr(inspect(entity).mapper.class_, "__name__", "it")
            raise StatementError(
                f"select({name}) asks for objects of a mapped class, which only a session makes: select its columns "
                f"here, as select({name}.__table__) or select({name}.id), or use dbpool.sqlalchemy.create_engine(db)"
            )


def as_ours(error: SQLAlchemyError) -> StatementError:
    """What SQLAlchemy refuses to compile or to bind, as this package reports it."""
    unsupported = error if isinstance(error, UnsupportedCompilationError) else error.__cause__
    if isinstance(unsupported, UnsupportedCompilationError):
        element: object = unsupported.element_type
        return _of_another(element if isinstance(element, type) else type(element))
    text = str(error.args[0] if error.args else error).strip().split("\n")[0]
    what = "cannot be made into SQL" if isinstance(error, CompileError) else "cannot be run"
    return StatementError(f"the statement {what}: {text}")


def not_compiled(statement: object, error: Exception) -> StatementError:
    """For a statement over which a compiler stumbled: mostly one that was made for another database's."""
    module = type(statement).__module__
    if module.startswith("sqlalchemy.dialects.") and not module.startswith("sqlalchemy.dialects.postgresql."):
        return _of_another(type(statement))
    return StatementError(f"the statement cannot be made into SQL: {one_line(error)}")


def _of_another(kind: type) -> StatementError:
    return StatementError(
        f"PostgreSQL has no {kind.__module__}.{kind.__qualname__}: it is of another database's dialect. Use what "
        f"sqlalchemy or sqlalchemy.dialects.postgresql have"
    )
