"""One schedule again: what it does, step by step, and the digest of all of that."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tests.rigs.sim.schedule import Schedule


def traced(seed: int, say: Callable[[str], object] = lambda _: None) -> str:
    """Play the schedule of *seed* and tell *say* of each change; the digest, in hex, is the same each time.

    Raises:
        AssertionError: as ``Schedule.play``; *say* has heard the digest then, too.
    """
    schedule = Schedule(seed)
    digest, before, look = hashlib.sha256(), "", schedule.oracle.after_step

    def after_step() -> None:
        nonlocal before
        now = _state(schedule)
        digest.update(f"{schedule.loop.time():.9f} {now}\n".encode())
        if now != before:
            say(f"{schedule.loop.steps:6} {schedule.loop.time():10.4f} s  {now}")
            before = now
        look()

    schedule.oracle.after_step = after_step  # type: ignore[method-assign]
    schedule.trouble.told = lambda what: say(f"{schedule.loop.steps:6} {schedule.loop.time():10.4f} s  -- {what}")
    try:
        schedule.play()
    finally:
        digest.update(f"{schedule.loop.steps} steps".encode())
        say(f"digest {digest.hexdigest()} of {schedule.loop.steps} steps")
    return digest.hexdigest()


def _state(schedule: Schedule) -> str:
    """What a pool has now, in a line."""
    leases, driver = schedule.pool.leases, schedule.pool.driver
    holders = [
        f"#{c.number}" if (c := getattr(h, "connection", None)) else h.doing() or "?" for h in leases.gate.holding
    ]
    open_now = ",".join(str(connection.number) for connection in driver.connections)
    return (
        f"{leases.gate.held}/{leases.gate.capacity} held [{'; '.join(holders)}], {leases.gate.waiting} wait, "
        f"{leases.idle} idle, open {open_now or 'none'}, {driver.connecting} connecting, {driver.lingering} lingering"
    )
