"""What pgbench says on stderr while it runs: a line each second, and complaints."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 80  # characters of an error's name

_PROGRESS: Final = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps.*?, (\d+) failed(?:.*?, (\d+) skipped)?")
_COMPLAINT: Final = re.compile(r"pgbench: (?:error|fatal): (.*)")
_ABORTED: Final = re.compile(r"client \d+ (?:script \d+ )?aborted\b[^:]*: *(?:ERROR|FATAL): *(.*)|client \d+ .*aborted")


@dataclass(frozen=True, slots=True)
class Progress:
    """What the last second brought, said at *at_s* of the system's clock."""

    at_s: float
    done: int
    failed: int
    skipped: int


def progress_of(line: str) -> Progress | None:
    """From a line of ``--progress=1 --progress-timestamp``; None: it is none."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    return Progress(float(found[1]), round(float(found[2])), int(found[3]), int(found[4] or 0))


def complaint_of(line: str) -> str | None:
    """What went wrong; None: nothing."""
    found = _COMPLAINT.match(line)
    return found[1].strip() if found else None


def aborted_by(complaint: str) -> str | None:
    """What results call the error after which a client gave up; None: none did.

    pgbench has its message alone, no SQLSTATE.
    """
    found = _ABORTED.match(complaint)
    return None if found is None else f"client aborted: {found[1] or 'connection lost'}"[:LONGEST]
