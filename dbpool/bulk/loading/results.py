"""What a load tells its caller."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dbpool.errors import StoredPart


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is.

    Args:
        rows: stored.
        bytes: read for them from files (packed ones, where they are packed), or encoded from arrays or a frame.
        total_bytes: of all files or arrays; None where nobody knows.
        seconds: since it began.
    """

    rows: int
    bytes: int
    total_bytes: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that is not stored, and why.

    Args:
        file, line: where it begins; without a file the line is the row's number, from 1.
        column, value: what the reason is about, where the server says so.
        row: all of it: a file's bytes (decoded so that ``os.fsencode`` gives them back), or a record's ``repr``.
    """

    file: str | None
    line: int
    column: str | None
    value: str | None
    sqlstate: str
    message: str
    row: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load stored, of one that it resumed too.

    Args:
        rows: in the table that are from it.
        rejected: rows that were refused, with ``on_reject="skip"`` or ``"file"``.
        bytes: as in ``Progress``; 0 for records.
        seconds: it took, without those of the one that it resumed.
        rejects: the first 100 of those rows.
        reject_file: where all of them are; None if there are none, or they were skipped.
        stored: the parts that the source was cut into.
    """

    rows: int
    rejected: int
    bytes: int
    seconds: float
    rejects: tuple[Reject, ...]
    reject_file: Path | None
    stored: tuple[StoredPart, ...]
