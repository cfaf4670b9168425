"""``dbpool loadtest analyze``: the verdict of a saved run once more, perhaps under other assumptions."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from dbpool.errors import UsageError
from dbpool.loadtest.analysis import analysed
from dbpool.loadtest.assumptions import Assumptions
from dbpool.loadtest.report.text import print_report
from dbpool.loadtest.saved import read_run
from dbpool.tool.running import DONE, Stop


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalyzePlan:
    """What the options ask for; *changes* are assumptions other than those of the run."""

    file: Path
    changes: Mapping[str, Any]
    as_json: bool


async def run(plan: AnalyzePlan, stop: Stop) -> int:  # noqa: ARG001 - it waits for nothing
    """Judge; print; return the exit code.

    Raises:
        NotARun: the file is none.
        UsageError: nothing in it can be judged.
        SettingsError: an assumption contradicts another.
    """
    document = dict(read_run(plan.file))
    if document["settings"] is None:
        raise UsageError(f"{plan.file} is of '{document['run']['command']}', which varies no size: nothing is to judge")
    assumptions = replace(Assumptions.of(document["settings"]), **plan.changes)
    document |= analysed(document, assumptions) | {"settings": assumptions.as_json()}
    if plan.as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        print_report(document, Console())
    return DONE
