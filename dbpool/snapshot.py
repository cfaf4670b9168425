"""The numbers of a pool, read off what counts them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbpool.faults import one_line
from dbpool.leases import Leases
from dbpool.stats import LaneStats, PoolStats

if TYPE_CHECKING:
    from dbpool.bulk.coalesce import Coalescer


def snapshot(name: str, leases: Leases, coalescer: Coalescer | None) -> PoolStats:
    """The numbers of this moment."""
    gate, connector, counters = leases.gate, leases.connector, leases.counters
    lines, error = gate.lines, connector.last_error
    return PoolStats(
        name=name,
        capacity=gate.capacity,
        limit=gate.limit,
        held=gate.held,
        idle=leases.idle,
        waiting=gate.waiting,
        opening=connector.opening,
        connections=leases.driver.size,
        zombies=leases.zombies,
        oldest_wait_s=gate.oldest_wait_s(),
        granted_total=sum(line.granted_total for line in lines),
        waited_total=sum(line.waited_total for line in lines),
        waited_s_total=sum(line.waited_s_total for line in lines),
        timeouts_total=sum(line.timeouts_total for line in lines),
        refused_total=sum(line.refused_total for line in lines),
        handed_on_total=counters.handed_on_total,
        coalesced_total=0 if coalescer is None else coalescer.coalesced_total,
        batches_total=0 if coalescer is None else coalescer.batches_total,
        resets_total=counters.resets_total,
        discarded_total=counters.discarded_total,
        connects_total=connector.connects_total,
        connect_failures_total=connector.connect_failures_total,
        last_connect_error=None if error is None else one_line(error),
        lanes={line.name: LaneStats.of(line) for line in lines if line.name},
        pooler=leases.driver.route.pooler.value,
    )
