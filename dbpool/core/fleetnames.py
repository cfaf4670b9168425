"""What the members of a fleet compute alike from its name, and how their connections are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b

from dbpool.core.fleet import Member, Sight

LONGEST_NAME = 63  # bytes of an application_name


class Fleet:
    """One member's view of a fleet: its slots, and the names by which all find each other.

    Args:
        name: of the pool, the same in all members.
        budget: connections of all members together, those included by which they see each other.
        places: members at the most; one connection of the budget is set aside for each, and one for a newcomer that
            the server meets before it has seen that another one is gone.
        tag: what this member is called: 8 hexadecimal digits.
    """

    def __init__(self, name: str, budget: int, places: int, tag: str) -> None:
        digest = blake2b(f"{name}\0{budget}\0{places}".encode(), digest_size=4).digest()
        self.key = int.from_bytes(digest, signed=True)
        """The first number of its advisory locks. The second is a slot, or a place, or the guard's."""
        self.mark = digest.hex()
        self.slots = budget - places - 1
        self.places = range(self.slots, self.slots + places)
        self.tag = tag
        self._label = _printable(f"dbpool {name}")
        self._sign = f"#{self.mark}-{tag}"
        self._pattern = re.compile(rf"#{self.mark}-([0-9a-f]{{8}})(?: (\d+)/(\d+))?$")

    guard = -1
    """The second number of the lock of whoever takes slots."""

    @property
    def application_name(self) -> str:
        """What this member's connections are called."""
        return _fitting(self._label, self._sign)

    def announcement(self, wants: int, most: int) -> str:
        """What the connection is called by which it says how many it *wants*, and would take at the *most*."""
        return _fitting(self._label, f"{self._sign} {wants}/{most}")

    def seen_in(self, sessions: Iterable[tuple[str, Iterable[int]]]) -> Sight:
        """The members that the server's sessions show: the name of each, and the second numbers of its locks."""
        members: dict[str, Member] = {}
        for name, numbers in sessions:
            if (said := self._pattern.search(name)) is None:
                continue
            tag, wants, most = said.groups()
            member = members.get(tag, Member(tag))
            if wants is None:
                members[tag] = replace(member, has=member.has + 1)
            else:
                holds = frozenset(slot for slot in numbers if 0 <= slot < self.slots)
                members[tag] = replace(member, wants=int(wants), most=int(most), holds=holds)
        return Sight([members[tag] for tag in sorted(members)], self.slots)


def _fitting(label: str, sign: str) -> str:
    room = LONGEST_NAME - len(sign) - 1
    return f"{label[:room]} {sign}"


def _printable(text: str) -> str:
    """What a server keeps as it is: all else takes four bytes of PostgreSQL 16, which then cuts the end off."""
    return "".join(each if " " <= each <= "~" else "?" for each in text)
