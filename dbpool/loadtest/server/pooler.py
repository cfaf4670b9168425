"""PgBouncer's limits, as its console says."""

from __future__ import annotations

from dataclasses import dataclass

from dbpool.loadtest.server.console import CONSOLE, Console, number_in
from dbpool.loadtest.server.simplequery import TextRow


@dataclass(frozen=True, slots=True)
class PoolerDatabase:
    """A database that it offers; None: as for all, or no limit."""

    name: str
    pool_size: int | None
    pool_mode: str | None
    max_connections: int | None


@dataclass(frozen=True, slots=True)
class PoolerLimits:
    """How many clients it takes, and how many server connections they share; None: no limit, or no such setting.

    Args:
        default_pool_size: server connections for each database and role.
        pool_mode: session, transaction or statement: for how long a client has one.
        max_prepared_statements: those that it keeps for each, 0 for none; None: this version cannot.
    """

    version: str
    max_client_conn: int | None
    default_pool_size: int | None
    reserve_pool_size: int | None
    pool_mode: str | None
    max_prepared_statements: int | None
    max_db_connections: int | None
    max_user_connections: int | None
    query_wait_timeout_s: float | None
    databases: tuple[PoolerDatabase, ...]


async def read_pooler(console: Console) -> PoolerLimits:
    """Ask the console. Raises: what ``CONNECT_ERRORS`` has."""
    config = {row["key"] or "": row["value"] for row in await console.show("CONFIG")}
    databases = [database_of(row) for row in await console.show("DATABASES") if row["name"] != CONSOLE]
    return limits_of(console.version, config, databases)


def limits_of(version: str, config: TextRow, databases: list[PoolerDatabase]) -> PoolerLimits:
    """From ``SHOW CONFIG``, by key."""
    return PoolerLimits(
        version=version,
        max_client_conn=number_in(config, "max_client_conn"),
        default_pool_size=number_in(config, "default_pool_size"),
        reserve_pool_size=number_in(config, "reserve_pool_size"),
        pool_mode=config.get("pool_mode"),
        max_prepared_statements=number_in(config, "max_prepared_statements"),
        max_db_connections=number_in(config, "max_db_connections") or None,  # of limits, 0 is none
        max_user_connections=number_in(config, "max_user_connections") or None,
        query_wait_timeout_s=number_in(config, "query_wait_timeout") or None,
        databases=tuple(databases),
    )


def database_of(row: TextRow) -> PoolerDatabase:
    """From a row of ``SHOW DATABASES``."""
    return PoolerDatabase(
        name=row["name"] or "",
        pool_size=number_in(row, "pool_size"),
        pool_mode=row.get("pool_mode"),
        max_connections=number_in(row, "max_connections") or None,
    )
