"""What a writer notes of each write, before and after it, in a file that outlives it."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple


class Fate(IntEnum):
    """What a writer says of a row; from the third on it is what its caller was told."""

    NONE = 0
    """A writer begins, or was killed."""
    INTENT = 1
    ACK = 2
    NACK = 3
    UNKNOWN = 4
    COMMITTED = 5
    """It was unknown, and ``outcome`` said that it is stored."""
    ABORTED = 6


class Kind(IntEnum):
    """The ways to write."""

    ONE = 1
    """A statement by itself."""
    TX = 2
    """A few statements in a transaction."""
    SWALLOWED = 3
    """One of them fails, and nobody says so."""
    BEGUN_AGAIN = 4
    """BEGIN is cancelled, and tried again on the same connection."""
    MAP = 5
    INSERT = 6
    LOAD = 7


ATOMIC = frozenset({Kind.ONE, Kind.TX, Kind.SWALLOWED, Kind.BEGUN_AGAIN})


class Part(NamedTuple):
    """What became of so many *rows* from *first* on; *xid* of the transaction that they are in, 0: nobody knows it."""

    first: int
    rows: int
    fate: Fate
    xid: int = 0


def merged(parts: list[Part]) -> list[Part]:
    """Neighbours that met the same as one; those of a transaction that is known stay as they are."""
    together: list[Part] = []
    for part in parts:
        last = together[-1] if together else None
        if last and last.fate is part.fate and not last.xid and not part.xid and last.first + last.rows == part.first:
            together[-1] = last._replace(rows=last.rows + part.rows)
        elif part.rows:
            together.append(part)
    return together


class Record(NamedTuple):
    """A line of a ledger."""

    fate: Fate
    kind: Kind
    rows: int
    first: int
    xid: int
    at_ns: int
    """By the machine's monotonic clock, which all processes share."""


_FORM = struct.Struct("<BBxxIQQQ")


class Ledger:
    """A writer's file. One ``write`` for each record, appended: what was written stays when the process is killed."""

    def __init__(self, file: Path) -> None:
        self._fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, kind: Kind, part: Part) -> None:
        os.write(self._fd, _FORM.pack(part.fate, kind, part.rows, part.first, part.xid, time.monotonic_ns()))

    def close(self) -> None:
        os.close(self._fd)


@dataclass(slots=True)
class Reading:
    """What was added to a ledger since it was last looked at."""

    file: Path
    at: int = 0

    def records(self) -> Iterator[Record]:
        try:
            with self.file.open("rb") as file:
                file.seek(self.at)
                data = file.read()
        except FileNotFoundError:
            return
        data = data[: len(data) - len(data) % _FORM.size]
        self.at += len(data)
        for fate, kind, rows, first, xid, at_ns in _FORM.iter_unpack(data):
            yield Record(Fate(fate), Kind(kind), rows, first, xid, at_ns)


def next_row(file: Path) -> int:
    """The first row that no record of *file* is about: where a writer that was killed goes on."""
    return max((record.first + record.rows for record in Reading(file).records()), default=0)
