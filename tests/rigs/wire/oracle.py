"""What is stored against what was told, read by another driver."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from tests.rigs.caller import KEYS
from tests.rigs.wire.trial import Trial

PATIENCE_S = 10.0  # for sessions that were cut off to end
ALIVE = (
    "select count(*) from pg_stat_activity where usename = 'app' and pid <> pg_backend_pid() "
    "and backend_type = 'client backend'"
)
HANGING = ALIVE + " and state like 'idle in transaction%%'"


def lies(witness: psycopg.Connection[tuple[int, ...]], trials: Sequence[Trial]) -> dict[int, list[str]]:
    """What each caller was told that is not so, by its number; called once all of them are through."""
    first, last = min(each.caller.number for each in trials), max(each.caller.number for each in trials)
    counted = "select key, count(*) from wire where key >= %s and key < %s group by key"
    rows_found = witness.execute(counted, (first * KEYS, (last + 1) * KEYS)).fetchall()
    stored: dict[int, int] = dict(rows_found)  # type: ignore[arg-type] # two columns
    found: dict[int, list[str]] = {}
    for trial in trials:
        for key, write in trial.caller.writes.items():
            rows = stored.pop(key, 0)
            if not write.told.fits(rows, write.rows):
                by = f" by {write.by}" if write.by else ""
                text = f"told {write.told.value}{by}, and {rows} of {write.rows} rows are stored"
                found.setdefault(trial.caller.number, []).append(text)
    known = {trial.caller.number for trial in trials}
    for key, rows in stored.items():
        if key // KEYS in known:
            found.setdefault(key // KEYS, []).append(f"{rows} rows of a write that nobody asked for")
    return found


def wait_alone(witness: psycopg.Connection[tuple[int, ...]]) -> str:
    """Wait until no session of a caller is left; return what is there all the same, for people."""
    ends_at = time.monotonic() + PATIENCE_S
    while (alive := _value(witness, ALIVE)) and time.monotonic() < ends_at:
        time.sleep(0.01)
    if not alive:
        return ""
    return f"{alive} sessions are left on the server, {_value(witness, HANGING)} of them idle in a transaction"


def _value(witness: psycopg.Connection[tuple[int, ...]], sql: str) -> int:
    row = witness.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
