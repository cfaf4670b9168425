"""How far a command has come, on stderr: a bar at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

SAY_EVERY_S = 2.0


class Shown:
    """Used as ``with``: shows what ``tell`` is told; without a terminal nothing within two seconds.

    Args:
        is_patient: at a terminal, too, where the answer itself may be shown there.
    """

    def __init__(self, what: str, *, is_patient: bool = False) -> None:
        self._what = what
        self._is_patient = is_patient
        self._said_at = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[words]}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task(what, total=None, words="")

    def __enter__(self) -> Self:
        if self._bar is not None and not self._is_patient:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, done: int, total: int | None, words: str) -> None:
        """*done* of *total*, and the rest in *words*."""
        if self._bar is not None:
            if self._is_patient and time.monotonic() - self._said_at > SAY_EVERY_S:
                self._bar.start()  # again does nothing
            self._bar.update(self._task, completed=done, total=total, words=words)
        elif time.monotonic() - self._said_at > SAY_EVERY_S:
            self._said_at = time.monotonic()
            of = "" if total is None else f" of {total:,}"
            sys.stderr.write(f"{self._what}: {done:,}{of}, {words}\n")
            sys.stderr.flush()
