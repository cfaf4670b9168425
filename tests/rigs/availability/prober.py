"""Tells, by another driver in a process of its own, when the servers of a cluster take writes again."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

PAUSE_S: Final = 0.01  # between two tries at one server: so much later than the truth it may be
_SPAWN = multiprocessing.get_context("spawn")


class Prober:
    """For each server a thread that connects, writes a row and leaves, again and again while it is asked to."""

    def __init__(self, dsns: Sequence[str]) -> None:
        self._active = _SPAWN.Event()
        self._told: Any = _SPAWN.Queue()
        self._process = _SPAWN.Process(target=_main, args=(tuple(dsns), self._active, self._told), daemon=True)

    def start(self) -> None:
        self._process.start()

    def begin(self) -> None:
        """Forget what was told, and probe from now on."""
        while not self._told.empty():
            self._told.get()
        self._active.set()

    def end(self) -> None:
        self._active.clear()

    def first_after(self, moment: float) -> float | None:
        """When the first write was acknowledged that was begun after *moment*, by the monotonic clock."""
        while not self._told.empty():
            began, acknowledged = self._told.get()
            if began >= moment:
                return float(acknowledged)
        return None

    def stop(self) -> None:
        self._process.terminate()
        self._process.join()
        self._told.close()


def _main(dsns: tuple[str, ...], active: Any, told: Any) -> None:  # noqa: ANN401 - of multiprocessing
    threads = [threading.Thread(target=_probe, args=(dsn, active, told), daemon=True) for dsn in dsns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _probe(dsn: str, active: Any, told: Any) -> None:  # noqa: ANN401 - of multiprocessing
    import psycopg

    while True:
        active.wait()
        began = time.monotonic()
        with suppress(psycopg.Error):
            with psycopg.connect(dsn, autocommit=True, connect_timeout=2) as connection:
                connection.execute("insert into probed default values")
            told.put((began, time.monotonic()))
        time.sleep(PAUSE_S)
