"""Chunks in a row, as they are sent to a worker."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from dbpool.bulk.jobs.storing import Chunk
from dbpool.errors import UsageError


@dataclass(frozen=True, slots=True)
class Unit:
    """Chunk *first* and those that follow it; shows nothing of its items, for the scheduler's pages and logs."""

    first: int
    pickled: bytes = field(repr=False)

    @classmethod
    def of(cls, chunks: Sequence[Chunk]) -> Self:
        """Their items as plain tuples, whose class no worker needs to know.

        Raises:
            UsageError: a value cannot be sent.
        """
        keys = [
            [tuple(key) if isinstance(key, tuple) and type(key) is not tuple else key for key in chunk.keys]
            for chunk in chunks
        ]
        try:
            return cls(chunks[0].number, pickle.dumps(keys, 5))
        except Exception as error:  # whatever a value's own class raises
            raise UsageError(f"these items cannot be sent to workers, as they cannot be pickled: {error}") from error

    def chunks(self) -> list[Chunk]:
        """The chunks again.

        Raises:
            UsageError: a value's class is not known here.
        """
        try:
            keys: list[list[object]] = pickle.loads(self.pickled)  # noqa: S301 - from the process that runs the job
        except Exception as error:
            raise UsageError(
                f"a worker cannot read these items: {error}. Their class must be in a module that workers can import"
            ) from error
        return [Chunk(number, each) for number, each in enumerate(keys, self.first)]
