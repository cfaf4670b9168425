"""A part of arrays or a frame, encoded as a binary COPY has it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dbpool.bulk.loading.chunks import stream
from dbpool.bulk.loading.recordchunk import RecordChunk
from dbpool.bulk.loading.target import Target
from dbpool.connection import PooledConnection
from dbpool.core.naming import quoted_list

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # with no flags, and no extension
TRAILER = b"\xff\xff"
PIECE = 256 << 10  # bytes sent at once: others have their turn in between


@dataclass(frozen=True, slots=True)
class BinaryChunk:
    """See ``Chunk``; *records* makes the same rows as a program would write them."""

    offset: int
    size: int
    read: int
    pieces: Sequence[bytes | memoryview]
    columns: tuple[str, ...]
    records: Callable[[], Sequence[Sequence[object]]]
    file: None = None

    @property
    def line(self) -> int:
        return self.offset + 1

    async def put(self, connection: PooledConnection, target: Target, timeout: float) -> int:
        sql = f"COPY {target.sql} ({quoted_list(self.columns)}) FROM STDIN (FORMAT binary)"
        connection.last_sql = sql
        pieces = [memoryview(each)[at : at + PIECE] for each in self.pieces for at in range(0, len(each), PIECE)]
        return int((await connection.copy_in(sql, stream(pieces), timeout)).split()[1])

    def apart(self) -> RecordChunk:
        return RecordChunk(self.offset, self.records(), self.columns, read=self.read)
