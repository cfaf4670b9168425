"""Cuts a table's pages into ranges, each to be read by a statement of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

SHARE_OF_A_READER: Final = 4  # parts for each: who ends first takes more, and none is left with a long one at the end


@dataclass(frozen=True, slots=True)
class PageRange:
    """The pages *first* <= page < *end*; no *end*: to wherever the table ends by then."""

    first: int
    end: int | None

    def condition(self) -> str:
        """The range as a condition on ctid, "" for all pages. PostgreSQL 14 reads no page outside it."""
        bounds = []
        if self.first:
            bounds.append(f"ctid >= '({self.first},0)'::tid")
        if self.end is not None:
            bounds.append(f"ctid < '({self.end},0)'::tid")
        return " AND ".join(bounds)


def cut(pages: int, per_part: int) -> Iterator[PageRange]:
    """Ranges of *per_part* pages that hold every page once, however much the table has grown beyond *pages* by then.

    Args:
        pages: >= 0; the last range, which is open, takes what is left of them.
        per_part: >= 1.
    Returns: at least one range, in order.
    """
    assert pages >= 0 and per_part >= 1, (pages, per_part)  # noqa: PT018 - one claim about both
    last = max(0, pages - 1) // per_part * per_part
    for first in range(0, last, per_part):
        yield PageRange(first, first + per_part)
    yield PageRange(last, None)


def pages_per_part(pages: int, readers: int, *, least: int, most: int) -> int:
    """How many pages a part should have, so that *readers* end at about the same time: from *least* to *most*."""
    return max(1, least, min(most, -(-pages // (readers * SHARE_OF_A_READER))))
