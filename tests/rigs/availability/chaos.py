"""What happens to the cluster: one fault after another, each healed before the next."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dbpool.testing import PostgresCluster, PostgresNode

# By their rows in docs/faults.md.
RESTARTED, CRASHED, FROZEN, REFUSES, CHANGED_ROLE, ENDED, REPLACED, STANDBY = 21, 22, 26, 37, 38, 24, 91, 92


@dataclass(frozen=True, slots=True)
class Fault:
    """*strike* returns once the cluster can take writes again, or is about to."""

    rows: tuple[int, ...]
    interrupts: bool
    """Whether writes are interrupted, so that there is a time to recover."""
    strike: Callable[[PostgresCluster, random.Random], Awaitable[None]]


async def _blocking(work: Callable[[], object]) -> None:
    await asyncio.to_thread(work)


def most_advanced(cluster: PostgresCluster) -> PostgresNode:
    """The standby that has received most: it has all that was acknowledged, as each commit is on one of them."""

    def received(node: PostgresNode) -> int:
        return int(node.ask("select (pg_last_wal_receive_lsn() - '0/0')::bigint"))

    return max(cluster.standbys, key=received)


async def crash_over(cluster: PostgresCluster, _: random.Random) -> None:
    await _blocking(lambda: cluster.primary.stop(immediate=True))
    await _blocking(lambda: cluster.promote(most_advanced(cluster)))


async def switch_over(cluster: PostgresCluster, _: random.Random) -> None:
    await _blocking(cluster.primary.stop)
    await _blocking(lambda: cluster.promote(most_advanced(cluster)))


async def freeze_over(cluster: PostgresCluster, _: random.Random) -> None:
    await _blocking(cluster.primary.freeze)
    await _blocking(lambda: cluster.promote(most_advanced(cluster)))


async def restart(cluster: PostgresCluster, _: random.Random) -> None:
    await _blocking(cluster.primary.restart)


async def crash(cluster: PostgresCluster, _: random.Random) -> None:
    await _blocking(lambda: cluster.primary.restart(immediate=True))


async def freeze(cluster: PostgresCluster, dice: random.Random) -> None:
    await _blocking(cluster.primary.freeze)
    await asyncio.sleep(dice.uniform(0.1, 1.0))
    await _blocking(cluster.primary.thaw)


async def refuse(cluster: PostgresCluster, dice: random.Random) -> None:
    await _blocking(lambda: cluster.primary.configure(default_transaction_read_only="on"))
    await asyncio.sleep(dice.uniform(0.1, 0.4))
    await _blocking(lambda: cluster.primary.configure(default_transaction_read_only="off"))


async def end_sessions(cluster: PostgresCluster, _: random.Random) -> None:
    sql = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and usename is not null"
    await _blocking(lambda: cluster.primary.ask(sql + " and backend_type = 'client backend'"))


async def lose_standby(cluster: PostgresCluster, dice: random.Random) -> None:
    node = dice.choice(cluster.standbys)
    await _blocking(dice.choice([lambda: node.stop(immediate=True), node.freeze, node.pause_replay]))
    await asyncio.sleep(dice.uniform(0.1, 0.5))


FAULTS = (
    Fault((CRASHED, CHANGED_ROLE), interrupts=True, strike=crash_over),
    Fault((RESTARTED, CHANGED_ROLE), interrupts=True, strike=switch_over),
    Fault((FROZEN, REPLACED, CHANGED_ROLE), interrupts=False, strike=freeze_over),
    Fault((RESTARTED,), interrupts=True, strike=restart),
    Fault((CRASHED,), interrupts=True, strike=crash),
    Fault((FROZEN,), interrupts=False, strike=freeze),
    Fault((REFUSES,), interrupts=False, strike=refuse),
    Fault((ENDED,), interrupts=False, strike=end_sessions),
    Fault((STANDBY,), interrupts=False, strike=lose_standby),
)


async def heal(cluster: PostgresCluster) -> None:
    """All servers run again, one primary and its standbys; a frozen one that was replaced never goes on as it was."""

    def again() -> None:
        for node in cluster.standbys:
            if node.is_running and not node.answers():
                node.stop(immediate=True)
        cluster.heal()

    await _blocking(again)
