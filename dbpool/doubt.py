"""What to do about a server that has stopped answering, where another one may have taken its place."""

from __future__ import annotations

import asyncio
import logging

from dbpool.connection import PooledConnection
from dbpool.finish import Cleanups
from dbpool.leases import Leases
from dbpool.serverkinds import server_of

log = logging.getLogger("dbpool")

# A server that lives has answered a request to cancel long before.
DOUBT_AFTER_S = 0.3
LOOK_EVERY_S = 0.2


class Doubt:
    """Looks for another server while the present one is silent.

    A statement that is given up keeps its permit until the server has answered, or for some seconds: that is how a
    server never sees more connections than it should. One that is frozen or cut off never answers, so everybody would
    wait for those seconds, though a standby may have been promoted long ago. So while an answer is overdue, the
    servers of the address are asked as for a new connection. If the first that will do is another one, all connections
    to the silent one are cut off, and their permits are free at once: there are none yet at the new one.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._looking = Cleanups()
        self._suspects: set[PooledConnection] = set()

    def of(self, connection: PooledConnection) -> None:
        """Begin to doubt: nobody waits for the answer on *connection*, which is awaited all the same."""
        self._suspects.add(connection)
        if not len(self._looking):
            self._looking.start(self._look())

    def stop(self) -> None:
        self._looking.cancel_all()

    async def _look(self) -> None:
        leases, server = self._leases, None
        await asyncio.sleep(DOUBT_AFTER_S)
        while (silent := self._still_silent()) is not None or (server is not None and leases.quarantine.zombies):
            server = server if silent is None else server_of(silent)
            try:
                found = await leases.driver.connect_apart()
            except Exception:  # noqa: S110 - whatever it is, there is no other server yet
                pass
            else:
                other = server_of(found)
                found.terminate()
                if other == server:  # it lives, and is only slow
                    self._suspects.clear()
                    return
                log.warning("%s: %s is silent, and %s will do: goes on there", leases.gate.name, server, other)
                leases.abandon(server)
            await asyncio.sleep(LOOK_EVERY_S)

    def _still_silent(self) -> PooledConnection | None:
        """One whose answer is overdue, of those that are doubted."""
        self._suspects = {each for each in self._suspects if each.is_interrupted and not each.is_closed()}
        return next(iter(self._suspects), None)
