"""What must be true of a pool after every step of its event loop, counted from what is there, not by its own sums."""

from __future__ import annotations

from typing import Any

from dbpool.core.permits import Line, Ticket
from dbpool.events import Event, Resized
from dbpool.oneshot import Call
from dbpool.sites import Site
from tests.support.fakes import Pool

LEEWAY_S = 0.0111  # a tick of the deadlines, and floating point


class Arrival(Site):
    """Whose number says in which order the callers of a schedule asked."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        super().__init__(None, 0)
        self.number = number


class Oracle:
    """Looks at one pool: ``after_step`` after every step, ``before_jump`` when nothing more happens in an instant.

    Each thing that may be broken names the goal that breaks.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._permits: Any = pool.leases.gate._permits  # noqa: SLF001 - the sums that are to be checked
        self._own_line = pool.leases._own_line  # noqa: SLF001
        self._bound = pool.leases.gate.capacity
        self.by_hand = 0
        """Coroutines that were begun and are not driven: what came to one of them it has not taken yet."""
        pool.leases.events.on(self._hear)

    def after_step(self) -> None:
        """M1, M2, M9, and what the fake server itself has noticed, as M10."""
        driver, leases, permits = self._pool.driver, self._pool.leases, self._permits
        if driver.violations:
            goal = "M2" if driver.violations[0].endswith("allowed") else "M10"
            raise AssertionError(f"{goal}: {driver.violations[0]}")
        leased = connecting = draining = 0
        places = [*leases.resting]
        of_line = dict.fromkeys(permits.lines, 0)
        of_line[self._own_line] = 0
        for holder in permits.holding:
            of_line[holder.line] += 1
            if holder.connection is not None:
                leased += 1
                places.append(holder.connection)
            elif holder.afterwards:
                draining += 1
            else:
                connecting += 1
        free = permits.capacity - permits.held
        if free + leased + connecting + draining != permits.capacity:
            raise AssertionError(
                f"M1: {free} free + {leased} leased + {connecting} connecting + {draining} draining permits are not "
                f"{permits.capacity}"
            )
        if len(set(places)) != len(places):
            raise AssertionError("M1: a connection is in two places")
        self._check_bound(len(driver.open_now) + driver.connecting + (driver.lingering if driver.remains else 0))
        self._check_lines(permits, of_line)
        for line in permits._crowded:  # noqa: SLF001
            self._check_wait(line)
            self._check_order(line)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Resized):  # perhaps not for the whole of a step
            self._bound = max(self._bound, event.now)

    def _check_bound(self, on_server: int) -> None:
        """After the pool was made smaller it may have what it had, but never more again."""
        permits = self._permits
        capacity, held = permits.capacity, permits.held - self._own_line.held
        if held > self._bound:
            raise AssertionError(f"M1: {held} permits are held, {self._bound} allowed")
        if on_server > self._bound:
            raise AssertionError(f"M2: the server has {on_server} connections, {self._bound} allowed")
        if self._bound > capacity:
            due = on_server - self._pool.driver.connecting + self._pool.leases.connector.opening
            self._bound = max(capacity, min(self._bound, max(permits.held, on_server, due)))

    def _check_wait(self, line: Line) -> None:
        """Nobody waits while a permit is free; where there is a pace, only until the clock moves."""
        assert line.pace is not None or not self._may_have_one(line), (
            f"M9: a permit is free, and {line.waiting} wait in lane {line.name!r}: {self._pool.leases.gate}"
        )

    def _may_have_one(self, line: Line) -> bool:
        permits = self._permits
        if permits.is_paused or permits.held >= min(permits.limit, permits.capacity):
            return False
        if line.at_most is not None and line.held >= line.at_most:
            return False
        if line.held < line.reserved:
            return True
        lent = sum(max(0, each.held - each.reserved) for each in permits.lines) + self._own_lent()
        return bool(lent < permits.limit - sum(each.reserved for each in permits.lines))

    def _own_lent(self) -> int:
        return max(0, self._own_line.held - self._own_line.reserved)

    def _check_order(self, line: Line) -> None:
        """Who holds came before who waits; and the line stands in the order of the arrivals."""
        first = _number(next(iter(line.tickets)))
        last = _number(next(reversed(line.tickets)))
        assert first <= last, f"M9: in lane {line.name!r} number {last} stands behind number {first}"
        for holder in self._permits.holding:
            if holder.line is line and _number(holder) > first:
                raise AssertionError(f"M9: number {_number(holder)} has overtaken number {first}")

    def _check_lines(self, permits: Any, of_line: dict[Line, int]) -> None:  # noqa: ANN401
        lent = 0
        for line, held in of_line.items():
            if line.held != held:
                raise AssertionError(f"M1: lane {line.name!r} counts {line.held} held, and {held} are")
            if line.at_most is not None and held > line.at_most:
                raise AssertionError(f"M9: lane {line.name!r} holds {held}, {line.at_most} allowed")
            if held > line.reserved:
                lent += held - line.reserved
        if lent != permits.lent:
            raise AssertionError(f"M1: {permits.lent} permits count as lent, and {lent} are")

    def before_jump(self) -> None:
        """What may be under way within an instant, and is over before time passes."""
        pool, permits = self._pool, self._permits
        now = pool.leases.loop.time()
        for line in permits._crowded:  # noqa: SLF001
            paced = line.pace is not None and line.pace.next_at(now) > now
            assert paced or not self._may_have_one(line), f"M9: time passes, and {line.waiting} wait for a free permit"
            late_s = now - next(iter(line.tickets)).deadline
            assert late_s <= LEEWAY_S, f"M6: a caller stands in line {late_s:g} s after its deadline"
        for holder in permits.holding:
            if not holder.afterwards and holder.line is not self._own_line:
                task = holder.task
                assert task is not None, "M1: a permit is held by nobody"
                assert not task.done(), "M1: a permit is held by a task that has ended"
                wakeup = getattr(holder, "wakeup", None)
                is_told = wakeup is None or wakeup.done() or isinstance(holder, Call)
                assert is_told, "M9: who was granted a permit was never told"
        if not pool.leases.gate.is_closed:  # else they end without a permit
            self._check_connections()

    def _check_connections(self) -> None:
        """Every open connection rests, is leased, is being cleaned, or is on its way to a caller."""
        pool = self._pool
        known, cleaned = set(pool.leases.resting), 0
        for holder in self._permits.holding:
            if holder.connection is not None:
                known.add(holder.connection)
            elif holder.afterwards and holder.quarantine is None:
                cleaned += 1
        forgotten = len(pool.driver.open_now - known)
        lost = forgotten - cleaned - self.by_hand
        assert lost <= 0, f"M1: nobody has {lost} of the open connections"


def _number(ticket: Ticket) -> int:
    site = getattr(ticket, "site", None)
    return site.number if isinstance(site, Arrival) else -1
