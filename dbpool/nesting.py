"""Warns of those who ask for a second permit while they hold one."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from dbpool.awaits import awaited_by
from dbpool.core.permits import Line
from dbpool.errors import NestedAcquire
from dbpool.waiter import Waiter


class NestingWatch:
    """Warns once for each pair of places in the program.

    It goes by who asked: whether the first permit is with another task by now, that of a connection in a queue say,
    cannot be told while the program runs.

    Args:
        named: what to call a line.
    """

    def __init__(self, named: Callable[[Line], str]) -> None:
        self._named = named
        self._warned: set[tuple[str, str]] = set()

    def check(self, waiter: Waiter, holding: Iterable[Waiter]) -> None:
        """Warn if the task of *waiter*, which asks, or one that awaits it, asked for one of those *holding*."""
        if waiter.site is None or waiter.task is None:
            return
        for holder in holding:
            if holder.site is None or holder.task is None or not _is_or_awaits(holder.task, waiter.task):
                continue
            places = str(waiter.site), str(holder.site)
            if places in self._warned:
                return
            warnings.warn_explicit(
                f"{self._named(waiter.line)} is asked for a permit from {places[0]} while one is out that the same "
                f"task, or one that awaits it, asked for from {places[1]}: if it still has that, and all do so at "
                f"once, none can go on. Pass the first connection on instead of asking for a second.",
                NestedAcquire,
                *waiter.site.position(),
            )
            self._warned.add(places)  # not if the warning is an error: it is one each time
            return


def _is_or_awaits(task: asyncio.Task[Any], other: asyncio.Task[Any]) -> bool:
    seen = [task]
    for one in seen:  # grows
        if one is other:
            return True
        seen += set(awaited_by(one)).difference(seen)
    return False
