"""A PgBouncer of a test's own."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg
import pytest

PATIENCE_S = 10.0
PROGRAM = "DBPOOL_PGBOUNCER"
OLD_PROGRAM = "DBPOOL_PGBOUNCER_OLD"
PROGRAMS = (OLD_PROGRAM, PROGRAM)
CONSOLE = "pgbouncer"  # the database that is none


@dataclass
class Bouncer:
    """A pooler on loopback; ``address`` is what to connect to."""

    address: str
    command: tuple[str, ...]
    account: int | None
    process: subprocess.Popen[bytes]

    async def start(self) -> None:
        """Start it again, where it was before."""
        if self.process.poll() is not None:
            self.process = await _started(self.command, self.account, self.address)

    def kill(self) -> None:
        """As if the machine had gone."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    async def say(self, command: str) -> None:
        """Have the console run *command*: ``PAUSE``, ``RESUME``, ``RELOAD``, ``SET ...``."""
        console = await asyncpg.connect(console_of(self.address), statement_cache_size=0, timeout=PATIENCE_S)
        try:
            await console.execute(command, timeout=PATIENCE_S)
        finally:
            console.terminate()


@asynccontextmanager
async def pgbouncer(
    dsn: str, *, max_client_conn: int, program: str = PROGRAM, pool_size: int = 4, mode: str = "transaction"
) -> AsyncIterator[str]:
    """The address of a pooler on loopback in front of *dsn*'s server; its user may use the console.

    Skips where the variable *program* names none.
    """
    async with bouncer(dsn, program, pool_mode=mode, default_pool_size=pool_size, max_client_conn=max_client_conn) as b:
        yield b.address


@asynccontextmanager
async def bouncer(dsn: str, program: str = PROGRAM, **settings: object) -> AsyncIterator[Bouncer]:
    """The same with any *settings* of pgbouncer.ini; it serves every database of the server."""
    binary = os.environ.get(program)
    if not binary:
        pytest.skip(f"no {program} in the environment")
    parts = urlsplit(dsn)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    database = unquote(parts.path[1:]) or "postgres"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "trust",
        "pool_mode": "transaction",
        "default_pool_size": 4,
        "max_client_conn": 50,
        "admin_users": user,
        **settings,
    }
    with tempfile.TemporaryDirectory(prefix="dbp-", dir="/tmp") as place:
        configuration = Path(place) / "pgbouncer.ini"
        users = Path(place) / "users.txt"
        users.write_text(f'"{user}" "{password}"\n')
        configuration.write_text(
            f"[databases]\n* = host={parts.hostname} port={parts.port} user={user} password={password}\n"
            f"[pgbouncer]\nauth_file = {users}\n" + "".join(f"{name} = {value}\n" for name, value in settings.items())
        )
        for path in (Path(place), configuration, users):
            path.chmod(0o755)
        # as root it refuses to run
        account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        command = (binary, "-q", str(configuration))
        address = f"postgresql://{user}@127.0.0.1:{port}/{database}?sslmode=disable"
        started = Bouncer(address, command, account, await _started(command, account, address))
        try:
            yield started
        finally:
            started.kill()


async def _started(command: tuple[str, ...], account: int | None, address: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(command, user=account, stderr=subprocess.DEVNULL)  # noqa: ASYNC220 - uvloop knows no users
    try:
        await _listening(urlsplit(address).port or 0)
    except BaseException:
        process.kill()
        process.wait(PATIENCE_S)
        raise
    return process


def console_of(dsn: str) -> str:
    """The address of the admin console of the pooler at *dsn*."""
    return urlsplit(dsn)._replace(path=f"/{CONSOLE}").geturl()


async def _listening(port: int) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + PATIENCE_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            assert clock() < deadline, "the pooler did not listen in time"
            await asyncio.sleep(0.02)
            continue
        writer.close()
        await writer.wait_closed()
        return
