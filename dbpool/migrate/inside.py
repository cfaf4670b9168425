"""An env.py, run beside the event loop: it may have an event loop of its own, or a driver that knows none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from alembic.util import load_python_file

from dbpool.finish import finish
from dbpool.migrate.alone import alone_in_this_process
from dbpool.migrate.connecting import connected
from dbpool.migrate.environment import Environment
from dbpool.migrate.watching import watching
from dbpool.migrate.witness import witness

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    from dbpool.migrate.folder import Folder
    from dbpool.migrate.run import Run

CANCEL_EVERY_S = 0.5  # longer than a connection takes, short for whoever pressed Ctrl-C


async def run_env(
    folder: Folder,
    config: Config,
    script: ScriptDirectory,
    run: Run,
    work: Callable[[Any, Any], Any],
    **options: Any,  # noqa: ANN401 - alembic's
) -> None:
    """Run the env.py that *folder* has, or ours, which calls *work* with where the database is, and alembic's context.

    Raises: whatever goes wrong, as alembic and SQLAlchemy have it.
    Cancelling: ends the statement under way and rolls its step back, before it propagates.
    """

    def run_it() -> None:
        with Environment(config, script, run, fn=work, **options):
            load_python_file(folder.env, "env.py")

    async with alone_in_this_process(run.deadline), _witnessed(folder, run), watching(run):
        thread = asyncio.ensure_future(asyncio.to_thread(run_it))
        try:
            await asyncio.shield(thread)
        except asyncio.CancelledError:
            run.stop()
            await finish(_ended(thread, run))
            raise


@asynccontextmanager
async def _witnessed(folder: Folder, run: Run) -> AsyncIterator[None]:
    """Have *run* know the right database where an env.py connects that is not ours."""
    if run.dsn is None or folder.is_own or not folder.has_env:
        yield
        return
    async with witness(run.dsn) as run.witness:
        yield


async def _ended(thread: asyncio.Future[None], run: Run) -> None:
    """Return when *thread* has ended: a statement under way is cancelled, Python code of a step runs to its end."""
    if run.cancel is not None:
        run.cancel()
        await asyncio.wait([thread])
    while not thread.done():
        if run.pid is not None and run.dsn is not None:
            with suppress(Exception):  # a server that takes no connection now may take one soon
                async with connected(run.dsn) as connection:
                    await connection.exec_driver_sql(f"SELECT pg_cancel_backend({run.pid})")
        await asyncio.wait([thread], timeout=CANCEL_EVERY_S)
    if not thread.cancelled():
        thread.exception()  # that it was stopped is no news
