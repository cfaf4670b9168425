"""What a run told while it went on, from its document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dbpool.loadtest.document import summary_of

Json = dict[str, Any]
LOAD = ("stage", "driver", "pool_size", "clients", "offered_rate", "arrival", "warmup_s")


def events_of(document: Mapping[str, Any]) -> Iterator[Json]:
    """Every line, in order; all that was seen of the server before the point that it belongs to is told with it."""
    running = dict(document["run"]) | {"status": "running", "ended": None}
    yield {"t": 0.0, "type": "meta", **summary_of(document), "run": running}
    stages = [event["stage"] for event in document["events"] if event["kind"] == "stage"]
    told = {event["stage"]: event for event in document["events"] if event["kind"] == "stage"}
    for stage in stages:
        event, points = told[stage], [point for point in document["points"] if point["stage"] == stage]
        yield {"t": event["t"], "type": "stage", "stage": stage, "text": event["text"]} | {
            "points": len(points) or None,
            "seconds": None,
        }
        for point in points:
            yield from _of_point(document, point)
        for note in document["events"]:
            if note["stage"] == stage and note["kind"] != "stage":
                yield {"type": "event", **note}
    last = max(event["t"] for event in document["events"])
    yield {"t": last, "type": "verdict", "knee": document["knee"], "recommendation": document["recommendation"]}
    yield {"t": last, "type": "summary", **summary_of(document)}


def _of_point(document: Mapping[str, Any], point: Json) -> Iterator[Json]:
    began = point["started_s"]
    yield {"t": began, "type": "load", **{name: point[name] for name in LOAD}, "time_s": point["window_s"]}
    for second in document["timeline"]:
        if second["point"] == point["id"]:
            number = second["t"]
            fields = {name: value for name, value in second.items() if name not in ("t", "point")}
            is_warmup = number < point["warmup_s"]
            yield {"t": began + number + 1, "type": "tick", "stage": point["stage"], "second": number} | {
                "is_warmup": is_warmup,
                **fields,
            }
    ended = began + point["warmup_s"] + point["window_s"]
    for sample in document["samples"]:
        if sample["point"] == point["id"]:
            yield {"type": "sample", **sample}
    yield {"t": ended, "type": "point", **point}
