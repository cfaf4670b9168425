"""The helpers for whole tables: many rows in, or out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dbpool.bulk.writing.asked import insert_plan, update_plan, upsert_plan
from dbpool.bulk.writing.reading import Rows
from dbpool.bulk.writing.writes import Writing
from dbpool.bulk.writing.written import ROWS_PER_TRANSACTION, Pacing, Progress, Written
from dbpool.manyitems import ManyItems


class WholeTables(ManyItems):
    """A part of what a lane offers, in a class of its own for its length alone."""

    async def insert(
        self,
        table: str,
        rows: Rows,
        *,
        columns: Sequence[str] | None = None,
        returning: str | Sequence[str] | None = None,
        on_conflict: Literal["nothing"] | None = None,
        rows_per_transaction: int | None = ROWS_PER_TRANSACTION,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Insert many rows by COPY, in transactions of *rows_per_transaction* rows; each is stored whole or not at all.

        Args:
            table: as SQL writes it: ``orders``, ``shop.orders``, ``'"Mixed Case"'``.
            rows: tuples, lists, dicts, records or objects with fields, from an iterable, sync or async. They are read a
                transaction's worth at a time, while no connection is held.
            columns: which columns, by their exact names; None: the names that the first row has, or for tuples all
                columns of the table that can be given a value.
            returning: columns of the stored rows, for ``Written.returned``, in the order of *rows*.
            on_conflict: "nothing" leaves out the rows that a unique index refuses.
            rows_per_transaction: None: all in one, kept in memory. A transaction that conflicts with others (40P01,
                40001) is run again, the second time in halves, unless it is the only one.
            timeout: seconds for each statement of a transaction; None: ``query_timeout``.
            progress: called with what is done so far, after a transaction but twice a second at most, and at the end.
        Raises:
            StatementError: no such table, or columns that cannot be written; nothing is stored.
            WriteFailed: a row does not fit, or a transaction failed; ``rows_stored``, ``first_row``, ``last_row``.
            WriteOutcomeUnknown: the connection was lost between a COMMIT and its answer.
            Whatever *rows* raises, as it is: nothing of the transaction under way is stored.
        Cancelling: nothing of the transaction under way is stored, unless its COMMIT had been sent; see Transaction.
        Example: ``await db.insert("users", [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}])``
        """
        plan = insert_plan(columns, returning, on_conflict)
        pacing = Pacing(rows_per_transaction=rows_per_transaction, timeout=timeout, progress=progress)
        return await Writing(self._access(), plan, pacing).run(table, rows)

    async def upsert(
        self,
        table: str,
        rows: Rows,
        *,
        key: str | Sequence[str],
        columns: Sequence[str] | None = None,
        update: Sequence[str] | None = None,
        on_repeat: Literal["last", "first", "raise"] = "last",
        rows_per_transaction: int | None = ROWS_PER_TRANSACTION,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Insert the rows whose *key* is not there, update the others: by COPY and ON CONFLICT.

        Rows are locked in the order of their keys, so that writers that do the same do not deadlock.

        Args:
            key: columns that a unique index is on, and no others. A row with a NULL in one is refused.
            update: columns to update in a row that is there; None: all of *columns* but the key; (): leave it as it is.
            on_repeat: which row counts when several of a transaction have the same key; of two transactions the later.
        The rest is as for ``insert``.
        Example: ``await db.upsert("users", [(1, "Ada"), (2, "Grace")], key="id", columns=["id", "name"])``
        """
        plan = upsert_plan(key, columns, update, on_repeat)
        pacing = Pacing(rows_per_transaction=rows_per_transaction, timeout=timeout, progress=progress)
        return await Writing(self._access(), plan, pacing).run(table, rows)

    async def update_from(
        self,
        table: str,
        rows: Rows,
        *,
        key: str | Sequence[str],
        columns: Sequence[str] | None = None,
        on_repeat: Literal["last", "first", "raise"] = "last",
        rows_per_transaction: int | None = ROWS_PER_TRANSACTION,
        timeout: float | None = None,
        progress: Progress | None = None,
    ) -> Written:
        """Update the rows whose *key* is there with the other columns of *rows*: by COPY and UPDATE FROM.

        Rows whose key is not there change nothing; ``Written.updated`` counts those that did. The key need not be
        unique in the table: all of its rows are updated. The rest is as for ``upsert``.

        Example: ``await db.update_from("users", [{"id": 1, "name": "Ada L."}], key="id")``
        """
        plan = update_plan(key, columns, on_repeat)
        pacing = Pacing(rows_per_transaction=rows_per_transaction, timeout=timeout, progress=progress)
        return await Writing(self._access(), plan, pacing).run(table, rows)
