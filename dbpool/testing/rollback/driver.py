"""Opens the one connection that a sandbox has."""

from __future__ import annotations

from collections.abc import Callable

from dbpool.connection import PooledConnection
from dbpool.driver import Driver
from dbpool.errors import UsageError
from dbpool.remains import Remains
from dbpool.settings import PoolSettings
from dbpool.testing.rollback.connection import SandboxConnection
from dbpool.transactionoptions import TransactionOptions


class SandboxDriver(Driver):
    """As the pool's, for a single connection, which is in a transaction from the start."""

    def __init__(self, settings: PoolSettings, options: TransactionOptions) -> None:
        super().__init__(settings)
        self._options = options
        self._has_connected = False

    async def open(self, max_connections: int) -> None:
        await super().open(max_connections)
        self._pool._connection_class = SandboxConnection

    async def connect(self, leave: Callable[[Remains], None] = Remains.close) -> PooledConnection:
        if self._has_connected:
            raise UsageError("the sandbox's connection was lost, and with it all that was done: begin a new sandbox")
        connection = await super().connect(leave)
        self._has_connected = True
        assert isinstance(connection, SandboxConnection)
        connection.held_by = "the sandbox"
        await connection.enter(self._options)
        return connection
