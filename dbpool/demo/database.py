"""A database of the demo's own: made on a server, dropped at the end."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote

from dbpool import DatabasePool, DbPoolError
from dbpool.connection import PostgresError
from dbpool.demo.plan import DemoError, LeftBehind, Plan
from dbpool.embedded import EmbeddedPostgres
from dbpool.faults import one_line, sqlstate
from dbpool.finish import finish

SIDE_CONNECTIONS = (
    5  # besides the pool that is shown: one that watches, one that migrates, two of the act on exhaustion
)
CONNECT_TIMEOUT_S = 5.0  # a person is watching
DROP_TIMEOUT_S = 15.0  # it writes a checkpoint, which on a busy server takes seconds
OLDEST_VERSION = 130000  # DROP DATABASE ... WITH (FORCE)

_FACTS = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS version_number,
           current_setting('max_connections')::int AS most,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
               - (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') + 1 AS free
"""


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """The database, with a pool of one connection elsewhere on the same server that can watch it."""

    name: str
    dsn: str
    server_version: str
    watcher: DatabasePool


@asynccontextmanager
async def server(plan: Plan) -> AsyncIterator[str]:
    """Yield the address of the plan's server: the user's own, or an embedded one that ends with the block."""
    if plan.dsn is not None:
        yield plan.dsn
        return
    room = {"max_connections": str(max(100, plan.connections + 2 * SIDE_CONNECTIONS))}
    async with EmbeddedPostgres(settings=room) as embedded:
        yield embedded.dsn()


@asynccontextmanager
async def own_database(dsn: str, connections: int) -> AsyncIterator[OwnDatabase]:
    """Make a database with a random name on the server at *dsn*, and drop it when the block ends, however it ends.

    Raises:
        DemoError: the server has not room for *connections*, or the role may not make databases.
        LeftBehind: it could not be dropped.
        ServerUnavailable: there is no such server, or it refuses the role.
    """
    name = f"dbpool_demo_{secrets.token_hex(4)}"
    options = {"application_name": f"{name} watcher"}
    watcher = DatabasePool(
        dsn, 1, name="demo watcher", connect_timeout=CONNECT_TIMEOUT_S, server_settings=options, close_timeout=2.0
    )
    async with watcher:
        version = await _check_server(watcher, connections)
        failure: BaseException | None = None
        try:
            await _create(watcher, name)
            yield OwnDatabase(name, _address(dsn, name), version, watcher)
        except BaseException as error:
            failure = error
            raise
        finally:  # cancelled while it was being made, it may be there all the same
            await finish(_drop(watcher, name, failure))


async def _check_server(watcher: DatabasePool, connections: int) -> str:
    facts = await watcher.fetchrow(_FACTS)
    assert facts is not None
    if facts["version_number"] < OLDEST_VERSION:
        raise DemoError(f"The demo needs PostgreSQL 13 or newer; this server is {facts['version']}.")
    needed = connections + SIDE_CONNECTIONS - 1
    if facts["free"] < needed:
        raise DemoError(
            f"This server takes {facts['most']} connections, and {max(facts['free'], 0)} of them are free for the "
            f"demo, which needs {needed}: lower --connections to {max(facts['free'] - SIDE_CONNECTIONS + 1, 1)}."
        )
    return str(facts["version"])


async def _create(watcher: DatabasePool, name: str) -> None:
    # the server's own defaults may be an encoding that cannot hold the customers' names
    sql = f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'"
    try:
        await watcher.execute(sql)
    except PostgresError as error:
        if sqlstate(error) == "42501":
            role = await watcher.fetchval("SELECT current_user")
            raise DemoError(
                f"The demo makes a database of its own, which role '{role}' may not do on this server: ALTER ROLE "
                f'"{role}" CREATEDB, or leave out --dsn and DATABASE_URL for an embedded server.'
            ) from error
        raise DemoError(f"The demo could not make a database of its own: {one_line(error)}") from error


async def _drop(watcher: DatabasePool, name: str, failure: BaseException | None) -> None:
    try:
        async with asyncio.timeout(DROP_TIMEOUT_S):
            await watcher.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    except (DbPoolError, PostgresError, OSError, TimeoutError) as error:
        sentence = f"Its database could not be dropped ({one_line(error)}): DROP DATABASE {name};"
        raise LeftBehind(sentence) from failure


def _address(dsn: str, database: str) -> str:
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", lambda found: f"{found[1]}/{quote(database, safe='')}", dsn)
