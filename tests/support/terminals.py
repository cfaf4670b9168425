"""A command at a terminal of its own, whose screen is there as text."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

import pyte

PATIENCE_S: Final = 40.0
_AT_A_TERMINAL: Final = "import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0)\n"  # so that Ctrl-C reaches it
_HIDDEN: Final = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "DATABASE_URL")


class _Screen(pyte.Screen):
    """Remembers what it left when a program took the whole screen, as terminals do and pyte does not."""

    def __init__(self, columns: int, lines: int) -> None:
        super().__init__(columns, lines)
        self.is_taken = False
        self.was_taken = False
        self.is_cursor_hidden = False

    def set_mode(self, *modes: int, private: bool = False, **_: object) -> None:
        if private and 1049 in modes:
            self.is_taken = self.was_taken = True
            self.erase_in_display(2)
        super().set_mode(*modes, private=private)
        self.is_cursor_hidden = self.cursor.hidden

    def reset_mode(self, *modes: int, private: bool = False, **_: object) -> None:
        if private and 1049 in modes:
            self.is_taken = False
            self.reset()
        super().reset_mode(*modes, private=private)
        self.is_cursor_hidden = self.cursor.hidden


class Terminal:
    """A process, and the screen it writes to; *stdout* is what it wrote elsewhere, if it has a pipe for that."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int, columns: int, lines: int) -> None:
        self.process, self._fd = process, fd
        self.screen = _Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, holds: Callable[[str], bool]) -> str:
        """Read on until the screen's text is as wanted; return it."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds(self.text):
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text
        return self.text

    def resize(self, columns: int, lines: int) -> None:
        """As a window that is made larger or smaller; what is on it goes, as it may be wrapped anyhow."""
        self.screen.resize(lines, columns)
        self.screen.erase_in_display(2)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._fd, text.encode())

    def end(self) -> int:
        """Read until the process is over; return its exit code."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        """Whether there may be more."""
        if not select.select([self._fd], [], [], 0.5)[0]:
            return self.process.poll() is None
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # what Linux says when the other end is closed
            return False
        self._stream.feed(data)
        return bool(data)


@contextmanager
def at_a_terminal(
    script: str,
    arguments: Sequence[str] = (),
    *,
    columns: int,
    lines: int,
    env: Mapping[str, str] | None = None,
    stdout: int | None = None,
) -> Iterator[Terminal]:
    """Run a Python *script* at a terminal of that size for the length of the block; *stdout* may be a pipe."""
    fd, its_end = pty.openpty()
    fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    inherited = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_A_TERMINAL + script, *arguments],
        stdin=its_end,
        stdout=its_end if stdout is None else stdout,
        stderr=its_end,
        env=inherited | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | dict(env or {}),
        start_new_session=True,
    )
    os.close(its_end)
    try:
        yield Terminal(process, fd, columns, lines)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        os.close(fd)
