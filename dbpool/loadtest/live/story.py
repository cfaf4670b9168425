"""What a browser is to know of a run that goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from dbpool.loadtest.events import Event
from dbpool.loadtest.report.view import numbers
from dbpool.pages.data import message

Json: TypeAlias = Mapping[str, Any]

REDRAWN: Final = {"point", "verdict", "stage", "summary"}
"""After these something new is to be drawn; ticks are added to what there is."""
FIRST: Final = 3  # ticks: as of so many there is a line to add to
TICK: Final = ("stage", "completed", "response_p50_ms", "response_p99_ms", "response_max_ms", "late")
FAILURES: Final = ("errors", "timeouts", "dropped", "skipped")


class Story:
    """Takes events; tells which messages they make, and whether the page is to be drawn anew.

    *document_so_far* has whole points only: seconds of the one that is measured now are added here.
    """

    def __init__(self, document_so_far: Callable[[], dict[str, Any]]) -> None:
        self._document_so_far = document_so_far
        self._seconds: list[dict[str, Any]] = []
        self._at_s = 0.0
        self.now = "The run begins."
        self.is_changed = True

    def take(self, event: Event) -> list[bytes]:
        """What all who look are told at once."""
        self._at_s = max(self._at_s, event.get("t") or 0.0)
        kind = event.get("type")
        if kind in REDRAWN:
            self.is_changed = True
        match kind:
            case "point":
                self._seconds.clear()
            case "tick":
                second = self._second(event)
                self._seconds.append(second)
                self.is_changed = self.is_changed or len(self._seconds) == FIRST
                return [message("tick", second)]
            case "load" | "stage":
                self.now = load_in_words(event) if kind == "load" else stage_in_words(event)
                return [message("now", {"text": self.now})]
        return []

    def _second(self, event: Event) -> dict[str, Any]:
        """A line of the timeline of a point that has no number yet; a tick comes when its second is over."""
        fields = {name: event.get(name) for name in TICK} | {name: event.get(name) or 0 for name in FAILURES}
        return {"point": None, "t": max(0.0, (event.get("t") or 0.0) - 1), **fields}

    def pending(self) -> list[bytes]:
        """The seconds of the point that is measured now."""
        return [message("tick", second) for second in self._seconds]

    def document(self) -> tuple[dict[str, Any], float]:
        """All of it as of now, with the time that it knows of; from here on it counts as drawn."""
        self.is_changed = False
        document = self._document_so_far()
        return {**document, "timeline": [*(document.get("timeline") or []), *self._seconds]}, self._at_s


def load_in_words(event: Event) -> str:
    """``sweep: 16 connections, 16 clients, for 12 s``."""
    parts = []
    if event.get("pool_size") is not None:
        parts.append(f"{numbers.count(event['pool_size'])} connections")
    if event.get("clients") is not None:
        parts.append(f"{numbers.count(event['clients'])} clients")
    if event.get("offered_rate") is not None:
        parts.append(f"{numbers.rate(event['offered_rate'])} transactions a second offered")
    if event.get("time_s") is not None:
        parts.append(f"for {numbers.plain((event.get('warmup_s') or 0) + event['time_s'])} s")
    return f"{event.get('stage') or event.get('what') or 'load'}: {', '.join(parts)}" if parts else "a load begins"


def stage_in_words(event: Event) -> str:
    """``sweep: 20 points, about 240 s``."""
    parts = [event.get("text") or ""]
    if event.get("points") is not None:
        parts.append(f"{numbers.count(event['points'])} points")
    if event.get("seconds") is not None:
        parts.append(f"about {numbers.count(event['seconds'])} s")
    return f"{event.get('stage') or 'stage'}: {', '.join(part for part in parts if part)}".rstrip(": ")
