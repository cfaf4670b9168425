"""A caller's rows on their way into executemany or COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self


class RowSource:
    """The rows; keeps what goes wrong in making them, which asyncpg would report as its own or swallow.

    What is no ``Exception`` would leave its protocol waiting for ever.
    """

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = rows
        self._iterator: Iterator[Any] | None = None
        self.is_stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # noqa: ANN401 - a row
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

    def rewind(self) -> bool:
        """Begin with the first row again; False: some were taken from an iterator, which has them no more."""
        if self.error is not None or (self._iterator is not None and isinstance(self._rows, Iterator)):
            return False
        self._iterator = None
        return True
