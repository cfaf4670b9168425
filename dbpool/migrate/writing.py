"""A new step: an empty one, one that joins heads, or what the models have more than the database."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import RevisionContext
from alembic.util import CommandError

from dbpool.errors import MigrationError
from dbpool.faults import one_line
from dbpool.migrate.env import RUN
from dbpool.migrate.folder import Folder, config_of, folder_at, script_of
from dbpool.migrate.foreign import set_url
from dbpool.migrate.inside import run_env
from dbpool.migrate.moving import check_known, planned, several_heads, told_run
from dbpool.wording import counted

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    from dbpool.migrate.run import Run

LONGEST_ID = 32  # characters, as alembic declares the version table
_ID = re.compile(r"[\w.]+")  # it becomes a part of the file's name
_MEANT_OTHERWISE = frozenset({"base", "current", "head", "heads"})

_ENV = '''"""How alembic and dbpool migrate run these steps."""

from __future__ import annotations

from dbpool.migrate.env import run

run(version_table={table})
'''


def made(path: str | Path, version_table: str | None) -> Folder:
    """The folder at *path*, made where there is none; a version table of its own is kept in its env.py.

    Raises: MigrationError: it cannot be made.
    """
    folder = Folder(Path(path).absolute(), is_own=False)
    is_new = not (folder.path / "versions").is_dir() and not folder.has_env
    try:
        (folder.path / "versions").mkdir(parents=True, exist_ok=True)
        if is_new and version_table is not None:
            (folder.path / "env.py").write_text(_ENV.format(table=json.dumps(version_table)), "utf-8")
    except OSError as error:
        raise MigrationError(f"{path} cannot be made: {one_line(error)}.") from error
    return folder_at(path)


async def written(
    folder: Folder, message: str, run: Run, *, rev_id: str | None, is_merge: bool, is_generated: bool
) -> Path | None:
    """Write a step; None: it was to be generated, and nothing differs.

    Raises: MigrationError: the folder has several heads, the database is not at its head, there are no models.
    """
    config = config_of(folder, **{RUN: run})
    script = script_of(config, folder, may_be_empty=True)
    heads = script.get_heads()
    if len(heads) > 1 and not is_merge:
        raise several_heads(folder, heads)
    if is_merge and len(heads) < 2:
        raise MigrationError(f"{folder} has {counted(len(heads), 'head')}: there is nothing to merge.")
    if rev_id:
        _check_id(rev_id, script)
    new = RevisionContext(
        config,
        script,
        {
            "message": message,
            "autogenerate": is_generated,
            "head": tuple(heads) if is_merge else "head",
            "rev_id": rev_id,
            "sql": False,
            "splice": False,
            **dict.fromkeys(("branch_label", "version_path", "depends_on")),
        },
    )
    if is_generated:
        set_url(config, folder, run.dsn)
        comparing = _compared(folder, config, script, run, new)
        await told_run(lambda: comparing, run, "comparing with the models", folder)
        if all(operations.is_empty() for operations in new.generated_revisions[-1].upgrade_ops_list):
            return None
    try:
        (step,) = new.generate_scripts()
    except (CommandError, OSError) as error:
        raise MigrationError(f"the step cannot be written: {error}") from error
    return None if step is None else Path(step.path)


def _check_id(rev_id: str, script: ScriptDirectory) -> None:
    """Raises: MigrationError: no step can be called so."""
    wrong = None
    if not _ID.fullmatch(rev_id):
        wrong = "has other characters than letters, digits, _ and ."
    elif len(rev_id) > LONGEST_ID:
        wrong = f"has {len(rev_id)} characters, {LONGEST_ID} are the most"
    elif rev_id in _MEANT_OTHERWISE:
        wrong = "means something else where a revision is asked for"
    elif any(step.revision == rev_id for step in script.walk_revisions()):
        wrong = "is that of a step already"
    if wrong is not None:
        raise MigrationError(f"the step cannot be written: the id {rev_id!r} {wrong}.")


async def _compared(folder: Folder, config: Config, script: ScriptDirectory, run: Run, new: RevisionContext) -> None:
    """Have *new* hold what the models have more, or less, than the database."""

    def compare(heads: tuple[str, ...], context: MigrationContext) -> list[Any]:
        check_known(script, heads, folder, context.version_table)
        if pending := planned("upgrade", script, "heads", heads):
            raise MigrationError(
                f"the database lacks {pending[0][0]}: apply what is pending (dbpool migrate up), then compare."
            )
        if context.opts.get("target_metadata") is None:
            raise MigrationError("compared with what? Say --metadata package.module:metadata, or run(metadata=...).")
        new.run_autogenerate(heads, context)
        return []

    options = {"dont_mutate": True, "template_args": new.template_args, "revision_context": new}
    await run_env(folder, config, script, run, compare, **options)
