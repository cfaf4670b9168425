"""Who holds a permit, who is next."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from math import inf
from typing import Generic, Protocol, TypeVar


class Place(Enum):
    """Where a ticket stands. A ticket moves down this list only."""

    NEW = "new"
    WAITING = "waiting"
    HOLDING = "holding"  # from the instant of the grant, whether or not its owner has woken up yet
    GONE = "gone"


NEW, WAITING, HOLDING, GONE = Place  # as globals: a tenth of the price of looking them up in the class each time


class Ticket:
    """One caller's place: in which line, and where."""

    __slots__ = ("line", "place")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.place = NEW


class Pacing(Protocol):
    """When a line may be granted its next permit: see ``pacing.py``."""

    def next_at(self, now: float, ahead: int = 0) -> float: ...

    def take(self, now: float, *, waited: bool) -> None: ...


class Line:
    """A lane: where its callers wait, first come, first served, and its share of the permits."""

    __slots__ = (
        "at_most",
        "beside",
        "granted_total",
        "held",
        "last_turn",
        "max_waiting",
        "name",
        "pace",
        "refused_total",
        "reserved",
        "tickets",
        "timeouts_total",
        "waited_s_total",
        "waited_total",
    )

    def __init__(
        self,
        name: str = "",
        *,
        at_most: int | None = None,
        reserved: int = 0,
        max_waiting: int | None = None,
        pace: Pacing | None = None,
    ) -> None:
        self.name = name
        self.at_most = at_most
        self.reserved = reserved
        self.max_waiting = max_waiting
        self.pace = pace
        self.held = 0
        self.beside = 0  # callers who wait without a ticket of their own: one of another caller's stands for them
        self.last_turn = 0
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.granted_total = self.waited_total = self.refused_total = self.timeouts_total = 0
        self.waited_s_total = 0.0

    @property
    def waiting(self) -> int:
        return len(self.tickets) + self.beside

    @property
    def next_in_line(self) -> Ticket | None:
        return next(iter(self.tickets), None)


T = TypeVar("T", bound=Ticket)


class Full(Exception):
    """No permit is free, and the line is as long as allowed."""


class Closed(Exception):
    """No more requests are taken."""


class Permits(Generic[T]):
    """Lines of callers that share a number of permits.

    In each line it is first come, first served. A permit that several lines could have goes to the one that holds the
    fewest beyond its reserve, and among equals to the one whose turn was longest ago: max-min fairness, so no line
    starves. Every operation costs O(lines), whatever their length, cancelling from mid-line included; only ``close``
    looks at every caller.
    """

    # Always true between two calls:
    #   a line's held <= its at_most, its waiting <= its max_waiting
    #   nobody is granted a permit that takes held above the limit, or lends out what another line has reserved
    #   nobody waits who could be granted a permit, but for the passing of time where there is a pace
    #   in a line, everyone holding arrived before everyone waiting

    __slots__ = (
        "_crowded",
        "capacity",
        "closed",
        "held",
        "holding",
        "is_paused",
        "lent",
        "limit",
        "lines",
        "reserved",
        "turn",
    )

    def __init__(self, capacity: int, line: Line) -> None:
        self.capacity = capacity
        self.lines = [line]
        self.held = 0
        self.lent = 0  # of those, beyond the reserves
        self.holding: dict[T, None] = {}  # in the order of the grants
        self.closed = False
        self.limit = capacity  # as long as this is below the capacity, no more than this are granted
        self.is_paused = False  # nothing is granted
        self.reserved = line.reserved  # permits that only one line each can have
        self._crowded: dict[Line, None] = {}  # the lines in which somebody waits
        self.turn = 0  # grants so far

    @property
    def waiting(self) -> int:
        return sum(len(line.tickets) for line in self._crowded) + sum(line.beside for line in self.lines)

    def add(self, line: Line) -> None:
        """Have one more line share the permits; what is held already stays held, its reserve notwithstanding."""
        self.lines.append(line)
        self.reserved += line.reserved

    def request(self, ticket: T, now: float = 0.0) -> bool:
        """Give *ticket* a permit (True) or the last place in its line (False).

        Raises:
            Full: no permit is free and ``max_waiting`` callers wait in the line.
            Closed: after ``close``.
        """
        assert ticket.place is NEW, ticket.place
        line = ticket.line
        if self.closed:
            raise Closed
        if not line.tickets and self.has_room(line, now):
            if line.pace is not None:
                line.pace.take(now, waited=False)
            self._take(line, ticket)
            return True
        self.check_not_full(line)
        if not line.tickets:
            self._crowded[line] = None
        line.tickets[ticket] = None
        ticket.place = WAITING
        return False

    def check_not_full(self, line: Line) -> None:
        """Raise Full, and count it, if the line is as long as allowed."""
        if line.max_waiting is not None and line.waiting >= line.max_waiting:
            line.refused_total += 1
            raise Full

    def seize(self, ticket: T, *, beyond: bool = False) -> bool:
        """Give *ticket* a permit if one is free, whatever limit, pace, pause and other lines' reserves say.

        Args:
            beyond: also where none is free: nobody else is granted one until *held* is below the capacity again.
        """
        if self.closed or (self.held >= self.capacity and not beyond):
            return False
        self._take(ticket.line, ticket)
        return True

    def leave(self, ticket: T, now: float = 0.0) -> T | None:
        """Take *ticket* out, waiting or holding; return the one that is granted its permit."""
        line = ticket.line
        if ticket.place is WAITING:
            del line.tickets[ticket]
            if not line.tickets:
                del self._crowded[line]
            ticket.place = GONE
            return None
        assert ticket.place is HOLDING, ticket.place
        ticket.place = GONE
        del self.holding[ticket]
        crowded = self._crowded
        if (
            line in crowded
            and len(crowded) == 1
            and line.pace is None
            and self.held <= self.limit
            and self.lent <= self.limit - self.reserved
            and not self.is_paused
        ):  # the quick way to what follows: the same line has it again
            granted = self._pop(line)
            self._note(line, granted)
            return granted
        self.held -= 1
        line.held -= 1
        if line.held >= line.reserved:
            self.lent -= 1
        return self.grant_next(now) if crowded else None

    def grant_next(self, now: float = 0.0) -> T | None:
        """Give a free permit to whoever is next; return that one, None if nobody can have one.

        To be called until it returns None when ``capacity`` or ``limit`` was raised, or a pause or an interval is over.
        """
        if self.held >= self.limit or self.is_paused:
            return None
        best: Line | None = None
        least = 0
        has_spare = self.lent < self.limit - self.reserved
        for line in self._crowded:  # what has_room says, without a call for each
            extra = line.held - line.reserved
            if (
                (has_spare or extra < 0)
                and (line.at_most is None or line.held < line.at_most)
                and (line.pace is None or line.pace.next_at(now) <= now)
                and (best is None or extra < least or (extra == least and line.last_turn < best.last_turn))
            ):
                best, least = line, extra
        if best is None:
            return None
        ticket = self._pop(best)
        if best.pace is not None:
            best.pace.take(now, waited=True)
        self._take(best, ticket)
        return ticket

    def next_at(self, now: float) -> float | None:
        """When somebody can be granted a permit though nobody leaves: what only a pace holds back."""
        times = [line.pace.next_at(now) for line in self._crowded if line.pace is not None and self.has_room(line, inf)]
        return min(times, default=None)

    def most_for(self, line: Line) -> int:
        """How many *line* can hold, as long as nobody else takes a permit that is not reserved."""
        most = self.limit - self.reserved + line.reserved
        return most if line.at_most is None else min(most, line.at_most)

    def close(self) -> list[T]:
        """Refuse newcomers from now on; empty the lines and return who stood in them, each in order."""
        self.closed = True
        tickets: list[T] = [ticket for line in self._crowded for ticket in line.tickets]  # type: ignore[misc]
        for line in self._crowded:
            line.tickets.clear()
        self._crowded.clear()
        for ticket in tickets:
            ticket.place = GONE
        return tickets

    def _pop(self, line: Line) -> T:
        ticket: T
        ticket, _ = line.tickets.popitem(last=False)  # type: ignore[assignment] # only a T is ever put in
        if not line.tickets:
            del self._crowded[line]
        line.waited_total += 1
        return ticket

    def _take(self, line: Line, ticket: T) -> None:
        self.held += 1
        if line.held >= line.reserved:
            self.lent += 1
        line.held += 1
        self._note(line, ticket)

    def _note(self, line: Line, ticket: T) -> None:
        line.granted_total += 1
        self.turn += 1
        line.last_turn = self.turn
        ticket.place = HOLDING
        self.holding[ticket] = None

    def has_room(self, line: Line, now: float) -> bool:
        """Whether the first in *line* could be granted a permit at *now*; inf: whatever its pace."""
        return (
            self.held < self.limit
            and (line.held < line.reserved or self.lent < self.limit - self.reserved)
            and (line.at_most is None or line.held < line.at_most)
            and (line.pace is None or line.pace.next_at(now) <= now)
            and not self.is_paused
        )
