"""No server at all: what the generator itself can do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from dbpool.loadtest.drivers.protocol import Body, Connection, Stamps, now_ns
from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.scripts.steps import Query, Rows


class NoopDriver:
    """Does no transaction, and gives way to others once, as one that waits for an answer would."""

    splits = Splits()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, body: Body, start: int) -> Stamps:  # noqa: ARG002 - as the others
        acquired = now_ns()
        await asyncio.sleep(0)
        done = now_ns()
        return Stamps(start, acquired, done, now_ns())

    def refusals(self) -> Mapping[str, int]:
        return {}

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        raise AssertionError((connection, query))

    async def roll_back(self, connection: Connection) -> None:
        raise AssertionError(connection)
