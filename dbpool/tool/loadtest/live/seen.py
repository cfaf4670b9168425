"""What was told of a run so far, as far as a screen has room for it."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final

from dbpool.loadtest.events import Event
from dbpool.loadtest.report.view.reading import Json, at
from dbpool.loadtest.sameload import by_load, name_of

LATELY_S: Final = 60
NOTES: Final = 3
LOST: Final = ("late", "skipped", "dropped", "timeouts")


@dataclass(frozen=True, slots=True)
class Line:
    """One load of the stage that is shown: the mean of its repeats, p99 of the last."""

    name: str
    tps: float
    response_p99_ms: float | None
    repeats: int
    is_bound: bool
    is_closed: bool
    size: int | None


class Seen:
    """Takes events; holds what is to be seen now."""

    def __init__(self) -> None:
        self.t = 0.0
        self.meta: Event | None = None
        self.stage: Event | None = None
        self.load: Event | None = None
        self.tick: Event | None = None
        self.sample: Event | None = None
        self.verdict: Event | None = None
        self.tps: deque[float | None] = deque(maxlen=LATELY_S)
        self.p99_ms: deque[float | None] = deque(maxlen=LATELY_S)
        self.notes: deque[Event] = deque(maxlen=NOTES)
        self.lost: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.unclassified = 0
        """Errors of the point under way, whose classes are told at its end."""
        self.points_in_stage = 0
        self._points: list[Json] = []
        self.lines: list[Line] = []

    def take(self, event: Event) -> None:
        """Note *event*."""
        self.t = max(self.t, event["t"])
        match event["type"]:
            case "meta" | "summary":
                self.meta = event
            case "stage":
                self.stage, self.load, self.tick, self.points_in_stage = event, None, None, 0
            case "load":
                self.load, self.tick, self.unclassified = event, None, 0
            case "tick":
                self._take_tick(event)
            case "sample":
                self.sample = event
            case "point":
                self._take_point(event)
            case "event" if event["kind"] != "stage":  # of which a line of its own tells
                self.notes.append(event)
            case "verdict":
                self.verdict = event

    @property
    def stage_name(self) -> str:
        """Of the stage under way; a benchmark announces none."""
        return str((self.stage or self.load or {}).get("stage") or "")

    @property
    def point_share(self) -> float:
        """How much of the point under way is over, warm-up included: 0 to 1."""
        if self.load is None:
            return 0.0
        whole = self.load["warmup_s"] + self.load["time_s"]
        return 0.0 if self.tick is None or not whole else min(1.0, (self.tick["second"] + 1) / whole)

    def stage_share(self, now_s: float) -> float | None:
        """How much of the stage is over at *now_s*, by points or else by time; None: nobody planned it."""
        if self.stage is None:
            return None
        if points := self.stage["points"]:
            return min(1.0, float((self.points_in_stage + self.point_share) / points))
        if seconds := self.stage["seconds"]:
            return min(1.0, float(max(0.0, now_s - self.stage["t"]) / seconds))
        return None

    def left_s(self, now_s: float) -> float | None:
        """About how long the stage goes on; None: nobody knows."""
        if self.stage is None:
            return None
        if seconds := self.stage["seconds"]:
            return max(0.0, float(self.stage["t"] + seconds - now_s))
        if (points := self.stage["points"]) and self.load is not None:
            each_s = self.load["warmup_s"] + self.load["time_s"]
            return max(0.0, float((points - self.points_in_stage - self.point_share) * each_s))
        return None

    def _take_tick(self, tick: Event) -> None:
        self.tick = tick
        self.tps.append(tick["completed"])
        self.p99_ms.append(tick["response_p99_ms"])
        self.unclassified += tick["errors"]
        for name in LOST:
            self.lost[name] += tick[name]

    def _take_point(self, point: Event) -> None:
        self.points_in_stage += 1
        self.load, self.unclassified = None, 0
        self.errors.update(point["counts"]["errors"])
        if self._points and self._points[0]["stage"] != point["stage"]:
            self._points = []
        self._points.append(point)
        self.lines = [line for each in by_load(self._points).values() if (line := _line(each)) is not None]


def _line(repeats: list[Json]) -> Line | None:
    known = [point["tps"]["mean"] for point in repeats if point["tps"] is not None]
    if not known:
        return None
    last = repeats[-1]
    return Line(
        name=name_of(last),
        tps=sum(known) / len(known),
        response_p99_ms=at(last, "response_ms", "p99"),
        repeats=len(repeats),
        is_bound=any(point["generator"]["bound"] for point in repeats),
        is_closed=last["clients"] is not None,
        size=last["pool_size"],
    )
