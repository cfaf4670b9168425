"""Connecting to whichever server of several will do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dbpool.connection import PlainConnection
from dbpool.core.hosts import Hosts, NoServerSuits
from dbpool.core.retry import Verdict, verdict
from dbpool.dialing import dial
from dbpool.errors import InsecureConnection
from dbpool.faults import one_line, role_of, sqlstate, without_frames
from dbpool.finish import Cleanups, finish
from dbpool.hosts import Host, Named, Order, Target
from dbpool.remains import Remains

C = TypeVar("C", bound="PlainConnection[Any]")

# A server that has not answered by then is waited for beside the next one: RFC 8305 has 0.25 s for TCP alone, and here
# TLS and a password come on top.
NEXT_AFTER_S = 0.5
# While one is silent, those that refused are asked again: one may be promoted in its place.
AGAIN_AFTER_S = 0.1
MOST_REMAINS = 3  # connects cut off at one server, which it may serve yet, before it is left alone

_ROLE = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('default_transaction_read_only') = 'on'"


class Unsuited(ConnectionError):
    """A server was reached, and is not of the kind that is wanted."""


class Reaching:
    """Connects to the servers of one address, and remembers which one answered.

    They are tried in order. One that is silent is waited for, while the next are tried beside it: it costs half a
    second, not all of the time, and the first that will do is taken. What is left of the attempts that were given up
    stays with this object until it has ended.
    """

    def __init__(self, named: Named, target: Target | None, order: Order | None, patience_s: float) -> None:
        """*patience_s*: how long the end of what was given up is waited for."""
        self.hosts: Sequence[Host | None] = named.hosts or (None,)  # None: where the driver finds it
        self.target = target or Target.ANY
        self._order = Hosts(len(self.hosts), at_random=order is Order.RANDOM)
        self._patience_s = patience_s
        self._numbers: dict[object, int] = {}  # by the address of a connection, in which the driver has put the port
        self._remains: Counter[int] = Counter()
        self._cleanups = Cleanups()

    @property
    def zombies(self) -> int:
        """Connects that were given up, of which a server may still make something."""
        return self._remains.total()

    async def connect(
        self,
        connect: Callable[..., Awaitable[C]],
        timeout: float,
        leave: Callable[[Remains], None] | None = None,
        *,
        at: object = None,
    ) -> C:
        """A connection to a server that will do, within *timeout* seconds.

        Args:
            connect: as ``asyncpg.connect``, but with options for a place, a loop and a time limit only.
            leave: gets what is left of an attempt, if there is one server only: nothing else can be tried meanwhile.
            at: the address of a connection that was made here, to whose server alone this one is to lead; where a
                standby is only preferred, any kind of server will do there.
        Raises:
            NoServerSuits: none does.
            InsecureConnection: the only one there is cannot be trusted.
            asyncpg.PostgresError: one of them denies this user or database, or has another complaint that the next one
                would have, too.
        Cancelling: ends all attempts.
        """
        deadline = asyncio.get_running_loop().time() + timeout
        target = self.target
        if at is not None:
            target = Target.ANY if target is Target.PREFER_STANDBY else target
            return await self._first(connect, target, deadline, leave, only=self._numbers[at])
        if target is not Target.PREFER_STANDBY:
            return await self._first(connect, target, deadline, leave)
        try:  # a standby that is silent is to leave time for the primary
            return await self._first(connect, target, deadline - timeout / 2, leave)
        except NoServerSuits:
            return await self._first(connect, Target.ANY, deadline, leave)

    async def _first(
        self,
        connect: Callable[..., Awaitable[C]],
        target: Target,
        deadline: float,
        leave: Callable[[Remains], None] | None,
        *,
        only: int | None = None,
    ) -> C:
        clock = asyncio.get_running_loop().time
        order = self._order
        numbers = order.order(random.shuffle) if only is None else [only]
        queue = [each for each in numbers if self._remains[each] < MOST_REMAINS]
        complaints = {each: "busy with connects that were given up" for each in numbers if each not in queue}
        reasons: dict[int, BaseException] = {}
        pending: dict[asyncio.Task[C], int] = {}
        chosen: C | None = None
        try:
            while queue or pending:
                if queue:
                    number = queue.pop(0)
                    attempt = self._attempt(connect, number, target, deadline, leave)
                    pending[asyncio.get_running_loop().create_task(attempt)] = number
                wait_s = NEXT_AFTER_S if queue else AGAIN_AFTER_S if complaints else deadline - clock()
                wait_s = max(0.0, min(wait_s, deadline - clock()))
                done, _ = await asyncio.wait(pending, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    number = pending[task]
                    if (error := task.exception()) is None:
                        del pending[task]
                        if only is None:  # else what goes on there is no reason to prefer it
                            order.answered(number)
                        chosen = task.result()
                        self._numbers[getattr(chosen, "_addr", None)] = number
                        return chosen
                    if not _concerns_this_server_only(error, is_one_of_several=len(self.hosts) > 1):
                        raise error
                    del pending[task]
                    without_frames(error)
                    reasons[number], complaints[number] = error, self._note(number, error)
                if not done:
                    for number in pending.values():
                        order.silent(number)
                if clock() >= deadline:
                    break
                if not done and not queue:
                    asked = pending.values()
                    queue = [each for each in complaints if each not in asked and self._remains[each] < MOST_REMAINS]
            complaints = {**dict.fromkeys(pending.values(), "no answer"), **complaints}
            raise NoServerSuits(
                "; ".join(self._complaint(each, complaints[each]) for each in sorted(complaints)),
                [reasons.get(each) or TimeoutError() for each in sorted(complaints)],
            )
        finally:
            await _give_up(pending, chosen)

    async def _attempt(
        self,
        connect: Callable[..., Awaitable[C]],
        number: int,
        target: Target,
        deadline: float,
        leave: Callable[[Remains], None] | None,
    ) -> C:
        host = self.hosts[number]
        where = {} if host is None else {"host": host.name, "port": host.port}
        timeout = max(0.001, deadline - asyncio.get_running_loop().time())

        async def suited(loop: asyncio.AbstractEventLoop) -> C:
            connection = await connect(**where, loop=loop, timeout=timeout)
            try:
                if target is not Target.ANY and (why := await unsuited(connection, target)):
                    raise Unsuited(why)
            except BaseException:
                connection.terminate()
                raise
            return connection

        if leave is None or len(self.hosts) > 1:
            return await dial(suited, lambda remains: self._see_off(number, remains))
        return await dial(suited, leave)

    def _note(self, number: int, error: BaseException) -> str:
        """Remember that a server failed; return why, in words."""
        if isinstance(error, TimeoutError):
            self._order.silent(number)
            return "no answer"
        self._order.refused(number)
        return str(error) if isinstance(error, Unsuited) else one_line(error)

    def _complaint(self, number: int, text: str) -> str:
        host = self.hosts[number]
        return text if host is None else f"{host}: {text}"

    def _see_off(self, number: int, remains: Remains) -> None:
        self._remains[number] += 1
        seeing = self._cleanups.start(remains.wait_gone(self._patience_s))
        seeing.add_done_callback(lambda _: self._remains.subtract([number]))

    def demoted(self, address: object) -> None:
        """Ask others first: the server at *address*, which has answered, is not of the kind that is wanted."""
        if (number := self._numbers.get(address)) is not None:
            self._order.refused(number)

    def stop(self) -> None:
        """Wait no more for what was given up."""
        self._cleanups.cancel_all()


async def unsuited(connection: PlainConnection[Any], target: Target) -> str | None:
    """Why a server will not do, in words; None if it will. A round trip before PostgreSQL 14 or behind poolers."""
    known = role_of(connection)
    if known is None:
        row = await PlainConnection.fetchrow(connection, _ROLE)  # not a pooled one's, which has no holder yet
        assert row is not None
        known = row[0], row[1]
    return target.unsuited(in_recovery=known[0], reads_only=known[1])


def _concerns_this_server_only(error: BaseException, *, is_one_of_several: bool) -> bool:
    """Whether another server may have another answer; so with what is wrong with the network, too."""
    if isinstance(error, InsecureConnection):  # the only server's is told as itself
        return is_one_of_several
    state = sqlstate(error)
    return isinstance(error, OSError) if state is None else verdict(state) in (Verdict.LOST, Verdict.FULL)


async def _give_up(pending: dict[asyncio.Task[C], int], chosen: C | None) -> None:
    """End the attempts that are left; *chosen*, too, if whoever wants it is cancelled meanwhile."""
    if not pending:
        return
    try:
        await finish(_end(list(pending)))
    except BaseException:
        if chosen is not None:
            chosen.terminate()
        raise


async def _end(attempts: list[asyncio.Task[C]]) -> None:
    for attempt in attempts:
        attempt.cancel()
    await asyncio.wait(attempts)
    for attempt in attempts:
        if not attempt.cancelled() and attempt.exception() is None:
            attempt.result().terminate()  # it came in the same instant
