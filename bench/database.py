"""A database for the length of the run, with a table of a million rows."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg

ROWS = 1_000_000

_TABLE = f"""
create table users (id integer primary key, name text not null, email text not null);
insert into users select n, 'user ' || n, 'user' || n || '@example.com' from generate_series(1, {ROWS}) as n;
"""


@contextmanager
def bench_database(server_dsn: str) -> Iterator[str]:
    """Make a database beside the one that *server_dsn* names and yield its DSN; drop it at the end."""
    name = f"dbpool_bench_{secrets.token_hex(4)}"
    asyncio.run(_run(server_dsn, f"create database {name}"))
    try:
        dsn = in_database(server_dsn, name)
        # not in the script: VACUUM refuses to be part of one
        asyncio.run(_run(dsn, _TABLE, "vacuum (freeze, analyze) users", "select count(*) from users"))
        yield dsn
    finally:
        asyncio.run(_run(server_dsn, f"drop database {name} with (force)"))


def in_database(dsn: str, name: str) -> str:
    """*dsn* with another database's name."""
    parts = urlsplit(dsn)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key not in ("database", "dbname")]
    # by hand: urlunsplit loses the slashes of an address without a host
    return f"{parts.scheme}://{parts.netloc}/{name}" + (f"?{urlencode(query)}" if query else "")


async def server_version(dsn: str) -> str:
    """Such as ``18.6``."""
    connection = await asyncpg.connect(dsn)
    try:
        return str(await connection.fetchval("show server_version")).split()[0]
    finally:
        await connection.close()


async def _run(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=300)
    finally:
        await connection.close()
