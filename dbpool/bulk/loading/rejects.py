"""Rows that a load could not store, with the reasons, in a file of their own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from dbpool.bulk.loading.results import Reject
from dbpool.errors import UsageError

FIELDS = ("file", "line", "column", "value", "sqlstate", "message", "row")


class RejectFile:
    """A CSV file of rejects, with FIELDS as its header.

    It is written beside its place, under the name with ``.part`` behind it, and moved there by ``close``, however the
    load ended: so what stands in its place is whole, and has the rejects of everything that is stored. Without any
    reject there is no file. All methods block: they are for a thread.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise UsageError(f"reject_file {path} is there already: move it away, it may hold what is nowhere else")
        self.path = path
        self._part = path.with_name(path.name + ".part")
        try:
            self._file = self._part.open("xb", buffering=0)  # what cannot be written must not be tried again later
        except FileExistsError:
            raise UsageError(
                f"{self._part} is there already, of a load that runs or was killed: move it away"
            ) from None
        except OSError as error:
            raise UsageError(f"reject_file {path} cannot be written: {error.strerror}") from error
        self._is_empty = True

    def add(self, rejects: Sequence[Reject]) -> int:
        """Write some; return where the file ended before, for ``take_back``.

        Raises:
            OSError: they could not be written (no space left, say); then nothing of them is in the file.
        """
        before = self._file.tell()
        text = StringIO(newline="")
        writer = csv.writer(text)
        if not before:
            writer.writerow(FIELDS)
        writer.writerows([getattr(reject, field) for field in FIELDS] for reject in rejects)
        left = memoryview(text.getvalue().encode("utf-8", "surrogateescape"))
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self.take_back(before)
            raise
        self._is_empty = False
        return before

    def take_back(self, before: int) -> None:
        """Cut off what was added from there on, for its chunk was not stored."""
        self._file.seek(before)
        self._file.truncate(before)
        self._is_empty = before == 0

    def close(self) -> Path | None:
        """Put the file in its place; return that, None if there is nothing in it."""
        try:
            self._file.close()
        finally:
            if self._is_empty:
                self._part.unlink()
            else:
                self._part.replace(self.path)
        return None if self._is_empty else self.path
