"""What a scrape cannot read off a pool: its callers' durations and errors, counted as they come."""

from __future__ import annotations

from collections import Counter

from dbpool.events import ConnectionOpened, DeadlockFound, Event, LeakSuspected, LeaseReclaimed, SlowAcquire, SlowQuery
from dbpool.faults import servers_sqlstate
from dbpool.observing import Asked, Operation
from dbpool.telemetry.buckets import Buckets
from dbpool.waiter import Waiter


class Counting:
    """An Observer of one pool; lanes are told apart by name, "" is that of callers who come by none."""

    def __init__(self) -> None:
        self.waits: dict[str, Buckets] = {"": Buckets()}
        self.uses: dict[str, Buckets] = {"": Buckets()}
        self.durations: dict[tuple[str, Asked], Buckets] = {("", Asked.STATEMENT): Buckets()}
        self.errors: Counter[tuple[str, str]] = Counter()
        self.connects = Buckets()
        self.events: Counter[type[Event]] = Counter()

    def begun(self, operation: Operation) -> None:
        """Counted when it is over."""

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:  # noqa: ARG002 - an Observer's
        asked = operation.asked
        if asked is Asked.PART or asked is Asked.TRANSACTION:  # whose statements are counted
            return
        key = operation.line.name, asked
        buckets = self.durations.get(key)
        if buckets is None:
            buckets = self.durations[key] = Buckets()
        buckets.add(operation.took_s)
        if error is not None:
            self.errors[operation.line.name, servers_sqlstate(error) or type(error).__name__] += 1

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:  # noqa: ARG002 - an Observer's
        _of(self.waits, waiter.line.name).add(seconds)

    def used(self, waiter: Waiter, seconds: float) -> None:
        _of(self.uses, waiter.line.name).add(seconds)

    def on_event(self, event: Event) -> None:
        if isinstance(event, ConnectionOpened):
            self.connects.add(event.took_s)
        elif isinstance(event, DeadlockFound | LeakSuspected | LeaseReclaimed | SlowQuery | SlowAcquire):
            self.events[type(event)] += 1


def _of(lanes: dict[str, Buckets], name: str) -> Buckets:
    buckets = lanes.get(name)
    if buckets is None:
        buckets = lanes[name] = Buckets()
    return buckets
