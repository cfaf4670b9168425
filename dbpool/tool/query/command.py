"""Asks one question, and gives the answer as it is wanted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from dbpool import DatabasePool, ExportProgress, QueryTimeout, UsageError
from dbpool.settings import LONGEST_S
from dbpool.tool.progress import Shown
from dbpool.tool.query.plan import Out, Plan
from dbpool.tool.query.question import Question, checked_statement, prepared
from dbpool.tool.query.seen import see
from dbpool.tool.query.tables import show
from dbpool.tool.query.types import type_named
from dbpool.tool.query.writing import check_names, write_objects, write_texts
from dbpool.tool.running import DONE
from dbpool.wording import counted


async def run(plan: Plan) -> int:
    """Ask; print or write; return the exit code."""
    statement = checked_statement(plan.sql, len(plan.parameters))
    into = None if plan.into is None else type_named(plan.into)
    if plan.form is Out.CSV and into is not None:
        raise UsageError("objects are printed as they are, or as JSON: give --format json, or leave out --into")
    if plan.out is Out.TABLE and plan.target is not None:
        raise UsageError("a table goes to the terminal only: give --format csv, json or ndjson")
    settings = {"default_transaction_read_only": "on"} if plan.is_readonly else {}
    async with DatabasePool(plan.dsn, 1, name="query", query_timeout=LONGEST_S, server_settings=settings) as db:
        try:
            async with asyncio.timeout(plan.timeout):
                question = await prepared(db, plan.sql, statement, plan.parameters)
                await _answer(db, plan, question, into)
        except TimeoutError as error:
            if plan.timeout is None or isinstance(error, QueryTimeout):
                raise
            doubt = "" if statement.reads_only else "; if it writes, look whether it is stored"
            raise QueryTimeout(
                f"stopped after {plan.timeout:g} s (--timeout){doubt}", timeout_s=plan.timeout
            ) from error
    return DONE


async def _answer(db: DatabasePool, plan: Plan, question: Question, into: Callable[..., Any] | None) -> None:
    if plan.is_explained:
        for row in await db.fetch(f"EXPLAIN {question.sql}"):
            sys.stdout.write(f"{row[0]}\n")
    elif not question.columns:
        status = await db.execute(question.sql)
        (sys.stdout if plan.out is Out.TABLE else sys.stderr).write(f"{status}\n")
    elif into is not None:
        await write_objects(db, question, into, plan.target, plan.form or Out.TABLE)
    elif plan.out is Out.TABLE:
        show(question.columns, await see(db, question, plan.limit), is_expanded=plan.is_expanded)
    elif question.can_be_copied:
        await _export(db, plan, question)
    else:
        write_texts(question.columns, (await see(db, question, 0)).rows, plan.target, plan.out)


async def _export(db: DatabasePool, plan: Plan, question: Question) -> None:
    """By COPY: as many rows as there are, in constant memory; a file gets its name when all of it is written."""
    if plan.out is not Out.CSV:
        check_names(question.columns)
    to = sys.stdout.buffer if plan.target is None else plan.target
    is_silent = plan.target is None and sys.stdout.isatty()
    with nullcontext() if is_silent else Shown("written", is_patient=True) as shown:

        def note(progress: ExportProgress) -> None:
            if shown is not None:
                shown.tell(progress.bytes // 1_000_000, None, "MB")

        done = await db.export(question.sql, to, format=plan.out.value, progress=note)
    if plan.target is not None:
        sys.stderr.write(f"{counted(done.rows, 'row')} in {plan.target}\n")
