"""The ways in which a caller is disturbed at a suspension."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum


class Kind(Enum):
    CANCEL = "cancel"
    CANCELS = "3 cancels"
    DEADLINE = "deadline"
    RESET = "RST"
    FINISH = "FIN"
    STALL = "stall"
    TERMINATE = "57P01"

    @property
    def is_callers(self) -> bool:
        """Whether the caller itself is disturbed, not its connection."""
        return self in (Kind.CANCEL, Kind.CANCELS, Kind.DEADLINE)

    @property
    def needs_network(self) -> bool:
        return self in (Kind.RESET, Kind.FINISH, Kind.STALL)


# Where a caller stood, by file and the beginning of the function's name, innermost first: its row in docs/faults.md.
_PLACES = (
    ("waiter.py", "", 1),
    ("gate.py", "", 1),
    ("entering.py", "", 1),
    ("connecting.py", "", 4),
    ("dialing.py", "", 4),
    ("pausing.py", "", 13),
    ("transaction.py", "_roll_back", 10),
    ("transaction.py", "rollback", 10),
    ("transaction.py", "_end", 9),
    ("transaction.py", "commit", 9),
    ("transaction.py", "start", 8),
    ("transaction.py", "_run", 7),
    ("lease.py", "__aexit__", 11),
    ("pool.py", "close", 13),
    ("pool.py", "release", 11),
)
_OF_CONNECTIONS = {Kind.RESET: 28, Kind.FINISH: 28, Kind.STALL: 25, Kind.TERMINATE: 24}


def rows_of(kind: Kind, stack: Sequence[str]) -> list[int]:
    """The rows of docs/faults.md that a disturbance met; *stack* is where the caller stood, outermost first."""
    if not kind.is_callers:
        return [_OF_CONNECTIONS[kind]]
    also = {Kind.CANCELS: [12], Kind.DEADLINE: [15]}.get(kind, [])
    return [_place(stack), *also]


def _place(stack: Sequence[str]) -> int:
    if not stack:
        return 14  # it has not run yet
    for frame in reversed(stack):
        where, _, function = frame.rpartition(" in ")
        file = where.rpartition(":")[0].rpartition("/")[2]
        name = function.rpartition(".")[2]
        for place, begins, row in _PLACES:
            if file == place and name.startswith(begins):
                return row
    return 6
