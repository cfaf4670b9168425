"""Records encoded while they are sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence

from dbpool.core.copyformats import BINARY_HEADER, BINARY_TRAILER
from dbpool.core.recordcodec import NotEncodable

SLICE_S = 0.001  # of encoding, then others have their turn: as many as there are connections may follow each other
VALUES_AT_ONCE = 2048  # between two looks at the clock; four columns take 0.3 ms
PIECE = 128 << 10  # bytes: a socket takes them without a copy that waits for it


class EncodedRecords:
    """A binary COPY of *records*, as far as they can be encoded here; *count* is how many of them have been.

    Args:
        encode: raises NotEncodable for what it leaves to the driver.
        width: columns, >= 1.
    """

    def __init__(
        self, records: Sequence[Sequence[object]], encode: Callable[[Sequence[Sequence[object]]], bytes], width: int
    ) -> None:
        self.count = 0
        self._records, self._encode = records, encode
        self._at_once = max(VALUES_AT_ONCE // width, 1)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        clock = time.perf_counter
        parts, size = [BINARY_HEADER], len(BINARY_HEADER)
        pause_at = clock() + SLICE_S
        while self.count < len(self._records):
            part = self._records[self.count : self.count + self._at_once]
            try:
                encoded = self._encode(part)
            except NotEncodable:
                break
            self.count += len(part)
            parts.append(encoded)
            size += len(encoded)
            if size >= PIECE:
                yield b"".join(parts)
                parts, size = [], 0
            if clock() > pause_at:
                await asyncio.sleep(0)
                pause_at = clock() + SLICE_S
        yield b"".join([*parts, BINARY_TRAILER])
