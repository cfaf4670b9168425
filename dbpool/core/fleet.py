"""How processes that share a budget of connections divide it.

A slot is the right to have one connection. The members of a fleet hold slots, each of which the server gives to one of
them only, so together they never have more than there are. Each member looks at all of them now and then and gives up
what is above its share, or takes what is free up to it; all compute the same shares from the same numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass


def fair_shares(wants: Sequence[int], slots: int) -> list[int]:
    """Max-min fair shares: nobody gets more than it wants, and what one does not want goes to all others alike.

    Args:
        wants: N numbers >= 0.
        slots: to be divided, >= 0.
    Returns: N shares, in that order; among equals the first get what cannot be divided.
    """
    shares = [0] * len(wants)
    left = slots
    fewest_first = sorted(range(len(wants)), key=lambda who: (wants[who], -who))
    for done, who in enumerate(fewest_first):
        shares[who] = min(wants[who], left // (len(wants) - done))
        left -= shares[who]
    return shares


@dataclass(frozen=True, slots=True)
class Member:
    """One process, as all see it; one that is gone wants and holds nothing, but may have connections still.

    Args:
        tag: what all that it opens is called by.
        wants: connections, of which it has use.
        most: connections that it would take beyond that, too.
        holds: its slots.
        has: connections, as the server counts them.
    """

    tag: str
    wants: int = 0
    most: int = 0
    holds: frozenset[int] = frozenset()
    has: int = 0


@dataclass(frozen=True, slots=True)
class Sight:
    """What a member sees of its fleet: all members, itself included, in an order that all agree on, and all slots."""

    members: Sequence[Member]
    slots: int

    def share(self, tag: str) -> int:
        """How many slots the member called *tag* is to have: of those wanted, then of those that nobody wants."""
        members = self.members
        wanted = fair_shares([member.wants for member in members], self.slots)
        more = [max(0, member.most - share) for member, share in zip(members, wanted, strict=True)]
        spare = fair_shares(more, self.slots - sum(wanted))
        return next((w + s for member, w, s in zip(members, wanted, spare, strict=True) if member.tag == tag), 0)

    def unheld(self) -> frozenset[int]:
        """The slots that nobody holds."""
        return frozenset(range(self.slots)).difference(*(member.holds for member in self.members))

    def free(self, tag: str) -> list[int]:
        """The slots that the member called *tag* may take, the lowest first.

        Nobody holds them, and none of them stands for a connection that another one has without a slot: one of a
        process that is gone, or that has lost its slots.
        """
        free = sorted(self.unheld())
        uncovered = sum(max(0, member.has - len(member.holds)) for member in self.members if member.tag != tag)
        return free[: max(0, len(free) - uncovered)]


class Demand:
    """How many connections a pool wants: the most that it could have used in the last *looks*, at least 1."""

    def __init__(self, most: int, looks: int) -> None:
        self.most = most
        self._seen: deque[int] = deque([most], maxlen=looks)  # at first all, as nothing is known

    def look(self, used: int) -> int:
        """Note that *used* could be used at this moment; return what is wanted."""
        self._seen.append(used)
        return max(1, min(self.most, max(self._seen)))
