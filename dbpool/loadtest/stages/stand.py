"""What every stage stands on: a server, a load to vary, and the run that keeps what is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dbpool.loadtest.document import Run
from dbpool.loadtest.events import Events
from dbpool.loadtest.load import DriverName, Load, Target, Workload
from dbpool.loadtest.measuring import Measuring
from dbpool.loadtest.point import Point
from dbpool.loadtest.pointjson import point_json, second_json, timeline_json
from dbpool.loadtest.recording.tally import Tally
from dbpool.loadtest.samplejson import sample_json
from dbpool.loadtest.server.connecting import Session, application_name, ours_of
from dbpool.loadtest.server.console import Console
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.sampler import Sample, Sampler
from dbpool.loadtest.server.watch import Watch


@dataclass(frozen=True, slots=True)
class Measured:
    """A point, as it was measured and as it stands in the document."""

    point: Point
    json: dict[str, Any]


class Stand:
    """Measures for the stages, one point after the other.

    Args:
        lifeline: the connection that was there first; nobody else uses it while a point is measured.
        load: what points have in common: times, time-out, latency limit.
        watch: what is looked at besides the server, and how often; *console* is PgBouncer's, None where there is none.
    """

    def __init__(
        self,
        *,
        dsn: str,
        lifeline: Session,
        limits: Limits,
        driver: DriverName,
        load: Load,
        workers: int,
        run: Run,
        events: Events,
        watch: Watch | None = None,
        console: Console | None = None,
    ) -> None:
        self.dsn, self.lifeline, self.limits = dsn, lifeline, limits
        self.driver, self.load, self.run, self.events = driver, load, run, events
        self.workers = workers
        self.is_stopped = False
        self.measured: list[Measured] = []
        self.on_second: Callable[[Load, Tally], None] = lambda _load, _tally: None
        """Told of each second of a window."""
        self._sampler = Sampler(
            lifeline,
            is_local=limits.is_local,
            ours=ours_of(lifeline, is_pooled=limits.is_pooled),
            watch=watch,
            console=console,
            warn=run.warn,
        )
        self._measuring = self._with_workers(workers)

    @property
    def workload(self) -> Workload:
        return self.run.workload

    @property
    def run_id(self) -> str:
        return self.run.run_id

    def stop(self) -> None:
        """End what is measured now, and measure nothing more."""
        self.is_stopped = True
        self._measuring.stop()

    def target(self, connections: int, *, driver: DriverName | None = None, gate: int | None = None) -> Target:
        """The server, by a pool of so many connections."""
        name = application_name(self.run_id, "load")
        return Target(self.dsn, driver or self.driver, connections, gate, name)

    async def use_workers(self, workers: int) -> None:
        """Go on with so many processes; the generator's ceiling is measured anew."""
        self.workers = workers
        self._measuring = self._with_workers(self.workers)
        await self.calibrate()

    async def calibrate(self) -> float | None:
        """What the generator does a second without a server. Raises: WorkerFailed."""
        ceiling = await self._measuring.calibrate()
        self.run.calibration["noop_tps"] = ceiling
        return ceiling

    async def measure(
        self,
        stage: str,
        target: Target,
        load: Load,
        *,
        why: str | None = None,
        repeat: int = 0,
        workers: int | None = None,
    ) -> Measured:
        """Measure a point of *stage*, and keep it; after ``stop`` it has what there was until then.

        Args:
            workers: processes for this point, of which no ceiling is known; None: as many as for others.
        Raises: WorkerFailed.
        Cancelling: ends the workers, with their connections; nothing is kept.
        """
        self._tell_load(stage, target, load)
        usual = self._measuring
        if workers is not None:
            self._measuring = self._with_workers(workers)
        try:
            point = await self._measuring.measure(target, load, partial(self._tick, stage, load))
        finally:
            self._measuring = usual
            if self.is_stopped:
                usual.stop()
        entry = self._keep(point, stage=stage, why=why, repeat=repeat, workers=workers or self.workers)
        self.measured.append(Measured(point, entry))
        return self.measured[-1]

    def look_every(self, interval_s: float) -> None:
        """Look at the server so often from now on: each look is kept."""
        self._sampler.look_every(interval_s)

    def begin(self, stage: str, text: str, *, points: int | None = None, seconds: float | None = None) -> None:
        """A stage begins, that will measure so many points in so many seconds; None: that is found on the way."""
        self.events.tell("stage", stage=stage, text=text, points=points, seconds=seconds)
        self.note("stage", stage, text)

    def note(self, kind: str, stage: str, text: str) -> None:
        """Keep an event: connections were refused (kind ``refused``), sessions killed, ..."""
        event = self.events.tell("event", kind=kind, stage=stage, text=text)
        self.run.events.append({name: value for name, value in event.items() if name != "type"})

    def _with_workers(self, workers: int) -> Measuring:
        measuring = Measuring(
            self.workload,
            workers,
            sampler=self._sampler,
            on_sample=self._looked,
            is_local=self.limits.is_local,
        )
        if self.is_stopped:
            measuring.stop()
        return measuring

    def _tell_load(self, stage: str, target: Target, load: Load) -> None:
        self.events.tell(
            "load",
            stage=stage,
            driver=target.driver.value,
            pool_size=target.connections,
            clients=None if load.is_open else load.clients,
            offered_rate=load.mean_rate,
            arrival=load.arrival.value if load.is_open else None,
            warmup_s=load.warmup_s,
            time_s=load.time_s,
        )

    def _tick(self, stage: str, load: Load, second: int, tally: Tally) -> None:
        is_warmup = second < load.warmup_s
        if not is_warmup and second < load.warmup_s + load.time_s:
            self.on_second(load, tally)
        self.events.tell("tick", stage=stage, second=second, is_warmup=is_warmup, **second_json(tally.second()))

    def _looked(self, sample: Sample) -> None:
        line = {"t": self.events.seconds_at(sample.at_ns), "point": len(self.run.points), **sample_json(sample)}
        self.run.samples.append(line)
        self.events.tell("sample", **line)

    def _keep(self, point: Point, *, stage: str, why: str | None, repeat: int, workers: int) -> dict[str, Any]:
        number, began_s = len(self.run.points), self.events.seconds_at(point.anchor_ns)
        entry = point_json(point, number=number, stage=stage, seed=self.workload.seed)
        entry |= {"why": why, "repeat": repeat, "started_s": began_s, "most_workers": workers}
        self.run.points.append(entry)
        self.run.timeline += [{"point": number, **line} for line in timeline_json(point)]
        self.events.tell("point", **entry)
        return entry
