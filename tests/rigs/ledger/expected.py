"""What the table must hold, by what one writer was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.rigs.ledger.records import ATOMIC, Fate, Record

PRESENT = frozenset({Fate.ACK, Fate.COMMITTED})
ABSENT = frozenset({Fate.NACK, Fate.ABORTED})
OPEN = frozenset({Fate.INTENT, Fate.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Lie:
    """Rows of which something else was said than is true."""

    goal: str
    text: str
    rows: int = 1
    """How many it is about."""


@dataclass(slots=True)
class Expected:
    """A byte for each row, its fate; and where nothing can change any more.

    ``settled``: all rows below have a fate that stays, unless they are ``in_doubt``.
    """

    worker: int
    fates: bytearray = field(default_factory=bytearray)
    settled: int = 0
    in_doubt: dict[int, Record] = field(default_factory=dict)
    """UNKNOWN by first row, while nobody has said what became of them."""
    left: set[int] = field(default_factory=set)
    """Those of them, and of others since, that a writer left which was killed."""
    _open: dict[int, int] = field(default_factory=dict)
    """Intents that nothing was said of yet: first row to the one behind the last."""

    def add(self, record: Record) -> None:
        """Take one record in."""
        first, end = record.first, record.first + record.rows
        if record.fate is Fate.NONE:
            self.forget_open()
            self.left |= self.in_doubt.keys()
            return
        if record.fate is Fate.INTENT:
            self._open[first] = end
            self.fates.extend(bytes(end - len(self.fates)) if end > len(self.fates) else b"")
        elif record.fate is Fate.UNKNOWN:
            self.in_doubt[first] = record
        elif record.fate in (Fate.COMMITTED, Fate.ABORTED):
            self.in_doubt.pop(first, None)
        self.fates[first:end] = bytes([record.fate]) * record.rows
        if record.fate is not Fate.INTENT:
            self._close(first, end)

    def forget_open(self) -> None:
        """The writer was killed: of what it had begun, nobody will say anything."""
        self._open.clear()
        self._move()

    def unresolved(self) -> list[Record]:
        """Of unknown outcome, traceable, and their writer had all the time to ask."""
        return [record for first, record in self.in_doubt.items() if record.xid and first not in self.left]

    def lies(self, start: int, end: int, rows: Iterable[int], *, is_final: bool = False) -> Iterator[Lie]:
        """Compare rows *start* to *end* with what the table holds of them, in any order, a number for each row."""
        counts = Counter(rows)
        yield from self._twice(counts)
        for fate, begin, stop in self._runs(start, end):
            there = sum(1 for row in range(begin, stop) if row in counts)
            which = f"writer {self.worker}, rows {begin} to {stop - 1}"
            if fate in PRESENT and there < stop - begin:
                yield Lie(
                    "M3", f"{which}: {fate.name}, but {stop - begin - there} are not stored", stop - begin - there
                )
            elif fate in ABSENT and there:
                yield Lie("M5", f"{which}: {fate.name}, but {there} are stored", there)
            elif fate is Fate.NONE and there:
                yield Lie("M5", f"{which}: {there} are stored that nobody meant to write", there)
        if is_final:
            for record in self.in_doubt.values():
                if start <= record.first and record.first + record.rows <= end:
                    yield from self._halves(record, counts)

    def _halves(self, record: Record, counts: Counter[int]) -> Iterator[Lie]:
        there = sum(1 for row in range(record.first, record.first + record.rows) if row in counts)
        if record.kind in ATOMIC and there not in (0, record.rows):
            which = f"writer {self.worker}, rows {record.first} to {record.first + record.rows - 1}"
            yield Lie("M3", f"{which}: a transaction of which {there} of {record.rows} rows are stored", there)

    def _twice(self, counts: Counter[int]) -> Iterator[Lie]:
        twice = [row for row, times in counts.items() if times > 1]
        if twice:
            yield Lie(
                "M4", f"writer {self.worker}: {len(twice)} rows are stored more than once, as {min(twice)}", len(twice)
            )

    def _runs(self, start: int, end: int) -> Iterator[tuple[Fate, int, int]]:
        """Neighbours of the same fate."""
        at = start
        while at < end:
            fate = self.fates[at]
            other = at + 1
            while other < end and self.fates[other] == fate:
                other += 1
            yield Fate(fate), at, other
            at = other

    def _close(self, first: int, end: int) -> None:
        """Of rows *first* to *end* something was said: what is left of their intent, if anything, stays open."""
        whole = next((begin for begin, stop in self._open.items() if begin <= first < stop), None)
        if whole is not None:
            stop = self._open.pop(whole)
            if whole < first:
                self._open[whole] = first
            if end < stop:
                self._open[end] = stop
        self._move()

    def _move(self) -> None:
        self.settled = min(self._open, default=len(self.fates))
