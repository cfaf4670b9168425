"""A time line: what happens during a run, as it happens, a JSON object a line.

A file on a full disk, or a reader that has gone, ends the time line with a sentence and not the run. Nor does the run
wait for a reader that is slow: lines are written by a thread.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Final, Self, TextIO

from dbpool.errors import SettingsError
from dbpool.loadtest.events import Event

STDOUT: Final = Path("-")
PATIENCE_S: Final = 5.0
"""How long the end waits for a reader to take the last lines."""


class TimeLine:
    """Used as ``with``; ``take`` is a listener of events.

    Args:
        path: the file, which is written anew; ``-`` is stdout.
        on_failure: gets a sentence, once, when no more can be written.
    Raises:
        SettingsError: the file cannot be opened.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        self._path, self._on_failure = path, on_failure
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._failure: str | None = None
        self._is_over = False
        try:
            self._file: TextIO = sys.stdout if path == STDOUT else path.open("w", encoding="utf-8")
        except OSError as error:
            raise SettingsError(f"the time line cannot be written to {path}: {error.strerror}") from None
        self._thread = Thread(target=self._write_all, name="time line", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._lines.put(None)
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self._failure = self._failure or "nobody took its last lines"
        self._tell_failure()

    def take(self, event: Event) -> None:
        """A listener of events; raises nothing, and waits for nobody."""
        if not self._is_over:
            self._lines.put(json.dumps(event) + "\n")  # at once: what an event holds may change later
            self._tell_failure()

    def _tell_failure(self) -> None:
        if self._failure is not None and not self._is_over:
            self._is_over = True
            self._on_failure(f"the time line ends early: {self._failure}")

    def _write_all(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                self._file.write(line)
                self._file.flush()
            if self._file is not sys.stdout:
                self._file.close()
        except (OSError, ValueError) as error:  # ValueError: closed meanwhile
            self._failure = getattr(error, "strerror", None) or str(error)
            self._let_go()

    def _let_go(self) -> None:
        """So that the lines which could not be written are not tried again at Python's end."""
        if self._file is sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        try:
            self._file.close()
        except OSError:
            pass  # what is left in its buffer has no place; the file is closed all the same
