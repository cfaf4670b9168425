"""The SQL of steps, for somebody else to run."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from dbpool.errors import MigrationError
from dbpool.migrate.env import RUN
from dbpool.migrate.folder import Folder, config_of, script_of
from dbpool.migrate.foreign import set_url
from dbpool.migrate.inside import run_env
from dbpool.migrate.moving import planned, several_heads, told_run

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

    from dbpool.migrate.run import Run


async def sql_of(folder: Folder, revision: str, run: Run, *, is_down: bool) -> str:
    """The statements from one revision to another, with those on the version table.

    Args:
        revision: as ``0003``, from the first step on; as ``0001:0003``, from after 0001.

    Raises: MigrationError: an unknown revision, or a step that has to ask the database something.
    """
    start, colon, end = revision.rpartition(":")
    if is_down and not colon:
        raise MigrationError("what is to be taken back? Say a range, as 0003:0001 or 0003:base.")
    config = config_of(folder, **{RUN: run})
    config.output_buffer = out = io.StringIO()
    script = script_of(config, folder)
    if end == "head" and len(heads := script.get_heads()) > 1:
        raise several_heads(folder, heads)
    set_url(config, folder, None)

    def steps(heads: tuple[str, ...], _: MigrationContext) -> Any:  # noqa: ANN401 - what alembic runs
        plan = planned("downgrade" if is_down else "upgrade", script, end, heads)
        if colon and not plan and script.get_revisions(end) != script.get_revisions(heads):
            raise MigrationError(f"no step leads up from {start or 'base'} to {end}: --down is for the way back.")
        return run.stepping(lambda: plan)

    options = {"as_sql": True, "starting_rev": start or None, "destination_rev": end}
    await told_run(lambda: run_env(folder, config, script, run, steps, **options), run, f"sql of {revision!r}", folder)
    return out.getvalue()
