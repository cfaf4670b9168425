"""The processor time of a server elsewhere, as a command of the user's says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from typing import Final

MOST_BYTES: Final = 1 << 16  # of what it prints


class NoReading(Exception):
    """The command did not say; the message is why, in a sentence's part."""


class ServerCommand:
    """Runs *command* in a shell, once for each look, beside it: a look takes what the run before has said.

    Args:
        limit_s: a run that takes longer is ended.
    """

    def __init__(self, command: str, *, limit_s: float) -> None:
        self._command, self._limit_s = command, limit_s
        self._run: asyncio.Task[float] | None = None

    def begin(self) -> None:
        """Have it run, unless it does."""
        if self._run is None:
            self._run = asyncio.create_task(self._read())

    def take(self) -> float | None:
        """What the last run said, in processors, 1.0 for one; None: none has ended since.

        Raises:
            NoReading: it ended without saying.
        """
        if self._run is None or not self._run.done():
            return None
        run, self._run = self._run, None
        return run.result()

    async def stop(self) -> None:
        """End the run that is under way, with all that it started; it can begin again."""
        run, self._run = self._run, None
        if run is not None:
            run.cancel()
            await asyncio.wait([run])
            if not run.cancelled():
                run.exception()  # nobody asks for it any more

    async def _read(self) -> float:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_shell(
                self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # so that what the shell starts can be ended with it
            )
        )
        try:
            process = await asyncio.shield(starting)
        except asyncio.CancelledError:  # asyncio itself would end the shell alone
            await _end(await starting)
            raise
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._limit_s):
                said = await process.stdout.read(MOST_BYTES)
                code = await process.wait()
        except TimeoutError:
            raise NoReading(f"took longer than {self._limit_s:g} s") from None
        finally:
            await _end(process)
        if code:
            raise NoReading(f"ended with exit code {code}")
        return cpu_of(said)


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def cpu_of(said: bytes) -> float:
    """The number in ``{"cpu": 3.2}``.

    Raises: NoReading.
    """
    try:
        cpu = json.loads(said)["cpu"]
    except (ValueError, TypeError, KeyError):
        raise NoReading('printed no JSON like {"cpu": 3.2}') from None
    if isinstance(cpu, bool) or not isinstance(cpu, int | float) or not 0 <= cpu < float("inf"):
        raise NoReading('printed no number of processors as "cpu"')
    return float(cpu)
