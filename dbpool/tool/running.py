"""One command's work, from its first signal to its exit code."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from dbpool.connection import InterfaceError, PostgresError
from dbpool.errors import DbPoolError, ExportFailed, SettingsError, StatementError, UsageError
from dbpool.faults import one_line
from dbpool.tool.debugging import tell_traceback

if TYPE_CHECKING:
    from dbpool.tool.feed import Feed

T = TypeVar("T")
DONE, FAILED, MEANS_NOTHING, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; 2, for arguments that mean nothing, is click's, too."""


class Stop:
    """Told by SIGINT or SIGTERM: feed no more. A second one does not wait for what is under way."""

    def __init__(self) -> None:
        self.is_asked = False
        self._work: asyncio.Future[Any] | None = None
        self._feed: Feed | None = None
        self._task = asyncio.current_task()
        for name in ("SIGINT", "SIGTERM"):
            with suppress(NotImplementedError):  # on Windows, where Ctrl-C raises
                asyncio.get_running_loop().add_signal_handler(getattr(signal, name), self._ask)

    def cancels(self, work: asyncio.Future[Any]) -> None:
        """Cancel *work* at the first signal: it cleans up by itself, and keeps what is stored."""
        self._work = work
        if self.is_asked:
            work.cancel()

    async def cuts_short(self, work: Coroutine[Any, Any, T]) -> T:
        """Do *work*, which the first signal cancels, for nothing is lost by that."""
        task = asyncio.ensure_future(work)
        self.cancels(task)
        return await task

    def ends(self, feed: Feed) -> None:
        """End *feed* at the first signal: what was read is still dealt with."""
        self._feed = feed
        if self.is_asked:
            feed.end()

    def _ask(self) -> None:
        if self._work is not None and self._work.cancel():
            pass  # the first time; what has stopped, or was told to, is not told again
        elif self.is_asked and self._task is not None:
            self._task.cancel()
        elif self._feed is not None:
            self._feed.end()
        self.is_asked = True


def run(command: str, work: Callable[[Stop], Awaitable[int]], stopped: str = "stopped") -> NoReturn:
    """Run *work* and leave with the exit code that it returns; what goes wrong is one sentence on stderr.

    Args:
        stopped: what to say where a signal cut it short.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by who started us: its number must not become a connection's
            setattr(sys, stream, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    logging.getLogger("dbpool").addHandler(logging.NullHandler())  # what matters is said once, below

    async def main() -> int:
        stop = Stop()
        code = await work(stop)
        return INTERRUPTED if stop.is_asked and code == DONE else code

    try:
        code = asyncio.run(main())
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has had enough
        _close_stdout()
        sys.exit(DONE)
    except (KeyboardInterrupt, asyncio.CancelledError):
        _leave(command, stopped, INTERRUPTED)
    except ExportFailed as error:
        if isinstance(error.__cause__, BrokenPipeError):  # the same, where what is written is an export
            _close_stdout()
            sys.exit(DONE)
        tell_traceback(error)
        _leave(command, str(error), FAILED)
    except (DbPoolError, ImportError, PostgresError, InterfaceError, OSError) as error:
        tell_traceback(error)
        _leave(command, *_sentence(error))
    sys.exit(code)


def _close_stdout() -> None:
    """Python's last flush must not complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sentence(error: Exception) -> tuple[str, int]:
    """What to say of *error*, and the exit code."""
    if isinstance(error, (SettingsError, StatementError, UsageError)):
        return str(error), MEANS_NOTHING
    if isinstance(error, (DbPoolError, ImportError)):
        return str(error), FAILED
    where = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    return one_line(error) + where, FAILED


def _leave(command: str, sentence: str, code: int) -> NoReturn:
    sys.stderr.write(f"dbpool {command}: {sentence}\n")
    sys.exit(code)
