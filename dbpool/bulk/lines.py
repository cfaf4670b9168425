"""The lines of a text file, also of one in ``.gz``: whatever keeps them from being read says where."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self

from dbpool.errors import SourceFailed


class Lines:
    """UTF-8, with or without a byte order mark; each line with its end, LF, CR LF or CR.

    Used as ``with``; ``number``, from 1, is that of the line read last.
    Raises: SourceFailed: it cannot be opened, unpacked or decoded; all lines before that come first.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self.number = 0
        opens: Callable[..., IO[str]] = gzip.open if path.suffix == ".gz" else open
        try:  # a byte that is no UTF-8 must wait for its line: a file is decoded by the block
            self._file = opens(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
        except OSError as error:
            raise SourceFailed(f"{path.name} cannot be read: {error.strerror or error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._file)
            if not line.isascii():
                line.encode("utf-8", "surrogateescape").decode()
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise SourceFailed(f"{self.place(self.number + 1)}: {error}") from error
        self.number += 1
        return line

    def place(self, number: int) -> str:
        """How line *number* is called."""
        return f"{self.name}, line {number}"
