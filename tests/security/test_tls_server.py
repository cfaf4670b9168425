"""A PostgreSQL that has TLS itself, where there is one: the embedded one is built without."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from psycopg_pool import PoolTimeout

from dbpool import DatabasePool, QueryTimeout, ServerUnavailable
from dbpool.embedded import EmbeddedPostgres
from dbpool.embedded.account import server_account
from dbpool.loadtest.drivers.psycopgpool import PsycopgDriver
from dbpool.loadtest.load import DriverName, Target
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from tests.support.certificates import Certificate, issued, self_signed
from tests.support.pools import pool_of, until
from tests.support.tlsfront import FAR

TLS = "select version from pg_stat_ssl where pid = pg_backend_pid()"
DEBIANS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
ACCESS = """local all all trust
hostssl all certified 127.0.0.1/32 cert
host all asked 127.0.0.1/32 password
host all all 127.0.0.1/32 scram-sha-256
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture
async def server(authority: Certificate, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The part of its address behind the user's name, but for the parameters."""
    if "DBPOOL_PG_BIN" not in os.environ:
        if not DEBIANS:
            pytest.skip("no system PostgreSQL, which has TLS: install postgresql-15, or set DBPOOL_PG_BIN to its bin")
        monkeypatch.setenv("DBPOOL_PG_BIN", str(DEBIANS[-1].parent))
    shown = issued(authority, "server", f"DNS:{FAR}")
    account = server_account()
    files = {"ssl_cert_file": shown.path, "ssl_key_file": shown.key, "ssl_ca_file": authority.path}
    with EmbeddedPostgres(listen=True) as server:
        for name, source in files.items():
            path = shutil.copyfile(source, server.data_dir / name)
            path.chmod(0o600)
            os.chown(path, account.uid, account.gid)
        server.socket_dir.joinpath("pg_hba.conf").write_text(ACCESS)
        parts = urlsplit(server.dsn())
        by_socket = await asyncpg.connect(f"postgresql://postgres@/postgres?host={server.socket_dir}&port={parts.port}")
        for statement in (
            "create role certified login",
            "create role asked login password 'new'",
            *(f"alter system set {name} = '{name}'" for name in files),
            "alter system set ssl = on",
            "select pg_reload_conf()",
        ):
            await by_socket.execute(statement)

        async def has_tls() -> bool:
            await asyncio.sleep(0.02)
            return str(await by_socket.fetchval("show ssl")) == "on"

        await until(has_tls)
        await by_socket.close()
        yield f"{parts.password}@{FAR}:{parts.port}/postgres?sslrootcert={authority.path}"


async def test_it_is_talked_to_by_tls_and_stops_what_it_is_told_to(server: str) -> None:
    async with pool_of(f"postgresql://postgres:{server}", 1) as db:
        assert await db.fetchval(TLS) == "TLSv1.3"
        with pytest.raises(QueryTimeout):
            await db.execute("select pg_sleep(20)", timeout=0.05)
        assert await db.fetchval(TLS) == "TLSv1.3"


async def test_it_takes_a_clients_certificate_and_says_where_there_is_none(server: str, authority: Certificate) -> None:
    own, dsn = issued(authority, "certified"), f"postgresql://certified:{server}"
    async with pool_of(f"{dsn}&sslcert={own.path}&sslkey={own.key}", 1) as db:
        assert await db.fetchval("select current_user") == "certified"
    with pytest.raises(ServerUnavailable, match="connection requires a valid client certificate"):
        await DatabasePool(dsn).open()


async def test_a_wrong_password_that_it_was_told_by_tls_is_told_as_that_and_asked_for_anew(server: str) -> None:
    passwords = iter(["old", "new"])
    near = server.partition("@")[2].replace(FAR, "127.0.0.1")  # so that TLS is preferred, and what comes next has none
    async with pool_of(f"postgresql://asked@{near}", 1, credentials=lambda: next(passwords)) as db:
        assert await db.fetchval("select current_user") == "asked"
    with pytest.raises(ServerUnavailable, match="password authentication failed"):
        await DatabasePool(f"postgresql://asked:old@{near}").open()


async def test_a_load_by_libpq_looks_at_its_certificate_too(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))  # where there may be a root.crt
    address = f"postgresql://postgres:{server}"

    async def connects(dsn: str) -> None:
        target = Target(dsn, DriverName.PSYCOPG_POOL, 1, connect_timeout_s=2.0)
        driver = PsycopgDriver(target, QueryMode.SIMPLE)
        try:
            await driver.open()
        finally:
            await driver.close()

    await connects(address)
    with pytest.raises(PoolTimeout):
        await connects(address.partition("?")[0])
