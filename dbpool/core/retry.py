"""From an SQLSTATE to what may be done about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What an error says about the transaction that met it, and about the connection."""

    CALLER = "the statement is at fault: its caller decides"
    RETRY_TRANSACTION = "nothing was stored: run the whole transaction again"
    DISCARD = "nothing was stored, but this connection is of no more use"
    LOST = "the server went away: a write or COMMIT under way may have been stored"
    FULL = "the server takes no more connections: wait"
    DENIED = "the server refuses this user or database: trying again changes nothing"


# Longest prefix wins. Classes and codes: PostgreSQL 18 manual, appendix A.
_TABLE = {
    "": Verdict.CALLER,
    "08": Verdict.LOST,
    "08P01": Verdict.DISCARD,  # protocol violation: the two ends no longer agree where they are
    "0A000": Verdict.CALLER,
    "25006": Verdict.CALLER,
    "25P03": Verdict.LOST,  # idle_in_transaction_session_timeout closed the session
    "25P04": Verdict.LOST,  # transaction_timeout did
    "26000": Verdict.DISCARD,  # the server has forgotten a prepared statement that the driver still counts on
    "28": Verdict.DENIED,
    "3D000": Verdict.DENIED,
    "40001": Verdict.RETRY_TRANSACTION,
    "40P01": Verdict.RETRY_TRANSACTION,
    "42P05": Verdict.DISCARD,  # and here it remembers one that the driver does not
    "53300": Verdict.FULL,
    "55P03": Verdict.CALLER,
    "57P": Verdict.LOST,
    "57P03": Verdict.LOST,  # starting up or shutting down
    "57P04": Verdict.DENIED,  # the database was dropped
    "57P05": Verdict.LOST,  # idle_session_timeout
}


def verdict(sqlstate: str | None) -> Verdict:
    """What the five-character *sqlstate* allows; None (no answer at all) counts as lost."""
    if sqlstate is None:
        return Verdict.LOST
    return next(_TABLE[sqlstate[:n]] for n in range(5, -1, -1) if sqlstate[:n] in _TABLE)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the wait before try *n* is uniform in 0 .. min(cap, below, first * 2**n).

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    first_s: float = 0.05
    cap_s: float = 5.0

    def delay_s(self, tries: int, chance: float, below_s: float = math.inf) -> float:
        """Seconds to wait after *tries* >= 1 failures; *chance* is a random number in 0..1."""
        return chance * min(self.cap_s, below_s, self.first_s * 2.0 ** min(tries, 30))
