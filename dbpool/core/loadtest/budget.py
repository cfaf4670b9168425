"""How many connections there are for us, and for each instance of an application."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

from dbpool.errors import SettingsError
from dbpool.settings import whole_number

SPARED_SHARE: Final = 0.1  # of the usable slots, that a load test leaves to others by default
SPARED: Final = 5  # but no fewer
_SERVER: Final = "max_connections"
_SERVER_LESS_RESERVED: Final = "max_connections less the reserved slots"


@dataclass(frozen=True, slots=True)
class Slots:
    """The server's limits, as ``pg_settings``, ``pg_roles`` and ``pg_database`` have them; None: no limit.

    Args:
        others: slots that other sessions hold now; *others_of_role* and *others_of_database* are those of them that
            count against the limit of the role, of the database.
    """

    max_connections: int
    superuser_reserved: int = 0
    reserved: int = 0
    role_limit: int | None = None
    database_limit: int | None = None
    others: int = 0
    others_of_role: int = 0
    others_of_database: int = 0

    @property
    def usable(self) -> int:
        """What the role could have if nobody else were there."""
        return max(0, min(limit for limit, _, _ in self._limits))

    @property
    def free(self) -> int:
        """What is left of them now."""
        return max(0, min(limit - taken for limit, taken, _ in self._limits))

    @property
    def binding(self) -> str:
        """What it is that leaves no more free, in words."""
        limit, _, words = min(self._limits, key=lambda each: each[0] - each[1])
        return f"{words} ({limit})"

    @property
    def cap(self) -> int:
        """How many a load test may take unless told otherwise."""
        return max(0, self.free - max(SPARED, ceil(self.usable * SPARED_SHARE)))

    @property
    def _limits(self) -> list[tuple[int, int, str]]:
        """Each limit that binds, what others have taken of it, and what it is called."""
        reserved = self.superuser_reserved + self.reserved
        limits = [
            (self.max_connections - reserved, self.others, _SERVER_LESS_RESERVED if reserved else _SERVER),
            (self.role_limit, self.others_of_role, "the role's connection limit"),
            (self.database_limit, self.others_of_database, "the database's connection limit"),
        ]
        return [(limit, taken, words) for limit, taken, words in limits if limit is not None]


@dataclass(frozen=True, slots=True)
class Fleet:
    """*instances* of an application, of which *surge* times as many run while a new version replaces the old.

    There are whole instances only: 3 times 1.5 are 5, as Kubernetes rounds ``maxSurge`` up.

    Raises:
        SettingsError: there is no instance, a surge below 1, or a negative reserve.
    """

    instances: int = 1
    surge: float = 1.0
    reserve: int = 0  # slots for what is not this application

    def __post_init__(self) -> None:
        whole_number(self.instances, "instances", 1)
        whole_number(self.reserve, "reserve", 0)
        if not 1 <= self.surge <= 1000:
            raise SettingsError(f"surge must be 1 (no overlap) or more, 2 if all run twice, not {self.surge!r}")

    @property
    def most(self) -> int:
        """Instances during a deployment."""
        return ceil(self.instances * self.surge - 1e-9)

    def share_of(self, slots: Slots) -> int:
        """The most connections that each instance may have so that all fit, also during a deployment."""
        return max(0, (slots.free - self.reserve) // self.most)


def deadlock_minimum(tasks: int, connections_each: int) -> int:
    """The smallest pool in which *tasks* that each hold *connections_each* at once cannot wait for each other forever.

    All of them may hold all but one of theirs; one more lets one go on (HikariCP wiki, "About Pool Sizing").
    """
    return tasks * (connections_each - 1) + 1


def rule_of_thumb(cores: int, disks: int = 1) -> int:
    """The start value of HikariCP's wiki, 2 x cores + disks of the database server: for contrast, not for use."""
    return 2 * cores + disks
