"""What is asked in a transaction so that its outcome can be told later, and what the answers mean.

Its id alone is not enough. A server that crashes forgets the ids of which nothing had reached its log, and gives them
out again: then ``pg_xact_status`` answers for somebody else's transaction. So each is asked where the log stood, and
since when the server counts, which it does anew after a crash, not after an orderly restart.
"""

from __future__ import annotations

from typing import Final

from dbpool.errors import Outcome

# An id that the server has not given out, or not yet again: 22023, invalid_parameter_value.
NOT_GIVEN_OUT: Final = "22023"

_COUNTS_SINCE: Final = "extract(epoch from pg_stat_get_bgwriter_stat_reset_time())::text"

TRACE: Final = (
    "SELECT pg_current_xact_id_if_assigned()::text, "
    "CASE WHEN pg_current_xact_id_if_assigned() IS NOT NULL THEN pg_current_wal_insert_lsn()::text END, "
    f"{_COUNTS_SINCE}"
)

STATUS: Final = (
    f"SELECT pg_xact_status($1::text::xid8), {_COUNTS_SINCE} IS DISTINCT FROM $2::text, "
    "(SELECT redo_lsn < $3::text::pg_lsn FROM pg_control_checkpoint()), current_setting('server_version_num')::int"
)


def checkpoints(version: int) -> str:
    """The statement that tells how many there were since the server counts; *version* as 170004."""
    if version >= 170000:
        return "SELECT num_timed + num_requested FROM pg_stat_checkpointer"
    return "SELECT checkpoints_timed + checkpoints_req FROM pg_stat_bgwriter"


def after_a_crash(*, is_behind: bool, count: int) -> Outcome:
    """What ``committed`` means of a server that counts anew.

    A crash ends with a checkpoint, the first that is counted, which says how far the log had been kept. If that was
    less far than in the transaction, its COMMIT is lost; if farther, its id is its own. Without any checkpoint there
    was no crash: somebody had the counters begin anew. After more than one nobody knows how far it had been.

    Args:
        is_behind: the last checkpoint began before where the log stood in the transaction.
        count: checkpoints since the server counts.
    """
    if is_behind:
        return Outcome.ABORTED if count else Outcome.COMMITTED
    return Outcome.COMMITTED if count <= 1 else Outcome.UNKNOWN
