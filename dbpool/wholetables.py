"""The helpers for whole tables: many rows in, or out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Unpack

from dbpool.core.usual import ROWS_PER_TRANSACTION
from dbpool.manyitems import ManyItems

if TYPE_CHECKING:
    from dbpool.bulk.exporting.exported import Exported, ExportProgress
    from dbpool.bulk.exporting.targets import Target
    from dbpool.bulk.loading.options import LoadOptions
    from dbpool.bulk.loading.results import Loaded
    from dbpool.bulk.loading.sources import Source
    from dbpool.bulk.writing.reading import Rows
    from dbpool.bulk.writing.written import Progress, Written
    from dbpool.core.copyformats import Csv


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
        from dbpool.bulk.writing.asked import insert_plan
        from dbpool.bulk.writing.writes import Writing
        from dbpool.bulk.writing.written import Pacing

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

        Rows are locked in the order of their keys, so that upserts by the same key do not deadlock. With other writes
        of the same rows (an ``update_from``, an insert, another order of the key's columns) one can; it is run again.

        Args:
            key: columns that a unique index is on, and no others. A row with a NULL in one is refused.
            update: columns to update in a row that is there; None: all of *columns* but the key; (): leave it as it is.
            on_repeat: which row counts when several of a transaction have the same key; of two transactions the later.
        The rest is as for ``insert``.
        Example: ``await db.upsert("users", [(1, "Ada"), (2, "Grace")], key="id", columns=["id", "name"])``
        """
        from dbpool.bulk.writing.asked import upsert_plan
        from dbpool.bulk.writing.writes import Writing
        from dbpool.bulk.writing.written import Pacing

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
        from dbpool.bulk.writing.asked import update_plan
        from dbpool.bulk.writing.writes import Writing
        from dbpool.bulk.writing.written import Pacing

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
            source: a table's name as in SQL (``users``, ``shop."Orders"``), without its generated columns, as COPY has
                it; or one query that returns rows.
            target: a path (``.gz`` compresses); a directory, or a path with ``{part}`` in its name, for a file a part;
                a binary file object, written in a thread; or an async function, called with the bytes in order.
            args: the values of a query's $1, $2, ...
            format: ``csv`` or ``Csv(...)`` with its options, ``binary`` (of COPY), ``ndjson``, ``json`` (one array), or
                ``parquet`` (needs ``dbpool[arrow]``); None: what the path's suffix says, else csv.
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
        from dbpool.bulk.exporting.export import export
        from dbpool.bulk.exporting.requests import ExportOptions

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

    async def load(self, table: str, source: Source, **options: Unpack[LoadOptions]) -> Loaded:
        """Store rows from files, records, frames or arrays in *table* through COPY, on several connections at once.

        The source is cut into chunks. Each is stored in a transaction of its own, on a connection that is held no
        longer than that, so a load that stops half-way has stored some of them: LoadFailed says which, and ``resume``
        goes on with the others. With ``atomic`` all of it is one transaction, on one connection.

        Args:
            table: ``table`` or ``schema.table``, taken as it stands; a name with a dot in double quotes.
            source: a path, a pattern (``"data/*.csv.gz"``) or a list of them: CSV, which goes to the server as it is,
                or a JSON object on each line (``.ndjson``, ``.jsonl``, ``.json``); packed by gzip or not.
                An iterable or async iterable of rows: by name where they have names (mappings, driver's records, named
                tuples, objects with fields), else by place. Anything with ``__arrow_c_stream__`` (takes the extra
                ``arrow``). A mapping of column names to numpy arrays; what is masked is NULL. Times without a zone are
                UTC there.
            options:
                columns: those that the values are for, in order. None: a CSV file's header, the names in the first
                    object or row (another mapping then may lack some, which are NULL, but none may have others), a
                    frame's or mapping's names; else the table's.
                format: ``"csv"`` or ``"ndjson"``; None: by the file's name.
                header: whether CSV files have one, which names the columns; ``"skip"``: one that is not looked at.
                delimiter, quote, escape, null, encoding: as COPY has them; the delimiter of ``.tsv`` is a tab.
                at_once: most connections; None: 4 (for records 2, as one thread encodes them), if there are as many.
                atomic: all or nothing.
                on_reject: what to do about a row that the server refuses (wrong values, too few or too many of them,
                    duplicates, NULLs, checks): ``"raise"`` LoadFailed, ``"skip"`` it, or write it to ``reject_file``
                    (``"file"``), which must not exist, and appears when the load ends, however it ends: with the
                    rejects of all chunks that are stored.
                most_rejects: how many may be refused before the load stops.
                resume: ``stored`` of the LoadFailed of an earlier load of the same source, cut in the same way.
                    Its files may come in another order, by other names.
                progress: called with a Progress, at most twice a second and at the end.
                timeout: seconds for each chunk's statement; None: ``query_timeout``.
                chunk_bytes, chunk_rows: what is stored together: bytes of text, arrays and frames (None: an eighth of
                    a file, 1 to 8 MiB), or records (None: 5,000 at first, later 50,000). In memory are two chunks more
                    than connections.
        Returns: what was stored, and what was refused.
        Raises:
            LoadFailed: the load ended before the source did; its cause is the server's or the source's error.
            UsageError, SettingsError: the options or the source can never work; nothing was sent.
            asyncpg.UndefinedTableError: there is no such table.
        Cancelling: stops reading, ends the statements under way and returns every lease; a COMMIT already sent is
            waited for. What is stored stays stored.
        """
        access = self._access()
        from dbpool.bulk.loading.load import load  # only callers that load pay for its import

        return await load(access, table, source, **options)
