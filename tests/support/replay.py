"""A run that happens again: what a document has, told step by step, in the document's own time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dbpool.loadtest.document import BULK, summary_of

Json = dict[str, Any]
SECTIONS = ("usl", "knee", "recommendation", "budget", "overload", "storm", "soak", "fleet", "statements")


class Replay:
    """Tells who listens what *document* has; ``so_far`` is the document by then."""

    def __init__(self, document: Json) -> None:
        self.document = document
        self._listeners: list[Callable[[Mapping[str, Any]], None]] = []
        self._done = 0
        self._is_over = False

    def listen(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        self._listeners.append(listener)

    def so_far(self) -> Json:
        points = self.document["points"][: self._done]
        if self._is_over:
            return {**self.document, "points": points, "timeline": list(self._lines()), "samples": self._samples()}
        hidden = dict.fromkeys(SECTIONS) | {"warnings": [], "thresholds": []}
        run = self.document["run"] | {"status": "running", "ended": None}
        lines, samples = list(self._lines()), self._samples()
        return {**self.document, **hidden, "run": run, "points": points, "timeline": lines, "samples": samples}

    def _lines(self) -> Iterator[Json]:
        return (line for line in self.document["timeline"] if line["point"] < self._done)

    def _samples(self) -> list[Json]:
        return [each for each in self.document["samples"] if each["point"] is None or each["point"] < self._done]

    def tell(self, kind: str, at: float, **fields: Any) -> None:  # noqa: ANN401 - as each kind has them
        for listener in self._listeners:
            listener({**fields, "t": at, "type": kind})

    def begin(self) -> None:
        self.tell("meta", 0.0, **{name: value for name, value in self.so_far().items() if name not in BULK})

    def load(self) -> Json:
        """The next point begins."""
        point: Json = self.document["points"][self._done]
        named = {name: point[name] for name in ("stage", "pool_size", "clients", "offered_rate", "warmup_s")}
        self.tell("load", point["started_s"], time_s=point["window_s"], **named)
        return point

    def seconds(self, count: int) -> None:
        """The first seconds of the point that has begun."""
        point = self.document["points"][self._done]
        for line in [line for line in self.document["timeline"] if line["point"] == point["id"]][:count]:
            fields = {name: value for name, value in line.items() if name not in {"t", "point"}}
            at, is_warmup = point["started_s"] + line["t"] + 1, line["t"] < point["warmup_s"]
            self.tell("tick", at, stage=point["stage"], second=line["t"], is_warmup=is_warmup, **fields)

    def point(self) -> None:
        """It has been measured."""
        point = self.document["points"][self._done]
        self._done += 1
        end = point["started_s"] + point["warmup_s"] + point["window_s"]
        for sample in self.document["samples"]:
            if sample["point"] == point["id"]:
                self.tell("sample", end, **sample)
        self.tell("point", end, **point)

    def measure(self, points: int) -> None:
        for _ in range(points):
            self.load()
            self.seconds(3)
            self.point()

    def end(self) -> None:
        self._is_over = True
        self.tell("summary", 500.0, **summary_of(self.so_far()))
