"""What is between a pool's connections and the server, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from dbpool.poolermode import Pooler

# Linux gives no process a higher number (PID_MAX_LIMIT of 64-bit kernels), and no other system of PostgreSQL's comes
# near it. PgBouncer's are random: 31 bits since 1.19, 32 before.
HIGHEST_PID = 2**22


@dataclass(frozen=True, slots=True)
class Route:
    """The way to the server.

    Args:
        keeps_prepared: a statement that was prepared by name is there for the next transaction, too.
        is_certain: the setting says so, or it was seen; else it is taken for the one that asks for most care.
        lost_settings: of ``server_settings``, what is not in force though the pooler took it.
    """

    pooler: Pooler
    keeps_prepared: bool = True
    is_certain: bool = True
    lost_settings: tuple[str, ...] = ()

    @property
    def is_direct(self) -> bool:
        return self.pooler is Pooler.NONE

    @property
    def shares_sessions(self) -> bool:
        """Whether two transactions of a connection may run in different sessions, and other clients' in between."""
        return self.pooler is Pooler.TRANSACTION

    @property
    def mode(self) -> str:
        """What it is, in words."""
        if self.is_direct:
            return "no pooler"
        text = f"a pooler in {self.pooler.value} mode"
        return text if self.is_certain else f"{text} (or in session mode: then say pooler='session')"

    def __str__(self) -> str:
        text = self.mode
        if self.shares_sessions:
            text += f", which {'follows' if self.keeps_prepared else 'does not follow'} prepared statements"
        if self.lost_settings:
            text += f", which ignores server_settings: {', '.join(self.lost_settings)}"
        return text


DIRECT = Route(Pooler.NONE)


def is_process(pid: int) -> bool:
    """Whether *pid*, which came with the key to cancel by, can be that of a server's process."""
    return 0 < pid <= HIGHEST_PID
