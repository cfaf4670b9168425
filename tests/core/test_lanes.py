"""Lanes, against a model that tells for any state who may have a permit."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dbpool.core.permits import Full, Line, Permits, Place, Ticket


@dataclass
class Model:
    """A lane: who holds and who waits, in order of arrival."""

    line: Line
    holding: list[Ticket] = field(default_factory=list)
    waiting: list[Ticket] = field(default_factory=list)
    passed_over: int = 0
    """Permits granted to others since somebody waits here with none held."""

    @property
    def extra(self) -> int:
        return max(0, len(self.holding) - self.line.reserved)


LANES = st.lists(st.tuples(st.none() | st.integers(1, 4), st.integers(0, 2), st.none() | st.integers(0, 3)), max_size=3)


class LanesMachine(RuleBasedStateMachine):
    @initialize(capacity=st.integers(1, 6), lanes=LANES)
    def open(self, capacity: int, lanes: list[tuple[int | None, int, int | None]]) -> None:
        self.ceiling = capacity
        self.permits: Permits[Ticket] = Permits(capacity, Line())
        self.models = {self.permits.lines[0]: Model(self.permits.lines[0])}
        for number, (at_most, reserved, max_waiting) in enumerate(lanes):
            if self.permits.reserved + reserved >= capacity:
                continue
            line = Line(str(number), at_most=at_most, reserved=min(reserved, at_most or 9), max_waiting=max_waiting)
            self.permits.add(line)
            self.models[line] = Model(line)

    def held(self) -> int:
        return sum(len(model.holding) for model in self.models.values())

    def may_have_one(self, model: Model) -> bool:
        """Whether the caller at the head of a lane could be granted a permit now."""
        reserves = sum(line.reserved for line in self.models)
        lent = sum(other.extra for other in self.models.values())
        below_reserve = len(model.holding) < model.line.reserved
        return (
            self.held() < self.ceiling
            and (model.line.at_most is None or len(model.holding) < model.line.at_most)
            and (below_reserve or lent < self.ceiling - reserves)
        )

    def any_line(self, data: st.DataObject) -> Model:
        return data.draw(st.sampled_from(list(self.models.values())))

    @rule(data=st.data())
    def someone_requests(self, data: st.DataObject) -> None:
        model = self.any_line(data)
        ticket = Ticket(model.line)
        gets_one = not model.waiting and self.may_have_one(model)
        if not gets_one and len(model.waiting) == model.line.max_waiting:
            with pytest.raises(Full):
                self.permits.request(ticket)
            return
        assert self.permits.request(ticket) is gets_one
        (model.holding if gets_one else model.waiting).append(ticket)

    @precondition(lambda self: self.held())
    @rule(data=st.data())
    def a_holder_leaves(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from([model for model in self.models.values() if model.holding]))
        ticket = data.draw(st.sampled_from(model.holding))
        model.holding.remove(ticket)
        self.was_granted(self.permits.leave(ticket))

    @precondition(lambda self: any(model.waiting for model in self.models.values()))
    @rule(data=st.data())
    def someone_in_line_leaves(self, data: st.DataObject) -> None:
        model = data.draw(st.sampled_from([model for model in self.models.values() if model.waiting]))
        ticket = data.draw(st.sampled_from(model.waiting))
        model.waiting.remove(ticket)
        assert self.permits.leave(ticket) is None

    @rule(data=st.data())
    def the_ceiling_moves(self, data: st.DataObject) -> None:
        reserves = self.permits.reserved
        self.ceiling = data.draw(st.just(0) | st.integers(reserves + 1, reserves + 6))
        self.permits.is_paused = self.ceiling == 0
        self.permits.limit = self.ceiling or self.permits.limit
        while (granted := self.permits.grant_next()) is not None:
            self.was_granted(granted)

    @rule(reserved=st.integers(0, 2))
    def a_lane_is_added(self, reserved: int) -> None:
        if len(self.models) < 6 and self.permits.reserved + reserved < self.ceiling:
            line = Line(f"late {len(self.models)}", reserved=reserved)
            self.permits.add(line)
            self.models[line] = Model(line)

    def was_granted(self, ticket: Ticket | None) -> None:
        able = [model for model in self.models.values() if model.waiting and self.may_have_one(model)]
        if ticket is None:
            assert not able, "a permit is free, and one waits who could have it"
            return
        model = self.models[ticket.line]
        assert model in able, "it was not this lane's to have"
        assert len(model.holding) - model.line.reserved == min(
            len(other.holding) - other.line.reserved for other in able
        ), "another lane holds fewer beyond its reserve"
        assert model.waiting.pop(0) is ticket, "somebody in line was overtaken"
        model.holding.append(ticket)
        for other in self.models.values():  # the oldest turn comes first among equals
            other.passed_over = other.passed_over + 1 if other in able and other is not model else 0
            assert other.passed_over <= len(self.models) * 8, "a lane starves"

    @invariant()
    def the_numbers_are_those_of_the_model(self) -> None:
        assert self.permits.held == self.held() == len(self.permits.holding)
        assert self.permits.waiting == sum(len(model.waiting) for model in self.models.values())
        assert self.permits.lent == sum(model.extra for model in self.models.values())
        for line, model in self.models.items():
            assert (line.held, line.waiting) == (len(model.holding), len(model.waiting))
            assert all(ticket.place is Place.HOLDING for ticket in model.holding)
            assert list(line.tickets) == model.waiting

    @invariant()
    def nobody_waits_who_could_have_a_permit(self) -> None:
        assert not any(model.waiting and self.may_have_one(model) for model in self.models.values())


LanesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLanesAgainstAModel = LanesMachine.TestCase


def saturated(capacity: int, *lines: Line, callers: int = 50) -> tuple[Permits[Ticket], list[Ticket]]:
    """Permits with so many callers of each line, and who holds one."""
    permits: Permits[Ticket] = Permits(capacity, lines[0])
    for line in lines[1:]:
        permits.add(line)
    tickets = [Ticket(line) for _ in range(callers) for line in lines]
    return permits, [ticket for ticket in tickets if permits.request(ticket)]


def test_a_reserve_is_never_lent_out() -> None:
    permits: Permits[Ticket] = Permits(3, Line())
    kept = Line("kept", reserved=1)
    permits.add(kept)
    others = [Ticket(permits.lines[0]) for _ in range(3)]
    assert [permits.request(ticket) for ticket in others] == [True, True, False]
    assert permits.request(Ticket(kept))
    assert permits.leave(others[0]) is others[2]


def test_a_reserve_made_late_is_filled_as_soon_as_somebody_leaves() -> None:
    permits, holding = saturated(2, Line())
    late = Line("late", reserved=1)
    permits.add(late)
    ticket = Ticket(late)
    assert not permits.request(ticket)
    assert permits.leave(holding[0]) is ticket


def test_a_lane_at_its_most_waits_though_permits_are_free_and_overtakes_nobody() -> None:
    permits: Permits[Ticket] = Permits(3, Line())
    batch = Line("batch", at_most=1)
    permits.add(batch)
    first, second = Ticket(batch), Ticket(batch)
    assert permits.request(first)
    assert not permits.request(second)
    assert permits.request(Ticket(permits.lines[0]))
    assert permits.leave(first) is second


@pytest.mark.parametrize(("capacity", "lanes"), [(1, 2), (2, 3), (5, 2), (10, 4), (4, 4)])
def test_under_saturation_every_lane_gets_its_share(capacity: int, lanes: int) -> None:
    lines = [Line(str(number)) for number in range(lanes)]
    permits, holding = saturated(capacity, *lines, callers=1000)
    before = [line.granted_total for line in lines]
    for _ in range(200 * lanes):  # whoever holds longest leaves
        granted = permits.leave(holding.pop(0))
        assert granted is not None
        holding.append(granted)
    shares = [line.granted_total - old for line, old in zip(lines, before, strict=True)]
    assert max(shares) - min(shares) <= capacity + lanes, shares
    assert max(line.held for line in lines) - min(line.held for line in lines) <= 1


def test_a_lane_that_never_leaves_takes_no_more_than_its_share() -> None:
    slow, quick = Line("slow"), Line("quick")
    permits, holding = saturated(4, slow, quick, callers=100)
    for _ in range(60):
        leaving = next(ticket for ticket in holding if ticket.line is quick)
        holding.remove(leaving)
        granted = permits.leave(leaving)
        assert granted is not None
        holding.append(granted)
    assert (slow.held, quick.held) == (2, 2)
    assert quick.granted_total > 50


def test_a_permit_taken_at_once_is_a_turn_too() -> None:
    many, one = Line("many"), Line("one")
    permits, holding = saturated(1, many, one, callers=2)
    assert [ticket.line for ticket in holding] == [many]
    granted = permits.leave(holding[0])
    assert granted is not None
    assert granted.line is one
