"""A caller's rows on their way into executemany."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


class RowSource:
    """The rows; keeps what goes wrong in making them, which asyncpg would report as its own or swallow."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._rows = rows
        self.is_stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[Sequence[object]]:
        try:
            for row in self._rows:
                if self.is_stopped:
                    break
                yield row
        except GeneratorExit:
            raise
        except BaseException as error:
            self.error = error
            raise ValueError("the rows could not be made") from error
        if self.is_stopped:
            raise ValueError("the caller is gone")
