"""Signals that end the demo early: they cancel it, so that it cleans up behind itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

_SIGNALS = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]


class Stopped(Exception):
    """A signal ended the work; the cause is what went wrong while it cleaned up behind itself, if anything did."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number  # as shells report a process that a signal ended


async def until_told_to_stop(work: Coroutine[Any, Any, int]) -> int:
    """Run *work*, which returns its exit code; the first signal cancels it, later ones change nothing.

    Raises:
        Stopped: there was a signal, and *work* has ended.
    """
    task = asyncio.ensure_future(work)
    told: list[int] = []

    def stop(number: int) -> None:
        if not told:
            task.cancel()
        told.append(number)

    for number in _SIGNALS:
        with suppress(NotImplementedError):  # on Windows, where Ctrl-C cancels us ourselves instead
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError as error:
        if not told:
            raise
        raise Stopped(told[0]) from error.__cause__  # where dbpool.finish puts the failure of a cleanup
    except Exception as error:
        if not told:
            raise
        raise Stopped(told[0]) from error
