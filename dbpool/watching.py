"""What a holder's statement leaves noted on its connection."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from dbpool.errors import StatementError
from dbpool.faults import is_stale_plan, is_unfinished


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


def prepared_again(method: Callable[..., Any]) -> Callable[..., Any]:
    """``_do_execute`` of asyncpg, which prepares a stale statement anew, but then forgets the class of its rows."""

    @functools.wraps(method)
    async def prepared_again(self: Any, query: str, run: Any, timeout: float | None, **options: Any) -> Any:
        try:
            return await method(self, query, run, timeout, retry=False, **options)
        except Exception as error:
            if not is_stale_plan(error) or self.is_in_transaction():
                raise
        return await method(self, query, run, timeout, retry=False, **options)

    return prepared_again
