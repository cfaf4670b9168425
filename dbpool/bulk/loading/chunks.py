"""A part of a load's source, small enough for memory, that is stored in one transaction."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dbpool.bulk.loading.target import Target
from dbpool.connection import PooledConnection
from dbpool.core.identifier import quoted

BAD_COPY_FILE_FORMAT = "22P04"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a chunk as it came: bytes of a file, or a tuple; *line* is where it begins."""

    line: int
    raw: bytes | Sequence[object]


class RowRefused(Exception):
    """A row was refused on this side, before the server saw it."""

    def __init__(self, index: int, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.index = index  # in what was being copied
        self.sqlstate, self.message = sqlstate, message


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was refused; *index* is its place in the chunk."""

    index: int
    sqlstate: str
    message: str
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """A temporary table that a chunk's rows are numbered in, before those that are welcome move on.

    Its name is used once: the driver remembers the types of a table's columns by the table's name.
    """

    name: str

    @classmethod
    def new(cls) -> Stage:
        return cls(f"dbpool_stage_{next(_numbers)}")

    @property
    def sql(self) -> str:
        return f"pg_temp.{quoted(self.name)}"


class Chunk(Protocol):
    """What all of them have: see ``StoredPart`` for *file*, *offset*, *size*, *line*."""

    @property
    def file(self) -> str | None: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def line(self) -> int: ...
    @property
    def read(self) -> int:
        """Bytes of its source that were read for it."""
        ...

    async def put(self, connection: PooledConnection, target: Target, timeout: float) -> int:
        """Store all of it, in a transaction that is under way; return how many rows that were.

        Raises: RowRefused, or the server's error: then nothing of it is stored.
        """
        ...

    def apart(self) -> ApartChunk:
        """The same with its rows one by one."""
        ...


class ApartChunk(Chunk, Protocol):
    """A chunk whose rows can go by way of a stage, each by its place in the chunk."""

    def rows(self) -> list[Row]:
        """All of them."""
        ...

    def refused(self, rows: Sequence[Row], target: Target) -> list[Refusal]:
        """Those that need not be shown to the server."""
        ...

    def stage_columns(self, target: Target) -> str:
        """What a stage has besides the numbers, as the statement that makes it says."""
        ...

    async def stage(
        self,
        connection: PooledConnection,
        stage: Stage,
        rows: Sequence[tuple[int, Row]],
        target: Target,
        timeout: float,
    ) -> None:
        """Copy numbered rows into the stage: all of them, or none and an error as ``put``'s."""
        ...

    async def refused_on_stage(
        self, connection: PooledConnection, stage: Stage, rows: Sequence[tuple[int, Row]], timeout: float
    ) -> list[Refusal]:
        """Those of *rows* that did not get on the stage, or that must not leave it; they are not on it any more."""
        ...

    def move(self, stage: Stage, target: Target) -> str:
        """INSERT ... SELECT ... FROM the stage AS s, without a condition."""
        ...

    def value(self, row: Row, column: str | None, target: Target) -> str | None:
        """What a row has in a column, for people to read."""
        ...


async def stream(pieces: Sequence[bytes | memoryview]) -> AsyncIterator[bytes | memoryview]:
    """Pieces one after the other, as a connection's ``copy_in`` takes them."""
    for piece in pieces:
        yield piece
