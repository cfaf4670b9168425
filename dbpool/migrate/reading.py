"""Where a database is in a folder's history, and whether it is as its models say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbpool.errors import MigrationError
from dbpool.migrate.env import RUN
from dbpool.migrate.folder import Folder, config_of, revision_of, script_of
from dbpool.migrate.foreign import set_url
from dbpool.migrate.inside import run_env
from dbpool.migrate.models import described
from dbpool.migrate.moving import check_known, planned, told_run
from dbpool.migrate.reports import Checked, Revision, Status

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

    from dbpool.migrate.run import Run


async def status_of(folder: Folder, run: Run) -> Status:
    """Where the database is; nothing is locked, nothing is made."""
    found, _ = await _looked_at(folder, run, with_models=False)
    return found


async def checked(folder: Folder, run: Run) -> Checked:
    """What is pending; where nothing is, what differs from the models that *run* or env.py has."""
    found, differences = await _looked_at(folder, run, with_models=True)
    return Checked(found.pending, differences)


def history_of(folder: Folder) -> tuple[Revision, ...]:
    """All steps, the first one first."""
    script = script_of(config_of(folder), folder)
    return tuple(revision_of(each) for each in script.walk_revisions())[::-1]


async def _looked_at(folder: Folder, run: Run, *, with_models: bool) -> tuple[Status, tuple[str, ...]]:
    from alembic.autogenerate import produce_migrations

    config = config_of(folder, **{RUN: run})
    script = script_of(config, folder)
    set_url(config, folder, run.dsn)
    found: Status | None = None
    differences: list[str] = []

    def look(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
        nonlocal found
        check_known(script, heads, folder, context.version_table)
        pending = tuple(revision for revision, _ in planned("upgrade", script, "heads", heads))
        found = Status(str(folder), context.version_table, heads, tuple(script.get_heads()), pending)
        models = context.opts.get("target_metadata")
        if with_models and not pending and models is not None:
            operations = produce_migrations(context, models).upgrade_ops
            differences.extend(described(each) for each in (operations.as_diffs() if operations else ()))
        return []

    work = run_env(folder, config, script, run, look, dont_mutate=True)
    await told_run(lambda: work, run, "looking at the database", folder)
    if found is None:
        raise MigrationError(f"{folder.env / 'env.py'} ran no migrations: it has to call context.run_migrations().")
    return found, tuple(differences)
