"""One run of migrations: what it was asked, how far it is, what is to stop it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from dbpool.core.retry import Backoff
from dbpool.migrate.connecting import sqlstate_of
from dbpool.migrate.patience import LOCK_TIMEOUT, TableLocks
from dbpool.migrate.reports import Begun, Blocker, Delayed, News, Queued, Ran, Revision

if TYPE_CHECKING:
    from alembic.runtime.migration import RevisionStep
    from sqlalchemy import MetaData

LOCK_NOT_AVAILABLE, DEADLOCK = "55P03", "40P01"
BETWEEN_TRIES = Backoff(first_s=0.25, cap_s=5.0)  # beside tries of a second: most of the time is the application's


class Stopped(Exception):
    """Raised between two statements of a run that is to end."""


class Run:
    """Shared by the thread that alembic runs in and by the event loop that waits for it."""

    def __init__(
        self,
        dsn: str | None,
        *,
        lock_timeout: float = LOCK_TIMEOUT,
        table_locks: TableLocks | None = None,
        version_table: str | None = None,
        metadata: MetaData | None = None,
        tell: Callable[[News], None] = lambda _: None,
    ) -> None:
        self.dsn = dsn
        self.deadline = time.monotonic() + lock_timeout
        self.table_locks = table_locks or TableLocks()
        self.version_table = version_table
        self.metadata = metadata
        self.tell = tell
        self.before: tuple[str, ...] = ()
        self.after: tuple[str, ...] = ()
        self.used_table = ""  # the version table, as env.py has it
        self.ran: list[Ran] = []
        self.running: Revision | None = None  # the step under way
        self.running_since = 0.0
        self.is_partly_stored = False  # of the step under way: statements outside of its transaction are through
        self.invalid_indexes: tuple[str, ...] = ()  # that it left
        self.statements = 0  # of it, since its transaction began
        self.pid: int | None = None  # the backend that it runs on, while it does
        self.blockers: tuple[Blocker, ...] = ()  # whom the step was last seen to wait for
        self.cancel: Callable[[], Any] | None = None  # ends what env.py waits for, where that is ours
        self.witness: int | None = None  # a lock that only the right database shows; None: it is surely that one
        self._plan: list[tuple[Revision, RevisionStep]] | None = None
        self._tries = 0
        self._is_queued = False
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """Have the thread end before its next statement."""
        self._is_stopped.set()

    def check(self) -> None:
        """Raises: Stopped: it was told to stop."""
        if self._is_stopped.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait in the thread. Raises: Stopped, as soon as it is told to."""
        self._is_stopped.wait(seconds)
        self.check()

    def queue(self, seconds: float) -> None:
        """``pause``, for another migrator; it is told once."""
        if not self._is_queued:
            self._is_queued = True
            self.tell(Queued())
        self.pause(seconds)

    def stepping(self, plan: Callable[[], Iterable[tuple[Revision, RevisionStep]]]) -> Iterator[RevisionStep]:
        """Give alembic the steps, one after the other, which commits each before it asks for the next.

        Args:
            plan: asked once: when a lock was not to be had, the same steps go on where they were.
        """
        if self._plan is None:
            self._plan = list(plan())
        steps = self._plan[len(self.ran) :]
        for number, (revision, step) in enumerate(steps, len(self.ran) + 1):
            if self.running is None:
                self.running, self.running_since, self._tries = revision, time.monotonic(), 0
                self.blockers = ()
                self.tell(Begun(revision, number, len(self._plan)))
            self._tries += 1
            self.is_partly_stored, self.statements = False, 0
            yield step
            ran = Ran(revision, time.monotonic() - self.running_since, self._tries)
            self.ran.append(ran)
            self.running = None
            self.tell(ran)

    def delay_after(self, error: BaseException) -> float | None:
        """Seconds to wait before the step under way is tried again; None: it is not to be."""
        if sqlstate_of(error) not in (LOCK_NOT_AVAILABLE, DEADLOCK) or self.is_partly_stored:
            return None
        left = self.table_locks.patience_s - (time.monotonic() - self.running_since)
        if self.running is None or left <= 0:
            return None
        delay = min(BETWEEN_TRIES.delay_s(self._tries, 0.5 + random.random() / 2), left)
        self.tell(Delayed(self.running, self._tries, delay))
        return delay

    @property
    def tries(self) -> int:
        """Of the step under way."""
        return self._tries
