"""What ``dbpool migrate ...`` does, and how it tells it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from dbpool import migrate
from dbpool.errors import MigrationError
from dbpool.migrate import Begun, Delayed, Migrated, News, Queued, Ran, TableLocks, Waiting
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, SOME_FAILED, Stop
from dbpool.wording import counted

T = TypeVar("T")

FOUND = SOME_FAILED  # 3: what check found
TICK_S = 0.5


class Progress:
    """What is under way, told twice a second: a long step gives no news of its own."""

    def __init__(self) -> None:
        self.ran: list[Ran] = []
        self._total: int | None = None
        self._words = "connecting"
        self._since = time.monotonic()

    def hear(self, news: News) -> None:
        """Take *news*, from any thread."""
        if isinstance(news, Begun):
            self._total, self._since = news.of, time.monotonic()
            self._words = str(news.revision)
        elif isinstance(news, Queued):
            self._words, self._since = "another migrator works on this database", time.monotonic()
        elif isinstance(news, Ran):
            self.ran.append(news)
        elif isinstance(news, Waiting):
            self._words = f"{news.revision.id} waits for {news.blockers[0]}"
        elif isinstance(news, Delayed):
            self._words = f"{news.revision.id} found a table in use, try {news.tries}; again in {news.again_in_s:.1f} s"

    async def show(self, shown: Shown) -> None:
        while True:
            shown.tell(len(self.ran), self._total, f"{self._words}, {time.monotonic() - self._since:.0f} s")
            await asyncio.sleep(TICK_S)


async def move(
    direction: str,
    *,
    dsn: str,
    revision: str,
    folder: Path | None,
    version_table: str | None,
    lock_timeout: float,
    table_locks: TableLocks,
    stop: Stop,
    as_json: bool,
) -> int:
    """Apply steps, or take them back; whatever ran is told, also where the next one failed."""
    progress = Progress()
    go = migrate.upgrade if direction == "up" else migrate.downgrade
    work = go(
        dsn,
        revision,
        folder=folder,
        version_table=version_table,
        lock_timeout=lock_timeout,
        table_locks=table_locks,
        tell=progress.hear,
    )
    done: Migrated | None = None
    problem: str | None = None
    try:
        with Shown(f"migrate {direction}") as shown:
            ticking = asyncio.ensure_future(progress.show(shown))
            try:
                done = await _stoppable(work, stop)
            finally:
                ticking.cancel()
                with suppress(asyncio.CancelledError):
                    await ticking
    except MigrationError as error:
        problem = str(error)
        raise
    except asyncio.CancelledError:
        problem = "stopped"
        raise
    finally:
        if as_json:
            _write_json(_as_json(progress.ran, done, problem))
        else:
            _write_lines(_line(ran) for ran in progress.ran)
    if not as_json:
        _write_lines([_summary(done)])
    return DONE


async def show_status(*, dsn: str, folder: Path | None, version_table: str | None, as_json: bool) -> int:
    """Where the database is."""
    found = await migrate.status(dsn, folder=folder, version_table=version_table)
    if as_json:
        _write_json(asdict(found) | {"is_up_to_date": not found.pending})
        return DONE
    _write_lines(
        [
            f"folder    {found.folder}",
            f"database  at {_at(found.current)} (table {found.version_table})",
            f"pending   {counted(len(found.pending), 'step')}" if found.pending else "pending   nothing",
            *(f"          {revision}" for revision in found.pending),
        ]
    )
    return DONE


async def show_current(*, dsn: str, folder: Path | None, version_table: str | None) -> int:
    """The revision alone."""
    _write_lines([await migrate.current(dsn, folder=folder, version_table=version_table) or "never migrated"])
    return DONE


async def show_history(*, folder: Path | None, as_json: bool) -> int:
    """The steps of a folder."""
    steps = migrate.history(folder)
    if as_json:
        _write_json([asdict(step) for step in steps])
    else:
        _write_lines(f"{step.id}  {step.message}  (after {', '.join(step.after) or 'nothing'})" for step in steps)
    return DONE


async def write_new(*, stop: Stop, **options: Any) -> int:  # noqa: ANN401 - what migrate.new_revision takes
    """Write a step."""
    path = await _stoppable(migrate.new_revision(**options), stop)
    if path is None:
        sys.stderr.write("nothing differs: no step was written\n")
    else:
        _write_lines([str(path)])
    return DONE


async def show_check(
    *, dsn: str, folder: Path | None, version_table: str | None, metadata: str | None, stop: Stop, as_json: bool
) -> int:
    """Whether the database is as the models have it."""
    work = migrate.check(dsn, folder=folder, version_table=version_table, metadata=metadata)
    found = await _stoppable(work, stop)
    if as_json:
        _write_json(asdict(found) | {"is_same": found.is_same})
    else:
        _write_lines(f"pending: {revision}" for revision in found.pending)
        _write_lines(f"differs: {difference}" for difference in found.differences)
        if found.is_same:
            _write_lines(["nothing is pending, nothing differs"])
    return DONE if found.is_same else FOUND


async def show_sql(*, revision: str, folder: Path | None, version_table: str | None, down: bool) -> int:
    """The SQL of steps."""
    sys.stdout.write(await migrate.sql(revision, folder=folder, version_table=version_table, down=down))
    return DONE


async def _stoppable(work: Awaitable[T], stop: Stop) -> T:
    task = asyncio.ensure_future(work)
    stop.cancels(task)
    return await task


def _as_json(ran: list[Ran], done: Migrated | None, problem: str | None) -> dict[str, Any]:
    return {
        "before": None if done is None else done.before,
        "after": None if done is None else done.after,
        "ran": [
            {"revision": each.revision.id, "message": each.revision.message, "took_s": each.took_s, "tries": each.tries}
            for each in ran
        ],
        "took_s": None if done is None else done.took_s,
        "error": problem,
    }


def _line(ran: Ran) -> str:
    tries = f"  ({ran.tries} tries for its locks)" if ran.tries > 1 else ""
    return f"{ran.revision.id}  {ran.revision.message}  {ran.took_s:.2f} s{tries}"


def _summary(done: Migrated | None) -> str:
    assert done is not None, "it raises otherwise"
    if not done.ran:
        return f"nothing to do: the database is at {_at(done.after)}"
    return f"{counted(len(done.ran), 'step')} in {done.took_s:.2f} s: the database is at {_at(done.after)}"


def _at(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "base: never migrated, or all the way back"


def _write_lines(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _write_json(document: Any) -> None:  # noqa: ANN401 - what JSON has
    sys.stdout.write(json.dumps(document) + "\n")
