"""Measures a point: workers load, the server is looked at meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from dbpool.loadtest.load import DriverName, Load, Target, Workload, shares_of
from dbpool.loadtest.pgbench.running import PgbenchLoad
from dbpool.loadtest.point import Point
from dbpool.loadtest.server.sampler import Sample, Sampler
from dbpool.loadtest.workers.fleet import Fleet, OnTick

CALIBRATION: Final = Load(clients=16, warmup_s=0.2, time_s=1.0)


class Measuring:
    """Measures points one after the other; ``stop`` ends the one under way, which has what there was until then.

    Args:
        sampler: looks at the server meanwhile; None: nobody does.
        on_sample: gets each look at once, also those before the window of a point begins.
        is_local: the server is on this machine.
    """

    def __init__(
        self,
        workload: Workload,
        workers: int,
        *,
        sampler: Sampler | None,
        on_sample: Callable[[Sample], None] = lambda _: None,
        is_local: bool = False,
    ) -> None:
        self._workload, self._workers, self._is_local = workload, workers, is_local
        self._sampler, self._on_sample = sampler, on_sample
        self._fleet: Fleet | PgbenchLoad | None = None
        self.is_stopped = False
        self.ceiling_tps: float | None = None

    def stop(self) -> None:
        """End what is measured now, and measure nothing more."""
        self.is_stopped = True
        if self._fleet is not None:
            self._fleet.stop()

    async def calibrate(self) -> float | None:
        """What the workers do a second without a server: the generator's own ceiling, kept for the points to come."""
        nowhere = Target("", DriverName.NOOP, CALIBRATION.clients)
        point = await self._measure(nowhere, CALIBRATION, None, lambda _second, _tally: None)
        self.ceiling_tps = None if point.tps is None or self.is_stopped else point.tps.value
        return self.ceiling_tps

    async def measure(self, target: Target, load: Load, on_tick: OnTick = lambda _second, _tally: None) -> Point:
        """Load *target*; *on_tick* gets each second's tally.

        Raises:
            WorkerFailed: a worker cannot connect, or its workload makes no sense.
            SettingsError, PgbenchMissing: pgbench cannot do that, or is not there.
        Cancelling: ends the workers, with their connections.
        """
        return await self._measure(target, load, self._sampler, on_tick)

    async def _measure(self, target: Target, load: Load, sampler: Sampler | None, on_tick: OnTick) -> Point:
        async with self._generator(target, load) as fleet:
            self._fleet = fleet
            if self.is_stopped:
                fleet.stop()
            looking = None if sampler is None else asyncio.create_task(sampler.run(self._on_sample))
            try:
                brought = await fleet.run(load.warmup_s, load.time_s, on_tick)
            finally:
                self._fleet = None
                if looking is not None:
                    looking.cancel()
                    with suppress(asyncio.CancelledError):
                        await looking
        window = brought.window
        samples = [] if sampler is None else sampler.take()
        return Point(
            target=replace(target, dsn=""),
            load=load,
            workers=fleet.workers,
            total=brought.total,
            seconds=brought.seconds,
            healths=brought.healths,
            # what was looked at before the window began has nothing to do with the point
            samples=[sample for sample in samples if window.begins_ns <= sample.at_ns < window.ends_ns],
            # of the workers, which have no part in pgbench
            ceiling_tps=None if target.driver is DriverName.PGBENCH else self.ceiling_tps,
            is_complete=brought.is_complete,
            anchor_ns=window.anchor_ns,
            is_local=self._is_local,
        )

    def _generator(self, target: Target, load: Load) -> Fleet | PgbenchLoad:
        if target.driver is DriverName.PGBENCH:
            return PgbenchLoad(target, load, self._workload, self._workers)
        return Fleet(shares_of(target, load, self._workload, self._workers))
