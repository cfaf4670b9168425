"""What a sweep stands on: a server, a way to it, pools, and a witness that sees what the server sees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import dbpool
from dbpool import DatabasePool
from dbpool.testing.addresses import address_of
from dbpool.testing.leftovers import at_rest
from dbpool.testing.proxying.proxy import FaultProxy, proxy_to
from tests.rigs.rigserver import RigServer
from tests.rigs.sweep.kinds import Kind
from tests.support.tlsfront import tls_front

BOUND = 2
LIMITS = {
    "acquire_timeout": 0.8,
    "query_timeout": 0.5,
    "connect_timeout": 0.5,
    "reset_timeout": 0.25,
    "quarantine_timeout": 0.3,
    "close_timeout": 0.5,
    "outage_patience": 0.3,
}
PATIENCE_S = 5.0
SESSIONS = (
    "select count(*), count(*) filter (where state like 'idle in transaction%%'), "
    "count(*) filter (where query ~* 'listen') "
    "from pg_stat_activity where usename = 'app' and backend_type = 'client backend'"
)


@dataclass(slots=True)
class Ground:
    """For one operation disturbed in one way."""

    server: RigServer
    proxy: FaultProxy | None
    """None: through the unix socket, where no network is."""
    witness: Any
    has_tls: bool = False

    @property
    def dsn(self) -> str:
        if self.proxy is None:
            return self.server.socket_dsn
        dsn = self.proxy.dsn(self.server.dsn)
        if not self.has_tls:
            return dsn
        trusting = f"sslmode=verify-full&sslrootcert={self.server.certificate.path}"
        return dsn.replace("sslmode=disable", trusting)

    def new_pool(self) -> DatabasePool:
        return DatabasePool(self.dsn, BOUND, name="sweep", **LIMITS)  # type: ignore[arg-type]

    @asynccontextmanager
    async def pool(self, whose: str) -> AsyncIterator[Any]:
        """The pool of an operation; of one that makes its own, None."""
        if whose == "none":
            yield None
        elif whose == "ours":
            async with self.new_pool() as db:
                yield db
        else:
            async with dbpool.create_pool(
                self.dsn, min_size=1, max_size=BOUND, timeout=0.5, command_timeout=0.5
            ) as pool:
                yield pool

    def disturb(self, kind: Kind) -> None:
        """What is not the caller's own affair, at once."""
        if kind is Kind.TERMINATE:
            self.witness.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
            return
        assert self.proxy is not None
        if kind is Kind.STALL:
            self.proxy.stall()
        else:
            self.proxy.end_all(reset=kind is Kind.RESET)

    async def heal(self) -> None:
        if self.proxy is not None:
            await self.proxy.heal()

    async def wrong_with(self, pool: Any) -> list[str]:  # noqa: ANN401 - of either kind
        """What is not as if nobody had been here."""
        found = []
        if pool is not None:
            if not await at_rest(pool, PATIENCE_S):
                found.append(f"permits are not back: {pool.report()}")
            found += await self._refuses(pool)
            if not await at_rest(pool, PATIENCE_S):
                found.append(f"permits are not back at last: {pool.report()}")
        return found + await self._wrong_on_the_server(BOUND if pool is not None else 0)

    async def _refuses(self, pool: Any) -> list[str]:  # noqa: ANN401
        """Why it does not serve; it may say once or twice that a connection was cut off."""
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = await pool.fetchval("select 1")
                return [] if answer == 1 else [f"it answers {answer!r} to 'select 1'"]
            except Exception as error:
                if time.monotonic() > ends_at:
                    return [f"it does not serve: {type(error).__name__}: {error}"]
            await asyncio.sleep(0.02)

    async def _wrong_on_the_server(self, most: int) -> list[str]:
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            sessions, in_transaction, listening = self.witness.execute(SESSIONS).fetchone()
            if sessions - listening <= most and not in_transaction:
                return []
            if time.monotonic() > ends_at:
                return [f"{sessions} sessions, of which {in_transaction} are idle in a transaction; {most} may be"]
            await asyncio.sleep(0.01)  # the proxy is in this loop, too


@asynccontextmanager
async def ground_on(server: RigServer, transport: str) -> AsyncIterator[Ground]:
    """A way to *server*, by "tcp" or "tls" through a proxy, or by "unix"."""
    async with AsyncExitStack() as stack:
        witness = stack.enter_context(server.witness())
        proxy = None
        if transport != "unix":
            upstream = address_of(urlsplit(server.dsn))
            if transport == "tls":
                context = server.certificate.server_context()
                front = await stack.enter_async_context(tls_front(server.dsn, context))
                upstream = ("127.0.0.1", front.port)
            proxy = await stack.enter_async_context(proxy_to(upstream))
        yield Ground(server, proxy, witness, has_tls=transport == "tls")
