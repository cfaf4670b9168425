"""The screen of a terminal that a run has to itself while it goes on."""

from __future__ import annotations

import time
from threading import Lock
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from dbpool.loadtest.events import Event
from dbpool.loadtest.report.strokes import can_draw
from dbpool.tool.loadtest.live.drawing import draw
from dbpool.tool.loadtest.live.seen import Seen

PER_SECOND: Final = 4  # so that a terminal that changes its size is soon drawn anew


class LiveScreen:
    """Used as ``with``, on stderr: what it shows goes with it, and what was on the terminal before is back.

    stdout is left alone. It draws in a thread of its own, so that time goes on while nothing happens.
    """

    def __init__(self, console: Console, address: str | None = None) -> None:
        self._console, self._address = console, address
        self._seen = Seen()
        self._lock = Lock()
        self._zero_s = time.monotonic()
        self._live = Live(
            console=console,
            screen=True,
            refresh_per_second=PER_SECOND,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
            get_renderable=self._draw,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.stop()

    def take(self, event: Event) -> None:
        """A listener of events."""
        with self._lock:
            # a look at the server may be told of later than it was taken
            self._zero_s = min(self._zero_s, time.monotonic() - event["t"])
            self._seen.take(event)

    def _draw(self) -> Text:
        width, height = self._console.size
        with self._lock:
            return draw(
                self._seen,
                width=width,
                height=height,
                now_s=time.monotonic() - self._zero_s,
                address=self._address,
                plain=not can_draw(self._console.encoding),
            )
