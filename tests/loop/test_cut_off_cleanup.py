"""A cleanup whose loop has ended in the middle of it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from dbpool.leases import Leases


class Turn:
    """What a coroutine waits for that gets no other turn."""

    def __await__(self) -> Any:  # noqa: ANN401 - a generator
        yield


class Connection:
    is_broken = False

    async def clean(self, _: float) -> None:
        await Turn()

    discard = clean


def test_it_waits_for_nothing_when_it_is_collected() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    counters, settings = SimpleNamespace(resets_total=0), SimpleNamespace(reset_timeout=1.0)
    leases: Any = SimpleNamespace(loop=loop, counters=counters, _settings=settings)
    cleaning = Leases._clean(leases, cast("Any", None), cast("Any", Connection()))  # noqa: SLF001 - what a task of its runs
    cleaning.send(None)
    cleaning.close()  # as the collector does: RuntimeError where it waits once more
