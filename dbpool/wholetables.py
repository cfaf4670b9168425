"""The helpers for whole tables: many rows in, or out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from dbpool.bulk.exporting.export import export
from dbpool.bulk.exporting.exported import Exported, ExportProgress
from dbpool.bulk.exporting.requests import ExportOptions
from dbpool.bulk.exporting.targets import Target
from dbpool.bulk.writing.asked import insert_plan, update_plan, upsert_plan
from dbpool.bulk.writing.reading import Rows
from dbpool.bulk.writing.writes import Writing
from dbpool.bulk.writing.written import ROWS_PER_TRANSACTION, Pacing, Progress, Written
from dbpool.core.copyformats import Csv
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

    async def export(
        self,
        source: str,
        target: Target,
        *,
        args: Sequence[object] = (),
        format: str | Csv | None = None,  # noqa: A002 - what everybody calls it
        gzip: bool | None = None,
        at_once: int | None = None,
        part_bytes: int | None = None,
        durable: bool = False,
        progress: Callable[[ExportProgress], object] | None = None,
        timeout: float | None = None,
    ) -> Exported:
        """Write a table, or what a query returns, by COPY; a table by several connections that see one state of it.

        A table is read in ranges of its pages, with all its partitions and children. Rows come in no order that means
        something, ranges in the same order each time. Views, foreign tables and queries are read by one connection.
        A file stands under its name when all of it is written, and stored in a query that writes; else nothing is left.

        Args:
            source: a table's name as in SQL (``users``, ``shop."Orders"``), or one query that returns rows.
            target: a path (``.gz`` compresses); a directory, or a path with ``{part}`` in its name, for a file a part;
                a binary file object, written in a thread; or an async function, called with the bytes in order.
            args: the values of a query's $1, $2, ...
            format: ``csv`` or ``Csv(...)`` with its options, ``binary`` (of COPY), ``ndjson``, or ``parquet`` (needs
                ``dbpool[arrow]``); None: what the path's suffix says, else csv.
            gzip: compress; None: if the path ends with ``.gz``.
            at_once: connections at most, 1 to as many as the lane can hold; None: half of those, 2 to 4. It begins with
                the first, and more join in as they can be had.
            part_bytes: about so much of the table is a part; None: 1 to 4 MiB, for one connection 64, in files of
                their own 4 to 128 MiB.
            durable: what is written outlasts a loss of power (fsync).
            progress: called at most twice a second, and at the end.
            timeout: seconds for all of it; None: no limit, but for the server's silence, which is ``query_timeout``.
        Raises:
            StatementError: *source* is neither a table's name nor one query with rows, or *args* do not fit it.
            UsageError, SettingsError: an unknown format, a target that cannot be written to, a number out of range.
            ExportFailed: no such table, no such directory, no room on the disk.
            QueryTimeout: *timeout* is over, or the server was silent for too long.
            AcquireTimeout, LineFull, PoolClosed, ServerUnavailable, ConnectionLost: see acquire and fetch.
        Cancelling: stops every COPY, removes what was written, and gives every connection back; once all is written and
            COMMIT was sent, it is delivered when the files have their names.
        Example: ``await db.export("orders", "orders.csv.gz", at_once=2)``
        """
        options = ExportOptions(
            args=args,
            format=format,
            gzip=gzip,
            at_once=at_once,
            part_bytes=part_bytes,
            is_durable=durable,
            progress=progress,
            timeout=timeout,
        )
        return await export(self._access(), source, target, options)
