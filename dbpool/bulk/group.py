"""The callers of one text: who waits, how many share the next batch."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dbpool.bulk.guard import BatchPlan
from dbpool.bulk.joint import JointCall, Member, copied
from dbpool.connection import Want
from dbpool.core.batches import read
from dbpool.core.permits import Line
from dbpool.settings import LONGEST_S

if TYPE_CHECKING:
    from dbpool.bulk.coalesce import Coalescer

# Measured with 200 and 2,000 callers on 10 connections: more batches of one text at once make fewer calls a second, by
# a fifth to two fifths; everybody in one batch makes the last percent wait five times as long.
# With ten texts the same holds for all batches of a lane together, as long as these are quick: a fifth.
MOST_BATCHES = 4
LEAST_SHARE = 32
MOST_IN_BATCH = 250

FIRST_BATCH = 8  # a text that turns out slow costs few; doubled with each batch
SLOW_S = 0.002  # a call in a batch: nothing is gained by batching then, and others wait
SLOW_FOR_S = 1.0  # before it is tried again
QUICK_S = 0.0002  # a call in a batch: it keeps processors busy, where a longer one waits for something


class Turns:
    """The quick texts of one lane: how many of their batches are under way, and who waits for one of them to end."""

    __slots__ = ("_held_back", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._held_back: dict[Group, None] = {}  # in the order of their turns

    @property
    def are_taken(self) -> bool:
        return self.in_flight >= MOST_BATCHES

    def hold_back(self, group: Group) -> None:
        """*group* comes behind those that wait already."""
        self._held_back[group] = None

    def go_on(self) -> None:
        """Give those that wait their turns, as far as there is room."""
        while self._held_back and not self.are_taken:
            group = next(iter(self._held_back))
            del self._held_back[group]
            group.flush()


class Group:
    """The callers of one text in one line who want the same of it."""

    # Always true between two calls:
    #   waiting: members in the queue whose callers are there; those that left are taken out when they come up
    #   at most one ticket stands in line, and only while somebody waits
    #   what this group adds to line.beside: waiting, less the ticket

    __slots__ = (
        *(
            "_call_s",
            "_is_scheduled",
            "_most",
            "_queue",
            "_ticket",
            "_timer",
            "in_flight",
            "is_planning",
            "line",
            "owner",
        ),
        *("plan", "slow_until", "sql", "text", "turns", "until", "waiting", "want"),
    )

    def __init__(self, owner: Coalescer, line: Line, sql: str, want: Want, turns: Turns) -> None:
        self.owner, self.line, self.sql, self.want, self.turns = owner, line, sql, want, turns
        self.text = read(sql)
        self.plan: BatchPlan | None = None  # None: it is not known yet, or cannot be batched
        self.until = 0.0  # when to find that out anew
        self.is_planning = False
        self.waiting = self.in_flight = 0  # callers; batches
        self.slow_until = 0.0
        self._queue: deque[Member] = deque()
        self._ticket: JointCall | None = None
        self._timer: asyncio.TimerHandle | None = None  # of the first in the queue: who came later may stay longer
        self._is_scheduled = False
        self._most = FIRST_BATCH
        self._call_s = 0.0  # of a call in a batch, on average

    @property
    def is_busy(self) -> bool:
        """Whether somebody waits or is being answered, so that a newcomer does best to wait, too."""
        return self.waiting > 0 or self.in_flight > 0

    def join(self, member: Member) -> None:
        """*member*, who is counted in ``line.beside``, waits for the next batch."""
        self._queue.append(member)
        self.waiting += 1
        if self._timer is None:
            self._timer = self.owner.loop.call_at(member.since + self.owner.acquire_timeout, self._expire_first)
        self._flush_soon()

    def members(self) -> Iterator[Member]:
        """Those who wait."""
        return (member for member in self._queue if not member.wakeup.done())

    def left(self) -> None:
        """One of those who wait has gone."""
        self.waiting -= 1
        self.line.beside -= 1
        if not self.waiting:
            self._drop_ticket()

    def expire(self, member: Member, now: float) -> None:
        """*member* has waited for as long as it may."""
        member.wakeup.set_result(self.owner.gate.refusals.acquire_timeout(self.line, now - member.since, now))
        member.leave()

    @property
    def is_quick(self) -> bool:
        """Whether its calls are known to take little in a batch."""
        return 0.0 < self._call_s < QUICK_S

    def stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire_first(self) -> None:
        """Let those go whose ``acquire_timeout`` is over, and come again for the next; a time of one's own is apart."""
        self._timer = None
        now, patience = self.owner.loop.time(), self.owner.acquire_timeout
        for member in list(self._queue):
            if member.timeout is not None or member.wakeup.done():
                continue
            if member.since + patience > now:
                self._timer = self.owner.loop.call_at(member.since + patience, self._expire_first)
                return
            self.expire(member, now)

    def granted(self, ticket: JointCall, now: float) -> None:
        """The ticket in line was granted."""
        self._ticket = None
        self.line.beside += 1  # for it, until its members are taken
        self._begin(ticket, now)

    def refused(self, error: Exception) -> None:
        """The ticket in line got nothing."""
        self._ticket = None
        self.line.beside += 1
        self.fail_all(error)

    def ended(self, batch: JointCall) -> None:
        """*batch* is over; its connection goes on in a moment."""
        owner, calls = self.owner, len(batch.members)
        owner.batches_total += 1
        owner.coalesced_total += calls
        self.in_flight -= 1
        self.turns.in_flight -= batch.is_quick
        now = owner.loop.time()
        if calls >= min(self._most, FIRST_BATCH):  # one alone takes a round trip, too
            self._call_s += ((now - batch.since) / calls - self._call_s) * 0.5
            self._most = min(MOST_IN_BATCH, self._most * 2)
        if self._call_s > SLOW_S or batch.is_out_of_time:
            self.slow_until, self._call_s, self._most = now + SLOW_FOR_S, 0.0, FIRST_BATCH
        if self.is_quick:
            self.turns.hold_back(self)
        else:
            self.flush()
        self.turns.go_on()

    def fail_all(self, error: BaseException) -> None:
        """Tell everyone who waits."""
        self._drop_ticket()
        for member in self._take(self.waiting):
            member.tell(copied(error))

    def _flush_soon(self) -> None:
        """In the next turn of the loop: by then all who come in this one have joined."""
        if not self._is_scheduled and self._ticket is None and self.in_flight < MOST_BATCHES:
            self._is_scheduled = True
            self.owner.loop.call_soon(self.flush)

    def flush(self) -> None:
        """See to it that a ticket stands in line if somebody waits, or begin batches where permits are free."""
        self._is_scheduled = False
        while self.waiting and self._ticket is None and self.in_flight < MOST_BATCHES:
            if self.is_quick and self.turns.are_taken:
                self.turns.hold_back(self)
                return
            ticket = JointCall(self)
            self.line.beside -= 1  # it is counted instead of one of them
            try:
                has_permit = self.owner.gate.request(ticket, LONGEST_S, self.owner.loop)
            except Exception as error:  # the pool was closed
                self.line.beside += 1
                self.fail_all(error)
                return
            if not has_permit:
                self._ticket = ticket
                return
            self.line.beside += 1
            ticket.connection = self.owner.leases.take_idle(ticket.since)
            self._begin(ticket, ticket.since)

    def _begin(self, batch: JointCall, now: float) -> None:
        """*batch* has a permit: fill it and send it."""
        self.in_flight += 1
        batch.is_quick = self.is_quick
        self.turns.in_flight += batch.is_quick
        share = min(self._most, MOST_IN_BATCH, max(LEAST_SHARE, -(-self.waiting // MOST_BATCHES)))
        batch.begin(self._take(share if self.plan is None else self.plan.most_of(share)), now)
        if self.waiting:
            self._flush_soon()

    def _take(self, most: int) -> list[Member]:
        found: list[Member] = []
        while self._queue and len(found) < most:
            member = self._queue.popleft()
            if not member.wakeup.done():
                found.append(member)
        self.waiting -= len(found)
        self.line.beside -= len(found)
        return found

    def _drop_ticket(self) -> None:
        if self._ticket is not None:
            ticket, self._ticket = self._ticket, None
            self.line.beside += 1
            self.owner.gate.leave(ticket)
