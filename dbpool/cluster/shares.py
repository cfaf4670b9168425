"""Who stores which unit: each worker with a share has two, what a lost one had goes to another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from dbpool import __version__
from dbpool.bulk.jobs.storing import Chunk, Stored
from dbpool.cluster.engine import CLOSE_S, Engine, TaskGone
from dbpool.cluster.unit import Unit
from dbpool.cluster.worker import Grant, close_older, close_share, open_share, store_unit
from dbpool.core.shares import Division
from dbpool.errors import JobError
from dbpool.faults import one_line

AT_A_WORKER = 2  # units: one that is stored, one that waits there
LOOK_S = 0.5  # between two looks at who is there
PATIENCE_S = 60.0  # without a worker, or without the scheduler
MOST_LOST = 3  # workers that a unit may be with when they are lost: it may be what ends them

LeftOver = Callable[[set[str]], Awaitable[int]]
"""How many sessions of this job are on the server whose application_name is none of these."""


class _Lost(Exception):
    """The worker is gone, or is another process now."""


class _Share:
    """What one worker was given; lost for good when the worker is."""

    def __init__(self, engine: Engine, address: str, worker: str, name: str) -> None:
        self.address, self.worker, self.name = address, worker, name
        self._engine = engine
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_lost(self) -> bool:
        return self._lost.done()

    def lose(self) -> None:
        if not self._lost.done():
            self._lost.set_result(None)

    async def store(self, key: str, unit: Unit) -> Stored:
        """Have *unit* stored.

        Raises: _Lost; TaskGone; what storing it raises.
        """
        storing = asyncio.ensure_future(self._engine.result_of(self.address, key, store_unit, self.name, unit))
        try:
            awaited: list[asyncio.Future[Any]] = [storing, self._lost]
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            stored = storing.result() if storing.done() else None
            if stored is None:
                self.lose()
                raise _Lost
            return stored
        finally:
            storing.cancel()

    async def close(self) -> None:
        with suppress(Exception):  # it is gone, and its connections are
            await self._engine.call(self.address, close_share, self.name, timeout=CLOSE_S)


class Shares:
    """Gives shares to the workers that are there, and units to those that have one.

    Args:
        grant: what the share of this number is.
    """

    def __init__(
        self,
        engine: Engine,
        division: Division,
        grant: Callable[[int], Grant],
        left_over: LeftOver,
        chunks: int,
        *,
        is_secret: bool,
    ) -> None:
        self.at_once = division.shares * AT_A_WORKER
        self.in_a_row = chunks
        self._engine = engine
        self._division = division
        self._grant = grant
        self._left_over = left_over
        self._is_secret = is_secret  # a password is in every grant
        self._given: list[_Share] = []
        self._known: dict[str, str] = {}  # workers that were there at the last look
        self._count = 0  # of those that were ever given
        self._may_have_left = True  # sessions of an earlier run, or of a lost worker
        self._why = "there is none"  # nobody has a share
        self._slots: asyncio.Queue[_Share | None] = asyncio.Queue()  # None: there will be no more
        self._failure: Exception | None = None
        self._looking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._looking = asyncio.create_task(self._look_on())

    async def store(self, unit: Sequence[Chunk]) -> Stored:
        """Store *unit* by a worker that has room.

        Raises: what storing it raises; JobError.
        Cancelling: the worker may store it all the same, until its share is closed.
        """
        sent = Unit.of(unit)
        lost, times = 0, count()
        while lost < MOST_LOST:
            share = await self._free()
            try:
                return await share.store(f"{share.name}-{sent.first}-{next(times)}".replace(" ", "-"), sent)
            except _Lost:
                lost += 1
            except TaskGone:  # nobody knows whether its worker is: who asks it the next time finds out
                await asyncio.sleep(LOOK_S)
            finally:
                if not share.is_lost:
                    self._slots.put_nowait(share)
        raise JobError(
            f"{MOST_LOST} workers were lost while they had chunks {unit[0].number} to {unit[-1].number}: "
            f"those may be what ended them, as by taking all their memory"
        )

    async def _free(self) -> _Share:
        while True:
            share = await self._slots.get()
            if share is None:
                self._slots.put_nowait(None)  # for the next one who asks
                assert self._failure is not None
                raise self._failure
            if not share.is_lost:
                return share

    async def _look_on(self) -> None:
        clock = asyncio.get_running_loop().time
        well_at = clock()
        try:
            while True:
                try:
                    await self._look()
                    if self._given:
                        well_at = clock()
                except (OSError, TimeoutError) as error:
                    self._why = f"the scheduler does not answer: {str(error) or type(error).__name__}"
                if clock() - well_at > PATIENCE_S:
                    raise JobError(f"no worker at {self._engine.address} for {PATIENCE_S:.0f} s: {self._why}")
                await asyncio.sleep(LOOK_S)
        except Exception as error:
            self._failure = error
            self._slots.put_nowait(None)
            for share in self._given:
                share.lose()  # whoever waits for it asks for another, and is told

    async def _look(self) -> None:
        """See who is there; give shares to newcomers where some are left."""
        present = await self._engine.workers()
        for share in [each for each in self._given if each.is_lost or present.get(each.address) != each.worker]:
            share.lose()
            self._given.remove(share)
            self._may_have_left = True
        await asyncio.gather(*(self._tidy(new) for new in present if present[new] != self._known.get(new)))
        self._known, self._why = present, "there is none"
        busy = {share.address for share in self._given}
        idle = [address for address in present if address not in busy]
        room = await self._room() if idle else 0
        await asyncio.gather(*(self._give(address, present[address]) for address in idle[:room]))

    async def _tidy(self, address: str) -> None:
        """Have a worker close what a run of this job has left there that was killed."""
        grant = self._grant(0)
        with suppress(Exception):  # whoever gives it a share meets the same, and says so
            await self._engine.call(address, close_older, grant.job, grant.run, timeout=CLOSE_S)

    async def _room(self) -> int:
        """Shares that may be given now."""
        left_over = 0
        if self._may_have_left:
            left_over = await self._left_over({share.name for share in self._given})
            self._may_have_left = left_over > 0
        room = 0
        while self._division.has_room(len(self._given) + room, left_over):
            room += 1
        if left_over:
            self._why = f"{left_over} sessions of lost workers, or of an earlier run, are there still"
        return room

    async def _give(self, address: str, worker: str) -> None:
        if self._is_secret and not self._engine.is_private(address):
            raise JobError(f"the worker at {address} would be sent a password for everybody on the network to read")
        self._count += 1
        grant = self._grant(self._count)
        try:
            version = await self._engine.call(address, open_share, grant)
        except (OSError, TimeoutError) as error:
            self._why = f"the worker at {address} does not answer: {str(error) or type(error).__name__}"
            return  # it is gone, or the next look finds it again
        except Exception as error:
            raise JobError(
                f"the worker at {address} cannot take part, which needs dbpool {__version__} there: {one_line(error)}"
            ) from error
        if version != __version__:
            raise JobError(f"the worker at {address} has dbpool {version}, and this process {__version__}")
        share = _Share(self._engine, address, worker, grant.name)
        self._given.append(share)
        for _ in range(AT_A_WORKER):
            self._slots.put_nowait(share)

    async def end(self) -> None:
        """Have every worker close its connections."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        with suppress(Exception):  # some of them may be gone since the last look
            present = await self._engine.workers()
            self._given = [each for each in self._given if present.get(each.address) == each.worker]
        await asyncio.gather(*(share.close() for share in self._given))
