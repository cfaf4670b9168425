"""How the server is to be watched, as the options say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from dbpool.errors import SettingsError

SHORTEST_S: Final = 0.2
LONGEST_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Watch:
    """What is looked at besides the server itself, and how often. Addresses may hold passwords: they are in no message.

    Args:
        interval_s: from one look to the next, 0.2 to 60; longer where looking takes longer.
        pgbouncer_admin: the address of PgBouncer's console, as ``postgresql://user@host:6432/pgbouncer``.
        server_cmd: a shell's command that prints ``{"cpu": 3.2}``, the processors that the server uses now.
    Raises:
        SettingsError: the interval is out of range.
    """

    interval_s: float = 1.0
    pgbouncer_admin: str | None = field(default=None, repr=False)
    server_cmd: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not SHORTEST_S <= self.interval_s <= LONGEST_S:
            raise SettingsError(
                f"the sample interval must be {SHORTEST_S:g} to {LONGEST_S:g} seconds, not {self.interval_s!r}"
            )
