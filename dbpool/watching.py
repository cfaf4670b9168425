"""What a holder's statement leaves noted on its connection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import monotonic
from typing import Any

from dbpool.core.route import Route
from dbpool.core.sessionneeds import session_need
from dbpool.errors import StatementError
from dbpool.faults import (
    incomplete,
    is_misfit,
    is_misread,
    is_refused_write,
    is_unfinished,
    is_unsent,
    note_refused_write,
    translated,
)
from dbpool.outdated import can_run_again, is_undescribed

LEAST_S = 0.001  # for a second try whose time is up: the driver takes none of 0


def watched(method: Callable[..., Any], *, takes_sql: bool) -> Callable[..., Any]:
    """*method* of a ``PooledConnection``, which counts as at work meanwhile, and is interrupted if it is cut short."""

    @functools.wraps(method)
    async def watched(self: Any, what: str, *args: Any, **options: Any) -> Any:
        if takes_sql:
            self.watch(what)
        else:
            self.check_fit()
            if options.get("where"):
                self.note_change(options["where"])
        self.at_work += 1
        try:
            return await method(self, what, *args, **options)
        except BaseException as error:
            if is_unfinished(error):  # whether or not the holder lets it out
                self.is_interrupted = True
            if is_refused_write(error):
                note_refused_write(self)
            if is_misread(error):
                raise translated(error, self, self.held_by) from error
            raise
        finally:
            self.at_work -= 1

    return watched


def refuse_no_text(sql: object) -> None:
    """Raises: StatementError: it is no SQL text."""
    if not isinstance(sql, str):
        raise StatementError(
            f"a connection takes SQL as a str, not {type(sql).__name__}: statements of SQLAlchemy's are for the "
            f"helpers of pools, lanes and transactions, as db.fetch() and tx.fetch()"
        )


def refuse_session_need(sql: str, route: Route, named: str, *, in_transaction: bool = False) -> None:
    """Refuse what a pooler in transaction mode would lose, or leave to another client, without an error.

    Args:
        named: the pool and the lane, for the message.
    Raises: StatementError.
    """
    need = session_need(sql, in_transaction=in_transaction)
    if need is not None:
        raise StatementError(
            f"{need.what} needs a session of its own, and {named} goes through {route.mode}: {need.instead}"
        )


def prepared_again(method: Callable[..., Any]) -> Callable[..., Any]:
    """``_do_execute`` of asyncpg, run again where what the driver knew is out of date and no effect can have been had.

    asyncpg does so for a stale plan alone, but then forgets the class of the rows, and sends none of those of an
    ``executemany`` that it took from an iterator the first time.
    """

    @functools.wraps(method)
    async def prepared_again(self: Any, query: str, run: Any, timeout: float | None, **options: Any) -> Any:
        began = monotonic()
        try:
            return await method(self, query, run, timeout, retry=False, **options)
        except Exception as error:
            if is_unsent(error) and is_undescribed(self, query, options.get("record_class")):
                raise incomplete() from error
            if not (can_run_again(self, error, query) and self.can_resend()):
                raise
            is_changed = is_misfit(error)
        if timeout is not None:
            timeout = max(timeout - (monotonic() - began), LEAST_S)
        answer = await method(self, query, run, timeout, retry=False, **options)
        if is_changed:  # for now the arguments fit: other connections know no better yet
            self.forget_schema()
        return answer

    return prepared_again
