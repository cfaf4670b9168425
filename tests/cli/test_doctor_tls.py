"""What the doctor sees of a connection with TLS: a proxy that ends it stands before the server."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dbpool.core.doctor.facts import Transport
from dbpool.loadtest.server.connecting import close, lifeline
from dbpool.tool.doctor.reading import transport_of
from tests.support.databases import Database


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def with_tls(dsn: str, certificate: Path) -> AsyncIterator[str]:
    """The address of the same server, with TLS; without its parameters."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    found = re.fullmatch(r"(.*@)([^:/]+):(\d+)(/[^?]*).*", dsn)
    assert found is not None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # SSLRequest
        writer.write(b"S")
        await writer.start_tls(context)
        upstream, to_server = await asyncio.open_connection(found[2], int(found[3]))
        await asyncio.gather(pump(reader, to_server), pump(upstream, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"{found[1]}localhost:{server.sockets[0].getsockname()[1]}{found[4]}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    words = [
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(["openssl", "req", *words, "-keyout", path, "-out", f"{path}.cert"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.cert").read_text())
    return path


@pytest.mark.parametrize(
    ("mode", "is_certified", "is_named"),
    [("require", False, False), ("verify-ca", True, False), ("verify-full", True, True)],
)
async def test_it_sees_what_is_checked(
    database: Database, certificate: Path, mode: str, is_certified: bool, is_named: bool
) -> None:
    async with with_tls(database.dsn, certificate) as dsn:
        root = f"&sslrootcert={certificate}" if is_certified else ""
        session = await lifeline(f"{dsn}?sslmode={mode}{root}", "test")
        found = transport_of(session, is_pooled=False, tls_at_server=None)
        await close(session)
    assert found == Transport(is_unix=False, is_local=True, tls="TLSv1.3", is_certified=is_certified, is_named=is_named)


async def test_it_sees_that_there_is_none(database: Database) -> None:
    session = await lifeline(database.dsn, "test")
    found = transport_of(session, is_pooled=False, tls_at_server=None)
    await close(session)
    assert (found.tls, found.is_certified) == (None, False)
