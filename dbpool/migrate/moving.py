"""A database taken from one revision to another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from dbpool.errors import MigrationError
from dbpool.migrate.env import RUN
from dbpool.migrate.failures import told
from dbpool.migrate.folder import Folder, config_of, revision_of, script_of
from dbpool.migrate.foreign import set_url
from dbpool.migrate.inside import run_env
from dbpool.migrate.reports import Migrated, Revision
from dbpool.migrate.run import Run

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext, RevisionStep
    from alembic.script import ScriptDirectory

Action = Literal["upgrade", "downgrade"]
Plan = list[tuple[Revision, "RevisionStep"]]


async def move(action: Action, folder: Folder, revision: str, run: Run) -> Migrated:
    """Upgrade or downgrade to *revision*; *run* says where, and how patiently.

    Raises: MigrationError: a step failed, or none could be run; it says what stays applied.
    """
    began = time.monotonic()
    config = config_of(folder, **{RUN: run})
    script = script_of(config, folder)
    if revision == "head" and len(heads := script.get_heads()) > 1:
        raise several_heads(folder, heads)
    set_url(config, folder, run.dsn)

    def steps(heads: tuple[str, ...], context: MigrationContext) -> Iterable[RevisionStep]:
        if not run.ran:
            run.before = run.after = heads
        check_known(script, heads, folder, context.version_table)
        return run.stepping(lambda: planned(action, script, revision, heads))

    await told_run(lambda: run_env(folder, config, script, run, steps), run, f"{action} to {revision!r}", folder)
    return Migrated(run.before, run.after, tuple(run.ran), time.monotonic() - began)


async def told_run(work: Callable[[], Any], run: Run, what: str, folder: Folder) -> None:
    """Await what *work* makes; what goes wrong is a MigrationError in one sentence or two."""
    try:
        await work()
    except MigrationError:
        raise
    except Exception as error:
        raise MigrationError(f"{what} failed{told(error, run, folder)}") from error


def planned(action: Action, script: ScriptDirectory, revision: str, heads: tuple[str, ...]) -> Plan:
    """The steps from *heads* to *revision*, in the order in which they run."""
    # the doors that alembic.command itself uses; there are no public ones
    choose = script._upgrade_revs if action == "upgrade" else script._downgrade_revs  # noqa: SLF001
    current: Any = heads  # declared narrower than what the function takes
    try:
        return [(revision_of(step.revision), step) for step in choose(revision, current)]
    except AttributeError as error:
        file = getattr(error.obj, "__file__", None)
        if file is None:
            raise
        cannot = "taken back" if action == "downgrade" else "applied"
        raise MigrationError(f"{file} has no {action}(), so it cannot be {cannot}; nothing was changed.") from error


def check_known(script: ScriptDirectory, heads: tuple[str, ...], folder: Folder, table: str) -> None:
    """Raises: MigrationError: the database is at a revision that the folder does not have."""
    from alembic.util import CommandError

    for head in heads:
        try:
            script.get_revision(head)
        except CommandError as error:
            raise MigrationError(
                f"the database is at revision {head} (table {table}), which is not in {folder}: it is another "
                f"folder's, or newer than this one. Folders that share a database need a version table each: "
                f"--version-table, or run(version_table=...) in env.py."
            ) from error


def several_heads(folder: Folder, heads: list[str]) -> MigrationError:
    """The error for a folder whose history has several ends."""
    return MigrationError(
        f"{folder} has {len(heads)} heads, {' and '.join(sorted(heads))}: steps were made side by side. "
        f"dbpool migrate new 'merge' --merge -f {folder.path} joins them; 'heads' goes to all of them."
    )
