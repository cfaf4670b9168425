"""How many connections a storm has, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

OURS: Final = 3
"""What a storm holds all along: the lifeline, the bystander's connection, and that which counts and terminates."""
USUAL: Final = 100  # who connect at once unless told otherwise: an application that starts anew
MOST: Final = 500  # of one process: of more, that process would be what is measured
SURPLUS_SHARE: Final = 0.2  # who find no room, of those who do, in the part beyond the limit
SURPLUS: Final = 5  # but no fewer


@dataclass(frozen=True, slots=True)
class StormPlan:
    """Who connects at once: *barrier*, which the server lets in, and *beyond*, which it cannot; 0: that is left out.

    ``notes`` say why.
    """

    barrier: int
    beyond: int
    notes: tuple[str, ...] = ()

    @property
    def most(self) -> int:
        """Connections that may be open at the same time, but for those of a pool under load."""
        return OURS + max(self.barrier, self.beyond)


def storm_plan(
    *,
    free: int,
    room: int,
    is_alone: bool,
    is_pooled: bool,
    asked: int | None = None,
    most: int | None = None,
) -> StormPlan:
    """The plan for a server that has *free* connections, of which a load test may take *room*.

    Args:
        is_alone: nobody else is there who could miss one, or it does not matter.
        is_pooled: a pooler is between, whose limits are not known.
        asked: who are to connect at once; None: as many as is usual, if there is room. More than *room* come only
            where *is_alone*.
        most: what is taken in all at the most, also where nobody else is; None: there is no such limit.
    """
    notes = []
    together = min(MOST, room - OURS if not is_alone or asked is None else MOST)
    barrier = max(0, min(USUAL if asked is None else asked, together))
    if asked is not None and barrier < asked:
        notes.append(f"{barrier} connect at once instead of {asked}: {_why(asked, is_alone=is_alone)}")
    elif barrier < 2:
        notes.append("nobody connects at once: there is no room")
        barrier = 0
    inside = max(0, free - OURS)
    beyond = inside + max(SURPLUS, ceil(inside * SURPLUS_SHARE))
    if is_pooled:
        beyond, why = 0, "what a pooler allows is not known"
        notes.append("no pool starts empty or loses its sessions: whose sessions a pooler's are cannot be told")
    elif not is_alone:
        beyond, why = 0, "others use this server, and would be refused"
    elif most is not None and OURS + beyond > most:
        beyond, why = 0, f"{most} may be taken at the most"
    elif beyond > MOST:
        beyond, why = 0, f"{inside} are free, and one process cannot ask for more than {MOST} at once"
    else:
        return StormPlan(barrier, beyond, tuple(notes))
    return StormPlan(barrier, beyond, (*notes, f"no more than the limit connect: {why}"))


def _why(asked: int, *, is_alone: bool) -> str:
    return f"one process cannot do more than {MOST}" if is_alone or asked > MOST else "others need the rest"
