"""One command's run, from the first connection to the exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from rich.console import Console as Terminal

from dbpool.core.loadtest.thresholds import Threshold
from dbpool.errors import DbPoolError
from dbpool.faults import one_line
from dbpool.loadtest.aborting import Abort
from dbpool.loadtest.comparable import NotComparable, check_comparable
from dbpool.loadtest.comparing import compare_runs
from dbpool.loadtest.document import Run
from dbpool.loadtest.events import Events
from dbpool.loadtest.ndjson import STDOUT
from dbpool.loadtest.report.text import print_report
from dbpool.loadtest.saved import read_run
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, PREFIX, ensure_gone
from dbpool.loadtest.server.console import Console, console_at
from dbpool.loadtest.server.pooler import read_pooler
from dbpool.loadtest.server.preflight import ClockWatch, preflight
from dbpool.loadtest.server.safety import Refused
from dbpool.loadtest.server.serversettings import cores_of, read_settings
from dbpool.loadtest.stages.stand import Stand
from dbpool.tool.loadtest.outputs import check_outputs, shown, write_files
from dbpool.tool.loadtest.plan import Plan, with_tables
from dbpool.tool.loadtest.where import Where, refused, server
from dbpool.tool.running import DONE, FAILED, INTERRUPTED, MEANS_NOTHING, Stop

MISSED: Final = 3
REGRESSED: Final = 4
DOUBTFUL: Final = 5
"""Exit codes: a threshold was not met, worse than the baseline, not to be trusted (with ``--strict``)."""

LOOK_S: Final = 10.0

Work: TypeAlias = Callable[[Stand], Awaitable[None]]


async def conduct(plan: Plan, stop: Stop, work: Work, *, room: int) -> int:
    """Have *work* done on the server of *plan*, show what it measured, return the exit code.

    Args:
        room: connections that an embedded server gets.
    Raises:
        SettingsError: an output, or the baseline, is none.
        NotComparable: the baseline has another workload, scale or server; nothing is loaded then.
        DbPoolError: there is no server, or it has no tables; once it loads, what fails is in its results.
    """
    check_outputs(plan.outputs)
    baseline = None if plan.judging.baseline is None else read_run(plan.judging.baseline)
    async with server(plan.url, room=room) as where, console_at(plan.watch.pgbouncer_admin, where.run_id) as console:
        run, events, clock = await _run(plan, where, console), Events(), ClockWatch()
        if baseline is not None:
            check_comparable(baseline, run.as_json())
        async with shown(plan.outputs, run, events):
            stand = _stand(plan, where, run, events, console)
            if plan.judging.is_aborting:
                _abort_where_missed(plan, stand)
            try:
                with _stopped_by(stop, stand):
                    failure = await _do(work, stand)
            except Refused as error:
                return refused(plan.command, error)
            await _look_behind(where, run)
            for told in clock.warnings():
                run.warn(*told)
            if failure is None and not stop.is_asked:
                failure = _what_failed(run)
            code = _end(plan, run, baseline, failure=failure, is_stopped=stop.is_asked)
    return _tell(plan, run.as_json(), code, failure)


async def _run(plan: Plan, where: Where, console: Console | None) -> Run:
    limits, pooler = where.limits, None if console is None else await read_pooler(console)
    settings, cores = await read_settings(where.lifeline), cores_of(where.lifeline, limits)
    run = Run(
        run_id=where.run_id,
        command=plan.command,
        argv=["dbpool", *sys.argv[1:]],
        preset=plan.preset,
        settings=plan.settings,
        workload=await with_tables(plan, where.lifeline, is_embedded=where.is_embedded),
        limits=limits,
        is_embedded=where.is_embedded,
        server_settings=settings,
        cores=cores,
        pooler=pooler,
    )
    # what there is to say of an embedded server, its user knows, and cannot change
    if not where.is_embedded:
        for code, text in preflight(limits, settings, mode=run.workload.mode, pooler=pooler, cores=cores):
            run.warn(code, text)
    return run


def _stand(plan: Plan, where: Where, run: Run, events: Events, console: Console | None) -> Stand:
    return Stand(
        dsn=where.dsn,
        lifeline=where.lifeline,
        limits=where.limits,
        driver=plan.drivers[0],
        load=plan.load,
        workers=plan.workers,
        run=run,
        events=events,
        watch=plan.watch,
        console=console,
    )


def _abort_where_missed(plan: Plan, stand: Stand) -> None:
    def stop(threshold: Threshold) -> None:
        stand.run.warn("aborted", f"{threshold.text} was missed in two seconds in a row: stopped early")
        stand.stop()

    stand.on_second = Abort(plan.judging.thresholds, stop).take


@contextmanager
def _stopped_by(stop: Stop, stand: Stand) -> Iterator[None]:
    """A signal stops what is measured; what there is by then is shown."""
    told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told.add_done_callback(lambda _: stand.stop())
    stop.cancels(told)
    if stop.is_asked:  # by a signal that came before
        stand.stop()
    yield


async def _do(work: Work, stand: Stand) -> str | None:
    """Do it; what went wrong, in a sentence."""
    try:
        await work(stand)
    except Refused:
        raise
    except (DbPoolError, *CONNECT_ERRORS) as error:
        return str(error) if isinstance(error, DbPoolError) else one_line(error)
    return None


async def _look_behind(where: Where, run: Run) -> None:
    """Whether every session has left; the server takes a moment to notice that a client is gone."""
    if where.limits.is_pooled:  # the pooler keeps what it has opened
        return
    try:
        async with asyncio.timeout(LOOK_S):  # a server that hangs does not answer
            are_gone = await ensure_gone(where.lifeline, f"{PREFIX}{where.run_id}/")
        if not are_gone:
            run.warn("sessions_left", "some of its sessions had not left after 5 s: see pg_stat_activity")
    except CONNECT_ERRORS as error:
        run.warn("lifeline_lost", f"the connection that looks at the server was lost: {one_line(error)}")


def _end(plan: Plan, run: Run, baseline: Mapping[str, Any] | None, *, failure: str | None, is_stopped: bool) -> int:
    """Judge the run, end its document; the exit code."""
    if is_stopped:
        run.end("interrupted", INTERRUPTED)
    elif failure is not None:
        run.warn("failed", failure)
        run.end("failed", FAILED)
    elif any(code == "aborted" for code, _ in run.warnings):
        run.end("interrupted", MISSED)
    else:
        is_compared = baseline is None or _compare(plan, run, baseline)
        run.end("complete", _judged(plan, run) if is_compared else MEANS_NOTHING)
    return run.exit_code


def _compare(plan: Plan, run: Run, baseline: Mapping[str, Any]) -> bool:
    """Whether there was something to compare: which loads a run has is known only now."""
    try:
        found = compare_runs(baseline, run.as_json(), max_regression=plan.judging.max_regression)
    except NotComparable as error:
        run.warn("not_compared", str(error))
        return False
    run.sections["comparison"] = found
    return True


def _judged(plan: Plan, run: Run) -> int:
    if not all(each.is_met for each, _ in run.judgements):
        return MISSED
    if (run.sections.get("comparison") or {}).get("regressions"):
        return REGRESSED
    return DOUBTFUL if plan.judging.is_strict and not _is_trusted(run) else DONE


def _is_trusted(run: Run) -> bool:
    """Grade A or B; without a recommendation, no point that tells more of the generator, or of a start, than of it."""
    recommendation = run.sections.get("recommendation")
    if recommendation is not None:
        return recommendation["grade"] in ("A", "B")
    return not {"generator_bound", "unsteady", "suspect"} & {flag for point in run.points for flag in point["flags"]}


def _tell(plan: Plan, document: Mapping[str, Any], code: int, failure: str | None) -> int:
    files: list[Path] = []
    unwritten: OSError | None = None
    try:
        files = write_files(plan.outputs, document)
    except OSError as error:  # what was measured is not lost: it is printed
        unwritten = error
    if plan.outputs.as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    elif plan.outputs.timeseries != STDOUT and document["points"]:
        print_report(document, Terminal())
    for file in files:
        sys.stderr.write(f"written: {file}\n")
    if failure is not None:
        sys.stderr.write(f"dbpool loadtest {plan.command}: {failure}\n")
    if unwritten is not None:
        raise unwritten
    return code


def _what_failed(run: Run) -> str | None:
    """A server that was lost meanwhile; no transaction that went well. Of a search for a limit some points may fail."""
    oks = [point["counts"]["ok"] for point in run.points]
    if not oks or not (all(oks) if run.command == "bench" else any(oks)):
        return "no transaction went well"
    return next((text for code, text in run.warnings if code == "lifeline_lost"), None)
