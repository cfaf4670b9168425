"""The rig's own server, its tables, its roles, and its log; it is restarted in every way that there is."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from dbpool import migrate
from dbpool.embedded import EmbeddedPostgres

# A crash of the server loses nothing that was written, for the system goes on: so no need to wait for the disk.
SETTINGS = {
    "fsync": "off",
    "max_connections": "60",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    "logging_collector": "on",
    "log_filename": "server.log",
    "log_line_prefix": "%e %n ",
    "log_min_messages": "fatal",
    "log_min_error_statement": "panic",
    "autovacuum_naptime": "20",
    "track_activity_query_size": "256",
}
ROLES_EACH = 4  # of each writer, in turn: the sessions of one that was killed may outlive it
TABLES = """
create table ledger (worker int not null, seq bigint not null, kind smallint not null,
    xid xid8 not null default pg_current_xact_id());
create index on ledger (worker, seq);
grant select, insert on ledger to public;
create table jobseen (job int not null, n int not null);
grant select, insert on jobseen to public;
create table kept (n int primary key);
insert into kept values (1);
grant select, insert on kept to public;
grant all on all tables in schema public to public;
grant usage on all sequences in schema public to public;
"""
REFUSAL = re.compile(rb"^53300 (\S+) FATAL:  too many connections for role", re.MULTILINE)


@dataclass(slots=True)
class Cluster:
    """See the module."""

    place: Path
    server: EmbeddedPostgres = field(init=False)

    def __post_init__(self) -> None:
        logs = {**SETTINGS, "log_directory": str(self.place / "log")}
        self.server = EmbeddedPostgres(data_dir=self.place / "data", settings=logs, start_timeout=60)

    @property
    def socket(self) -> Path:
        """The same after each restart."""
        return self.place / "socket" / ".s.PGSQL.5432"

    @property
    def dsn(self) -> str:
        """As a superuser, past the proxy."""
        return f"postgresql://postgres@/postgres?host={self.place / 'socket'}&port=5432"

    async def start(self) -> None:
        await asyncio.to_thread(self.server.start)
        new = self.place / "socket.new"
        new.symlink_to(self.server.socket_dir)
        new.replace(self.place / "socket")

    async def stop(self, number: int = signal.SIGINT) -> None:
        """Return once it is gone: SIGINT as ``pg_ctl -m fast`` does it, SIGQUIT as ``-m immediate``."""
        os.kill(self.server.pid, number)
        await asyncio.to_thread(self.server.stop)

    async def equip(self, limits: dict[str, int]) -> None:
        """Make the tables, and roles with so many connections."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await migrate.upgrade(self.dsn)
            await connection.execute(TABLES)
            for role, limit in limits.items():
                await connection.execute(f"create role {role} login connection limit {limit}")
        finally:
            await connection.close()

    def refusals(self) -> list[float]:
        """When a role was refused a connection for its limit, by the wall clock."""
        log = self.place / "log" / "server.log"
        return [float(at) for at in REFUSAL.findall(log.read_bytes())] if log.exists() else []


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """One that is running; nothing of it is left at the end."""
    place = _place()
    try:
        one = Cluster(place)
        await one.start()
        try:
            yield one
        finally:
            await asyncio.to_thread(one.server.stop)
    finally:
        with suppress(OSError):
            shutil.rmtree(place)


def _place() -> Path:
    """A directory in which the server's user, who may be another, can make its own."""
    place = Path(tempfile.mkdtemp(prefix="dbp-", dir="/tmp"))
    for each in (place, place / "log"):
        each.mkdir(exist_ok=True)
        each.chmod(0o1777)
    return place
