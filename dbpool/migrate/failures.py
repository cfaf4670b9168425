"""What went wrong in a migration, and what stays applied."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from dbpool.faults import one_line
from dbpool.migrate.connecting import sqlstate_of, text_of
from dbpool.migrate.run import DEADLOCK, LOCK_NOT_AVAILABLE
from dbpool.wording import counted, without_addresses

if TYPE_CHECKING:
    from dbpool.migrate.folder import Folder
    from dbpool.migrate.run import Run

STATEMENT_LENGTH = 200  # characters: enough to know it by


def told(error: BaseException, run: Run, folder: Folder) -> str:
    """What follows "upgrade to 'head' failed"."""
    if run.running is None:
        return f": {without_addresses(_outside(error, folder))}"
    return f" in step {run.running}: {_why(error, run)} {_rest(run)}"


def _why(error: BaseException, run: Run) -> str:
    state = sqlstate_of(error)
    if state in (LOCK_NOT_AVAILABLE, DEADLOCK):
        seen = f" Last seen in the way: {'; '.join(map(str, run.blockers))}." if run.blockers else ""
        return (
            f"it did not get its locks in {counted(run.tries, 'try')} of {run.table_locks.timeout_s:g} s within "
            f"{run.table_locks.patience_s:g} s.{seen}"
        ).replace("trys", "tries")
    if state is not None:
        statement = " ".join(str(getattr(error, "statement", "") or "").split())
        shortened = statement if len(statement) <= STATEMENT_LENGTH else f"{statement[:STATEMENT_LENGTH]}..."
        return f"{text_of(error).splitlines()[0]} ({state})." + (f" Its statement: {shortened}" if statement else "")
    if isinstance(error, NotImplementedError):
        return "it says that it cannot do this (NotImplementedError)."
    assert run.running is not None
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith(run.running.file)]
    where = f", line {lines[-1]}" if lines else ""
    return f"{one_line(error)} ({run.running.file}{where})."


def _rest(run: Run) -> str:
    if run.is_partly_stored:
        nothing = (
            "It had left its transaction (autocommit_block): what it did before stays, yet it does not count as run."
        )
        if run.invalid_indexes:
            nothing += f" Invalid indexes: {', '.join(run.invalid_indexes)}; drop them before the next try."
    else:
        nothing = "Nothing of it is applied."
    done = f" Before it {', '.join(ran.revision.id for ran in run.ran)} ran, and stays so." if run.ran else ""
    return nothing + done


def _outside(error: BaseException, folder: Folder) -> str:
    if type(error).__module__.startswith("alembic."):
        return str(error.__cause__ if type(error.__cause__).__name__ == "ResolutionError" else error)  # it knows more
    if sqlstate_of(error) is not None or isinstance(error, OSError):
        return text_of(error).splitlines()[0]
    return f"{one_line(error)} (in {folder.env / 'env.py'})" if folder.has_env else one_line(error)
