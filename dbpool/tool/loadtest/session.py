"""One command's run, from the first connection to the exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from rich.console import Console

from dbpool.errors import DbPoolError
from dbpool.faults import one_line
from dbpool.loadtest.document import Run
from dbpool.loadtest.events import Events
from dbpool.loadtest.report.text import print_report
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, application_name, ensure_gone
from dbpool.loadtest.server.safety import Refused
from dbpool.loadtest.stages.stand import Stand
from dbpool.tool.loadtest.plan import Plan, with_tables
from dbpool.tool.loadtest.screen import Progress
from dbpool.tool.loadtest.where import Where, refused, server
from dbpool.tool.running import DONE, FAILED, INTERRUPTED, Stop

MISSED: Final = 3
"""The exit code where a threshold was not met."""

Work: TypeAlias = Callable[[Stand], Awaitable[None]]


async def conduct(plan: Plan, stop: Stop, work: Work, *, room: int) -> int:
    """Have *work* done on the server of *plan*, show what it measured, return the exit code.

    Args:
        room: connections that an embedded server gets.
    Raises:
        DbPoolError: there is no server, or it has no tables; once it loads, what fails is in its results.
    """
    async with server(plan.url, room=room) as where:
        stand = await _stand(plan, where)
        # a signal cancels this future, and with it what is measured; what there is by then is printed
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told.add_done_callback(lambda _: stand.stop())
        stop.cancels(told)
        if stop.is_asked:  # by a signal that came before
            told.cancel()
        try:
            failure = await _do(work, stand)
        except Refused as error:
            return refused(plan.command, error)
        await _look_behind(where, stand.run)
    return _tell(plan, stand.run, failure=failure, is_stopped=stop.is_asked)


async def _stand(plan: Plan, where: Where) -> Stand:
    run = Run(
        run_id=where.run_id,
        command=plan.command,
        argv=["dbpool", *sys.argv[1:]],
        preset=plan.preset,
        settings=plan.settings,
        workload=await with_tables(plan, where.lifeline, is_embedded=where.is_embedded),
        limits=where.limits,
        is_embedded=where.is_embedded,
    )
    events = Events()
    progress = Progress(0 if plan.outputs.as_json and not sys.stderr.isatty() else plan.outputs.progress)
    events.listen(progress.take)
    progress.say(f"PostgreSQL {where.limits.version}{', embedded' if where.is_embedded else ''}; calibrating")
    return Stand(
        dsn=where.dsn,
        lifeline=where.lifeline,
        limits=where.limits,
        driver=plan.drivers[0],
        load=plan.load,
        workers=plan.workers,
        run=run,
        events=events,
    )


async def _do(work: Work, stand: Stand) -> str | None:
    """Do it; what went wrong, in a sentence."""
    try:
        await work(stand)
    except Refused:
        raise
    except (DbPoolError, *CONNECT_ERRORS) as error:
        stand.run.warn("failed", str(error) if isinstance(error, DbPoolError) else one_line(error))
        return stand.run.warnings[-1][1]
    return None


async def _look_behind(where: Where, run: Run) -> None:
    """Whether every session has left; the server takes a moment to notice that a client is gone."""
    if where.limits.is_pooled:  # the pooler keeps what it has opened
        return
    try:
        if not await ensure_gone(where.lifeline, application_name(where.run_id, "load")):
            run.warn("sessions_left", "some of its sessions had not left after 5 s: see pg_stat_activity")
    except CONNECT_ERRORS as error:
        run.warn("lifeline_lost", f"the connection that looks at the server was lost: {one_line(error)}")


def _tell(plan: Plan, run: Run, *, failure: str | None, is_stopped: bool) -> int:
    if failure is None and not is_stopped and not _went_well(run):
        failure = "no transaction went well"
    if is_stopped:
        status, code = "interrupted", INTERRUPTED
    elif failure is not None:
        status, code = "failed", FAILED
    else:
        status, code = "complete", DONE if all(each.is_met for each, _ in run.judgements) else MISSED
    document = run.end(status, code)
    if plan.outputs.as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    elif run.points:
        print_report(document, Console())
    if failure is not None:
        sys.stderr.write(f"dbpool loadtest {plan.command}: {failure}\n")
    return code


def _went_well(run: Run) -> bool:
    """A benchmark's every point; of a search for a limit some may fail."""
    oks = [point["counts"]["ok"] for point in run.points]
    return bool(oks) and (all(oks) if run.command == "bench" else any(oks))
