"""A PgBouncer of a test's own."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

PATIENCE_S = 10.0
PROGRAM = "DBPOOL_PGBOUNCER"
OLD_PROGRAM = "DBPOOL_PGBOUNCER_OLD"
PROGRAMS = (OLD_PROGRAM, PROGRAM)
CONSOLE = "pgbouncer"  # the database that is none


@asynccontextmanager
async def pgbouncer(
    dsn: str, *, max_client_conn: int, program: str = PROGRAM, pool_size: int = 4, mode: str = "transaction"
) -> AsyncIterator[str]:
    """The address of a pooler on loopback in front of *dsn*'s server; its user may use the console.

    Skips where the variable *program* names none.
    """
    binary = os.environ.get(program)
    if not binary:
        pytest.skip(f"no {program} in the environment")
    parts = urlsplit(dsn)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="dbp-", dir="/tmp") as place:
        settings = Path(place) / "pgbouncer.ini"
        users = Path(place) / "users.txt"
        users.write_text(f'"{user}" "{password}"\n')
        settings.write_text(
            f"[databases]\npostgres = host={parts.hostname} port={parts.port} user={user} password={password}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {users}\npool_mode = {mode}\ndefault_pool_size = {pool_size}\n"
            f"max_client_conn = {max_client_conn}\nadmin_users = {user}\n"
        )
        for path in (Path(place), settings, users):
            path.chmod(0o755)
        # as root it refuses to run
        account = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        process = await asyncio.create_subprocess_exec(
            binary, "-q", str(settings), user=account, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await _listening(port)
            yield f"postgresql://{user}@127.0.0.1:{port}/postgres?sslmode=disable"
        finally:
            process.kill()
            await process.wait()


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
