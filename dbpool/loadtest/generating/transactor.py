"""One transaction, from its begin to the recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dbpool.errors import SettingsError
from dbpool.loadtest.drivers.failures import label_of_error
from dbpool.loadtest.drivers.protocol import Body, Connection, Driver, now_ns
from dbpool.loadtest.generating.items import Item
from dbpool.loadtest.generating.retrying import Tries
from dbpool.loadtest.load import Load
from dbpool.loadtest.recording.recorder import Recorder
from dbpool.loadtest.recording.tally import Outcome
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.mix import Mix
from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import ScriptError


class TooLate(Exception):
    """A transaction got its connection when it was of no more use."""


class Transactor:
    """Runs transactions of a mix by a driver; ``in_flight`` are under way.

    ``fatal`` is set by what no further transaction could do better: a script that asks for a variable it never set.
    """

    def __init__(
        self, driver: Driver, items: Sequence[Item], mix: Mix, chooser: Prng, *, recorder: Recorder, load: Load
    ) -> None:
        self._driver, self._items, self._mix, self._chooser = driver, items, mix, chooser
        self._recorder = recorder
        self._load, self._timeout_ns, self._skip_after_ns = load, load.timeout_ns, load.skip_after_ns
        self.in_flight = 0
        self.fatal: Exception | None = None

    async def run(self, client: Client, due: int | None = None) -> bool:
        """One transaction of *client*, *due* at that monotonic ns; None: as soon as it begins.

        Returns: whether it went well.
        Cancelling: stops it; nothing is recorded.
        """
        item = self._items[self._mix.choose(self._chooser)]
        tries = None
        try:
            if self._load.max_tries == 1:
                body = item.begin(client)
            else:
                tries = Tries(item, client, self._driver, self._load, due or now_ns())
                body = tries.body
        except ScriptError as error:
            self.fatal = error
            return False
        start = now_ns()
        if due is None:
            due = start
        elif self._skip_after_ns is not None:
            if start - due > self._skip_after_ns:
                self._recorder.left_out(due, Outcome.SKIPPED)
                return False
            body = _unless_late(body, due + self._skip_after_ns)
        self.in_flight += 1
        try:
            async with asyncio.timeout(self._load.timeout_s) as limit:
                stamps = await self._driver.run(body, start)
        except TooLate:
            self._recorder.left_out(due, Outcome.SKIPPED)
            return False
        except (ScriptError, SettingsError) as error:
            self.fatal = error
            return False
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                self._recorder.timed_out(due, start, self._timeout_ns)
            else:
                self._recorder.failed(due, label_of_error(error))
            return False
        finally:
            self.in_flight -= 1
            if tries is not None:
                self._recorder.retried(due, tries.count)
        self._recorder.ok((due, start, *stamps))
        return True

    def drop(self, due: int) -> None:
        """Leave one out because too many are in flight."""
        self._recorder.left_out(due, Outcome.DROPPED)


def _unless_late(body: Body, latest: int) -> Body:
    """*body*, which is not begun after that monotonic ns: what waits in line for a connection is no use to anybody."""

    async def begin(connection: Connection) -> None:
        if now_ns() > latest:
            raise TooLate
        await body(connection)

    return begin
