"""A caller's rows on their way into executemany."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Self


class RowSource:
    """The rows; keeps what goes wrong in making them, which asyncpg would report as its own or swallow."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = rows
        self._iterator: Iterator[Sequence[object]] | None = None
        self.is_stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Sequence[object]:
        if self.is_stopped:
            raise ValueError("the caller or the connection is gone")
        try:
            if self._iterator is None:
                self._iterator = iter(self._rows)
            return next(self._iterator)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise ValueError("the rows could not be made") from error
