"""The command ``dbpool load``: files into a table."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbpool import DatabasePool, Loaded, LoadProgress
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, SOME_FAILED, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says."""

    dsn: str
    table: str
    files: Sequence[str]
    connections: int
    columns: list[str] | None
    header: bool
    delimiter: str | None
    null: str
    rejects: Path | None
    atomic: bool
    as_json: bool


async def run(plan: Plan, stop: Stop) -> int:
    """Load the files; return the exit code."""

    def note(progress: LoadProgress) -> None:
        per_s = progress.rows / progress.seconds if progress.seconds else 0.0
        shown.tell(progress.bytes, progress.total_bytes, f"{progress.rows:,} rows, {per_s:,.0f}/s")

    async with DatabasePool(plan.dsn, plan.connections, name="load") as db:
        with Shown("bytes") as shown:
            loading = asyncio.ensure_future(
                db.load(
                    plan.table,
                    [Path(file) for file in plan.files],
                    columns=plan.columns,
                    header=plan.header,
                    delimiter=plan.delimiter,
                    null=plan.null,
                    at_once=plan.connections,
                    atomic=plan.atomic,
                    on_reject="raise" if plan.rejects is None else "file",
                    reject_file=plan.rejects,
                    progress=note,
                )
            )
            stop.cancels(loading)
            done = await loading
    _tell(done, as_json=plan.as_json)
    return SOME_FAILED if done.rejected else DONE


def _tell(done: Loaded, *, as_json: bool) -> None:
    if as_json:
        figures = {"rows": done.rows, "rejected": done.rejected, "bytes": done.bytes, "seconds": round(done.seconds, 3)}
        sys.stdout.write(json.dumps({**figures, "reject_file": done.reject_file and str(done.reject_file)}) + "\n")
        return
    per_s = done.rows / done.seconds if done.seconds else 0.0
    rejected = f"; {done.rejected:,} rejected, see {done.reject_file}" if done.rejected else ""
    sys.stderr.write(f"{done.rows:,} rows in {done.seconds:.2f} s, {per_s:,.0f} a second{rejected}\n")
