"""How many connections each instance may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, ok, unknown
from dbpool.core.loadtest.budget import Fleet, Slots
from dbpool.wording import counted

SPARE_FILES: Final = 100  # that a process has open besides its connections
NEARLY: Final = 0.9  # of all slots taken


@dataclass(frozen=True, slots=True)
class Sizing:
    """The most that fits, not what is best: that is for a load test to find.

    Args:
        share: connections that each instance may have beside all that are held now.
        share_of_role: the same if the sessions of this role are instances that are being replaced.
        binding: what limits it.
    """

    fleet: Fleet
    slots: Slots
    share: int
    share_of_role: int
    binding: str

    @property
    def best(self) -> int:
        """What to write into the settings; the role's own sessions mostly are the application itself."""
        return self.share_of_role

    @property
    def arguments(self) -> dict[str, str]:
        """Ready to paste, by where they go."""
        fleet = self.fleet
        return {
            "Python": f"DatabasePool(dsn, max_connections={self.best})",
            "environment": f"DBPOOL_MAX_CONNECTIONS={self.best}",
            "load test": f"dbpool loadtest run --instances {fleet.instances} --surge {fleet.surge:g} "
            f"--reserve {fleet.reserve}",
        }


def sizing_of(slots: Slots | None, fleet: Fleet) -> Sizing | None:
    """None: the server's limits are not known."""
    if slots is None:
        return None
    others = replace(
        slots,
        others=slots.others - slots.others_of_role,
        others_of_role=0,
        others_of_database=max(0, slots.others_of_database - slots.others_of_role),
    )
    return Sizing(fleet, slots, fleet.share_of(slots), fleet.share_of(others), slots.binding)


def look_at_limits(facts: Facts, sizing: Sizing | None) -> Iterator[Finding]:
    """What is taken, what is left, and whether all instances fit."""
    if sizing is None:
        yield unknown("limits.slots", "how many connections there are")
        return
    slots, fleet = sizing.slots, sizing.fleet
    behind = " (the pooler's own limits are not visible from here: see SHOW POOLS)" if facts.is_pooled else ""
    many = f"{counted(slots.usable, 'connection')} for this role by {sizing.binding}, {slots.others} held now{behind}"
    if slots.usable and slots.free < slots.usable * (1 - NEARLY):
        yield Finding(
            "limits.slots",
            Level.WARNING,
            f"{many}: {slots.free} left",
            f"The next instance will be refused; what binds is {slots.binding}.",
            "Smaller pools (see below), a pooler, or ALTER SYSTEM SET max_connections, and a restart",
        )
    else:
        yield ok("limits.slots", many)
    deployment = f", {fleet.most} during a deployment" if fleet.most > fleet.instances else ""
    instances = f"{counted(fleet.instances, 'instance')}{deployment}"
    if sizing.best < 1:
        yield Finding(
            "limits.fleet",
            Level.PROBLEM,
            f"no room for {instances}, with {fleet.reserve} in reserve",
            f"Some of them will be refused; what binds is {sizing.binding}.",
            "Fewer instances, a smaller reserve, a pooler in between, or a higher limit",
        )
    else:
        yield ok("limits.fleet", f"{instances}: up to {counted(sizing.best, 'connection')} each")
    if facts.files is None:
        yield unknown("limits.files", "how many files this process may have open")
    elif facts.files < sizing.best + SPARE_FILES:
        yield Finding(
            "limits.files",
            Level.WARNING,
            f"a process may have {facts.files} files open here (ulimit -n)",
            f"A pool of {sizing.best} needs one for each connection, beside sockets and files of the application.",
            f"ulimit -n {sizing.best + 1024}, LimitNOFILE= of its systemd unit, or a smaller pool",
        )
    else:
        yield ok("limits.files", f"a process may have {facts.files:,} files open here")
