"""Migrations: a folder of steps, and where each database is in it.

Needs ``pip install 'dbpool[migrations]'``. Without ``folder=`` all is about the package's own tables, those that jobs
are kept in; they have a history of their own (table ``dbpool_version``), so that they never mix with a user's. See
docs/migrations.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dbpool.errors import MigrationError
from dbpool.migrate.connecting import connected, missing
from dbpool.migrate.folder import Folder, folder_at
from dbpool.migrate.patience import LOCK_TIMEOUT, TableLocks
from dbpool.migrate.reports import (
    Begun,
    Blocker,
    Checked,
    Delayed,
    Migrated,
    News,
    Queued,
    Ran,
    Revision,
    Status,
    Waiting,
)
from dbpool.migrate.run import Run

if TYPE_CHECKING:
    from sqlalchemy import MetaData

__all__ = [
    "Begun",
    "Blocker",
    "Checked",
    "Delayed",
    "Migrated",
    "News",
    "Queued",
    "Ran",
    "Revision",
    "Status",
    "TableLocks",
    "Waiting",
    "check",
    "connected",
    "current",
    "downgrade",
    "history",
    "new_revision",
    "sql",
    "status",
    "upgrade",
]


async def upgrade(
    dsn: str,
    revision: str = "head",
    *,
    folder: str | Path | None = None,
    version_table: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    table_locks: TableLocks | None = None,
    tell: Callable[[News], None] | None = None,
) -> Migrated:
    """Bring the database at *dsn* up to *revision*; nothing happens where it is there already.

    Each step is a transaction. Callers in many processes may ask at once: each step runs once, the others wait.

    Args:
        revision: "head", an id or the beginning of one, "+1" for the next step.
        folder: where the steps are, a folder with ``versions/`` in it. None: the package's own.
        version_table: where the database keeps how far this folder is, for a folder without env.py; default
            ``alembic_version``.
        lock_timeout: seconds to wait for other migrators of this database, or in this process.
        table_locks: how steps wait for tables that are in use. Default: tries of 1 s each, for up to 60 s.
        tell: is told what happens, in the event loop's thread or in alembic's; it must return at once.

    Raises:
        MigrationError: no such folder or revision, no connection, no lock in time, or a step failed; the steps before
            it stay applied, which it says.
        ImportError: alembic or SQLAlchemy is missing.

    Cancelling: rolls the step under way back, and returns its lock, before it propagates.
    """
    at = _at(folder, version_table)
    from dbpool.migrate.moving import move

    run = Run(
        dsn, lock_timeout=lock_timeout, table_locks=table_locks, version_table=version_table, tell=tell or _tell_nobody
    )
    return await move("upgrade", at, revision, run)


async def downgrade(
    dsn: str,
    revision: str,
    *,
    folder: str | Path | None = None,
    version_table: str | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    table_locks: TableLocks | None = None,
    tell: Callable[[News], None] | None = None,
) -> Migrated:
    """Take the database at *dsn* back to *revision*; "base" takes back every step, "-1" the latest.

    Arguments and errors are those of ``upgrade``. A step without ``downgrade()`` is found before anything is changed.
    """
    at = _at(folder, version_table)
    from dbpool.migrate.moving import move

    run = Run(
        dsn, lock_timeout=lock_timeout, table_locks=table_locks, version_table=version_table, tell=tell or _tell_nobody
    )
    return await move("downgrade", at, revision, run)


async def current(dsn: str, *, folder: str | Path | None = None, version_table: str | None = None) -> str | None:
    """Return the revision that the database at *dsn* is at, or None if it was never migrated."""
    found = await status(dsn, folder=folder, version_table=version_table)
    return ", ".join(found.current) or None


async def status(dsn: str, *, folder: str | Path | None = None, version_table: str | None = None) -> Status:
    """Return where the database at *dsn* is, and what is pending; nothing is locked, nothing is made.

    Raises: MigrationError: no connection, or it is at a revision that the folder does not have.
    """
    at = _at(folder, version_table)
    from dbpool.migrate.reading import status_of

    return await status_of(at, Run(dsn, version_table=version_table))


def history(folder: str | Path | None = None) -> tuple[Revision, ...]:
    """Return the steps of a folder, the first one first; needs no database.

    Raises: MigrationError: there is no such folder, or a file in it cannot be read.
    """
    at = _at(folder, None)
    from dbpool.migrate.reading import history_of

    return history_of(at)


async def check(
    dsn: str,
    *,
    folder: str | Path | None = None,
    version_table: str | None = None,
    metadata: str | MetaData | None = None,
) -> Checked:
    """Return what is pending; where nothing is, what differs between the database and its models.

    Args:
        metadata: the models, or where they are, as ``shop.models:metadata``. None: those that env.py names; without
            any only what is pending is looked at.

    Raises: MigrationError: as by ``status``, or the models cannot be imported.
    """
    at = _at(folder, version_table)
    from dbpool.migrate.models import metadata_at
    from dbpool.migrate.reading import checked

    return await checked(at, Run(dsn, version_table=version_table, metadata=metadata_at(metadata)))


async def new_revision(
    message: str,
    folder: str | Path,
    *,
    dsn: str | None = None,
    metadata: str | MetaData | None = None,
    autogenerate: bool = False,
    merge: bool = False,
    rev_id: str | None = None,
    version_table: str | None = None,
) -> Path | None:
    """Write a new step into *folder*, which is made where there is none, and return its file.

    Args:
        dsn: the database to compare with, for *autogenerate*; it must be at the folder's head.
        autogenerate: fill the step with what the models have more, or less, than the database. Read it before you
            run it: a renamed column looks like one that goes and one that comes.
        merge: join the folder's heads.
        version_table: for a new folder, kept in its env.py.

    Returns: None where *autogenerate* finds that nothing differs.
    Raises: MigrationError: two heads, a database behind, models that cannot be imported, no room to write.
    """
    _need_alembic()
    from dbpool.migrate.models import metadata_at
    from dbpool.migrate.writing import made, written

    models = metadata_at(metadata)
    at = made(folder, version_table)
    run = Run(dsn, version_table=None if at.has_env else version_table, metadata=models)
    return await written(at, message, run, rev_id=rev_id, is_merge=merge, is_generated=autogenerate)


async def sql(
    revision: str = "head",
    *,
    folder: str | Path | None = None,
    version_table: str | None = None,
    down: bool = False,
) -> str:
    """Return the SQL of the steps up to *revision*, or of a range as ``0001:0003``; needs no database.

    Args:
        down: the SQL that takes the range back, as ``0003:0001``.

    Raises: MigrationError: an unknown revision, or a step that has to ask the database something.
    """
    at = _at(folder, version_table)
    from dbpool.migrate.offline import sql_of

    return await sql_of(at, revision, Run(None, version_table=version_table), is_down=down)


def _need_alembic() -> None:
    """Raises: ImportError: it, or SQLAlchemy, is missing."""
    try:
        import alembic  # noqa: F401 - asked for early, to say clearly that it is missing
        import sqlalchemy  # noqa: F401
    except ImportError as error:
        raise missing() from error


def _at(folder: str | Path | None, version_table: str | None) -> Folder:
    """Raises: MigrationError: there is no such folder, or its env.py is there to name the version table."""
    _need_alembic()
    found = folder_at(folder)
    if version_table is not None and found.has_env:
        raise MigrationError(f"{found} has an env.py: its version table is named there, not by an option.")
    return found


def _tell_nobody(_: News) -> None:
    pass
