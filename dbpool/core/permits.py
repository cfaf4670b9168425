"""Who holds a permit, who is next in line."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from typing import Generic, TypeVar


class Place(Enum):
    """Where a ticket stands. A ticket moves down this list only."""

    NEW = "new"
    WAITING = "waiting"
    HOLDING = "holding"  # from the instant of the grant, whether or not its owner has woken up yet
    GONE = "gone"


NEW, WAITING, HOLDING, GONE = Place  # as globals: a tenth of the price of looking them up in the class each time


class Ticket:
    """One caller's place."""

    __slots__ = ("place",)

    def __init__(self) -> None:
        self.place = NEW


T = TypeVar("T", bound=Ticket)


class Full(Exception):
    """Everyone holds, and the line is as long as allowed."""


class Closed(Exception):
    """No more requests are taken."""


class Permits(Generic[T]):
    """First come, first served; every operation but ``close`` is O(1), cancelling from mid-line included."""

    # Always true between two calls:
    #   held <= capacity
    #   waiting > 0 only if held == capacity
    #   everyone holding arrived before everyone waiting
    #   waiting <= max_waiting

    __slots__ = ("_line", "capacity", "closed", "held", "max_waiting")

    def __init__(self, capacity: int, max_waiting: int | None = None) -> None:
        self.capacity = capacity
        self.max_waiting = max_waiting
        self.held = 0
        self.closed = False
        self._line: OrderedDict[T, None] = OrderedDict()

    @property
    def waiting(self) -> int:
        return len(self._line)

    @property
    def next_in_line(self) -> T | None:
        return next(iter(self._line), None)

    def request(self, ticket: T) -> bool:
        """Give *ticket* a permit (True) or the last place in line (False).

        Raises:
            Full: no permit is free and ``max_waiting`` callers wait.
            Closed: after ``close``.
        """
        assert ticket.place is NEW, ticket.place
        if self.closed:
            raise Closed
        if self.held < self.capacity:  # then nobody waits, so nobody is overtaken
            self.held += 1
            ticket.place = HOLDING
            return True
        if self.max_waiting is not None and len(self._line) >= self.max_waiting:
            raise Full
        self._line[ticket] = None
        ticket.place = WAITING
        return False

    def leave(self, ticket: T) -> T | None:
        """Take *ticket* out, waiting or holding; return the one that is granted its permit."""
        if ticket.place is WAITING:
            del self._line[ticket]
            ticket.place = GONE
            return None
        assert ticket.place is HOLDING, ticket.place
        ticket.place = GONE
        if self._line:
            granted, _ = self._line.popitem(last=False)
            granted.place = HOLDING
            return granted
        self.held -= 1
        return None

    def close(self) -> list[T]:
        """Refuse newcomers from now on; empty the line and return who stood in it, in order."""
        self.closed = True
        line = list(self._line)
        self._line.clear()
        for ticket in line:
            ticket.place = GONE
        return line
