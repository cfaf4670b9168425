"""A caller's place at a gate, as its task sees it."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, TypeAlias

from dbpool.core.permits import NEW, Line, Ticket
from dbpool.deadlines import Bucket, forget
from dbpool.errors import UsageError
from dbpool.sites import Site

Parcel: TypeAlias = Any  # whatever goes from one holder to the next together with the permit


class LooseTask(weakref.ref[asyncio.Task[Any]]):
    """A task that may be over and gone by now, with all that it returned or raised."""

    __slots__ = ("name",)

    name: str


class Waiter(Ticket):
    """A task's place in line; ``wakeup`` tells None when it is granted, else why it is not."""

    __slots__ = ("asked_at", "asker", "bucket", "deadline", "got_at", "left_at", "since", "site", "wakeup")

    asked_at: float  # in seconds of the loop's clock, as the other times
    asker: asyncio.Task[Any] | LooseTask | None  # the task; None: there is none, or it has left what is to be done
    bucket: Bucket | None
    deadline: float
    got_at: float | None  # when it had a connection; None: not yet, or nobody observes
    since: float  # it waits, or holds
    left_at: float  # it held until then
    site: Site | None  # where in the program it is asked for; None: the pool's own
    wakeup: asyncio.Future[Any]

    ends_by_itself = False
    """Whether its permit comes back without its task doing anything more."""

    def __init__(self, line: Line, site: Site | None = None) -> None:
        super().__init__(line)
        self.site = site
        self.bucket = self.asker = self.got_at = None

    @property
    def together(self) -> int:
        """How many callers its statement answers."""
        return 1

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """The task that asks or holds, while there is one."""
        return self.asker() if isinstance(self.asker, LooseTask) else self.asker

    @property
    def task_name(self) -> str:
        if isinstance(self.asker, LooseTask):
            return self.asker.name
        return "" if self.asker is None else self.asker.get_name()

    def let_task_go(self) -> None:
        """Keep no result or error of the task alive, for the means to end this stay may be among them."""
        if isinstance(self.asker, asyncio.Task):
            task, self.asker = self.asker, LooseTask(self.asker)
            self.asker.name = task.get_name()

    def check_new(self) -> None:
        """Raise UsageError for one that has stood in line before."""
        if self.place is not NEW:
            raise UsageError("this context manager was used already: make one for each block")

    def granted(self, parcel: Parcel, now: float) -> None:  # noqa: ARG002 - for those who build on this
        """It holds a permit since *now*, in seconds of the loop's clock, and *parcel* came with it."""
        forget(self)
        if not self.wakeup.done():  # else its task was cancelled, and gives the permit back when it runs
            self.wakeup.set_result(None)

    def overdue(self) -> None:
        """Its deadline has passed while it held a permit; only those that set one then get here."""
        raise AssertionError("a waiter has no deadline once it holds")

    def refused(self, error: Exception) -> None:
        if not self.wakeup.done():
            self.wakeup.set_result(error)  # not set_exception: a caller cancelled now never looks

    def statement(self) -> str | None:
        """The SQL that it runs, ran last, or is to run."""
        return None

    def is_in_transaction(self) -> bool:
        return False

    def doing(self) -> str:
        """What the pool does under its permit, where that is not its own statement."""
        return ""

    def means(self) -> list[object]:
        """What, besides the context manager around it, ends its stay for whoever has it."""
        return []

    def known(self) -> list[object]:
        """What refers to the means without giving them to anybody."""
        return []
