"""Permits, against a model of one line: everyone present, in order of arrival."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dbpool.core.permits import Closed, Full, Line, Permits, Place, Ticket


class PermitsMachine(RuleBasedStateMachine):
    present: list[Ticket]

    @initialize(capacity=st.integers(1, 4), max_waiting=st.none() | st.integers(0, 4))
    def open(self, capacity: int, max_waiting: int | None) -> None:
        self.line = Line(max_waiting=max_waiting)
        self.permits: Permits[Ticket] = Permits(capacity, self.line)
        self.present = []  # the model
        self.gone: list[Ticket] = []

    @precondition(lambda self: not self.permits.closed)
    @rule()
    def someone_requests(self) -> None:
        ticket = Ticket(self.line)
        has_room = len(self.present) < self.permits.capacity
        if not has_room and len(self.present) - self.permits.capacity == self.line.max_waiting:
            with pytest.raises(Full):
                self.permits.request(ticket)
            assert ticket.place is Place.NEW
            return
        assert self.permits.request(ticket) is has_room
        self.present.append(ticket)

    @precondition(lambda self: self.permits.closed)
    @rule()
    def a_newcomer_is_refused(self) -> None:
        ticket = Ticket(self.line)
        with pytest.raises(Closed):
            self.permits.request(ticket)
        assert ticket.place is Place.NEW

    @precondition(lambda self: self.present)
    @rule(data=st.data())
    def someone_leaves(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.present) - 1))
        capacity = self.permits.capacity
        expected = self.present[capacity] if at < capacity < len(self.present) else None
        left = self.present.pop(at)
        assert self.permits.leave(left) is expected
        self.gone.append(left)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def nobody_leaves_twice(self, data: st.DataObject) -> None:
        with pytest.raises(AssertionError):
            self.permits.leave(data.draw(st.sampled_from(self.gone)))

    @rule()
    def the_line_is_closed(self) -> None:
        line = self.present[self.permits.capacity :]
        assert self.permits.close() == line
        del self.present[self.permits.capacity :]
        self.gone += line

    @invariant()
    def the_first_to_arrive_hold_and_the_rest_wait(self) -> None:
        held, line = self.present[: self.permits.capacity], self.present[self.permits.capacity :]
        assert [t.place for t in self.present] == [Place.HOLDING] * len(held) + [Place.WAITING] * len(line)
        assert (self.permits.held, self.permits.waiting) == (len(held), len(line))
        assert self.line.next_in_line is (line[0] if line else None)
        assert all(ticket.place is Place.GONE for ticket in self.gone)


PermitsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPermitsAgainstAModel = PermitsMachine.TestCase


def permits_of(capacity: int, max_waiting: int | None = None) -> Permits[Ticket]:
    return Permits(capacity, Line(max_waiting=max_waiting))


def in_line(permits: Permits[Ticket], callers: int) -> list[Ticket]:
    """Have *callers* request; return their tickets in order."""
    tickets = [Ticket(permits.lines[0]) for _ in range(callers)]
    for ticket in tickets:
        permits.request(ticket)
    return tickets


@pytest.mark.parametrize(
    ("capacity", "max_waiting", "callers", "held", "waiting"),
    [
        (1, None, 0, 0, 0),
        (1, None, 1, 1, 0),
        (1, None, 2, 1, 1),
        (3, None, 3, 3, 0),
        (3, 0, 3, 3, 0),
        (3, 2, 5, 3, 2),
        (1, None, 10_000, 1, 9_999),
    ],
)
def test_permits_go_to_the_first_and_the_rest_wait(
    capacity: int, max_waiting: int | None, callers: int, held: int, waiting: int
) -> None:
    permits = permits_of(capacity, max_waiting)
    tickets = in_line(permits, callers)
    assert (permits.held, permits.waiting) == (held, waiting)
    assert [ticket.place is Place.HOLDING for ticket in tickets] == [n < capacity for n in range(callers)]


@pytest.mark.parametrize("max_waiting", [0, 1, 5])
def test_a_line_at_its_limit_refuses_the_next(max_waiting: int) -> None:
    permits = permits_of(2, max_waiting)
    in_line(permits, 2 + max_waiting)
    with pytest.raises(Full):
        permits.request(Ticket(permits.lines[0]))
    assert (permits.held, permits.waiting) == (2, max_waiting)


def test_a_place_that_was_left_in_line_can_be_taken_again() -> None:
    permits = permits_of(1, 1)
    _, waiting = in_line(permits, 2)
    permits.leave(waiting)
    assert not permits.request(Ticket(permits.lines[0]))


def test_a_refused_ticket_can_be_used_again() -> None:
    permits = permits_of(1, 0)
    (holder,) = in_line(permits, 1)
    refused = Ticket(permits.lines[0])
    with pytest.raises(Full):
        permits.request(refused)
    permits.leave(holder)
    assert permits.request(refused)


def test_a_ticket_cannot_be_used_twice() -> None:
    permits = permits_of(2)
    (ticket,) = in_line(permits, 1)
    with pytest.raises(AssertionError):
        permits.request(ticket)


def test_leaving_from_mid_line_keeps_the_order_of_the_others() -> None:
    permits = permits_of(1)
    holder, *line = in_line(permits, 6)
    permits.leave(line.pop(2))
    order = []
    last: Ticket | None = holder
    while last is not None and (last := permits.leave(last)) is not None:
        order.append(last)
    assert order == line
    assert (permits.held, permits.waiting) == (0, 0)


def test_closing_returns_the_line_in_order_and_leaves_holders_alone() -> None:
    permits = permits_of(2)
    first, second, *line = in_line(permits, 5)
    assert permits.close() == line
    assert permits.close() == []
    assert (permits.held, permits.waiting) == (2, 0)
    assert permits.leave(first) is permits.leave(second) is None
    assert permits.held == 0


@pytest.mark.parametrize("callers", [100, 10_000])
@pytest.mark.parametrize("newest_first", [False, True])
def test_cancelling_does_not_look_at_others_in_line(callers: int, newest_first: bool) -> None:
    looked_at = 0

    class Counting(Ticket):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return self is other

        __hash__ = object.__hash__

    permits = permits_of(1)
    permits.request(Ticket(permits.lines[0]))
    line = [Counting(permits.lines[0]) for _ in range(callers)]
    for ticket in line:
        permits.request(ticket)
    for ticket in reversed(line) if newest_first else line:
        permits.leave(ticket)
    assert permits.waiting == 0
    assert looked_at <= callers  # a search through the line would compare with each before it


# The pool's own work


def test_a_free_permit_is_seized_also_in_a_pause_and_none_that_is_held() -> None:
    permits = permits_of(2)
    permits.is_paused = True
    assert [permits.seize(Ticket(permits.lines[0])) for _ in range(3)] == [True, True, False]
    assert permits.held == 2


def test_one_seized_beyond_the_capacity_is_granted_to_nobody_when_it_is_left() -> None:
    permits = permits_of(1)
    holder, waiter = in_line(permits, 2)
    beyond = Ticket(permits.lines[0])
    assert permits.seize(beyond, beyond=True)
    assert permits.held == 2
    assert permits.leave(beyond) is None
    assert permits.leave(holder) is waiter


def test_a_permit_is_not_granted_again_while_as_many_as_there_are_were_seized() -> None:
    permits = permits_of(1)
    holder, waiter = in_line(permits, 2)
    beyond = Ticket(permits.lines[0])
    assert permits.seize(beyond, beyond=True)
    assert permits.leave(holder) is None
    assert permits.leave(beyond) is waiter


@pytest.mark.parametrize("beyond", [False, True])
def test_nothing_is_seized_once_closed(beyond: bool) -> None:
    permits = permits_of(1)
    permits.close()
    assert not permits.seize(Ticket(permits.lines[0]), beyond=beyond)
