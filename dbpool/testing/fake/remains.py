"""The server's end of a connection that was cut off, which lives on for as long as the script says."""

from __future__ import annotations

import asyncio

from dbpool.testing.fake.script import NEVER


class FakeRemains:
    """Stands in for ``dbpool.remains.Remains``."""

    def __init__(self, lingers_s: float) -> None:
        self._end = asyncio.Event()
        self.counts = True
        """Against the server's limit, as far as a pool must know: its end was not seen, nor was it given up."""
        self.is_held = True
        """Nobody has let go of the socket."""
        if lingers_s < NEVER:  # no timer for what never comes: with one, a test in which nothing can run goes on
            asyncio.get_running_loop().call_later(lingers_s, self.end)

    def end(self) -> None:
        """The server's process ends."""
        self.counts = False
        self._end.set()

    def hang_up(self) -> None:
        pass

    async def wait_gone(self, timeout: float) -> bool:
        assert self.is_held, "was waited for or closed before"
        try:
            async with asyncio.timeout(timeout):
                await self._end.wait()
        except TimeoutError:
            self.counts = False  # as long as the settings say, and no longer
        finally:
            self.is_held = False
        return self._end.is_set()

    def close(self) -> None:
        self.is_held = False
