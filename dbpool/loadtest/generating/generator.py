"""Begins transactions until the window ends, then lets those under way end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from random import Random
from typing import Final

from dbpool.core.arrivals import due_times
from dbpool.core.stages import reached_at
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.generating.transactor import Transactor
from dbpool.loadtest.load import Load
from dbpool.loadtest.recording.window import SECOND_NS, Window
from dbpool.loadtest.scripts.client import Client

# A client whose transaction failed waits so long before its next: a server that refuses all gets no busy loop.
AFTER_FAILURE_S: Final = 0.01
CLEANUP_S: Final = 5.0  # for what is cancelled at the end


class Generator:
    """A load's transactions, those of *clients* after each other or, in an open load, when they are due.

    Args:
        number: of the worker, of so many *workers*: they take turns, in a constant schedule and as clients join.
    """

    def __init__(
        self,
        transactor: Transactor,
        load: Load,
        window: Window,
        clients: Sequence[Client],
        *,
        random: Random,
        number: int = 0,
        workers: int = 1,
    ) -> None:
        self._transactor, self._load, self._window = transactor, load, window
        self._clients = list(clients)
        self._random, self._number, self._workers = random, number, workers
        self._stages = load.whole_clients
        self._under_way: set[asyncio.Task[None]] = set()
        self._beginner: asyncio.Task[None] | None = None
        self.is_stopped = False

    async def run(self) -> None:
        """Return when every transaction has ended; each does so in its time-out at the latest.

        Cancelling: stops those under way.
        """
        self._beginner = asyncio.create_task(self._arrive() if self._load.is_open else self._go_round())
        try:
            await asyncio.wait([self._beginner])
            if not self._beginner.cancelled():
                self._beginner.result()
            # what cannot go well ends at once, with the clients that are away
            if self._under_way and not self.is_stopped and self._transactor.fatal is None:
                await asyncio.wait(self._under_way, timeout=self._load.timeout_s + CLEANUP_S)
        finally:
            self._beginner.cancel()
            for task in self._under_way:
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=CLEANUP_S)

    def stop(self) -> None:
        """Begin nothing more, and cancel what is under way."""
        self.is_stopped = True
        if self._beginner is not None:
            self._beginner.cancel()
        for task in self._under_way:
            task.cancel()

    def _begin(self, task: asyncio.Task[None]) -> None:
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    @property
    def _is_over(self) -> bool:
        return self.is_stopped or self._transactor.fatal is not None or now_ns() >= self._window.ends_ns

    # Closed: each client has one transaction after the other

    async def _go_round(self) -> None:
        while (ahead_ns := self._window.anchor_ns - now_ns()) > 0:  # a timer may be early by a rounding error  # noqa: ASYNC110
            await asyncio.sleep(ahead_ns / SECOND_NS)
        for place, client in enumerate(self._clients):
            self._begin(asyncio.create_task(self._repeat(client, place * self._workers + self._number)))
        # until the window ends they begin transactions themselves; what is left then is the drain
        while self._under_way and not self._is_over:
            remaining_s = (self._window.ends_ns - now_ns()) / SECOND_NS
            await asyncio.wait(self._under_way, timeout=max(0.0, remaining_s), return_when=asyncio.FIRST_COMPLETED)

    async def _repeat(self, client: Client, rank: int) -> None:
        while not self._is_over:
            if self._stages and (away_ns := self._away(rank)) > 0:
                if now_ns() + away_ns >= self._window.ends_ns:
                    return
                await asyncio.sleep(away_ns / SECOND_NS)
            elif not await self._transactor.run(client):
                await asyncio.sleep(AFTER_FAILURE_S)

    def _away(self, rank: int) -> float:
        """In how many ns there are so many clients that the one of *rank*, from 0, is among them."""
        t = (now_ns() - self._window.anchor_ns) / SECOND_NS
        at = reached_at(self._stages, rank + 0.5, t)
        return inf if at is None else (at - t) * SECOND_NS

    # Open: due times are fixed before the start

    async def _arrive(self) -> None:
        anchor_ns = self._window.anchor_ns
        now = now_ns()
        for block in due_times(self._load.whole, self._load.arrival, self._random, offset=self._number / self._workers):
            for due_s in block:
                due = anchor_ns + int(due_s * SECOND_NS)
                while due > now:  # all that were due when it woke have begun
                    if self._transactor.fatal is not None:
                        return
                    # at least once through the event loop, also when the next is due by now
                    await asyncio.sleep(max(0.0, (due - now_ns()) / SECOND_NS))
                    now = now_ns()
                self._launch(due)

    def _launch(self, due: int) -> None:
        if not self._clients:
            self._transactor.drop(due)
            return
        client = self._clients.pop()
        task = asyncio.create_task(self._once(client, due))
        self._begin(task)

    async def _once(self, client: Client, due: int) -> None:
        try:
            await self._transactor.run(client, due)
        finally:
            self._clients.append(client)
