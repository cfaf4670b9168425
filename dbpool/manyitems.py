"""The helpers for many items: one statement, or one function, for each of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Unpack

from dbpool.executable import Executable, sqlalchemys
from dbpool.queries import Queries

if TYPE_CHECKING:
    from dbpool.bulk.access import Access
    from dbpool.bulk.each import EachOptions
    from dbpool.bulk.guard import BatchPlan
    from dbpool.bulk.jobs.joblist import JobInfo, JobReject
    from dbpool.bulk.jobs.jobs import Job
    from dbpool.bulk.jobs.jobsettings import JobOptions
    from dbpool.bulk.map import MapOptions, Row, Rows, Value


class ManyItems(Queries):
    """A part of what a lane offers, in a class of its own for its length alone."""

    @abstractmethod
    def _access(self) -> Access:
        """How to get connections; to be called by the method that the user calls."""

    @abstractmethod
    def stream(self, sql: LiteralString | Executable, *args: object) -> AsyncIterator[Any]:
        """The rows of a statement through a cursor."""

    def map(
        self,
        sql: LiteralString | Executable,
        items: Iterable[Any] | AsyncIterable[Any] | Path,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[Rows]:
        """All rows of *sql* for each of *items*: ``async for key, rows, error in db.map(sql, ids)``.

        Items are sent in batches where that is proven to give the same rows, with the same names, as one statement each
        (see ``explain_map``); their order is that of ORDER BY in *sql*, if it has one. They are read only as fast as
        the results are, whatever their number. An item that fails costs only itself. Ending the loop early, or
        cancelling it, stops what is under way; wrap it in ``contextlib.aclosing`` to have every connection back at that
        moment. Writes share transactions, and some behind the item where the loop ends may be stored: see ``job``.

        Args:
            items: the values of $1, or tuples of several; any iterable, async or not. The rows of a file: ``CsvRows``,
                ``NdjsonRows``, or its ``Path``; their values are read as the server reads text.
            options: *ordered* (default): in the order of *items*, else as they come. *at_once*: connections, 4 or as
                many as there are. *on_error*: ``"raise"`` (default) the first one, or ``"collect"`` it in the item.
                *form*: a ``Form`` instead of the one that is found. *retry*: tries, 3, where the server says that
                another one can succeed (conflicts; a lost connection if *sql* only reads). *timeout*: seconds for
                each batch, ``query_timeout``. *rate*: items a second. *batch*: items at the most, 500.
                *progress*: called with a ``Progress`` twice a second, and at the end. *into*: as for ``fetch``.
        Raises: the error of an item, with its number as a note; what ``fetch`` raises.
        """
        from dbpool.bulk.batch import Take
        from dbpool.bulk.map import mapped

        return mapped(self._access(), sql, items, Take.ROWS, **options)

    def map_row(
        self,
        sql: LiteralString | Executable,
        items: Iterable[Any] | AsyncIterable[Any] | Path,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[Row]:
        """The same with the first row of each item, or None: ``async for key, row, error in db.map_row(sql, ids)``."""
        from dbpool.bulk.batch import Take
        from dbpool.bulk.map import mapped

        return mapped(self._access(), sql, items, Take.ROW, **options)

    def map_val(
        self,
        sql: LiteralString | Executable,
        items: Iterable[Any] | AsyncIterable[Any] | Path,
        **options: Unpack[MapOptions],
    ) -> AsyncIterator[Value]:
        """The same with the first column of the first row, or None."""
        from dbpool.bulk.batch import Take
        from dbpool.bulk.map import mapped

        return mapped(self._access(), sql, items, Take.VALUE, **options)

    async def fetch_all(
        self,
        sql: LiteralString | Executable,
        items: Iterable[Any] | AsyncIterable[Any] | Path,
        **options: Unpack[MapOptions],
    ) -> list[list[Any]]:
        """The rows of *sql* for each of a few *items*, as a list of lists in their order; see ``map``.

        All items are tried, and *ordered* changes nothing.

        Raises:
            BulkFailed: some items failed; it has the rows of the others.
        """
        from dbpool.bulk.map import all_rows

        return await all_rows(self._access(), sql, items, **options)

    def for_each(
        self,
        source: str | Executable | Iterable[Any] | AsyncIterable[Any],
        function: Callable[[Any], Awaitable[Any]],
        **options: Unpack[EachOptions],
    ) -> AsyncIterator[Value]:
        """A function for each row of a query, or each item of an iterable: see ``dbpool.for_each``.

        *source* as SQL is read through a cursor, which holds one connection of this lane until the end.
        """
        from dbpool.bulk.each import for_each

        items = self.stream(source) if isinstance(source, (str, Executable)) else source
        return for_each(items, function, **options)

    async def explain_map(self, sql: LiteralString | Executable, sample: Iterable[Any]) -> BatchPlan:
        """In which form ``map`` would send *sql*, and why in no quicker one; *sample* are a few of its items."""
        from dbpool.bulk.map import explained

        return await explained(self._access(), sql, sample)

    async def taking_text(self, sql: LiteralString) -> str:
        """The same statement for parameters that are all text, cast to what they were: for the rows of files.

        ``map`` does this by itself for ``CsvRows`` and ``NdjsonRows``.
        """
        from dbpool.bulk.map import text_statement

        return await text_statement(self._access(), sql)

    # Work that can be killed and goes on where it was

    def job(
        self,
        name: str,
        sql: LiteralString | Executable,
        items: Iterable[Any] | AsyncIterable[Any],
        **options: Unpack[JobOptions],
    ) -> Job:
        """*sql* for each of *items* exactly once, however often it is killed: ``await db.job(...).run()``.

        The items are cut into chunks by their order; each chunk is stored in one transaction, together with a row that
        says so. Run again with the same name, statement and items, after a crash or at any time, it does what is
        missing: the digests of the items' values are compared, so other items are refused. Items that are already done
        are passed over at a million and more a second. Needs the tables that ``dbpool migrate up`` makes.

        Exactly once are the effects in this database. A statement that only reads is refused: see ``map``.

        Args:
            name: of this work, in this database: two runs of one name exclude each other.
            items: as for ``map``: always the same ones, in the same order.
            options: *chunk*: items in a transaction, 500. *at_once*: connections, 4 or as many as there are.
                *on_error*: ``"raise"`` (default) the error of the first item whose data the server refuses, or
                ``"collect"``: put such items aside, see ``job_rejects``. *retry*: tries of a chunk, 10, that meets a
                conflict or loses its connection. *timeout*: seconds for each message, ``query_timeout``. *one_by_one*:
                send each item by itself, in place of many together. *trust*: pass over what is done without comparing
                digests. *progress*: called with a ``Progress`` twice a second, and at the end.
        Raises: StatementError, UsageError; the rest when it is run.
        """
        from dbpool.bulk.jobs.jobs import Job

        access, text = self._access(), sql
        if not isinstance(text, str):
            text, items = sqlalchemys(text).bound_job(text, items)
        return Job(access, name, text, items, **options)

    async def jobs(self) -> list[JobInfo]:
        """The jobs in this database, by name: how far they are, who runs them."""
        from dbpool.bulk.jobs.joblist import jobs_in

        return await jobs_in(self._access())

    async def job_rejects(self, name: str) -> list[JobReject]:
        """The items of a job that are put aside, in their order: with why, and after how many attempts.

        Raises:
            JobError: there is no such job.
        """
        from dbpool.bulk.jobs.joblist import rejects_in

        return await rejects_in(self._access(), name)

    async def forget_job(self, name: str) -> None:
        """Remove what is known of a job, its rejects included; run again, it does everything anew.

        Raises:
            JobBusy: it is being run.
            JobError: there is no such job.
        """
        from dbpool.bulk.jobs.joblist import forget_in

        await forget_in(self._access(), name)
