"""Nothing quotes a file of services or passwords, or a variable, that the driver cannot read: a password is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbpool import DatabasePool, ServerUnavailable, SettingsError
from tests.rigs.security.addresses import CANARY
from tests.rigs.security.said import everything_logged, of_error, of_pool
from tests.support.databases import Database
from tests.support.pools import dsn_with, role_in

SERVICE = "[shop]\nhost=127.0.0.1\nport=1\nuser=app\n"
SERVICES = [
    f"{SERVICE}password=%{CANARY}\n".encode(),
    f"{SERVICE}password {CANARY}\n".encode(),
    f"password={CANARY}\n{SERVICE}".encode(),
    f"{SERVICE}password={CANARY}\xff\n".encode("latin-1"),
    f"[shop]\nport={CANARY}\n".encode(),
]
PASSWORDS = [f"*:*:*:*:{CANARY}\xff\n".encode("latin-1"), f"{CANARY}\n".encode()]


async def told(dsn: str) -> ServerUnavailable:
    """What a pool for *dsn* says, once nothing else that it tells has the canary."""
    db = DatabasePool(dsn, outage_patience=0.01)
    with everything_logged() as log, pytest.raises(ServerUnavailable, match="Nothing was sent to a server") as caught:
        await db.open()
    assert isinstance(caught.value.__cause__, SettingsError)
    assert CANARY not in of_error(caught.value)
    assert CANARY not in of_pool(db) + log.take()
    return caught.value


@pytest.mark.parametrize("text", SERVICES)
async def test_of_a_file_of_services(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "services").write_bytes(text)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert "the file of services" in str(await told("postgresql:///shop?service=shop"))


@pytest.mark.parametrize("text", PASSWORDS)
async def test_of_a_file_of_passwords(text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_bytes(text)
    file.chmod(0o600)
    assert "the file of passwords" in str(await told(f"postgresql://app@127.0.0.1:1/shop?passfile={file}"))


async def test_of_a_variable(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with role_in(database, password="other"):
        monkeypatch.setenv("PGPASSWORD", f"{CANARY}\udcff")  # as Python has a byte that is no UTF-8
        without = dsn_with(database.dsn, user=f"role_of_{database.name}")
        await told(without.replace(":@", "@"))
