"""Asks a server, over one connection, for everything that the doctor wants to know."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Awaitable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeVar

import dbpool
from dbpool.core.doctor.facts import Clock, Facts, Role, Setting, Tables, Transport
from dbpool.core.doctor.settings import NAMES
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, Session, application_name, rows
from dbpool.loadtest.server.limits import read_limits
from dbpool.loadtest.server.simplequery import simple_rows
from dbpool.tool.doctor.pooling import try_pooler

T = TypeVar("T")

LOOK_S: Final = 5.0  # for each question: a server that is in trouble shall still be told about
ROUND_TRIPS: Final = 7
_SETTINGS: Final = "SELECT name, setting, current_setting(name) AS shown FROM pg_settings WHERE name = ANY($1::text[])"
_ROLE: Final = """
    SELECT rolsuper AS is_superuser, rolbypassrls AS bypasses_rls, rolcreaterole AS creates_roles,
           rolcreatedb AS creates_databases, rolreplication AS replicates
    FROM pg_roles WHERE rolname = current_user
"""
_OWNED: Final = """
    SELECT (SELECT pg_get_userbyid(datdba) = current_user FROM pg_database WHERE datname = current_database())
               AS owns_database,
           (SELECT count(*)::int FROM pg_class WHERE relkind IN ('r', 'p') AND pg_get_userbyid(relowner) = current_user
                AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)') AS owned_tables
"""
_STATE: Final = """
    SELECT pg_is_in_recovery() AS is_standby, current_setting('server_encoding') AS encoding,
           pg_jit_available() AS has_jit
"""
_TLS: Final = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
_TABLES: Final = """
    SELECT to_regclass('dbpool_job') IS NOT NULL AS are_there, to_regclass('dbpool_version')::text AS kept_in
"""


async def read_facts(dsn: str, session: Session, run_id: str, connect_s: float) -> Facts:
    """All that can be seen; what cannot is None. *session* is one of ``lifeline``. Raises: what the driver raises."""
    limits = await _seen(read_limits(session))
    tls = await _one(session, _TLS) or {}
    is_pooled = None if limits is None else limits.is_pooled
    state = await _one(session, _STATE) or {}
    trips, clock = await _measured(session)
    return Facts(
        version=str(session.get_server_version().major if limits is None else limits.version),
        version_number=session.get_server_version().major * 10_000 if limits is None else limits.version_number,
        role=limits.role if limits is not None else str(await session.fetchval("SELECT current_user")),
        database=limits.database if limits is not None else str(await session.fetchval("SELECT current_database()")),
        today=datetime.now(UTC).date(),
        transport=transport_of(session, is_pooled=bool(is_pooled), tls_at_server=tls.get("ssl")),
        is_pooled=is_pooled,
        pooler=await try_pooler(dsn, session, application_name(run_id, "doctor")) if is_pooled else None,
        slots=None if limits is None else limits.slots,
        attributes=await _role(session),
        settings=await _settings(session),
        **state,
        files=_files(),
        tables=await _tables(session),
        clock=clock,
        round_trip_ms=trips,
        connect_ms=connect_s * 1000,
    )


async def _seen(looking: Awaitable[T]) -> T | None:
    """None: this role, or this server, does not let us see it, or not in time."""
    try:
        async with asyncio.timeout(LOOK_S):
            return await looking
    except CONNECT_ERRORS as error:
        if isinstance(error, OSError) and not isinstance(error, TimeoutError):
            raise  # the server is gone
        return None


async def _one(session: Session, sql: str, *args: object) -> dict[str, Any] | None:
    found = await _seen(rows(session, sql, *args))
    return found[0] if found else None


def transport_of(session: Session, *, is_pooled: bool, tls_at_server: bool | None) -> Transport:
    """What our own connection is."""
    transport: asyncio.Transport = session._transport  # type: ignore[attr-defined]  # noqa: SLF001 - asyncpg does not tell
    peer, tls = transport.get_extra_info("peername"), transport.get_extra_info("ssl_object")
    is_unix = not isinstance(peer, tuple)
    context: ssl.SSLContext | None = None if tls is None else tls.context
    return Transport(
        is_unix=is_unix,
        is_local=is_unix or peer[0] == "::1" or peer[0].startswith("127."),
        tls=None if tls is None else tls.version(),
        is_certified=context is not None and context.verify_mode is ssl.CERT_REQUIRED,
        is_named=context is not None and context.check_hostname,
        behind_pooler_tls=tls_at_server if is_pooled else None,
    )


async def _role(session: Session) -> Role | None:
    attributes = await _one(session, _ROLE)
    return None if attributes is None else Role(**attributes, **(await _one(session, _OWNED) or {}))


async def _settings(session: Session) -> dict[str, Setting]:
    found = await _seen(rows(session, _SETTINGS, list(NAMES))) or []
    return {row["name"]: Setting(row["setting"], row["shown"]) for row in found}


async def _tables(session: Session) -> Tables | None:
    found = await _one(session, _TABLES)
    if found is None:
        return None
    revision = None
    if found["are_there"] and found["kept_in"]:
        row = await _one(session, f"SELECT max(version_num) AS revision FROM {found['kept_in']}") or {}
        revision = row.get("revision")
    return Tables(found["are_there"], revision, _newest())


def _newest() -> str | None:
    """The newest of our migrations, whose files begin with their revisions; in a clone, or as installed."""
    package = Path(dbpool.__file__).parent
    for folder in (package / "_migrations", package.parent / "migrations"):
        found = [path.name for path in (folder / "versions").glob("[0-9]*_*.py")]
        if found:
            return max(re.split("_", name)[0] for name in found)
    return None


async def _measured(session: Session) -> tuple[float | None, Clock | None]:
    """The median of a few round trips in ms, and the clock's skew by the quickest of them."""
    trips: list[tuple[float, float]] = []
    for _ in range(ROUND_TRIPS):
        began_at, began = time.time(), time.perf_counter()
        sql = "SELECT extract(epoch FROM clock_timestamp()) AS now"
        found = await _seen(simple_rows(session, sql, timeout_s=LOOK_S))
        took = time.perf_counter() - began
        if not found:
            return None, None
        trips.append((took, float(found[0]["now"] or 0) - (began_at + took / 2)))
    quickest, skew = min(trips)
    return median(took for took, _ in trips) * 1000, Clock(skew, quickest / 2)


def _files() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
