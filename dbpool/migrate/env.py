"""What an env.py calls: ``from dbpool.migrate.env import run; run(metadata=...)``, and nothing else.

It works under ``dbpool migrate`` and under plain ``alembic``. Which database, under alembic: ``alembic -x
url=postgresql://...``, else the DATABASE_URL of the environment; from code ``config.attributes["url"]`` or
``config.attributes["connection"]``.
"""

from __future__ import annotations

import asyncio
import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from alembic import context
from alembic.util import CommandError

from dbpool.errors import MigrationError
from dbpool.migrate.alone import alone
from dbpool.migrate.connecting import connected
from dbpool.migrate.folder import VERSION_TABLE
from dbpool.migrate.patience import LOCK_TIMEOUT
from dbpool.migrate.run import Run

if TYPE_CHECKING:
    from sqlalchemy import Connection, MetaData

RUN = "dbpool_run"  # among config.attributes: who asks is dbpool.migrate


def run(
    *,
    metadata: MetaData | None = None,
    version_table: str | None = None,
    **options: Any,  # noqa: ANN401 - alembic's
) -> None:
    """Do what alembic was asked, on a connection that asyncpg makes, while no other migrator works on its database.

    Args:
        metadata: the models, for ``check`` and ``new --autogenerate``.
        version_table: where this folder's history is kept; each folder of one database needs one of its own.
            None: ``alembic_version``.
        options: more for ``alembic.context.configure``, as ``include_schemas=True``.

    Raises:
        MigrationError: no connection, no address, no lock in time; under plain alembic as its CommandError.
    """
    asked: Run | None = context.config.attributes.get(RUN)
    settings = {
        "target_metadata": metadata if asked is None or asked.metadata is None else asked.metadata,
        "version_table": version_table or (asked and asked.version_table) or VERSION_TABLE,
        "transaction_per_migration": True,
        **options,
    }
    if context.is_offline_mode():
        context.configure(
            dialect_name="postgresql", literal_binds=True, dialect_opts={"paramstyle": "named"}, **settings
        )
        _run_steps()
    elif asked is not None:
        asyncio.run(_on_connection(asked, settings))
    elif connection := context.config.attributes.get("connection"):
        _as_alembic_runs(connection, settings)
    else:
        try:
            asyncio.run(_at(_dsn(), settings))
        except MigrationError as error:
            raise CommandError(str(error)) from error  # which the command line shows without a stack


async def _on_connection(asked: Run, settings: dict[str, Any]) -> None:
    assert asked.dsn is not None, "only offline mode needs no database"
    task = asyncio.current_task()
    assert task is not None
    asked.cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, task.cancel)
    try:
        asked.check()
        async with connected(asked.dsn) as connection:
            await connection.run_sync(_configured, settings)
    finally:
        asked.cancel = None


async def _at(dsn: str, settings: dict[str, Any]) -> None:
    async with connected(dsn) as connection:
        await connection.run_sync(_as_alembic_runs, settings)


def _configured(connection: Connection, settings: dict[str, Any]) -> None:
    context.configure(connection=connection, **settings)
    _run_steps()


def _as_alembic_runs(connection: Connection, settings: dict[str, Any]) -> None:
    if connection.in_transaction():
        raise MigrationError("the connection given is in a transaction: each step needs one of its own.")
    patience = context.config.attributes.get("lock_timeout", LOCK_TIMEOUT)
    with alone(connection, time.monotonic() + patience):
        _configured(connection, settings)


def _run_steps() -> None:
    with context.begin_transaction():
        context.run_migrations()


def _dsn() -> str:
    """Return where the database is, as the command line, the code or the environment says."""
    given = context.get_x_argument(as_dictionary=True).get("url") or context.config.attributes.get("url")
    if not (found := given or os.environ.get("DATABASE_URL")):
        raise MigrationError("which database? Say alembic -x url=postgresql://user@host/database, or set DATABASE_URL.")
    return str(found)
