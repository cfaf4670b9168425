"""What an export has done: so far, then in all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """How far an export has come.

    Args:
        rows: of the parts that are done; the server counts them at a part's end.
        bytes: that came from the server.
        parts_done: of *parts* in all.
        elapsed_s: seconds since the start, waiting for a connection included.
    """

    rows: int
    bytes: int
    parts_done: int
    parts: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Exported:
    """What was exported.

    Args:
        bytes: that were written to the target, after compression.
        parts: statements that read it, each a range of a table's pages.
        connections: that read them, the most together.
        seconds: that it took, waiting for a connection included.
        paths: files that were written, in the order of the parts; empty for a file object or a function.
        note: why it took fewer connections than it might have; "" if it did not.
    """

    rows: int
    bytes: int
    parts: int
    connections: int
    seconds: float
    paths: tuple[Path, ...]
    note: str = ""
