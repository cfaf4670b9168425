"""The faults that this rig makes: each a small function, registered with its row of docs/faults.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from dbpool import DatabasePool
from tests.rigs.misuse.kinds import Kind
from tests.rigs.misuse.stage import Stage

Make: TypeAlias = Callable[[Stage], Awaitable[int]]
"""Makes a fault on a stage, looks at what came of it, and returns how often it really happened."""


class Wrong(Exception):
    """What the list of faults says was not so."""

    def __init__(self, goal: str, text: str) -> None:
        super().__init__(text)
        self.goal = goal


@dataclass(frozen=True, slots=True)
class Case:
    """One way to make the fault of one row."""

    row: int
    kind: Kind
    make: Make
    is_harmless: bool
    """It may cost no connection."""
    setup: str
    """What it needs in its stage's schema, in SQL."""

    def __str__(self) -> str:
        return f"row {self.row}, {self.make.__name__} on {self.kind.name}"


CASES: list[Case] = []


def case(row: int, kind: Kind, *, is_harmless: bool = True, setup: str = "") -> Callable[[Make], Make]:
    """Register a function; one may be registered for several stages."""

    def register(make: Make) -> Make:
        CASES.append(Case(row, kind, make, is_harmless, setup))
        return make

    return register


def expect(*, holds: bool, goal: str, text: str) -> None:
    """Raise Wrong unless it *holds*."""
    if not holds:
        raise Wrong(goal, text)


def expect_same(got: object, wanted: object, goal: str, what: str) -> None:
    if got != wanted:
        raise Wrong(goal, f"{what}: {got!r:.200} instead of {wanted!r:.200}")


async def made(use: Callable[..., Awaitable[object]], *args: object) -> object:
    """Await ``use(*args)``, which may also raise at once."""
    return await use(*args)


async def refused(work: Awaitable[object], *kinds: type[BaseException]) -> BaseException:
    """The error of *work*, which must be of one of *kinds*."""
    named = " or ".join(kind.__name__ for kind in kinds)
    try:
        got = await work
    except kinds as error:
        return error
    except Exception as error:
        raise Wrong("M6", f"{type(error).__name__} instead of {named}: {error}") from error
    raise Wrong("M6", f"no {named}: it gave {got!r:.200}")


async def refused_untaken(db: DatabasePool, work: Awaitable[object], kind: type[BaseException]) -> BaseException:
    """The same for what is refused before it takes a permit: nobody else can have had a turn meanwhile."""
    before = _taken(db)
    error = await refused(work, kind)
    expect_same(_taken(db), before, "M1", f"granted, held and in line after {type(error).__name__}")
    return error


def _taken(db: DatabasePool) -> tuple[int, int, int]:
    stats = db.stats()
    return stats.granted_total, stats.held, stats.waiting


async def cancelled(task: asyncio.Task[Any], *, turns: int) -> bool:
    """Cancel *task* after so many turns of the loop; False: it was through by then."""
    for _ in range(turns):
        await asyncio.sleep(0)
    if task.done():
        task.result()
        return False
    task.cancel()
    await asyncio.wait([task])
    return True
