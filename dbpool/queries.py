"""The helpers that run one statement, alike on a pool and in a transaction."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Any, LiteralString, TypeVar, overload

from dbpool.connection import MOST_PARAMETERS, Answer, Record, Want
from dbpool.core.statements import Statement, classify, refuse_copy
from dbpool.errors import StatementError
from dbpool.executable import Executable, bound
from dbpool.settings import positive_seconds
from dbpool.sites import Site

T = TypeVar("T")

LONGEST_VALUE = 2**30 - 64 * 1024  # MaxAllocSize of memutils.h, less what else is in a message
LONGEST_KEPT = 4096  # characters of a text whose check is remembered, so that 4,096 of them stay below 16 MiB


def check(sql: str, args: Sequence[object], want: Want, trusted: frozenset[str]) -> Statement:
    """Check what a helper was given: a script where only the status is wanted and there are no parameters."""
    if want is Want.STATUS and not args:
        return check_script(sql, trusted)
    return check_statement(sql, args, trusted)


def check_statement(sql: str, args: Sequence[object], trusted: frozenset[str]) -> Statement:
    """Refuse what can never work as one statement, before it takes a permit.

    Raises:
        StatementError: empty text, a NUL byte or lone surrogate in text or parameters, several statements,
            COPY to or from the client, BEGIN and its like, more than 32,767 parameters, one of 1 GiB.
    """
    is_short = sql.__class__ is str and len(sql) <= LONGEST_KEPT
    statement = (_one_statement if is_short else _one_statement.__wrapped__)(sql, trusted)
    for number, value in enumerate(args, 1):
        if value.__class__ is str:
            if not value.isascii() or "\0" in value or len(value) > LONGEST_VALUE:
                _check_text(value, f"parameter ${number}")
        elif value.__class__ is bytes and len(value) > LONGEST_VALUE:
            raise _too_long(len(value), f"parameter ${number}")
    if len(args) > MOST_PARAMETERS:
        raise StatementError(
            f"{len(args)} parameters, the protocol takes {MOST_PARAMETERS}: pass arrays and unnest() them, or use "
            f"executemany()"
        )
    return statement


@lru_cache(4096)  # the hot path: one lookup for each call
def _one_statement(sql: str, trusted: frozenset[str]) -> Statement:
    statement = check_script(sql, trusted)
    if statement.count > 1:
        raise StatementError(
            f"{statement.count} statements in one call: send one at a time, or a script without parameters "
            f"through execute()"
        )
    return statement


def check_script(sql: str, trusted: frozenset[str]) -> Statement:
    """The same for a text that may hold several statements."""
    if not isinstance(sql, str):
        raise StatementError(f"SQL must be a str, not {type(sql).__name__}")
    statement = classify(sql, trusted)
    if statement.is_copy_stdio:
        refuse_copy(statement)
    if statement.controls_transaction:
        raise StatementError(
            f"{statement.first_word} as a statement of its own would act on whichever connection it met: "
            f"use 'async with db.transaction()'"
        )
    return statement


def _check_text(text: str, what: str) -> None:
    if "\0" in text:
        raise StatementError(f"{what} has a NUL character, which PostgreSQL's text cannot hold: remove it or use bytea")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StatementError(f"{what} has a lone surrogate at {error.start}, which is no character in UTF-8") from None
    if len(text) > LONGEST_VALUE:
        raise _too_long(len(text), what)


def _too_long(length: int, what: str) -> StatementError:
    return StatementError(
        f"{what} has a length of {length:,}: PostgreSQL ends a session that sends a message of 1 GiB or more, and no "
        f"value of it can be that long. Store it in pieces, or elsewhere"
    )


def mapper_of(into: Callable[..., T], record: Record) -> Callable[[Record], T]:
    """What makes a T of *record* and of others with its columns."""
    from dbpool.rows import mapper  # only callers that use into= pay for its import

    return mapper(into, tuple(record.keys()))


class Queries(ABC):
    """Runs statements. ``timeout`` is seconds for the whole call, waiting for a connection included.

    Each method only notes who calls it, and nothing happens until what it returns is awaited: by then that may be the
    coroutine of a task, which nobody called.

    Every method raises StatementError for what can never work, before anything is sent or waited for; QueryTimeout when
    its time is up; ConnectionLost when the server goes away; the server's own error (``asyncpg.PostgresError``) as it
    is. Cancelling one asks the server to cancel the statement; a write may or may not have been applied.
    """

    __slots__ = ()

    @abstractmethod
    def _ask(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None = None,  # noqa: FBT001 - by position: this is the hot path
    ) -> Awaitable[Answer]:
        """Check a statement and run it."""

    async def _ask_bound(
        self,
        statement: str | Executable,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None = None,  # noqa: FBT001 - as above
    ) -> Answer:
        """The same for a statement of SQLAlchemy's, or text of a class of its own."""
        sql, values, telling = bound(statement, args, want)
        if telling is None:
            return await self._ask(sql, values, want, timeout, site, coalesce)
        try:
            answer = await self._ask(sql, values, want, timeout, site, coalesce)
        except Exception as error:
            told = telling.told(error, values)
            if told is error:
                raise
            raise told from error
        return answer if want is Want.STATUS else telling.rows(answer)

    def _site(self) -> Site | None:
        """The place in the program that calls the method that calls this, if it asks for a connection."""
        return None

    @overload
    def fetch(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: None = None,
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, list[Record]]: ...
    @overload
    def fetch(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: Callable[..., T],
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, list[T]]: ...
    def fetch(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: Callable[..., T] | None = None,
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, list[Record] | list[T]]:
        """All rows of a statement.

        Args:
            args: the values of $1, $2, ...
            into: a dataclass, NamedTuple, msgspec Struct, pydantic model or any callable that takes the columns by
                name; each row becomes one.
            coalesce: while it would wait in line, have it answered by one statement together with other calls of the
                same text; None: as the pool or lane says. Without effect in a transaction, and where *sql* writes.
        Raises:
            RowMappingError: the columns do not fit *into*.
        """
        return self._fetch(self._site(), sql, args, timeout, into, coalesce)

    query = fetch

    async def _fetch(
        self,
        site: Site | None,
        sql: str | Executable,
        args: Sequence[object],
        timeout: float | None,
        into: Callable[..., T] | None,
        coalesce: bool | None,  # noqa: FBT001 - as above
    ) -> list[Record] | list[T]:
        rows: list[Record]
        if sql.__class__ is str:
            rows = await self._ask(sql, args, Want.ROWS, timeout, site, coalesce)
        else:
            rows = await self._ask_bound(sql, args, Want.ROWS, timeout, site, coalesce)
        if into is None or not rows:
            return rows
        return list(map(mapper_of(into, rows[0]), rows))

    @overload
    def fetchrow(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: None = None,
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, Record | None]: ...
    @overload
    def fetchrow(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: Callable[..., T],
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, T | None]: ...
    def fetchrow(
        self,
        sql: LiteralString | Executable,
        *args: object,
        timeout: float | None = None,
        into: Callable[..., T] | None = None,
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, Record | T | None]:
        """The first row, or None if there is none. The server stops after it."""
        return self._fetchrow(self._site(), sql, args, timeout, into, coalesce)

    async def _fetchrow(
        self,
        site: Site | None,
        sql: str | Executable,
        args: Sequence[object],
        timeout: float | None,
        into: Callable[..., T] | None,
        coalesce: bool | None,  # noqa: FBT001 - as above
    ) -> Record | T | None:
        rows: list[Record]
        if sql.__class__ is str:
            rows = await self._ask(sql, args, Want.ROW, timeout, site, coalesce)
        else:
            rows = await self._ask_bound(sql, args, Want.ROW, timeout, site, coalesce)
        if not rows:
            return None
        return rows[0] if into is None else mapper_of(into, rows[0])(rows[0])

    def fetchval(
        self,
        sql: LiteralString | Executable,
        *args: object,
        column: int = 0,
        timeout: float | None = None,
        coalesce: bool | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """One value of the first row: that of *column*, counted from 0; None if there is no row."""
        return self._fetchval(self._site(), sql, args, column, timeout, coalesce)

    async def _fetchval(
        self,
        site: Site | None,
        sql: str | Executable,
        args: Sequence[object],
        column: int,
        timeout: float | None,
        coalesce: bool | None,  # noqa: FBT001 - as above
    ) -> Any:  # noqa: ANN401 - whatever type the column has
        rows: list[Record]
        if sql.__class__ is str:
            rows = await self._ask(sql, args, Want.ROW, timeout, site, coalesce)
        else:
            rows = await self._ask_bound(sql, args, Want.ROW, timeout, site, coalesce)
        return rows[0][column] if rows else None

    def execute(
        self, sql: LiteralString | Executable, *args: object, timeout: float | None = None
    ) -> Coroutine[Any, Any, str]:
        """Run a statement, or without *args* a script of several; return the status of the last, as ``INSERT 0 1``.

        A script is one implicit transaction unless it says otherwise.
        """
        return self._execute(self._site(), sql, args, timeout)

    async def _execute(
        self, site: Site | None, sql: str | Executable, args: Sequence[object], timeout: float | None
    ) -> str:
        if sql.__class__ is str:
            answer = await self._ask(sql, args, Want.STATUS, timeout, site)
        else:
            answer = await self._ask_bound(sql, args, Want.STATUS, timeout, site)
        return answer if isinstance(answer, str) else answer[1].decode()


def checked_timeout(timeout: float | None) -> float | None:
    """Refuse a time-out that is not a finite number of seconds above 0; None stands for the pool's."""
    return None if timeout is None else positive_seconds(timeout, "timeout")
