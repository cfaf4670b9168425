"""What to do about a server that has stopped answering, where another one may have taken its place."""

from __future__ import annotations

import asyncio
import logging

from dbpool.connection import PooledConnection
from dbpool.core.hosts import NoServerSuits
from dbpool.core.retry import Verdict, verdict
from dbpool.faults import sqlstate
from dbpool.finish import Cleanups
from dbpool.leases import Leases
from dbpool.serverkinds import server_of

log = logging.getLogger("dbpool")

# A server that lives has answered a request to cancel long before.
DOUBT_AFTER_S = 0.3
LOOK_EVERY_S = 0.2
# And a connect: as long as one is waited for before the next server is tried beside it.
ANSWER_WITHIN_S = 0.5
SHORTEST_SLEEP_S = 0.01  # a timer may be early by less than the clock can tell


class Doubt:
    """Looks for another server while one is silent.

    A statement that is given up keeps its permit until the server has answered, or for some seconds: that is how a
    server never sees more connections than it should. One that is frozen or cut off never answers, so everybody would
    wait for those seconds, though a standby may have been promoted long ago. So while an answer is overdue, its server
    is asked for a new connection, and beside that all servers of the address are, as for any other. If it has no
    answer, or is of another kind than is wanted, and another one will do, all connections to it are cut off, and their
    permits are free at once: there are none yet at the other. One that answers lives: its other sessions may be well.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._looking = Cleanups()
        self._since: dict[PooledConnection, float] = {}  # the suspects, by the loop's clock

    def of(self, connection: PooledConnection) -> None:
        """Begin to doubt: nobody waits for the answer on *connection*, which is awaited all the same."""
        # a look that found no suspect left has ended, but may be counted still
        is_under_way = bool(self._since and len(self._looking))
        self._since[connection] = asyncio.get_running_loop().time()
        if not is_under_way:
            self._looking.start(self._look())

    def stop(self) -> None:
        self._looking.cancel_all()

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            overdue = self._overdue(clock())
            for server in overdue:
                await self._ask(server)
            if not self._since:
                return
            due = min(self._since.values()) + DOUBT_AFTER_S
            await asyncio.sleep(LOOK_EVERY_S if overdue else max(SHORTEST_SLEEP_S, due - clock()))

    def _overdue(self, now: float) -> list[object]:
        """The servers of which an answer is overdue, or the end of a backend; forgets suspects that owe neither."""
        ending = self._leases.quarantine.servers()
        self._since = {
            each: since
            for each, since in self._since.items()
            if (server_of(each) in ending if each.is_closed() else each.is_interrupted)
        }
        waited_for = (server_of(each) for each, since in self._since.items() if now - since >= DOUBT_AFTER_S)
        return list(dict.fromkeys(waited_for))

    async def _ask(self, server: object) -> None:
        """Ask a silent server for a connection, and any; cut it off if it gives none and another one does."""
        leases = self._leases
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(self._one_that_will_do())
            if await self._lives(server):
                asking.cancel()
                other = server
            else:
                other = await asking
        if other is None:
            return
        if other != server:
            log.warning("%s: %s is silent, and %s will do: goes on there", leases.gate.name, server, other)
            leases.abandon(server)
        self._since = {each: since for each, since in self._since.items() if server_of(each) != server}

    async def _lives(self, server: object) -> bool:
        """Whether it answers a connect, and is of the kind that is wanted."""
        try:
            found = await self._leases.driver.connect_apart(server, ANSWER_WITHIN_S)
        except Exception as error:
            return _is_answer(error)
        found.terminate()
        return True

    async def _one_that_will_do(self) -> object | None:
        """The server to which a new connection leads; None if there is none, for whatever reason."""
        try:
            found = await self._leases.driver.connect_apart()
        except Exception:
            return None
        found.terminate()
        return server_of(found)


def _is_answer(error: Exception) -> bool:
    """Whether a server that lives has refused a connect: it has no room, say, or the password is another by now."""
    reasons = error.reasons if isinstance(error, NoServerSuits) else [error]
    states = [state for each in reasons if (state := sqlstate(each)) is not None]
    return any(verdict(state) is not Verdict.LOST for state in states)
