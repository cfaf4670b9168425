"""Whether a run may take a job that somebody else may still have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

GRACE_S = 2.0  # for the session of a run that was killed elsewhere: its server process ends when it sees that
DEAD_GRACE_S = 30.0  # for that of a process that is certainly dead: a statement of it may be under way still


class Claim(Enum):
    """What a run does about a job."""

    TAKE = "nobody has it"
    WAIT = "whoever has it may be gone in a moment"
    REFUSE = "somebody has it"


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen of the run that has a job.

    Args:
        lock_is_free: nobody else holds the job's advisory lock.
        has_owner: the job's row names a run.
        owner_had_lock: that run said that it holds the lock; through a transaction pooler it cannot.
        is_expired: it has not renewed its lease in time.
        is_dead: its process ran on this machine and has ended.
        is_here: its process runs on this machine.
    """

    lock_is_free: bool
    has_owner: bool = False
    owner_had_lock: bool = False
    is_expired: bool = False
    is_dead: bool = False
    is_here: bool = False


def claim(seen: Seen, waited_s: float) -> Claim:
    """What to do after *waited_s* seconds of waiting.

    However it is decided, no chunk is stored twice: that hangs on the ledger's rows alone.
    """
    if seen.lock_is_free:
        gone = not seen.has_owner or seen.owner_had_lock or seen.is_dead or seen.is_expired
        return Claim.TAKE if gone else Claim.REFUSE
    if seen.has_owner and seen.is_here and not seen.is_dead:
        return Claim.REFUSE
    return Claim.WAIT if waited_s < (DEAD_GRACE_S if seen.is_dead else GRACE_S) else Claim.REFUSE


def is_alive(seen: Seen) -> bool:
    """Whether a run has the job, as far as can be seen."""
    if not seen.has_owner or seen.is_dead:
        return False
    return not (seen.lock_is_free if seen.owner_had_lock else seen.is_expired)


def lock_key(name: str) -> int:
    """The advisory lock of the job called *name*: 64 bits, signed."""
    return int.from_bytes(blake2b(b"dbpool job " + name.encode(), digest_size=8).digest(), "big", signed=True)
