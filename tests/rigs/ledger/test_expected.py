"""The judge itself: each kind of lie is seen, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rigs.ledger.expected import Expected
from tests.rigs.ledger.records import Fate, Kind, Ledger, Part, Reading, Record, merged, next_row


def told(*parts: tuple[Fate, int, int], kind: Kind = Kind.TX) -> Expected:
    """Of writer 7: fate, first row, rows."""
    expected = Expected(7)
    for fate, first, rows in parts:
        expected.add(Record(fate, kind, rows, first, 0, 0))
    return expected


def lies(expected: Expected, rows: list[int], *, is_final: bool = False) -> list[tuple[str, str]]:
    found = expected.lies(0, len(expected.fates), rows, is_final=is_final)
    return [(lie.goal, lie.text.removeprefix("writer 7").lstrip(", :")) for lie in found]


@pytest.mark.parametrize(
    ("fate", "rows", "expected"),
    [
        (Fate.ACK, [0, 1, 2], []),
        (Fate.ACK, [2, 0], [("M3", "rows 0 to 2: ACK, but 1 are not stored")]),
        (Fate.COMMITTED, [], [("M3", "rows 0 to 2: COMMITTED, but 3 are not stored")]),
        (Fate.NACK, [], []),
        (Fate.NACK, [1], [("M5", "rows 0 to 2: NACK, but 1 are stored")]),
        (Fate.ABORTED, [0, 1, 2], [("M5", "rows 0 to 2: ABORTED, but 3 are stored")]),
        (Fate.UNKNOWN, [0, 1, 2], []),
        (Fate.UNKNOWN, [], []),
        (Fate.UNKNOWN, [1], [("M3", "rows 0 to 2: a transaction of which 1 of 3 rows are stored")]),
        (Fate.ACK, [0, 1, 1, 2], [("M4", "1 rows are stored more than once, as 1")]),
    ],
)
def test_what_was_said_is_compared_with_what_is_stored(
    fate: Fate, rows: list[int], expected: list[tuple[str, str]]
) -> None:
    assert lies(told((Fate.INTENT, 0, 3), (fate, 0, 3)), rows, is_final=True) == expected


def test_a_row_that_nobody_meant_to_write_is_one_too_many() -> None:
    expected = told((Fate.INTENT, 2, 1), (Fate.ACK, 2, 1))
    assert lies(expected, [1, 2]) == [("M5", "rows 0 to 1: 1 are stored that nobody meant to write")]


def test_only_what_can_change_no_more_is_settled() -> None:
    expected = told((Fate.INTENT, 0, 5), (Fate.INTENT, 5, 5), (Fate.ACK, 5, 5))
    assert expected.settled == 0
    expected.add(Record(Fate.ACK, Kind.MAP, 2, 0, 0, 0))
    assert expected.settled == 2
    expected.add(Record(Fate.NACK, Kind.MAP, 2, 3, 0, 0))
    assert expected.settled == 2
    expected.add(Record(Fate.NACK, Kind.MAP, 1, 2, 0, 0))
    assert expected.settled == 10


def test_of_what_a_killed_writer_had_begun_nothing_more_is_said() -> None:
    expected = told((Fate.INTENT, 0, 2), (Fate.NONE, 2, 0))
    assert expected.settled == 2
    assert lies(expected, [0], is_final=True) == []


def test_what_is_unresolved_is_what_no_killed_writer_left() -> None:
    expected = told((Fate.INTENT, 0, 9))
    for first, xid in ((0, 70), (1, 71), (2, 0)):
        expected.add(Record(Fate.UNKNOWN, Kind.TX, 1, first, xid, 0))
    expected.add(Record(Fate.COMMITTED, Kind.TX, 1, 0, 70, 0))
    assert [record.xid for record in expected.unresolved()] == [71]
    expected.add(Record(Fate.NONE, Kind.ONE, 0, 9, 0, 0))
    expected.add(Record(Fate.UNKNOWN, Kind.TX, 1, 3, 73, 0))
    assert [record.xid for record in expected.unresolved()] == [73]


def test_a_ledger_is_read_as_it_grows_also_when_its_end_is_torn(tmp_path: Path) -> None:
    file = tmp_path / "0.ledger"
    assert next_row(file) == 0
    ledger, reading = Ledger(file), Reading(file)
    ledger.note(Kind.MAP, Part(3, 4, Fate.INTENT))
    assert [record[:5] for record in reading.records()] == [(Fate.INTENT, Kind.MAP, 4, 3, 0)]
    ledger.note(Kind.MAP, Part(3, 4, Fate.UNKNOWN, 99))
    with file.open("ab") as torn:
        torn.write(b"torn")
    assert [record[:5] for record in reading.records()] == [(Fate.UNKNOWN, Kind.MAP, 4, 3, 99)]
    assert next_row(file) == 7
    ledger.close()


def test_neighbours_of_the_same_fate_are_one_part() -> None:
    parts = [Part(0, 1, Fate.ACK), Part(1, 1, Fate.ACK), Part(2, 1, Fate.NACK), Part(3, 0, Fate.ACK)]
    assert merged(parts) == [Part(0, 2, Fate.ACK), Part(2, 1, Fate.NACK)]
    assert merged([Part(0, 1, Fate.UNKNOWN, 5), Part(1, 1, Fate.UNKNOWN, 5)]) == [
        Part(0, 1, Fate.UNKNOWN, 5),
        Part(1, 1, Fate.UNKNOWN, 5),
    ]
