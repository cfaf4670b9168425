"""The first stage: what the generator does alone, what one connection does, how much repeats differ."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean, stdev
from typing import Final

from dbpool.loadtest.pointjson import durations_json
from dbpool.loadtest.recording.tally import Series, merged
from dbpool.loadtest.stages.stand import Measured, Stand

REPEATS: Final = 3
SHARE: Final = 0.5  # of a point's time


async def calibrate(stand: Stand) -> None:
    """Fill the document's ``calibration``; after ``stop`` as far as it came. Raises: WorkerFailed."""
    stand.begin("calibrate", "what the generator does alone, and one connection", points=REPEATS)
    await stand.calibrate()
    load = replace(stand.load, clients=1, stages=(), time_s=max(1.0, stand.load.time_s * SHARE))
    done: list[Measured] = []
    while len(done) < REPEATS and not stand.is_stopped:
        done.append(await stand.measure("calibrate", stand.target(1), load, repeat=len(done)))
    whole = [each.point for each in done if each.point.is_complete and each.point.tps is not None]
    rates = [point.tps.value for point in whole if point.tps is not None]
    if not rates or not fmean(rates):
        return
    service = durations_json(merged(point.total for point in whole).of(Series.SERVICE))
    calibration = stand.run.calibration
    calibration["x1_tps"] = fmean(rates)
    calibration["r1_ms"] = None if service is None else service["p50"]
    calibration["noise_cv"] = stdev(rates) / fmean(rates) if len(rates) > 1 else None
