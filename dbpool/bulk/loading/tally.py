"""What a load has stored so far."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from dbpool.bulk.loading.chunks import Chunk
from dbpool.bulk.loading.results import Loaded, Progress, Reject
from dbpool.errors import StoredPart

TELL_EVERY_S = 0.5
MOST_SHOWN = 100  # rejects that a result holds


class Tally:
    """Counts; tells progress at most twice a second."""

    def __init__(
        self,
        resumed: Sequence[StoredPart],
        total_bytes: int | None,
        progress: Callable[[Progress], object] | None,
        clock: Callable[[], float],
    ) -> None:
        self._progress, self._clock, self._total_bytes = progress, clock, total_bytes
        self._started = self._told = clock()
        self._resumed: dict[str | None, list[StoredPart]] = {}
        for part in sorted(resumed, key=lambda part: part.offset):
            self._resumed.setdefault(part.file, []).append(part)
        self.stored = list(resumed)
        self.doubtful: list[StoredPart] = []
        self.rows = sum(part.rows for part in resumed)
        self.rejected = sum(part.rejected for part in resumed)
        self.bytes = 0
        self.rejects: list[Reject] = []

    @property
    def seconds(self) -> float:
        return self._clock() - self._started

    def is_stored(self, chunk: Chunk) -> bool:
        """Whether the load that is resumed has stored *chunk*.

        Raises:
            ValueError: it has stored some of it, so that the source was cut in other places then.
        """
        parts = self._resumed.get(chunk.file, [])
        at = bisect_right(parts, chunk.offset, key=lambda part: part.offset) - 1
        if at >= 0 and (parts[at].offset, parts[at].size) == (chunk.offset, chunk.size):
            self.bytes += chunk.read
            return True
        following = bisect_left(parts, chunk.offset, key=lambda part: part.offset)
        overlaps = at >= 0 and parts[at].offset + parts[at].size > chunk.offset
        if overlaps or (following < len(parts) and parts[following].offset < chunk.offset + chunk.size):
            raise ValueError(
                f"what is to be resumed was cut in other places: give the same source, unchanged, and the same "
                f"chunk_bytes or chunk_rows ({chunk.file or 'record'} at {chunk.offset:,})"
            )
        return False

    def add(self, chunk: Chunk, rows: int, rejects: Sequence[Reject]) -> None:
        """*chunk* is stored."""
        self.stored.append(part_of(chunk, rows, len(rejects)))
        self.rows += rows
        self.rejected += len(rejects)
        self.bytes += chunk.read
        self.rejects += rejects[: MOST_SHOWN - len(self.rejects)]

    def tell_if_due(self) -> None:
        """Tell how far the load is, if it was not told just now."""
        if self._clock() - self._told >= TELL_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Call the caller's function for progress."""
        self._told = self._clock()
        if self._progress is not None:
            self._progress(Progress(self.rows, self.bytes, self._total_bytes, self.seconds))

    def forget(self) -> None:
        """Nothing is stored after all."""
        self.stored, self.rows, self.rejected, self.rejects = [], 0, 0, []

    def loaded(self, reject_file: Path | None) -> Loaded:
        return Loaded(
            *(self.rows, self.rejected, self.bytes, self.seconds),
            rejects=tuple(self.rejects),
            reject_file=reject_file,
            stored=tuple(self.stored),
        )


def part_of(chunk: Chunk, rows: int, rejected: int) -> StoredPart:
    """What is written down of *chunk*."""
    return StoredPart(chunk.file, chunk.offset, chunk.size, chunk.line, rows, rejected)
