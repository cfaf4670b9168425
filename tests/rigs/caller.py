"""A caller that notes what it was told, how long it waited, and what it got."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from tests.rigs.told import Told

T = TypeVar("T")
Tells: TypeAlias = Callable[..., Told]

GRACE_S = 0.1  # goal M6
KEYS = 100  # that a session may write, at the most


@dataclass(slots=True)
class Write:
    """What was told of one write of *rows* rows of one key."""

    rows: int
    told: Told
    by: str
    """The error's class, or nothing."""


@dataclass(slots=True)
class Wait:
    """One await that took longer than it may."""

    what: str
    over_s: float


@dataclass(slots=True)
class Caller:
    """Of one session."""

    number: int
    tells: Tells
    """What an error says of a write, and ``in_transaction=`` whether it was in one."""
    writes: dict[int, Write] = field(default_factory=dict)
    late: list[Wait] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)
    """What it got and never asked for."""
    judged: BaseException | None = None
    """The last error that was looked at."""
    awaits: int = 0
    unknown_resolved: int = 0

    @contextmanager
    def writing(self, rows: int = 1, *, in_transaction: bool = False, tells: Tells | None = None) -> Iterator[int]:
        """The key to write; notes what becomes of it by how the block ends."""
        key = self.number * KEYS + len(self.writes)
        self.writes[key] = write = Write(rows, Told.UNKNOWN, "")
        try:
            yield key
        except BaseException as error:
            write.told, write.by = (tells or self.tells)(error, in_transaction=in_transaction), type(error).__name__
            raise
        write.told = Told.DONE

    async def waits(self, what: str, work: Awaitable[T], within_s: float, *, tells: Tells | None = None) -> T:
        """Await *work*; note if that takes longer than it may, or ends with an error that nobody should see.

        *tells* judges errors where they are not the pool's own.
        """
        self.awaits += 1
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await work
        except Exception as error:
            self.judge(what, error, tells)
            raise
        finally:
            over = clock() - began - within_s
            if over > GRACE_S:
                self.late.append(Wait(what, over))

    def judge(self, what: str, error: BaseException, tells: Tells | None = None) -> None:
        """Note *error* if it is none that anybody should see; one that was looked at already is not again."""
        if error is not self.judged and (tells or self.tells)(error, in_transaction=False) is Told.BARE:
            self.bare.append(f"{what}: {type(error).__name__}: {error}")
        self.judged = error

    def expects(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self.strange.append(f"{what}: {got!r} instead of {wanted!r}")

    def block(self, what: str, around: Any, enter_s: float, leave_s: float) -> Block:  # noqa: ANN401 - any context manager
        return Block(self, what, around, enter_s, leave_s)


class Block:
    """An async context manager whose beginning and end are waited for as ``Caller.waits`` does."""

    def __init__(self, caller: Caller, what: str, around: Any, enter_s: float, leave_s: float) -> None:  # noqa: ANN401
        self._caller, self._what, self._around = caller, what, around
        self._enter_s, self._leave_s = enter_s, leave_s

    async def __aenter__(self) -> Any:  # noqa: ANN401 - what it gives
        return await self._caller.waits(f"{self._what} begins", self._around.__aenter__(), self._enter_s)

    async def __aexit__(self, *error: Any) -> Any:  # noqa: ANN401
        return await self._caller.waits(f"{self._what} ends", self._around.__aexit__(*error), self._leave_s)
