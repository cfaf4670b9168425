"""How much bulk work does at a time, unless it is told otherwise."""

ROWS_PER_TRANSACTION = 50_000
