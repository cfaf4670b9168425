"""How a bulk write is to go about it, with what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from dbpool.connection import Record
from dbpool.queries import checked_timeout
from dbpool.settings import whole_number

ROWS_PER_TRANSACTION: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a bulk write did, or has done so far."""

    rows: int
    """Rows of the source that are dealt with; those left out on purpose are among them."""
    inserted: int | None
    """Rows that are new in the table; None: the server cannot tell them from the updated ones."""
    updated: int | None
    """Rows that were there and were written anew; None as above."""
    seconds: float
    returned: list[Record] = field(default_factory=list, repr=False)
    """What ``returning`` asked for, in the order of the rows; empty before the end."""


Progress: TypeAlias = Callable[[Written], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """How a bulk write goes about it.

    Raises:
        SettingsError: a number is out of range.
    """

    rows_per_transaction: int | None
    """None: all in one, which is kept in memory whole."""
    timeout: float | None
    """Seconds for each statement of a transaction; None: ``query_timeout``."""
    progress: Progress | None
    """Called after a transaction, twice a second at the most, and at the end."""

    def __post_init__(self) -> None:
        if self.rows_per_transaction is not None:
            whole_number(self.rows_per_transaction, "rows_per_transaction", 1)
        checked_timeout(self.timeout)
