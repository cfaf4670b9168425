"""What a pool does at its busiest: what the stages start from that push it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dbpool.loadtest.point import NS_PER_MS
from dbpool.loadtest.recording.tally import Series
from dbpool.loadtest.stages.stand import Stand


@dataclass(frozen=True, slots=True)
class Peak:
    """Transactions a second with a client for each connection, and the p99 of their service; None: n too small."""

    tps: float
    service_p99_ms: float | None


async def peak(stand: Stand, size: int) -> Peak | None:
    """Load a pool of *size* with as many clients that go one after the other, for the stand's times.

    Returns: None where nothing went well, or it was stopped before.
    Raises: WorkerFailed.
    Cancelling: ends the load, with its connections.
    """
    stand.begin("calibrate", f"what a pool of {size} does at its busiest", points=1)
    done = await stand.measure("calibrate", stand.target(size), replace(stand.load, clients=size, stages=()))
    if done.point.tps is None or not done.point.tps.value or stand.is_stopped:
        return None
    p99 = done.point.durations(Series.SERVICE).quantile(0.99)
    return Peak(done.point.tps.value, None if p99 is None else p99 / NS_PER_MS)
