"""What is remembered of one pool, and told of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from dbpool.events import (
    Closed,
    ConnectFailed,
    DeadlockFound,
    Event,
    OutageEnded,
    SlowAcquire,
    SlowQuery,
)
from dbpool.phase import Phase
from dbpool.pool import DatabasePool
from dbpool.report import Caller, Report
from dbpool.stats import PoolStats
from dbpool.web.history import History
from dbpool.web.telling import in_words
from dbpool.web.verdict import RECENT, SENTENCES, State, verdict
from dbpool.wording import without_addresses

KEPT: Final = 50  # events of each kind that are shown
MOST_HOLDERS: Final = 100
MOST_FRAMES: Final = 12  # the innermost: where a task stands
LONGEST_SQL: Final = 2_000  # characters

GAUGES: Final = (
    "capacity", "limit", "held", "idle", "waiting", "opening", "connections", "zombies", "oldest_wait_s",
)  # fmt: skip
LANE_FIELDS: Final = (
    "held", "waiting", "at_most", "reserved",
    "granted_total", "waited_total", "waited_s_total", "timeouts_total", "refused_total",
)  # fmt: skip

Json = dict[str, Any]


class Watch:
    """Listens to *db* from now on; forgets it once it is closed, but for what it said last.

    *heard* is called, in the pool's event loop, after each event.
    """

    def __init__(self, db: DatabasePool, heard: Callable[[], object] = lambda: None) -> None:
        self.name = db.settings.name
        self.history = History(db.stats(), time.time())
        self.db: DatabasePool | None = db
        self._last: Json | None = None  # of a closed pool
        self._heard = heard
        self._failures = 0  # connects in a row
        self._events: deque[tuple[float, Event]] = deque(maxlen=KEPT)
        self._slow_statements: deque[tuple[float, SlowQuery]] = deque(maxlen=KEPT)
        self._slow_acquires: deque[tuple[float, SlowAcquire]] = deque(maxlen=KEPT)
        self._stop = db.on_event(self._take)

    def _take(self, event: Event) -> None:
        now = time.time()
        match event:
            case SlowQuery():
                self._slow_statements.append((now, event))
            case SlowAcquire():
                self._slow_acquires.append((now, event))
            case _:
                self._events.append((now, event))
        match event:
            case ConnectFailed(failures=failures):
                self._failures = failures
            case OutageEnded():
                self._failures = 0
            case Closed():
                self._forget(now)
        self._heard()

    def _forget(self, now: float) -> None:
        self._last = self.document(now)
        self._stop()
        self.db = None

    @property
    def state(self) -> State:
        if self.db is None:
            return State.CLOSED
        if self.db.phase is Phase.CLOSED and (self.db.stats().connections or self.db.stats().held):
            return State.CLOSING
        if self.db.phase is not Phase.OPEN:
            return State(self.db.phase.name.lower())
        if self._failures and not self.db.stats().connections:
            return State.UNREACHABLE
        return State.PAUSED if self.db.is_paused else State.OPEN

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in (State.CLOSED, State.FORKED)

    def sample(self, now: float) -> None:
        """Remember the numbers of *now*, Unix time."""
        if self.db is None:
            return
        if self.db.phase is Phase.OPEN:
            self.history.take(self.db.stats(), now)
        elif self.state is State.CLOSED:  # one that was never open, or was terminated, does not tell
            self._forget(now)

    def document(self, now: float) -> Json:
        """All of it as JSON has it, but for the time line; see docs/status-page.md for its shape."""
        if self.db is None:
            assert self._last is not None
            return {**self._last, **_said(State.CLOSED)}
        stats, report, state = self.db.stats(), self.db.report(), self.state
        recent = [sample for sample in self.history.samples if sample.at >= now - RECENT]
        deadlocks = sum(at >= now - RECENT and isinstance(event, DeadlockFound) for at, event in self._events)
        said = verdict(state, stats, report, recent, deadlocks)
        return {
            "name": self.name,
            "state": state.value,
            "verdict": {"level": said.level.value, "sentence": said.sentence, "reasons": list(said.reasons)},
            "gate": {name: getattr(stats, name) for name in GAUGES},
            "totals": {name: getattr(stats, name) for name in stats.__slots__ if name.endswith("_total")},
            "last_connect_error": stats.last_connect_error and without_addresses(stats.last_connect_error),
            "slow_query_s": self.db.settings.slow_query,
            "slow_acquire_s": self.db.settings.slow_acquire,
            **_callers(report),
            "lanes": _lanes(stats),
            "sites": [
                {"where": site.where, "calls_total": site.calls_total, "held_s_total": site.held_s_total}
                for site in report.sites
            ],
            "slow_statements": [
                {
                    "at": at, "took_s": slow.took_s, "waited_s": slow.waited_s, "lane": slow.lane, "where": slow.where,
                    "sql": _cut(slow.sql),
                }
                for at, slow in reversed(self._slow_statements)
            ],
            "slow_acquires": [
                {"at": at, "waited_s": slow.waited_s, "lane": slow.lane, "where": slow.where}
                for at, slow in reversed(self._slow_acquires)
            ],
            "events": [
                {"at": at, "kind": type(event).__name__, "text": in_words(event)}
                for at, event in reversed(self._events)
            ],
        }  # fmt: skip


def _said(state: State) -> Json:
    """What is to be said of a pool that is no more."""
    level, sentence = SENTENCES[state]
    return {
        "state": state.value,
        "verdict": {"level": level.value, "sentence": sentence, "reasons": []},
    }


def _callers(report: Report) -> Json:
    return {
        "holders": [_caller(holder) for holder in report.holders[:MOST_HOLDERS]],
        "holders_more": max(0, len(report.holders) - MOST_HOLDERS),
        "waiters": [_caller(waiter) for waiter in report.waiters],
        "waiters_more": report.waiting - len(report.waiters),
    }


def _caller(caller: Caller) -> Json:
    return {
        "seconds": caller.seconds,
        "lane": caller.lane,
        "task": caller.task,
        "where": caller.where,
        "sql": _cut(caller.sql),
        "in_transaction": caller.in_transaction,
        "doing": caller.doing,
        "stack": list(caller.stack[-MOST_FRAMES:]),
    }


def _lanes(stats: PoolStats) -> list[Json]:
    return [
        {"name": name, **{field: getattr(lane, field) for field in LANE_FIELDS}} for name, lane in stats.lanes.items()
    ]


def _cut(sql: str | None) -> str | None:
    return sql if sql is None or len(sql) <= LONGEST_SQL else sql[: LONGEST_SQL - 1] + "…"
