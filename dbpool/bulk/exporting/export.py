"""A table or a query into a file: by ranges of pages, over several connections that see one state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from dbpool.bulk.access import Access
from dbpool.bulk.exporting.exported import Exported, ExportProgress
from dbpool.bulk.exporting.outlets import FileOutlet, Outlet, publish_all
from dbpool.bulk.exporting.plans import Plan, begin_plan, prepare_formats
from dbpool.bulk.exporting.requests import ExportOptions, ExportRequest, checked_request
from dbpool.bulk.exporting.sequence import Block, PartSequence
from dbpool.bulk.exporting.session import Session
from dbpool.bulk.exporting.snapshots import begin_with
from dbpool.bulk.exporting.targets import Files, Target
from dbpool.bulk.exporting.threads import in_thread
from dbpool.core.copyformats import BinaryPart, Format, copy_options
from dbpool.core.exportable import TableName
from dbpool.errors import AcquireTimeout, LineFull, PoolClosed, PoolDeadlock, QueryTimeout, ServerUnavailable
from dbpool.faults import one_line
from dbpool.finish import finish
from dbpool.observing import Asked

BLOCK_BYTES: Final = 1 << 20  # are written together: a thread's start is then little beside the write
ROOM_BYTES: Final = 6 << 20  # for each connection, of what waits for its part's turn
READERS: Final = 4  # more were no faster in any measurement
TELL_EVERY_S: Final = 0.5


async def export(access: Access, source: str, target: Target, options: ExportOptions) -> Exported:
    """See ``Lane.export``."""
    request = checked_request(source, target, options)
    named = isinstance(request.source, TableName)
    with access.operation(Asked.EXPORT, "" if named else source, table=source if named else ""):
        return await _export(access, source, request)


async def _export(access: Access, source: str, request: ExportRequest) -> Exported:
    options = request.options
    run = _Run(access, request)
    error: BaseException | None = None
    try:
        async with asyncio.timeout(options.timeout) as limit:
            async with asyncio.TaskGroup() as group:
                group.create_task(run.lead(group), name=f"export of {source[:40]}")
        run.tell(is_last=True)
    except BaseExceptionGroup as failures:
        error = _first(failures)
    except TimeoutError:
        if not limit.expired():
            raise
        seconds = options.timeout or 0.0
        error = QueryTimeout(
            f"an export by {access.name} was stopped after {seconds:.2f} s, with {run.parts_done} of {run.parts} parts "
            f"read. Give it a longer timeout=.",
            timeout_s=seconds,
        )
    finally:
        run.discard()
    if error is not None:  # raised here, so that it keeps its cause
        raise error
    return run.result()


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


class _Run:
    """One export: its lead plans it, reads as the others do, and is enough by itself."""

    def __init__(self, access: Access, request: ExportRequest) -> None:
        self._access = access
        self._request = request
        self._clock = asyncio.get_running_loop().time
        self._started_at = self._told_at = self._clock()
        most = access.most
        self._readers = min(most, request.options.at_once or min(READERS, max(2, most // 2)))
        self._plan = Plan("")
        self._left: deque[int] = deque()
        self._in_line: set[asyncio.Task[None]] = set()
        self._sequence = PartSequence(ROOM_BYTES * self._readers)
        self._outlets: list[Outlet] = []
        self._is_published = False
        self._rows = self._bytes = self._connections = 0
        self._notes: dict[str, None] = {}
        self.parts_done = 0

    @property
    def parts(self) -> int:
        return self._plan.parts

    async def lead(self, group: asyncio.TaskGroup) -> None:
        """Read all, with whoever can be had to help; end the transaction when everything is written."""
        request = self._request
        async with self._access.lease(request.options.timeout) as connection:
            session = Session(connection, self._patience_s)
            plan = self._plan = await begin_plan(session, request, self._readers)
            self._left.extend(range(self.parts))
            writer = None if request.is_split else group.create_task(self._write())
            helpers = [
                group.create_task(self._help(plan), name=f"export of {request.source}")
                for _ in range(min(self._readers, self.parts) - 1 if plan.snapshot else 0)
            ]
            await self._read(session)
            for waiting in self._in_line:
                waiting.cancel()
            if helpers:
                await asyncio.wait(helpers)
            if writer is not None:
                await writer
            await finish(self._complete(session))

    async def _complete(self, session: Session) -> None:
        """Store what a query wrote, and give the files their names: both, for a row deleted may stand there only."""
        await session.command("COMMIT")
        files = self._files()
        if files:
            await in_thread(lambda: publish_all(files))
        self._is_published = True

    async def _help(self, plan: Plan) -> None:
        me = asyncio.current_task()
        assert me is not None
        assert plan.table is not None
        self._in_line.add(me)
        try:
            async with self._access.lease() as connection:
                self._in_line.discard(me)
                session = Session(connection, self._patience_s)
                obstacle = await begin_with(session, plan.snapshot, plan.table) if self._left else ""
                if obstacle:
                    self._notes[obstacle] = None
                elif self._left:
                    await prepare_formats(session, self._request.what)
                    await self._read(session)
                    await session.command("COMMIT")
        except (AcquireTimeout, LineFull, PoolClosed, PoolDeadlock, ServerUnavailable) as error:
            self._notes[f"a connection could not be had ({one_line(error)})"] = None
        finally:
            self._in_line.discard(me)

    async def _read(self, session: Session) -> None:
        self._connections += 1
        while self._left:
            await self._read_part(session, self._left.popleft())

    async def _read_part(self, session: Session, part: int) -> None:
        request, sequence = self._request, self._sequence
        if isinstance(request.target, Files) and request.is_split:
            outlet = request.target.outlet(request.encoder(self._plan.columns), part)
            self._outlets.append(outlet)
            rows = await self._copy(session, part, lambda block, _: outlet.write(block))
            await outlet.finish()
        else:
            rows = await self._copy(session, part, lambda block, size: sequence.put(part, block, size))
            await sequence.end(part)
        self._rows += rows
        self.parts_done += 1
        self.tell()

    async def _copy(self, session: Session, part: int, deliver: Callable[[Block, int], Awaitable[None]]) -> int:
        request = self._request
        frame = BinaryPart() if request.what is Format.BINARY else None
        block: list[bytes] = []
        size = 0

        def take(piece: bytes) -> Awaitable[None] | None:
            nonlocal block, size
            self._bytes += len(piece)
            block.append(piece if frame is None else frame.rows_of(piece))
            size += len(piece)
            if size < BLOCK_BYTES:
                return None
            self.tell()
            full, block = block, []
            whole, size = size, 0
            return deliver(full, whole)

        options = copy_options(request.what, request.csv, is_first=part == 0 or request.is_split)
        statement = self._plan.statement(part, request)
        with self._access.operation(Asked.PART, f"COPY ({statement}) TO STDOUT"):
            rows = await session.copy(statement, options, take)
        if frame is not None:
            block.append(frame.end())
        if any(block):
            await deliver(block, size)
        return rows

    async def _write(self) -> None:
        request = self._request
        outlet = request.target.outlet(request.encoder(self._plan.columns))
        self._outlets.append(outlet)
        await self._sequence.pass_on(self.parts, outlet.write)
        await outlet.finish()

    def discard(self) -> None:
        """Remove what is not published."""
        if not self._is_published:
            for file in self._files():
                file.discard()

    def result(self) -> Exported:
        note = "; ".join([*([self._plan.note] if self._plan.note else []), *self._notes])
        return Exported(
            rows=self._rows,
            bytes=sum(outlet.size for outlet in self._outlets),
            parts=self.parts,
            connections=self._connections,
            seconds=self._clock() - self._started_at,
            paths=tuple(file.path for file in self._files()),
            note=note,
        )

    def _files(self) -> list[FileOutlet]:
        return sorted((each for each in self._outlets if isinstance(each, FileOutlet)), key=lambda file: file.path)

    @property
    def _patience_s(self) -> float:
        return self._request.options.timeout or self._access.settings.query_timeout

    def tell(self, *, is_last: bool = False) -> None:
        """Say how far it has come, now and then."""
        tell, now = self._request.options.progress, self._clock()
        if tell is None or (now - self._told_at < TELL_EVERY_S and not is_last):
            return
        self._told_at = now
        tell(ExportProgress(self._rows, self._bytes, self.parts_done, self.parts, now - self._started_at))
