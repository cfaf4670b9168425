"""Callbacks of ``create_pool`` that can be made to hang."""

from __future__ import annotations

import asyncio

MOMENTS = ("init", "setup", "reset")


class Hooks:
    """They do nothing, but the one that is armed waits until it may go on."""

    def __init__(self) -> None:
        self._armed = ""
        self.entered = asyncio.Event()
        self._may_go_on = asyncio.Event()

    def arm(self, moment: str) -> None:
        """Have the next callback of that *moment* hang."""
        self._armed = moment
        self.entered, self._may_go_on = asyncio.Event(), asyncio.Event()

    def disarm(self) -> None:
        self._armed = ""
        self._may_go_on.set()

    async def init(self, _: object) -> None:
        await self._called("init")

    async def setup(self, _: object) -> None:
        await self._called("setup")

    async def reset(self, _: object) -> None:
        await self._called("reset")

    async def _called(self, moment: str) -> None:
        if moment == self._armed:
            self._armed = ""
            self.entered.set()
            await self._may_go_on.wait()
