"""What is told of migrations: where a database is, what ran, what is under way."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """One step of a folder, a file of it."""

    id: str
    message: str  # the first line of the file's docstring
    after: tuple[str, ...]  # ids of the steps it stands on: none for the first, several where branches meet
    file: str

    def __str__(self) -> str:
        return f"{self.id} ({self.message})" if self.message else self.id


@dataclass(frozen=True, slots=True)
class Ran:
    """A step that is applied, or taken back."""

    revision: Revision
    took_s: float  # from its first statement to its commit, waiting for locks and all tries included
    tries: int  # 1 where every lock was free in time


@dataclass(frozen=True, slots=True)
class Migrated:
    """What one run of ``upgrade`` or ``downgrade`` did."""

    before: tuple[str, ...]  # ids that the database was at: none where it was never migrated
    after: tuple[str, ...]
    ran: tuple[Ran, ...]  # in the order in which they ran
    took_s: float  # all of it, waiting for other migrators included


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database is in a folder's history."""

    folder: str
    version_table: str  # where the database keeps that, in this database
    current: tuple[str, ...]
    heads: tuple[str, ...]  # where it would be after ``upgrade``
    pending: tuple[Revision, ...]  # in the order in which they would run


@dataclass(frozen=True, slots=True)
class Checked:
    """What keeps a database from being what its models say."""

    pending: tuple[Revision, ...]
    differences: tuple[str, ...]  # each what a step would have to do, as "add column orders.note"

    @property
    def is_same(self) -> bool:
        """Whether nothing is pending, and nothing differs."""
        return not self.pending and not self.differences


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that a step waits for."""

    pid: int
    application: str
    state: str
    query: str  # the latest, its first 80 characters
    for_s: float  # how long its transaction has been open

    def __str__(self) -> str:
        who = f"pid {self.pid}" + (f" ({self.application})" if self.application else "")
        return f"{who}, {self.state or 'state unknown'}, in a transaction for {self.for_s:.0f} s: {self.query}"


@dataclass(frozen=True, slots=True)
class Queued:
    """Another migrator works on the database: its end is waited for."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A step runs now."""

    revision: Revision
    number: int  # from 1
    of: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A step stands still behind *blockers*."""

    revision: Revision
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True)
class Delayed:
    """A try of a step found a lock taken; nothing of it is applied, and it is tried again in *again_in_s* seconds."""

    revision: Revision
    tries: int
    again_in_s: float


News = Queued | Begun | Ran | Waiting | Delayed
