"""One state of the database, seen by several connections."""

from __future__ import annotations

from typing import Final

from dbpool.bulk.exporting.session import Session
from dbpool.bulk.exporting.tables import Table
from dbpool.connection import PostgresError
from dbpool.faults import one_line

_BEGIN: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
    # nothing is sent on a connection that has read its parts while others still read theirs
    "SET LOCAL idle_in_transaction_session_timeout = 0"
)


async def begin_alone(session: Session, table: Table) -> None:
    """Begin a transaction that sees one state; it is taken by the next statement, when the table is locked."""
    await session.command(f"{_BEGIN}; {_lock(table)}" if not table.whole else _BEGIN)


async def export_snapshot(session: Session) -> tuple[str, str]:
    """The name by which others see the same state, else "", with the reason why there is none.

    Then the transaction has failed and must be begun anew.
    """
    try:
        (row,) = await session.rows("SELECT pg_catalog.pg_export_snapshot() AS name")
    except PostgresError as error:
        return "", f"the server exports no snapshot ({one_line(error)})"
    return str(row["name"]), ""


async def begin_with(session: Session, snapshot: str, table: Table) -> str:
    """Begin a transaction that sees the state of *snapshot*; return "", or why it cannot.

    NOWAIT: whoever waits for a lock that excludes readers waits for the connections that read already; to wait behind
    it would be a deadlock that the server cannot see.
    """
    try:
        await session.command(f"{_BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'; {_lock(table)} NOWAIT")
    except PostgresError as error:
        return f"a connection could not join the snapshot ({one_line(error)})"
    return ""


def _lock(table: Table) -> str:
    """Held until the end, so that no TRUNCATE or VACUUM FULL moves rows that are still to be read."""
    return f"LOCK TABLE {table.name} IN ACCESS SHARE MODE"
