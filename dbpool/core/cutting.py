"""A text cut into chunks at row ends, from pieces of any size."""

from __future__ import annotations

from dataclasses import dataclass

from dbpool.core.csvtext import Dialect, RowEnds


@dataclass(frozen=True, slots=True)
class Cut:
    """Whole rows of a text.

    Args:
        offset: bytes of the text before it.
        line: the number of its first line, from 1; a row with a line end inside quotes has several.
    """

    pieces: tuple[bytes | memoryview, ...]
    offset: int
    size: int
    line: int


class RowTooLong(ValueError):
    """A row is longer than rows may be: a quote was probably left open in the *line* where it begins."""

    def __init__(self, line: int, size: int) -> None:
        super().__init__(f"the row that begins in line {line} goes on for more than {size:,} bytes")
        self.line, self.size = line, size


class Cutter:
    """Takes a text in pieces and gives it back in cuts of about *cut_size* bytes, nothing lost, nothing twice.

    Always true between two calls: no cut ends inside a row, and what was not given back yet is in memory.
    """

    def __init__(
        self, dialect: Dialect, end: bytes, *, cut_size: int, longest_row: int, line: int, offset: int
    ) -> None:
        self._ends = RowEnds(dialect, end)
        self._end = end[-1:]
        self._cut_size, self._longest_row = cut_size, longest_row
        self._rows: list[bytes | memoryview] = []  # whole ones
        self._rows_size = 0
        self._tail: list[bytes] = []  # the begin of the next one
        self._tail_size = self._tail_lines = 0
        self._offset, self._line = offset, line  # of the first row here
        self._tail_line = line

    def feed(self, piece: bytes) -> Cut | None:
        """Take the next piece; return a cut once there is enough for one.

        Raises:
            RowTooLong: no row ended for too long.
        """
        at = self._ends.last(piece)
        if at:
            self._rows += self._tail
            self._rows.append(memoryview(piece)[:at])  # no copy: new memory costs more than finding the end
            self._rows_size += self._tail_size + at
            self._tail_line += self._tail_lines + piece.count(self._end, 0, at)
            self._tail, self._tail_size, self._tail_lines = [], 0, 0
            piece = piece[at:]
        if piece:
            self._tail.append(piece)
            self._tail_size += len(piece)
            self._tail_lines += piece.count(self._end)
            if self._tail_size > self._longest_row:
                raise RowTooLong(self._tail_line, self._longest_row)
        return self._cut() if self._rows_size >= self._cut_size else None

    def finish(self) -> list[Cut]:
        """What is left at the end of the text: its last row needs no end, and stands alone if a quote is left open."""
        if not self._ends.is_open:
            self._take_tail()
        cuts = [self._cut()] if self._rows else []
        if self._tail:
            self._take_tail()
            cuts.append(self._cut())
        return cuts

    def _take_tail(self) -> None:
        self._rows += self._tail
        self._rows_size += self._tail_size
        self._tail, self._tail_size = [], 0

    def _cut(self) -> Cut:
        cut = Cut(tuple(self._rows), self._offset, self._rows_size, self._line)
        self._offset += self._rows_size
        self._line = self._tail_line
        self._rows, self._rows_size = [], 0
        return cut
