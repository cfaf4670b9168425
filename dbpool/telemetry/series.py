"""The gauges and counters that a scrape reads off a pool's numbers: name, what it is, where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dbpool import events as ev
from dbpool.stats import LaneStats, PoolStats

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool

NO_LANE = "(none)"

GAUGES: tuple[tuple[str, str, Callable[[PoolStats, DatabasePool], float]], ...] = (
    ("dbpool_max_connections", "Connections that the pool may have.", lambda stats, _: stats.capacity),
    (
        "dbpool_min_connections",
        "Connections that the pool keeps when idle.",
        lambda _, db: db.settings.min_connections,
    ),
    (
        "dbpool_limit_connections",
        "Connections in use at the most: fewer than the pool may have where it is adaptive.",
        lambda stats, _: stats.limit,
    ),
    ("dbpool_opening_connections", "Connects under way.", lambda stats, _: stats.opening),
    (
        "dbpool_zombie_connections",
        "Connections that were cut off while their backends may live on.",
        lambda stats, _: stats.zombies,
    ),
    (
        "dbpool_oldest_wait_seconds",
        "How long the caller that waits longest has waited.",
        lambda stats, _: stats.oldest_wait_s,
    ),
)

TOTALS: tuple[tuple[str, str, Callable[[PoolStats], float]], ...] = (
    ("dbpool_connections_opened", "Connects that succeeded.", lambda stats: stats.connects_total),
    ("dbpool_connect_failures", "Connects that failed.", lambda stats: stats.connect_failures_total),
    (
        "dbpool_connections_closed",
        "Connections closed: too old, broken, or found dead.",
        lambda stats: stats.discarded_total,
    ),
    ("dbpool_resets", "Sessions that were reset.", lambda stats: stats.resets_total),
    (
        "dbpool_handed_on",
        "Connections that went straight from one caller to the next.",
        lambda stats: stats.handed_on_total,
    ),
    (
        "dbpool_coalesced_calls",
        "Calls that were answered together with others.",
        lambda stats: stats.coalesced_total,
    ),
    ("dbpool_coalesced_batches", "Statements that answered them.", lambda stats: stats.batches_total),
)

EVENTS: tuple[tuple[str, str, type[ev.Event]], ...] = (
    ("dbpool_leaks_suspected", "Leases held for longer than leak_after.", ev.LeakSuspected),
    ("dbpool_leases_reclaimed", "Leases that nobody had any more, taken back.", ev.LeaseReclaimed),
    ("dbpool_deadlocks", "Callers told that everyone waits for everyone.", ev.DeadlockFound),
    ("dbpool_slow_queries", "Statements that took longer than slow_query.", ev.SlowQuery),
    ("dbpool_slow_acquires", "Callers that waited longer than slow_acquire.", ev.SlowAcquire),
)

LANE_GAUGES: tuple[tuple[str, str, Callable[[LaneStats], float]], ...] = (
    ("dbpool_held", "Permits held, by callers and by cleanups after them.", lambda lane: lane.held),
    ("dbpool_waiting", "Callers in line for a permit.", lambda lane: lane.waiting),
    ("dbpool_lane_reserved", "Permits that no other lane gets.", lambda lane: lane.reserved),
)

LANE_TOTALS: tuple[tuple[str, str, Callable[[LaneStats], float]], ...] = (
    ("dbpool_acquires", "Permits granted.", lambda lane: lane.granted_total),
    ("dbpool_acquires_waited", "Those of them that had to be waited for.", lambda lane: lane.waited_total),
    ("dbpool_acquire_timeouts", "Callers that waited in vain.", lambda lane: lane.timeouts_total),
    ("dbpool_acquires_refused", "Callers refused at once, as the line was full.", lambda lane: lane.refused_total),
)


def lanes_of(stats: PoolStats) -> list[tuple[str, LaneStats]]:
    """Each lane with its numbers; what is left of the pool's belongs to those who come by none."""
    lanes = stats.lanes.values()
    rest = LaneStats(
        at_most=None,
        reserved=0,
        held=max(0, stats.held - sum(lane.held for lane in lanes)),
        waiting=max(0, stats.waiting - sum(lane.waiting for lane in lanes)),
        granted_total=stats.granted_total - sum(lane.granted_total for lane in lanes),
        waited_total=stats.waited_total - sum(lane.waited_total for lane in lanes),
        waited_s_total=stats.waited_s_total - sum(lane.waited_s_total for lane in lanes),
        timeouts_total=stats.timeouts_total - sum(lane.timeouts_total for lane in lanes),
        refused_total=stats.refused_total - sum(lane.refused_total for lane in lanes),
    )
    return [(NO_LANE, rest), *stats.lanes.items()]
