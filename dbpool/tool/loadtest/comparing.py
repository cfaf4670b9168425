"""``dbpool loadtest compare``: saved runs against the first of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from dbpool.loadtest.comparing import compare_runs
from dbpool.loadtest.report import markdown
from dbpool.loadtest.report.text import print_comparison
from dbpool.loadtest.saved import read_run
from dbpool.tool.running import DONE, Stop

REGRESSED: Final = 4
"""The exit code where a figure is shown to be worse by more than is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePlan:
    """What the options ask for; the first of *files* is the baseline."""

    files: Sequence[Path]
    as_json: bool
    as_markdown: bool
    allow_mismatch: bool
    max_regression: float


async def run(plan: ComparePlan, stop: Stop) -> int:  # noqa: ARG001 - it waits for nothing
    """Compare each with the first; print; return the exit code.

    Raises:
        NotARun: a file is none.
        NotComparable: two of them do not compare.
    """
    baseline, *others = map(read_run, plan.files)
    sections = [
        compare_runs(baseline, document, max_regression=plan.max_regression, allow_mismatch=plan.allow_mismatch)
        for document in others
    ]
    code = REGRESSED if any(section["regressions"] for section in sections) else DONE
    if plan.as_json:
        sys.stdout.write(json.dumps({"comparisons": sections, "exit_code": code}) + "\n")
        return code
    for file, section in zip(plan.files[1:], sections, strict=True):
        title = f"{plan.files[0]} against {file}"
        if plan.as_markdown:
            sys.stdout.write(markdown.comparison(section, title))
        else:
            print_comparison(section, Console(), title)
    return code
