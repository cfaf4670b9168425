"""How a load goes, a line each second on stderr."""

from __future__ import annotations

import sys
from typing import Any

from dbpool.loadtest.events import Event

_TOLD = ("late", "skipped", "dropped", "timeouts", "errors")


class Progress:
    """Says every *every_s* seconds what was done in the last one; 0: nothing is said at all."""

    def __init__(self, every_s: int) -> None:
        self._every_s = every_s
        self._ends_s = 0.0

    def say(self, sentence: str) -> None:
        if self._every_s:
            sys.stderr.write(f"{sentence}\n")
            sys.stderr.flush()

    def take(self, event: Event) -> None:
        """A listener of events."""
        match event["type"]:
            case "meta":
                target = event["target"]
                self.say(f"PostgreSQL {target['version']}{', embedded' if target['embedded'] else ''}; calibrating")
            case "load":
                self._ends_s = event["warmup_s"] + event["time_s"]
                self.say(_load(event))
            case "tick":
                self._tick(event)
            case "event":
                self.say(f"{event['stage']}: {event['text']}")

    def _tick(self, tick: Event) -> None:
        """A second is over; one of the drain in which nothing ended is not worth a line."""
        second, happened = tick["second"], tick["completed"] or any(tick[name] for name in _TOLD)
        if self._every_s and (second + 1) % self._every_s == 0 and (second < self._ends_s or happened):
            self.say(_line(tick))


def _load(event: Event) -> str:
    if event["clients"] is None:
        what = f"{event['offered_rate']:,.0f} arrivals/s ({event['arrival']})"
    else:
        what = f"{event['clients']:,} client{'' if event['clients'] == 1 else 's'}"
    return f"{event['driver']}: {what}, {event['warmup_s']:g} s warm-up, {event['time_s']:g} s"


def _line(tick: Event) -> str:
    words = [f"{tick['second'] + 1:4} s", f"{tick['completed']:9,.0f} tps"]
    words += [f"{name} {_ms(tick[f'response_{name}_ms'])}" for name in ("p50", "p99")]
    if tick["response_max_ms"] is not None:
        words.append(f"max {_ms(tick['response_max_ms'])}")
    elif tick["is_warmup"]:
        words.append("warm-up")
    words += [f"{tick[name]:,} {name}" for name in _TOLD if tick[name]]
    return "  ".join(words)


def _ms(value: Any) -> str:  # noqa: ANN401 - as JSON has it
    return "       -   " if value is None else f"{value:8.2f} ms"
