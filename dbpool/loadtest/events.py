"""What goes on during a run, told line by line: the same lines to the terminal, a file and a browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dbpool.loadtest.drivers.protocol import now_ns

Event: TypeAlias = Mapping[str, Any]
"""``{"t": seconds since the run began, "type": ..., ...}``; unknown values are None."""
Listener: TypeAlias = Callable[[Event], None]
"""Takes an event at once, and raises nothing: a run does not wait for who looks at it."""


class Events:
    """Tells each listener of each event, in the order of listening."""

    def __init__(self) -> None:
        self.began_ns = now_ns()
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def seconds_at(self, at_ns: int) -> float:
        """Seconds from the begin of the run to *at_ns*, in monotonic ns."""
        return round((at_ns - self.began_ns) / 1e9, 3)

    def tell(self, type_: str, **fields: Any) -> Event:  # noqa: ANN401 - as each type has them
        """Something happened now."""
        event = {"t": self.seconds_at(now_ns()), "type": type_, **fields}
        for listener in self._listeners:
            listener(event)
        return event
