"""The tables of pgbench, in a schema of the load test's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from dbpool.loadtest.scripts.builtin import SCRIPTS, builtin_script
from dbpool.loadtest.server.connecting import Session

SCHEMA: Final = "dbpool_loadtest"
ACCOUNTS: Final = 100_000  # for each unit of scale, as with pgbench
TELLERS: Final = 10

# the columns, filler and fill factor that `pgbench -i` makes; rows are made by the server, as with its -I G
_MAKE: Final = (
    f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE",
    f"CREATE SCHEMA {SCHEMA}",
    f"COMMENT ON SCHEMA {SCHEMA} IS 'made by dbpool loadtest init; dbpool loadtest clean drops it'",
    f"CREATE TABLE {SCHEMA}.pgbench_history(tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))",
    f"CREATE TABLE {SCHEMA}.pgbench_tellers"
    "(tid int NOT NULL, bid int, tbalance int, filler char(84)) WITH (fillfactor=100)",
    f"CREATE TABLE {SCHEMA}.pgbench_accounts"
    "(aid int NOT NULL, bid int, abalance int, filler char(84)) WITH (fillfactor=100)",
    f"CREATE TABLE {SCHEMA}.pgbench_branches(bid int NOT NULL, bbalance int, filler char(88)) WITH (fillfactor=100)",
)
_FILL_SMALL: Final = (
    f"INSERT INTO {SCHEMA}.pgbench_branches(bid, bbalance) SELECT bid, 0 FROM generate_series(1, $1::int) bid",
    f"INSERT INTO {SCHEMA}.pgbench_tellers(tid, bid, tbalance)"
    f" SELECT tid, (tid - 1) / {TELLERS} + 1, 0 FROM generate_series(1, $1::int * {TELLERS}) tid",
)
_FILL_ACCOUNTS: Final = (
    f"INSERT INTO {SCHEMA}.pgbench_accounts(aid, bid, abalance, filler)"
    f" SELECT aid, (aid - 1) / {ACCOUNTS} + 1, 0, ''"
    f" FROM generate_series(($1::bigint - 1) * {ACCOUNTS} + 1, $1::bigint * {ACCOUNTS}) aid"
)
_FINISH: Final = (
    f"ALTER TABLE {SCHEMA}.pgbench_branches ADD PRIMARY KEY (bid)",
    f"ALTER TABLE {SCHEMA}.pgbench_tellers ADD PRIMARY KEY (tid)",
    f"ALTER TABLE {SCHEMA}.pgbench_accounts ADD PRIMARY KEY (aid)",
)
TABLES: Final = ("branches", "tellers", "accounts", "history")


async def make_tables(session: Session, scale: int, on_made: Callable[[int], None] = lambda _: None) -> None:
    """Make the tables anew, with 100,000 accounts for each unit of *scale*: about 15 MB.

    Args:
        on_made: called with the units made.
    Cancelling: the statement under way is stopped; ``drop_tables`` removes what is there.
    """

    async def run(sql: str, *args: Any) -> None:  # noqa: ANN401 - as the parameters
        await session.execute(sql, *args, timeout=3600.0)

    for sql in _MAKE:
        await run(sql)
    for sql in _FILL_SMALL:
        await run(sql, scale)
    for unit in range(1, scale + 1):
        await run(_FILL_ACCOUNTS, unit)
        on_made(unit)
    for sql in _FINISH:
        await run(sql)
    for table in TABLES:
        await run(f"VACUUM ANALYZE {SCHEMA}.pgbench_{table}")


async def drop_tables(session: Session) -> bool:
    """Drop the schema with all that is in it. Returns: whether it was there."""
    is_there = bool(await session.fetchval("SELECT to_regnamespace($1) IS NOT NULL", SCHEMA))
    await session.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return is_there


async def scale_of(session: Session) -> int | None:
    """The scale that the tables were made with; None: there are none."""
    if await session.fetchval("SELECT to_regclass($1) IS NULL", f"{SCHEMA}.pgbench_branches"):
        return None
    return int(await session.fetchval(f"SELECT count(*) FROM {SCHEMA}.pgbench_branches")) or None


def builtin_text(name: str) -> tuple[str, str]:
    """The full name and the text of the builtin script whose name begins with *name*, for the tables in our schema.

    Raises: ScriptError: none does, or several do.
    """
    full = builtin_script(name).name
    return full, SCRIPTS[full].replace("pgbench_", f"{SCHEMA}.pgbench_")
