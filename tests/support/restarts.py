"""A server of a test's own that can be restarted under a pool."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dbpool.embedded import EmbeddedPostgres
from tests.support.proxy import Proxy, proxy_to


@dataclass(frozen=True, slots=True)
class Restartable:
    """It keeps its address, for a proxy stands before it."""

    _server: EmbeddedPostgres
    _proxy: Proxy

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@{self._proxy.address}/postgres?sslmode=disable"

    async def restart(self) -> None:
        await asyncio.to_thread(self._server.stop)
        await asyncio.to_thread(self._server.start)
        self._proxy.upstream = _socket_of(self._server)


@asynccontextmanager
async def restartable() -> AsyncIterator[Restartable]:
    """One whose data outlive a restart."""
    with _kept_server() as server:
        await asyncio.to_thread(server.start)
        try:
            async with proxy_to(_socket_of(server)) as proxy:
                yield Restartable(server, proxy)
        finally:
            await asyncio.to_thread(server.stop)


@contextmanager
def _kept_server() -> Iterator[EmbeddedPostgres]:
    with tempfile.TemporaryDirectory(prefix="dbp-", dir="/tmp") as place:
        Path(place).chmod(0o1777)  # the server's user makes its data in it
        yield EmbeddedPostgres(data_dir=Path(place) / "data", settings={"fsync": "off"})


def _socket_of(server: EmbeddedPostgres) -> Path:
    return server.socket_dir / ".s.PGSQL.5432"
