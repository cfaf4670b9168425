"""``dbpool loadtest report``: a saved run in the form that is asked for."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from dbpool.errors import UsageError
from dbpool.loadtest.report.text import print_report
from dbpool.loadtest.saved import read_run
from dbpool.tool.running import DONE, Stop

WIDTH: Final = 120  # of a text that goes into a file


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPlan:
    """What the options ask for; without *file* it goes to stdout."""

    run: Path
    form: str
    file: Path | None


async def run(plan: ReportPlan, stop: Stop) -> int:  # noqa: ARG001 - it waits for nothing
    """Read; write; return the exit code.

    Raises:
        NotARun: the file is none.
        OSError: the report cannot be written.
    """
    document = read_run(plan.run)
    if plan.file is not None:
        plan.file.write_text(FORMS[plan.form](document), encoding="utf-8")
    elif plan.form == "text":
        print_report(document, Console())
    elif plan.form == "html" and sys.stdout.isatty():
        raise UsageError("a page is nothing for a terminal: give -o FILE")
    else:
        sys.stdout.write(FORMS[plan.form](document))
    return DONE


def _html(document: Mapping[str, Any]) -> str:
    from dbpool.loadtest.report.html import page

    return page(document)


def _markdown(document: Mapping[str, Any]) -> str:
    from dbpool.loadtest.report.markdown import text

    return text(document)


def _csv(document: Mapping[str, Any]) -> str:
    from dbpool.loadtest.report.csv import text

    return text(document)


def _text(document: Mapping[str, Any]) -> str:
    written = io.StringIO()
    print_report(document, Console(file=written, width=WIDTH))
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())


FORMS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "html": _html,
    "md": _markdown,
    "text": _text,
    "csv": _csv,
}
