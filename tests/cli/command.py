"""The command in a process of its own, on pipes or at a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import signal
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

SMALL = ("--orders", "2000", "--callers", "100", "--seconds", "0.5")
PATIENCE_S = 20.0

_PIPED = "from dbpool.cli import main; main(prog_name='dbpool')"
_AT_A_TERMINAL = f"import fcntl, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); {_PIPED}"  # so that Ctrl-C reaches it


class Demo:
    """A running ``dbpool demo``; what is shown at a terminal counts as written to whatever is no pipe."""

    def __init__(self, process: asyncio.subprocess.Process, terminal: int | None) -> None:
        self._process = process
        self._terminal = terminal
        self._shown = bytearray()
        self._closed = asyncio.Event()
        if terminal is not None:
            asyncio.get_running_loop().add_reader(terminal, self._read, terminal)

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def type(self, text: str) -> None:
        assert self._terminal is not None
        os.write(self._terminal, text.encode())

    async def shown(self, text: str) -> None:
        """Wait until the terminal has shown *text*."""
        async with asyncio.timeout(PATIENCE_S):
            while text.encode() not in self._shown:
                await asyncio.sleep(0.02)

    async def end(self) -> tuple[int, str, str]:
        """Wait for its end; return exit code, stdout, stderr."""
        async with asyncio.timeout(PATIENCE_S):
            stdout, stderr = await self._process.communicate()
            if self._terminal is not None:
                await self._closed.wait()
        assert self._process.returncode is not None
        shown = self._shown.decode()
        is_piped = self._process.stdout is not None, self._process.stderr is not None
        out, err = (part.decode() if piped else shown for part, piped in zip((stdout, stderr), is_piped, strict=True))
        return self._process.returncode, out, err

    async def kill(self) -> None:
        """Leave nothing running, nor open."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        if self._terminal is not None:
            asyncio.get_running_loop().remove_reader(self._terminal)
            os.close(self._terminal)

    def _read(self, terminal: int) -> None:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # what Linux says when the other end is closed
            data = b""
        self._shown += data
        if not data:
            asyncio.get_running_loop().remove_reader(terminal)
            self._closed.set()


@asynccontextmanager
async def demo(*arguments: str, dsn: str | None, columns: int = 0, stdout: int | None = None) -> AsyncIterator[Demo]:
    """Run ``dbpool demo`` for the length of the block.

    Args:
        dsn: the DATABASE_URL that it sees.
        columns: the width of the terminal that it is run at; 0: pipes instead.
        stdout: a file of its own for stdout, or PIPE.
    """
    hidden = ("DATABASE_URL", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"} | ({} if dsn is None else {"DATABASE_URL": dsn})
    terminal, its_end = pty.openpty() if columns else (None, asyncio.subprocess.PIPE)
    if terminal is not None:
        fcntl.ioctl(its_end, termios.TIOCSWINSZ, struct.pack("HHHH", 60, columns, 0, 0))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _PIPED if terminal is None else _AT_A_TERMINAL, "demo", *arguments),
        stdin=asyncio.subprocess.DEVNULL if terminal is None else its_end,
        stdout=its_end if stdout is None else stdout,
        stderr=its_end,
        env=env,
        start_new_session=True,
    )
    if terminal is not None:
        os.close(its_end)
    running = Demo(process, terminal)
    try:
        yield running
    finally:
        await running.kill()
