"""A transaction that fails because of others is tried again, as pgbench does it."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.drivers.failures import evidence_of
from dbpool.loadtest.drivers.protocol import Body, Connection, Driver, now_ns
from dbpool.loadtest.generating.items import Item
from dbpool.loadtest.load import Load
from dbpool.loadtest.scripts.client import Client

RETRIED: Final = ("40001", "40P01")  # a serialization failure, a deadlock


class Tries:
    """The tries of one transaction of *client*, on one connection; ``count`` is how many there were.

    Each begins with the same random numbers and the same variables.

    Args:
        due: monotonic ns; beyond the load's latency limit since then it is not tried again.
    """

    def __init__(self, item: Item, client: Client, driver: Driver, load: Load, due: int) -> None:
        self._item, self._client, self._driver = item, client, driver
        self._most = load.max_tries
        self._latest = None if load.limit_ns is None else due + load.limit_ns
        self._random, self._variables = client.random.state, dict(client.variables)
        self.count = 1
        self._body = item.begin(client)

    async def body(self, connection: Connection) -> None:
        """The transaction. Raises: what the last try does; ScriptError, as to begin one."""
        while True:
            try:
                await self._body(connection)
            except Exception as error:
                if not self._is_worth_another(error):
                    raise
            else:
                return
            await self._driver.roll_back(connection)
            self._body = self._begin_again()

    def _is_worth_another(self, error: Exception) -> bool:
        if evidence_of(error).sqlstate not in RETRIED or (self._most and self.count >= self._most):
            return False
        return self._latest is None or now_ns() <= self._latest

    def _begin_again(self) -> Body:
        client = self._client
        client.random.state = self._random
        client.variables.clear()
        client.variables.update(self._variables)
        self.count += 1
        return self._item.begin(client)
