"""The command ``dbpool export``: a table or a query into a file."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from dbpool import DatabasePool, ExportProgress
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says."""

    dsn: str
    source: str
    target: Path | None  # None: stdout
    format: str | None
    connections: int
    as_json: bool


async def run(plan: Plan, stop: Stop) -> int:
    """Export; return the exit code."""

    def note(progress: ExportProgress) -> None:
        shown.tell(
            progress.parts_done, progress.parts, f"parts, {progress.rows:,} rows, {progress.bytes / 1e6:,.1f} MB"
        )

    async with DatabasePool(plan.dsn, plan.connections, name="export") as db:
        with Shown("export") as shown:
            exporting = asyncio.ensure_future(
                db.export(
                    plan.source,
                    sys.stdout.buffer if plan.target is None else plan.target,
                    format=plan.format,
                    at_once=plan.connections,
                    progress=note,
                )
            )
            stop.cancels(exporting)
            done = await exporting
    to = sys.stderr if plan.target is None else sys.stdout
    if plan.as_json:
        figures = {"rows": done.rows, "bytes": done.bytes, "parts": done.parts, "seconds": round(done.seconds, 3)}
        to.write(json.dumps({**figures, "paths": list(map(str, done.paths)), "note": done.note}) + "\n")
    else:
        note_at_end = f" ({done.note})" if done.note else ""
        sys.stderr.write(f"{done.rows:,} rows, {done.bytes / 1e6:,.1f} MB in {done.seconds:.2f} s{note_at_end}\n")
    return DONE
