"""Callers that wait with the same reading statement are answered by one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator

from dbpool.bulk.group import Group, Turns
from dbpool.bulk.guard import BatchPlan
from dbpool.bulk.joint import Member
from dbpool.bulk.plans import KEPT_S, Key, Plans
from dbpool.connection import Answer, Want
from dbpool.core.batches import Form
from dbpool.core.columns import Args
from dbpool.core.permits import Line
from dbpool.core.statements import Statement
from dbpool.deadlines import Deadlines
from dbpool.errors import PoolClosed
from dbpool.faults import query_timeout
from dbpool.finish import Cleanups
from dbpool.observing import Operation
from dbpool.oneshot import Calls
from dbpool.settings import PoolSettings

PLAN_AGAIN_S = 1.0  # after a plan could not be made
MOST_GROUPS = 1000  # texts; a program that makes its SQL as it runs must not fill the memory


class Coalescer:
    """Lets calls of one text share a statement while they would wait in line anyway.

    There is no timer: a call that finds a connection idle is sent alone and at once, so batches grow only under load. A
    batch is sent after everyone in it has called, so each reads what was committed before. It is for single statements
    that are proven to read only; all connections of a pool have the same role and settings, what a transaction sets is
    its own.
    """

    def __init__(self, calls: Calls, settings: PoolSettings, plans: Plans) -> None:
        self.calls = calls
        self.leases = calls.leases
        self.gate = calls.gate
        self.named = calls.named
        self.query_timeout = settings.query_timeout
        self.acquire_timeout = settings.acquire_timeout
        self.tasks = Cleanups()
        self.batches_total = self.coalesced_total = 0
        self._plans = plans
        self._groups: dict[Want, dict[tuple[Line, str], Group]] = {Want.ROWS: {}, Want.ROW: {}}
        self._turns: dict[Line, Turns] = {}
        self._rows, self._first_row = self._groups[Want.ROWS], self._groups[Want.ROW]
        self._deadlines: Deadlines[Member] = Deadlines(self._expire)
        self.gate.watch.beside = self._waiting

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self.leases.loop

    def join(
        self,
        line: Line,
        sql: str,
        args: Args,
        want: Want,
        statement: Statement,
        timeout: float | None,
        operation: Operation | None,
    ) -> Awaitable[Answer] | None:
        """Have a call answered together with others; None: it is better sent alone, as ever.

        Its place is taken when this returns, for whoever awaits what it returns at once.

        Raises: LineFull, PoolClosed.
        """
        groups = self._rows if want is Want.ROWS else self._first_row
        group = groups.get((line, sql))
        if (group is None or not (group.waiting or group.in_flight)) and not self.gate.would_wait(line):
            return None
        if not statement.reads_only or line.pace is not None or len(args) != statement.parameters:
            return None
        if group is None:
            group = self._new_group(groups, line, sql, want)
        loop = self.leases.loop
        now = loop.time()
        if now >= group.until and not group.is_planning:
            self._find_out(group, args, now)
        if group.plan is None or now < group.slow_until:
            return None
        if self.gate.warns_of_nesting and self._holds_already():
            return None
        self.gate.join_beside(line)
        member = Member(group, args, timeout, now, loop.create_future())
        if operation is not None:
            member.site, operation.waiter = operation.site, member
        if timeout is not None:
            member.deadline = now + timeout
            self._deadlines.add(member, loop)
        group.join(member)
        return member.wait()

    def close(self, error: PoolClosed) -> None:
        """Fail everyone who waits for a batch."""
        for groups in self._groups.values():
            for group in groups.values():
                group.fail_all(error)
                group.stop_timer()
        self._deadlines.close()

    def _waiting(self) -> Iterator[Member]:
        return (member for groups in self._groups.values() for group in groups.values() for member in group.members())

    def _new_group(self, groups: dict[tuple[Line, str], Group], line: Line, sql: str, want: Want) -> Group:
        if len(groups) >= MOST_GROUPS:
            for key in [key for key, group in groups.items() if not group.is_busy and not group.is_planning]:
                del groups[key]
        group = groups[line, sql] = Group(self, line, sql, want, self._turns.setdefault(line, Turns()))
        return group

    def _holds_already(self) -> bool:
        """Whether the caller's task holds a permit: then it stands in line by itself, where it is warned of that."""
        mine: asyncio.Task[object] | None = None
        for holder in self.gate.holding:
            if not holder.ends_by_itself:
                mine = mine or asyncio.current_task(self.loop)
                if holder.task is mine:
                    return True
        return False

    def _find_out(self, group: Group, args: Args, now: float) -> None:
        """Find the group's form, in the background unless it is known; meanwhile its calls are sent alone."""
        key: Key = (group.sql, group.want is not Want.ROWS, None)
        plan = self._plans.get(key, now)
        if plan is not None:
            self._found(group, plan, now)
        else:
            group.is_planning = True
            self.tasks.start(self._plan(group, key, args))

    async def _plan(self, group: Group, key: Key, args: Args) -> None:
        group.until = self.loop.time() + PLAN_AGAIN_S
        try:
            async with self.leases.lease(self.acquire_timeout, group.line) as connection:
                async with asyncio.timeout(self.query_timeout):
                    plan = await self._plans.find(connection, key, group.text, [args], self.loop.time())
            self._found(group, plan, self.loop.time())
        except Exception:  # noqa: S110 - the calls meet it themselves, sent alone; it is tried again
            pass
        finally:
            group.is_planning = False

    def _found(self, group: Group, plan: BatchPlan, now: float) -> None:
        group.plan = None if plan.form is Form.SINGLE else plan
        group.until = now + KEPT_S

    def _expire(self, member: Member) -> None:
        """Its own time is up: it leaves the others behind."""
        if member.batch is None:
            member.group.expire(member, self.loop.time())
        else:
            assert member.timeout is not None
            member.wakeup.set_result(query_timeout(self.named(member.group.line), member.timeout))
            member.leave()
