"""What the command line says."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dbpool.core.copyformats import Format


class Out(StrEnum):
    """How rows are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the command line says; *limit* is for the terminal, 0 for none."""

    dsn: str
    sql: str
    parameters: tuple[str | None, ...]
    target: Path | None
    form: Out | None
    into: str | None
    limit: int
    is_expanded: bool
    is_readonly: bool
    timeout: float | None
    is_explained: bool

    @property
    def out(self) -> Out:
        """As asked for, or by the target's name; a table at a terminal, CSV in a pipe."""
        if self.form is not None:
            return self.form
        if self.target is not None:
            name = self.target.name.lower().removesuffix(".gz")
            return next(
                (Out(each.word) for each in (Format.NDJSON, Format.JSON) if name.endswith(each.suffixes)), Out.CSV
            )
        return Out.TABLE if self.is_expanded or sys.stdout.isatty() else Out.CSV
