"""What a listener has been sent and has not read yet, in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Notification:
    """What ``NOTIFY channel, 'payload'`` sent; ``pid`` is the sender's backend."""

    channel: str
    payload: str
    pid: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Notifications may be missing here: whoever keeps a picture of the data reads it anew.

    Args:
        dropped: how many found the buffer full; None: the connection was lost, and nobody knows.
    """

    dropped: int | None


class Mailbox:
    """At most *limit* notifications, with a Gap wherever some are missing."""

    # Always true between two calls: two gaps never stand side by side, so at most 2 * limit + 1 events are kept

    __slots__ = ("_events", "_limit", "_notifications")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._notifications = 0
        self._events: deque[Notification | Gap] = deque()

    def __len__(self) -> int:
        return len(self._events)

    def put(self, notification: Notification) -> None:
        """Keep *notification*, or count it in a Gap at the end."""
        if self._notifications < self._limit:
            self._notifications += 1
            self._events.append(notification)
        else:
            self._put_gap(1)

    def put_break(self) -> None:
        """Note that nobody knows what was sent until now."""
        self._put_gap(None)

    def take(self) -> Notification | Gap | None:
        """The oldest event; None if there is none."""
        if not self._events:
            return None
        event = self._events.popleft()
        self._notifications -= isinstance(event, Notification)
        return event

    def _put_gap(self, dropped: int | None) -> None:
        last = self._events[-1] if self._events else None
        if isinstance(last, Gap):
            self._events.pop()
            dropped = None if dropped is None or last.dropped is None else last.dropped + dropped
        self._events.append(Gap(dropped))
