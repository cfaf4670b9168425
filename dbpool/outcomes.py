"""What became of a transaction whose COMMIT was not answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from dbpool.core.outcomes import NOT_GIVEN_OUT, STATUS, after_a_crash, checkpoints
from dbpool.errors import CommitOutcomeUnknown, Outcome
from dbpool.faults import sqlstate

Ask: TypeAlias = Callable[[str, tuple[object, ...]], Awaitable[Sequence[Any]]]


async def outcome_now(error: CommitOutcomeUnknown, ask: Ask) -> Outcome:
    """As the server knows it now; IN_PROGRESS: ask again. *ask* runs a statement and returns its rows."""
    if error.xid is None:
        return Outcome.UNKNOWN
    stood, counted_since = error.trace or (None, None)
    try:
        ((status, counts_anew, is_behind, version),) = await ask(STATUS, (error.xid, counted_since, stood))
    except Exception as refusal:
        if sqlstate(refusal) == NOT_GIVEN_OUT:
            return Outcome.ABORTED
        raise
    outcome = Outcome.UNKNOWN if status is None else Outcome(status)
    if outcome is not Outcome.COMMITTED or error.trace is None or not counts_anew:
        return outcome
    ((count,),) = await ask(checkpoints(version), ())
    return after_a_crash(is_behind=is_behind, count=count)
