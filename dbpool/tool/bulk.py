"""The command ``dbpool bulk``: a statement for each row of a file, its rows as lines of JSON."""

from __future__ import annotations

import json
import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

from dbpool import CsvRows, DatabasePool, NdjsonRows, Progress, Rate
from dbpool.bulk.files import TextRow, rows_of
from dbpool.tool.answers import lines_of
from dbpool.tool.feed import Feed
from dbpool.tool.jobs import run as run_job
from dbpool.tool.progress import Shown
from dbpool.tool.running import DONE, SOME_FAILED, Stop

SAMPLED = 3  # rows, to explain with


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says."""

    dsn: str
    sql: str
    params: Path | None  # None: lines of JSON on stdin
    out: Path | None  # None: stdout
    columns: list[str] | None
    header: bool
    delimiter: str
    null: str
    connections: int
    job: str | None
    dask: str | None  # the address of a scheduler
    form: str | None
    rate: float | None
    ordered: bool
    keep_going: bool
    explain: bool
    as_json: bool


class _Options(TypedDict, total=False):
    form: str
    rate: Rate


async def run(plan: Plan, stop: Stop) -> int:
    """Run the statement for each item; return the exit code."""
    async with DatabasePool(plan.dsn, plan.connections, name="bulk") as db:
        source = source_of(plan.params, plan.columns, header=plan.header, delimiter=plan.delimiter, null=plan.null)
        if plan.job is not None:
            return await run_job(
                db, plan.job, plan.sql, source, plan.dask, stop, keep_going=plan.keep_going, as_json=plan.as_json
            )
        feed = Feed(source)
        stop.ends(feed)
        if plan.explain:
            sys.stdout.write(f"{await db.explain_map(plan.sql, await _sample(feed))}\n")
            return DONE
        return await _answer_all(db, plan, feed, stop)


async def _answer_all(db: DatabasePool, plan: Plan, feed: Feed, stop: Stop) -> int:
    last: Progress | None = None

    def note(progress: Progress) -> None:
        nonlocal last
        last = progress
        left = "" if progress.left_s is None else f", {progress.left_s:.0f} s left"
        shown.tell(progress.items, progress.total, f"{progress.per_s:,.0f}/s, {progress.failed:,} failed{left}")

    options: _Options = {}
    if plan.form is not None:
        options["form"] = plan.form
    if plan.rate is not None:
        options["rate"] = Rate(plan.rate)
    failed = 0
    items = db.map(
        plan.sql,
        feed,
        ordered=plan.ordered,
        on_error="collect" if plan.keep_going else "raise",
        progress=note,
        **options,
    )
    lines = await lines_of(db, plan.sql)
    try:
        with Shown("items") as shown, _opened(plan.out) as out:
            async with aclosing(items):  # type: ignore[type-var]
                async for item in items:
                    failed += item.error is not None
                    out.write(lines.line(item))
                    if feed.is_dry:
                        out.flush()
    except BrokenPipeError:  # whoever reads has had enough, but must know
        if not failed:
            raise
        return SOME_FAILED
    assert last is not None
    figures = {
        "items": last.items,
        "failed": last.failed,
        "seconds": round(last.seconds, 3),
        "interrupted": stop.is_asked,
    }
    to = sys.stderr if plan.out is None else sys.stdout
    if plan.as_json:
        to.write(json.dumps(figures) + "\n")
    else:
        done = f"{last.items:,} items in {last.seconds:.2f} s, {last.per_s:,.0f} a second; {last.failed:,} failed"
        sys.stderr.write(done + ("; stopped early\n" if stop.is_asked else "\n"))
    return SOME_FAILED if last.failed else DONE


def source_of(
    path: Path | None, columns: list[str] | None, *, header: bool, delimiter: str, null: str
) -> CsvRows | NdjsonRows:
    """The rows of a file, or of stdin."""
    if path is None:
        return NdjsonRows(Path("/dev/stdin"), columns=columns)
    if isinstance(rows_of(path), NdjsonRows):
        return NdjsonRows(path, columns=columns)
    return CsvRows(path, header=header, columns=columns, delimiter=delimiter, null=null)


async def _sample(feed: Feed) -> list[TextRow]:
    found: list[TextRow] = []
    async with aclosing(aiter(feed)) as rows:  # type: ignore[type-var]
        async for row in rows:
            found.append(row)
            if len(found) == SAMPLED:
                break
    return found


def _opened(path: Path | None) -> IO[str]:
    return open(1, "w", encoding="utf-8", closefd=False) if path is None else path.open("w", encoding="utf-8")
