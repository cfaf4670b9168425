"""How far a standby is behind, and which one may answer a read."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

_PAGE, _HEADERS = 8192, (24, 40)  # bytes of WAL: what begins each page of it


class Lsn(int):
    """A place in the write-ahead log: ``Lsn.parse("0/16B3748")``; ``str`` gives the same text back."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises: ValueError: it is no such text."""
        high, slash, low = text.partition("/")
        if not slash or not all(len(part) <= 8 and part.isalnum() for part in (high, low)):
            raise ValueError(f"a place in the log is like '0/16B3748', not {text!r}")
        return cls((int(high, 16) << 32) + int(low, 16))

    @classmethod
    def of_insert(cls, text: str) -> Self:
        """Of ``pg_current_wal_insert_lsn()``, which names the place of the next record, behind a page's header.

        A standby that has replayed all there is stands before that header.
        """
        place = cls.parse(text)
        return cls(place - place % _PAGE) if place % _PAGE in _HEADERS else place

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    def __repr__(self) -> str:
        return f"Lsn({str(self)!r})"


class Progress:
    """Where the primary's log ended, and when: by that, what a standby has replayed has an age.

    The time of the last replayed transaction says nothing while the primary is idle, nor does the distance in bytes.
    """

    # Always true between two calls: times and places both rise

    def __init__(self, keep: int = 1000) -> None:
        self._at: deque[float] = deque(maxlen=keep)
        self._places: deque[int] = deque(maxlen=keep)

    def saw(self, place: int, at: float) -> None:
        """Note that the primary's log ended at or before *place* when it was asked, *at* that second of any clock.

        One that is further back is another primary's, and the ones before count no more.
        """
        if self._places and place < self._places[-1]:
            self._at.clear()
            self._places.clear()
        if self._places and self._places[-1] == place:
            self._at[-1] = at
            return
        self._at.append(at)
        self._places.append(place)

    def lag_s(self, replayed: int) -> float | None:
        """The most by which a standby that has *replayed* so far is behind what was last seen of the primary.

        None: it is further behind than is remembered, or nothing was seen yet.
        """
        if not self._places:
            return None
        known = bisect_right(self._places, replayed)
        if known == len(self._places):
            return 0.0
        return None if known == 0 else self._at[-1] - self._at[known - 1]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was last seen of a server."""

    number: int
    """Of the servers of the address, from 0."""
    replayed: int | None
    """None: it is no standby, or it does not answer."""
    busy: int
    """Reads that it has now."""
    turn: int
    """When it was last chosen, by a number that rises."""


def may_read(
    servers: Sequence[Seen], progress: Progress, *, max_lag_s: float, after: int | None
) -> tuple[list[int], list[int]]:
    """Which of them may answer a read, the least busy first; and which could once they have replayed more.

    Of those as busy, the one that was chosen longest ago comes first.

    Args:
        after: what it must have replayed; None: nothing, and only the lag counts. With it the lag counts, too.
    """
    ready: list[Seen] = []
    later: list[tuple[int, Seen]] = []
    for server in servers:
        if server.replayed is None:
            continue
        lag_s = progress.lag_s(server.replayed)
        if lag_s is None or lag_s > max_lag_s:
            continue
        if after is None or server.replayed >= after:
            ready.append(server)
        else:
            later.append((-server.replayed, server))
    ready.sort(key=lambda server: (server.busy, server.turn))
    return [server.number for server in ready], [server.number for _, server in sorted(later, key=lambda each: each[0])]
