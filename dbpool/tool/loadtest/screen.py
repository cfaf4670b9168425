"""How a run goes, on stderr: a screen at a terminal, a line each second elsewhere."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from rich.console import Console

from dbpool.loadtest.events import Event

_TOLD = ("late", "skipped", "dropped", "timeouts", "errors")


class Screen(Protocol):
    """Shows what it is told."""

    def take(self, event: Event) -> None:
        """A listener of events."""


def screen_of(every_s: int, *, is_stdout_taken: bool, address: str | None = None) -> AbstractContextManager[Screen]:
    """Where a run is shown: on a screen of its own if stderr is a terminal.

    Args:
        every_s: seconds between two lines where it is none; 0: nothing is shown at all.
        is_stdout_taken: events go to stdout. If that is a terminal too, a screen would hide them.
        address: of the live page, which the screen shows, as it hides what was said of it before.
    """
    console = Console(stderr=True)
    is_dumb = console.is_dumb_terminal or not console.is_terminal or not sys.stderr.isatty()
    if not every_s or is_dumb or (is_stdout_taken and sys.stdout.isatty()):
        return Progress(every_s)
    from dbpool.tool.loadtest.live.screen import LiveScreen

    return LiveScreen(console, address)


class Progress:
    """Says every *every_s* seconds what was done in the last one; 0: nothing is said at all."""

    def __init__(self, every_s: int) -> None:
        self._every_s = every_s
        self._ends_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def say(self, sentence: str) -> None:
        if not self._every_s:
            return
        try:
            sys.stderr.write(f"{sentence}\n")
            sys.stderr.flush()
        except OSError:  # nobody can read it, which is no reason to measure no more
            self._every_s = 0

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
