"""A chunk that was refused as a whole, stored without the rows that are to blame.

Its rows, numbered, go to a temporary table of the same types first, where only what cannot be read at all is refused.
From there the server moves them on by itself, in halves of halves where it refuses some: duplicates, NULLs, checks.
"""

from __future__ import annotations

from dataclasses import replace

from dbpool.bulk.loading.chunks import ApartChunk, Refusal, Row, RowRefused, Stage
from dbpool.bulk.loading.target import Target, literal
from dbpool.connection import PooledConnection, PostgresError, Want
from dbpool.core.identifier import quoted
from dbpool.faults import REFUSED_DATA, copy_place, is_refused_data

SMALLEST_WINDOW = 64

# Of the pending ranges the first is taken first, so that of rows that exclude each other the first one stays.
_MOVE = """
DO $dbpool$
#variable_conflict use_column
DECLARE
    dbpool_pending bigint[] := ARRAY[{first}, {last}];
    dbpool_first bigint; dbpool_last bigint; dbpool_middle bigint;
    dbpool_moved bigint; dbpool_stored bigint := 0;
    dbpool_state text; dbpool_message text; dbpool_detail text; dbpool_column text;
BEGIN
    WHILE cardinality(dbpool_pending) > 0 LOOP
        dbpool_first := dbpool_pending[1];
        dbpool_last := dbpool_pending[2];
        dbpool_pending := dbpool_pending[3:];
        BEGIN
            {move} WHERE s.dbpool_n BETWEEN dbpool_first AND dbpool_last ORDER BY s.dbpool_n;
            GET DIAGNOSTICS dbpool_moved = ROW_COUNT;  -- without rows for which a trigger returned NULL
            dbpool_stored := dbpool_stored + dbpool_moved;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS dbpool_state = RETURNED_SQLSTATE, dbpool_message = MESSAGE_TEXT,
                dbpool_detail = PG_EXCEPTION_DETAIL, dbpool_column = COLUMN_NAME;
            IF left(dbpool_state, 2) <> ALL ({classes}) THEN
                RAISE;
            ELSIF dbpool_first = dbpool_last THEN
                INSERT INTO {refused} VALUES (dbpool_first, dbpool_state,
                    concat_ws(' ', dbpool_message, nullif(dbpool_detail, '')), nullif(dbpool_column, ''));
            ELSE
                dbpool_middle := (dbpool_first + dbpool_last) / 2;
                dbpool_pending := ARRAY[dbpool_first, dbpool_middle, dbpool_middle + 1, dbpool_last] || dbpool_pending;
            END IF;
        END;
    END LOOP;
    PERFORM set_config('dbpool.stored', dbpool_stored::text, TRUE);
END $dbpool$
"""


async def rescue(
    connection: PooledConnection, target: Target, chunk: ApartChunk, rows: list[Row], timeout: float
) -> tuple[int, list[Refusal]]:
    """Store what can be stored of *rows*, which are all of *chunk*'s, in a transaction that is under way.

    Returns: how many rows are stored, and each other one with its reason, in order.
    Raises: the server's error where it is not about a row: then nothing is stored.
    """
    run = connection.run
    refused = {refusal.index: refusal for refusal in chunk.refused(rows, target)}
    numbered = [(index, row) for index, row in enumerate(rows) if index not in refused]
    stage = Stage.new()
    await run(f"CREATE TEMP TABLE {quoted(stage.name)} {chunk.stage_columns(target)}", (), Want.STATUS, timeout)
    refused |= await _fill(connection, target, chunk, stage, numbered, timeout)
    numbered = [(index, row) for index, row in numbered if index not in refused]
    for refusal in await chunk.refused_on_stage(connection, stage, numbered, timeout):
        refused[refusal.index] = refusal
    refusals = replace(stage, name=f"{stage.name}_refused")
    await run(
        f"CREATE INDEX ON {stage.sql} (dbpool_n); ANALYZE {stage.sql}; SET CONSTRAINTS ALL IMMEDIATE; "
        f"CREATE TEMP TABLE {quoted(refusals.name)} (n bigint, state text, message text, col text) ON COMMIT DROP;"
        + _MOVE.format(
            first=0,
            last=max(len(rows) - 1, 0),
            move=chunk.move(stage, target),
            classes=f"ARRAY[{', '.join(map(literal, sorted(REFUSED_DATA)))}]",
            refused=refusals.sql,
        ),
        (),
        Want.STATUS,
        timeout,
    )
    stored = await run("SELECT current_setting('dbpool.stored')::bigint", (), Want.ROW, timeout)
    found = await run(f"SELECT n, state, message, col FROM {refusals.sql}", (), Want.ROWS, timeout)
    refused |= {row[0]: Refusal(row[0], row[1], row[2], row[3]) for row in found}
    await run(f"DROP TABLE {stage.sql}, {refusals.sql}", (), Want.STATUS, timeout)
    return stored[0][0], [refused[index] for index in sorted(refused)]


async def _fill(
    connection: PooledConnection,
    target: Target,
    chunk: ApartChunk,
    stage: Stage,
    rows: list[tuple[int, Row]],
    timeout: float,
) -> dict[int, Refusal]:
    """Copy rows into the stage, a window of them at a time; return those that it refuses.

    The window shrinks to where the error says that it is, else to its half, and grows again behind it.
    """
    refused: dict[int, Refusal] = {}
    at, window, suspect = 0, max(len(rows), 1), -1
    while at < len(rows):
        part = rows[at : at + (1 if at == suspect else window)]
        error = await _try_stage(connection, target, chunk, stage, part, timeout)
        if error is None:
            at += len(part)
            window = max(window, SMALLEST_WINDOW) * 2
        elif len(part) == 1:
            refused[part[0][0]] = _refusal(part[0][0], error)
            at += 1
            window = max(window, SMALLEST_WINDOW)
        else:
            place = _place(error, part)
            suspect = -1 if place is None else at + place
            window = len(part) // 2 if place is None else max(place, 1)
    return refused


async def _try_stage(
    connection: PooledConnection,
    target: Target,
    chunk: ApartChunk,
    stage: Stage,
    rows: list[tuple[int, Row]],
    timeout: float,
) -> PostgresError | RowRefused | None:
    try:
        async with PooledConnection.make_transaction(connection):
            await chunk.stage(connection, stage, rows, target, timeout)
    except RowRefused as error:
        return error
    except PostgresError as error:
        if not is_refused_data(error):
            raise
        return error
    return None


def _place(error: PostgresError | RowRefused, part: list[tuple[int, Row]]) -> int | None:
    """Which row of *part* an error is likely to be about; None if it does not say, or nonsense."""
    if isinstance(error, RowRefused):
        return error.index
    line, _ = copy_place(error)
    if line is None:
        return None
    for place, (_, row) in enumerate(part):
        line -= row.raw.count(b"\n") + 1 if isinstance(row.raw, bytes) else 1
        if line <= 0:
            return place
    return None


def _refusal(index: int, error: PostgresError | RowRefused) -> Refusal:
    if isinstance(error, RowRefused):
        return Refusal(index, error.sqlstate, error.message)
    return Refusal(index, error.sqlstate or "", str(error).replace("\n", " "), copy_place(error)[1])
