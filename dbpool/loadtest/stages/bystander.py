"""What somebody feels who has nothing to do with what goes on: a steady trickle of transactions beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

from dbpool.core.arrivals import Arrival
from dbpool.core.histogram import Histogram, merged
from dbpool.core.loadtest.recovery import good_from
from dbpool.core.stages import Stage
from dbpool.loadtest.load import DriverName, Load
from dbpool.loadtest.measuring import Measuring
from dbpool.loadtest.point import Point
from dbpool.loadtest.recording.tally import Outcome, Second
from dbpool.loadtest.recording.window import SECOND_NS
from dbpool.loadtest.server.connecting import application_name
from dbpool.loadtest.stages.stand import Stand

RATE: Final = 10.0  # a second: too few to be a load
BUSY: Final = 0.3  # of its connection's time, at the most: it is not to wait for itself
LONGEST_S: Final = 86_400.0
MOST_IN_FLIGHT: Final = 100
TIMES_ALONE: Final = 2.0  # the slowest alone may take by chance, within which it is undisturbed
LEAST_NS: Final = 5_000_000  # or so much longer than that: any machine is busy with something else for as long
FAILED: Final = (Outcome.ERROR, Outcome.TIMEOUT, Outcome.DROPPED)


@dataclass(frozen=True, slots=True)
class Felt:
    """What the bystander felt in a while.

    Args:
        failed: transactions that did not go well.
    """

    responses: Histogram
    failed: int

    def ratio_to(self, alone: Felt) -> tuple[float | None, str]:
        """How many times as slow it was as *alone*, and by what: ``p99``, or ``max`` where n is too small for that."""
        p99, before = self.responses.quantile(0.99), alone.responses.quantile(0.99)
        if p99 is not None and before:
            return p99 / before, "p99"
        if self.responses.max is not None and alone.responses.max:
            return self.responses.max / alone.responses.max, "max"
        return None, "max"


class Bystander:
    """Runs from the begin of a block to its end, in a process of its own; then it says what it felt when.

    Raises:
        WorkerFailed: it cannot connect, or its process ended.
    Cancelling: ends it, with its connection.
    """

    def __init__(self, stand: Stand, rate: float | None = None) -> None:
        rate = rate or rate_for(stand.run.calibration.get("r1_ms"))
        name = application_name(stand.run_id, "bystander")
        self._target = replace(stand.target(1, driver=DriverName.DBPOOL), application_name=name)
        self._load = Load(
            stages=(Stage(LONGEST_S, rate, rate),),
            arrival=Arrival.CONSTANT,
            warmup_s=0.0,
            time_s=LONGEST_S,
            timeout_s=stand.load.timeout_s,
            max_in_flight=MOST_IN_FLIGHT,
        )
        self._measuring = Measuring(stand.workload, 1, sampler=None)
        self._began = asyncio.Event()
        self._running: asyncio.Task[Point] | None = None
        self._point: Point | None = None

    async def __aenter__(self) -> Self:
        measured = self._measuring.measure(self._target, self._load, lambda _second, _tally: self._began.set())
        self._running = asyncio.create_task(measured)
        beginning = asyncio.create_task(self._began.wait())
        try:  # its first second, in which all is new to it, is not asked about
            await asyncio.wait([self._running, beginning], return_when=asyncio.FIRST_COMPLETED)
            if self._running.done():
                self._running.result()
        except BaseException:
            await self._cancel()
            raise
        finally:
            beginning.cancel()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        assert self._running is not None
        self._measuring.stop()
        try:
            await asyncio.wait([self._running])
            if kind is None:
                self._point = self._running.result()
        finally:
            await self._cancel()

    async def _cancel(self) -> None:
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait([self._running])

    def felt(self, begin_ns: int, end_ns: int) -> Felt:
        """What it felt in every second of which some lies between, in monotonic ns."""
        seconds = self._seconds(begin_ns, end_ns)
        failed = sum(second.counts[outcome] for second in seconds for outcome in FAILED)
        return Felt(merged(second.response for second in seconds), failed)

    def recovery_s(self, alone: Felt, end_ns: int, rested_ns: int) -> float | None:
        """Whole seconds from *end_ns* until it felt no more than *alone*, to stay; None: not by *rested_ns*."""
        longest = alone.responses.max
        if longest is None:
            return None
        limit_ns = max(TIMES_ALONE * longest, longest + LEAST_NS)
        back = calm_from(self._seconds(end_ns, rested_ns), limit_ns)
        return None if back is None else float(back)

    def _seconds(self, begin_ns: int, end_ns: int) -> list[Second]:
        assert self._point is not None, "it is still there"
        anchor_ns = self._point.anchor_ns
        return self._point.seconds[(begin_ns - anchor_ns) // SECOND_NS : -((anchor_ns - end_ns) // SECOND_NS)]


def rate_for(alone_ms: float | None) -> float:
    """Transactions a second, of which one takes *alone_ms*, if that is known."""
    return min(RATE, BUSY * 1000 / alone_ms) if alone_ms else RATE


def calm_from(seconds: Sequence[Second], limit_ns: float) -> int | None:
    """The first of *seconds* from which on nothing failed or took longer; None: there is none, or nothing is known.

    One in which nothing came back is not calm, but for the last, of which there may be next to nothing.
    """
    calm = [_is_calm(second, limit_ns) for second in seconds]
    return good_from([*map(bool, calm[:-1]), calm[-1]]) if any(known is not None for known in calm) else None


def _is_calm(second: Second, limit_ns: float) -> bool | None:
    if any(second.counts[outcome] for outcome in FAILED):
        return False
    return None if second.response_max is None else second.response_max <= limit_ns
