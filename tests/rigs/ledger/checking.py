"""The checker: reads ledgers and table while both grow, and once more at the end.

Usage: ``python -m tests.rigs.ledger.checking``, with a JSON object on stdin: dsn, place, workers, file. The end of
stdin says that everybody has stopped.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rigs.ledger.expected import OPEN, PRESENT, Expected, Lie
from tests.rigs.ledger.reader import PsqlReader, Reader, Refused, Unreachable, reader_of
from tests.rigs.ledger.records import Fate, Reading

EVERY_S = 1.0
MOST_ROWS = 50_000  # of a writer at a time
PATIENCE_S = 60.0  # for the server to be there at the end
MOST_ASKED = 1000
MOST_LIES = 50  # told in words: more of them tell no more


@dataclass(slots=True)
class Checker:
    """All writers' ledgers beside the table."""

    reader: Reader | PsqlReader
    place: Path
    workers: int
    done: Counter[str] = field(default_factory=Counter)
    lies: list[Lie] = field(default_factory=list)
    known: list[Expected] = field(default_factory=list)
    _readings: list[Reading] = field(default_factory=list)
    _checked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.known = [Expected(worker) for worker in range(self.workers)]
        self._readings = [Reading(self.place / f"{worker}.ledger") for worker in range(self.workers)]
        self._checked = [0] * self.workers

    def read(self) -> None:
        """Take in what was written since."""
        for worker, reading in enumerate(self._readings):
            for record in reading.records():
                self.known[worker].add(record)
                self._count(record.fate, record.kind.name.lower(), record.rows, traceable=record.xid != 0)

    def _count(self, fate: Fate, kind: str, rows: int, *, traceable: bool) -> None:
        if fate is Fate.ACK:
            self.done["rows acknowledged"] += rows
            self.done[f"writes acknowledged: {kind}"] += 1
        elif fate is Fate.NACK:
            self.done["writes told as not done"] += 1
        elif fate is Fate.UNKNOWN:
            self.done["writes told as unknown, traceable" if traceable else "writes told as unknown"] += 1
        elif fate in (Fate.COMMITTED, Fate.ABORTED):
            self.done["unknown writes resolved by outcome()"] += 1

    def compare(self) -> None:
        """Look at what was settled since."""
        for expected in self.known:
            start = self._checked[expected.worker]
            end = min(expected.settled, start + MOST_ROWS)
            if end > start:
                self.lies += expected.lies(start, end, self._rows(expected.worker, start, end))
                self._checked[expected.worker] = end
                self.done["rows compared while writing"] += end - start

    def compare_all(self) -> None:
        """Look at everything, once nobody writes any more."""
        for expected in self.known:
            expected.forget_open()
            for start in range(0, len(expected.fates), MOST_ROWS):
                self._compare_last(expected, start, min(start + MOST_ROWS, len(expected.fates)))
            beyond = self._rows(expected.worker, len(expected.fates), 1 << 62)
            if beyond:
                self.lies.append(
                    Lie("M5", f"writer {expected.worker}: {len(beyond)} rows that nobody meant to write", len(beyond))
                )
            self._check_resolved(expected)
            unresolved, which = expected.unresolved(), f"writer {expected.worker}, transaction"
            self.lies += [
                Lie("M5", f"{which} {record.xid}: nobody was told what became of it", record.rows)
                for record in unresolved
            ]
            in_doubt = sum(record.xid != 0 for record in expected.in_doubt.values())
            self.done["unknown writes that killed writers left"] += in_doubt - len(unresolved)

    def _compare_last(self, expected: Expected, start: int, end: int) -> None:
        rows = self._rows(expected.worker, start, end)
        self.lies += expected.lies(start, end, rows, is_final=True)
        self.done["rows compared at the end"] += end - start
        self.done["rows of killed or untraceable writes that are stored"] += sum(
            1 for row in set(rows) if expected.fates[row] in OPEN
        )

    def _check_resolved(self, expected: Expected) -> None:
        """What ``outcome`` said to be committed, beside what pg_xact_status says to somebody else.

        Not the other way round: an id that a crash made the server forget is another transaction's afterwards.
        """
        told = Reading(self._readings[expected.worker].file).records()
        resolved = [each for each in told if each.xid and each.fate is Fate.COMMITTED]
        for record in resolved[-MOST_ASKED:]:
            self.done["outcomes compared with pg_xact_status"] += 1
            try:
                status = b"".join(self.reader.lines(f"select pg_xact_status('{record.xid}'::xid8)"))
            except Refused:
                status = b"unknown"
            if status != b"committed":
                text = f"outcome() said committed, pg_xact_status {status.decode()}"
                self.lies.append(Lie("M5", f"writer {expected.worker}, transaction {record.xid}: {text}"))

    def _rows(self, worker: int, start: int, end: int) -> list[int]:
        query = f"select seq from ledger where worker = {worker} and seq >= {start} and seq < {end}"
        return [int(line) for line in self.reader.lines(query)]

    def plain(self) -> dict[str, Any]:
        behind = sum(each.settled - at for each, at in zip(self.known, self._checked, strict=True))
        lies = [(lie.goal, lie.text) for lie in self.lies[:MOST_LIES]]
        stored = sum(each.fates.count(fate) for each in self.known for fate in PRESENT)
        return {
            "done": self.done,
            "lies": lies,
            "lied": Counter(lie.goal for lie in self.lies),
            "behind": behind,
            "stored": stored,
        }


def main() -> None:
    asked = json.loads(sys.stdin.readline())
    checker = Checker(reader_of(asked["dsn"]), Path(asked["place"]), asked["workers"])
    is_over = False
    while not is_over:
        ready, _, _ = select.select([sys.stdin], [], [], EVERY_S)
        if ready:
            is_over = not sys.stdin.readline()
        try:
            checker.read()
            checker.compare()
        except Unreachable:
            continue
        _tell(asked["file"], checker)
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done, lies = checker.done.copy(), checker.lies.copy()
        try:
            checker.compare_all()
            break
        except Unreachable:
            checker.done, checker.lies = done, lies
            if time.monotonic() > deadline:
                checker.lies.append(Lie("M3", "the server could not be asked at the end"))
                break
            time.sleep(0.5)
    _tell(asked["file"], checker)


def _tell(file: str, checker: Checker) -> None:
    new = Path(f"{file}.new")
    new.write_text(json.dumps(checker.plain()), "utf-8")
    new.replace(file)


if __name__ == "__main__":
    main()
