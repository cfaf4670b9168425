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
        self._servers: set[object] = set()  # theirs

    def of(self, connection: PooledConnection) -> None:
        """Begin to doubt: nobody waits for the answer on *connection*, which is awaited all the same."""
        self._suspects.add(connection)
        self._servers.add(server_of(connection))
        if not len(self._looking):
            self._looking.start(self._look())

    def stop(self) -> None:
        self._looking.cancel_all()

    async def _look(self) -> None:
        leases = self._leases
        await asyncio.sleep(DOUBT_AFTER_S)
        while (server := self._silent()) is not None:
            try:
                found = await leases.driver.connect_apart()
            except Exception:  # noqa: S110 - whatever it is, there is no other server yet
                pass
            else:
                other = server_of(found)
                found.terminate()
                if other == server:  # it lives, and is only slow
                    self._suspects.clear()
                    self._servers.clear()
                    return
                log.warning("%s: %s is silent, and %s will do: goes on there", leases.gate.name, server, other)
                leases.abandon(server)
                self._servers.discard(server)
            await asyncio.sleep(LOOK_EVERY_S)

    def _silent(self) -> object | None:
        """A server of those that are doubted of which an answer is overdue, or the end of a backend."""
        self._suspects = {each for each in self._suspects if each.is_interrupted and not each.is_closed()}
        silent = {server_of(each) for each in self._suspects} | self._leases.quarantine.servers()
        self._servers &= silent
        return next(iter(self._servers), None)
