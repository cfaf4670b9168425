"""Beyond this machine a server must show that it is the one that is meant; weaker only for who asks for it."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, QueryTimeout, ServerUnavailable, SettingsError
from dbpool.dsn import Dsn
from dbpool.embedded import EmbeddedPostgres
from dbpool.tls import Tls
from tests.support.certificates import Certificate, issued, self_signed
from tests.support.hostile import Client, hostile_server
from tests.support.pools import pool_of, until
from tests.support.tlsfront import FAR, FAR_TOO, Front, tls_front

pytestmark = pytest.mark.every_loop

CANARY = "Zk7Qx9-canary"
CLEAR = "clear"  # a role that is asked for its password in clear text


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return self_signed(tmp_path_factory.mktemp("tls"), "authority")


@pytest.fixture(scope="module")
def shown(authority: Certificate) -> Certificate:
    """By the server, to everybody."""
    return issued(authority, "server", f"DNS:{FAR}", "DNS:localhost", "IP:127.0.0.1")


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(listen=True) as server:
        yield server


@pytest.fixture
async def server(postgres: EmbeddedPostgres, shown: Certificate) -> AsyncIterator[Front]:
    async with tls_front(postgres.dsn(), shown.server_context()) as front:
        yield front


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Who runs these tests may have a ~/.postgresql of their own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PGSSLMODE", raising=False)
    return tmp_path


async def refused(dsn: str, *, at_once: bool = True) -> str:
    """What a caller is told of a server that is not connected to."""
    db = DatabasePool(dsn, connect_timeout=5.0, outage_patience=10.0 if at_once else 0.01)
    with pytest.raises(ServerUnavailable) as caught:
        await db.open()
    await db.close()
    assert not at_once or "(1 failed connect in 0." in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def is_tls(server: Front, dsn: str) -> bool:
    """Whether a pool gets an answer, and by way of TLS."""
    before = len(server.sessions)
    async with pool_of(dsn) as db:
        assert await db.fetchval("select 1") == 1
    assert len(server.sessions) > before
    return server.sessions[-1]


def root(authority: Certificate) -> str:
    return f"?sslrootcert={authority.path}"


async def test_another_machine_is_reached_with_tls_and_its_certificate_checked(
    server: Front, authority: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="dbpool")
    assert await is_tls(server, server.dsn(FAR, root(authority)))
    assert "weaker" not in caplog.text


async def test_a_superuser_from_elsewhere_is_told_of_once(
    server: Front, authority: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="dbpool")
    async with pool_of(server.dsn(FAR, root(authority)), 2) as db, db.acquire(), db.acquire():
        (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"connected to {FAR} as a superuser, for whom no policy, limit or right holds" in record.getMessage()


async def test_the_authority_may_lie_where_libpq_looks(
    server: Front, authority: Certificate, nobodys_home: Path
) -> None:
    (nobodys_home / ".postgresql").mkdir()
    (nobodys_home / ".postgresql/root.crt").write_bytes(authority.path.read_bytes())
    assert await is_tls(server, server.dsn(FAR))
    assert "is not valid for" in await refused(server.dsn(FAR_TOO))


async def test_an_authority_that_this_machine_does_not_know_is_not_believed(server: Front) -> None:
    told = await refused(server.dsn(FAR))
    assert f"at {FAR}:{server.port}" in told
    assert "certificate verify failed" in told
    assert "Name the file of the authority that issued the server's certificate with ?sslrootcert=FILE" in told
    assert "?sslmode=require does without" in told
    assert str(server.password) not in told


async def test_nor_is_a_certificate_of_another_name(server: Front, authority: Certificate) -> None:
    told = await refused(server.dsn(FAR_TOO, root(authority)))
    assert f"certificate is not valid for '{FAR_TOO}'" in told
    assert "Connect by a name that the server's certificate has" in told


@pytest.mark.parametrize("kind", ["expired", "self-signed"])
async def test_nor_one_that_is_over_or_its_own(kind: str, authority: Certificate, tmp_path: Path) -> None:
    if kind == "expired":
        shown, says = issued(authority, "over", f"DNS:{FAR}", days=-1), "Check the clocks"
    else:
        shown, says = self_signed(tmp_path, "own", f"DNS:{FAR}"), "a certificate that is self-signed is its own"
    heard = bytearray()

    async def script(_: Client) -> None: ...

    async with hostile_server(script, heard, context=shown.server_context()) as port:
        told = await refused(f"postgresql://app:{CANARY}@{FAR}:{port}/shop{root(authority)}")
        assert says in told
    assert len(heard) == 8, "but for the request for TLS not a byte was sent"


async def test_a_certificate_that_is_self_signed_can_be_its_own_authority(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    own = self_signed(tmp_path, "own", f"DNS:{FAR}")
    async with tls_front(postgres.dsn(), own.server_context()) as front:
        assert await is_tls(front, front.dsn(FAR, root(own)))


async def test_another_machine_without_tls_gets_not_a_byte_beyond_the_request_for_it() -> None:
    heard = bytearray()

    async def script(_: Client) -> None: ...

    async with hostile_server(script, heard) as port:
        told = await refused(f"postgresql://app:{CANARY}@{FAR}:{port}/shop", at_once=False)
    assert "turn it on there (ssl = on, with a certificate), or end the address with ?sslmode=disable" in told
    assert len(heard) == 8


async def test_one_machine_that_is_another_makes_it_needed_for_all(server: Front) -> None:
    hosts = f"127.0.0.1:1,{FAR}"
    told = await refused(server.dsn(hosts), at_once=False)
    assert "certificate verify failed" in told


@pytest.mark.parametrize(
    ("mode", "level", "says"),
    [
        ("disable", logging.WARNING, "whoever is on the way can read and change"),
        ("allow", logging.WARNING, "whoever is on the way can read and change"),
        ("prefer", logging.WARNING, "whoever is on the way can read and change"),
        ("require", logging.INFO, "the server's certificate is not checked"),
    ],
)
@pytest.mark.parametrize("said_by", ["the address", "ssl", "PGSSLMODE"])
async def test_what_is_weaker_is_done_for_who_asks_for_it_and_told_once(
    server: Front,
    mode: str,
    level: int,
    says: str,
    said_by: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG, logger="dbpool")
    if said_by == "PGSSLMODE":
        monkeypatch.setenv("PGSSLMODE", mode)
    dsn = server.dsn(FAR_TOO, f"?sslmode={mode}" if said_by == "the address" else "")
    async with pool_of(dsn, 2, ssl=mode if said_by == "ssl" else None) as db:
        assert await db.fetchval("select 1") == 1
        assert server.sessions == [mode in ("prefer", "require")]
    (record,) = [each for each in caplog.records if "superuser" not in each.getMessage()]
    assert record.levelno == level
    assert f"connections to {FAR_TOO} are weaker than verify-full ({said_by} says {mode})" in record.getMessage()
    assert says in record.getMessage()


@pytest.mark.parametrize("more", ["?host=db.example&host=", "?service=shop&service=", "?host=&host=db.example"])
def test_a_parameter_that_stands_there_twice_is_read_as_the_driver_does(
    more: str, nobodys_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nobodys_home / "services").write_text("[shop]\nhost=db.example\n")
    monkeypatch.setenv("PGSERVICEFILE", str(nobodys_home / "services"))
    tls = Tls(Dsn(f"postgresql://app@/shop{more}"))
    assert (tls.hosts, tls.mode) == (["db.example"], "verify-full")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_loopback_needs_none_and_nothing_is_said(
    server: Front, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="dbpool")
    assert await is_tls(server, server.dsn(host))  # as the server has it
    assert not await is_tls(server, server.dsn(host, "?sslmode=disable"))
    assert caplog.text == ""


async def test_a_context_of_ones_own_is_taken_as_it_is(
    server: Front, authority: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="dbpool")
    context = ssl.create_default_context(cafile=authority.path)
    async with pool_of(server.dsn(FAR), 1, ssl=context) as db:
        assert await db.fetchval("select 1") == 1
    assert "weaker" not in caplog.text
    context.check_hostname = False
    async with pool_of(server.dsn(FAR_TOO), 1, ssl=context) as db:
        assert await db.fetchval("select 1") == 1
    assert "(the SSLContext given as ssl says verify-ca)" in caplog.text


async def test_a_request_to_cancel_goes_through_tls_too(server: Front, authority: Certificate) -> None:
    async with pool_of(server.dsn(FAR, root(authority)), 1) as db:
        with pytest.raises(QueryTimeout):
            await db.execute("select pg_sleep(20)", timeout=0.05)
        assert await db.fetchval("select 1") == 1
    assert server.cancels == [True]


async def test_a_client_shows_its_certificate(
    postgres: EmbeddedPostgres, shown: Certificate, authority: Certificate
) -> None:
    own, context = issued(authority, "client"), shown.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    async with tls_front(postgres.dsn(), context) as front:
        dsn = front.dsn(FAR, root(authority))
        assert await is_tls(front, f"{dsn}&sslcert={own.path}&sslkey={own.key}")
        await refused(dsn, at_once=False)
        told = await refused(f"{dsn}&sslcert={own.path}&sslkey={shown.key}", at_once=False)
        assert "the file of sslcert does not hold what it should, or not with this key" in told


async def test_a_certificate_that_was_replaced_is_read_again(
    postgres: EmbeddedPostgres, server: Front, authority: Certificate, tmp_path: Path
) -> None:
    trusted = tmp_path / "root.crt"
    trusted.write_bytes(authority.path.read_bytes())
    tls = Tls(Dsn(server.dsn(FAR, f"?sslrootcert={trusted}")))
    first = tls.argument()
    assert tls.argument() is first
    trusted.write_bytes(self_signed(tmp_path, "other").path.read_bytes())
    assert tls.argument() is not first


async def test_the_keys_are_written_to_no_file(
    server: Front, authority: Certificate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert await is_tls(server, server.dsn(FAR, root(authority)))
    assert await is_tls(server, server.dsn("localhost"))
    keys = tmp_path / "keys"
    assert not keys.exists() or keys.read_text().count("\n") == 1, "no more than its heading"
    context = ssl.create_default_context(cafile=authority.path)  # which asks for it
    async with pool_of(server.dsn(FAR), 1, ssl=context):
        assert "SECRET" in keys.read_text()


async def test_the_password_may_go_in_clear_text_through_tls(authority: Certificate, shown: Certificate) -> None:
    with EmbeddedPostgres(listen=True) as postgres:
        access = (
            f"local all all trust\nhost all {CLEAR} 127.0.0.1/32 password\nhost all all 127.0.0.1/32 scram-sha-256\n"
        )
        postgres.socket_dir.joinpath("pg_hba.conf").write_text(access)
        async with tls_front(postgres.dsn(), shown.server_context()) as front:
            async with pool_of(postgres.dsn(), 1) as db:
                await db.execute(f"create role {CLEAR} login password '{front.password}'")
                await db.execute("select pg_reload_conf()")
            dsn = front.dsn("127.0.0.1", "?sslmode=disable", user=CLEAR)

            async def is_asked() -> bool:  # the server takes a moment to read the file
                try:
                    async with pool_of(dsn, 1):
                        return False
                except ServerUnavailable:
                    return True

            await until(is_asked)
            assert "asks for the password in clear text on a connection without TLS" in await refused(dsn)
            assert await is_tls(front, front.dsn(FAR, root(authority), user=CLEAR))


async def test_asyncpg_by_itself_would_have_taken_any_server(server: Front) -> None:
    connection = await asyncpg.connect(server.dsn(FAR_TOO))
    assert server.sessions == [True]
    await connection.close()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("?sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert"),
        ("?sslrootcert=system&sslmode=require", "sslrootcert=system goes with sslmode=verify-full only"),
        ("?ssl_min_protocol_version=TLSv1.1", "ssl_min_protocol_version must be TLSv1.2 or TLSv1.3"),
    ],
)
async def test_what_would_protect_nothing_is_refused(more: str, says: str) -> None:
    db = DatabasePool(f"postgresql://app@{FAR}:1/shop{more}")
    with pytest.raises(SettingsError, match=says):
        await db.open()


@pytest.mark.parametrize("mode", ["yes", 7])
async def test_a_mode_that_there_is_not_is_refused(mode: Any) -> None:  # noqa: ANN401 - what mypy would find
    with pytest.raises(SettingsError, match="the sslmode that ssl gives is none of disable, allow, prefer"):
        await DatabasePool("postgresql://app@localhost/shop", ssl=mode).open()


async def test_of_several_servers_a_certificate_is_told_at_once_and_with_what_to_do(
    server: Front, authority: Certificate, tmp_path: Path
) -> None:
    stranger = self_signed(tmp_path, "stranger")
    where = f"{FAR}:{server.port},localhost:{server.port}"
    text = await refused(f"postgresql://postgres@{where}/postgres?sslrootcert={stranger.path}&sslmode=verify-full")
    assert "NoServerSuits" in text
    assert "sslrootcert" in text.partition("next try")[2]
    with_one_that_is_down = f"postgresql://postgres@{where},127.0.0.1:1/postgres?sslrootcert={stranger.path}"
    text = await refused(f"{with_one_that_is_down}&sslmode=verify-full", at_once=False)
    assert "sslrootcert" in text.partition("next try")[2]
