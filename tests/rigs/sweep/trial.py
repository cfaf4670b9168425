"""One operation, disturbed at its k-th suspension."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from dbpool.testing.cancelling import stack_of
from dbpool.testing.suspensions import awaited
from tests.rigs.caller import KEYS, Caller
from tests.rigs.sweep.ground import Ground
from tests.rigs.sweep.kinds import Kind, rows_of
from tests.rigs.sweep.operations import Operation
from tests.rigs.told import Told, told_by, told_by_asyncpg

ENDS_WITHIN_S = 20.0  # beyond all its limits, of which that of create_pool()'s quarantine, 10 s, cannot be chosen
STORED = "select key, count(*) from wire where key >= %s and key < %s group by key"


@dataclass(slots=True)
class Trial:
    """What came of it."""

    number: int
    suspensions: int = 0
    was_disturbed: bool = False
    rows: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class _Run:
    """The disturbing itself."""

    def __init__(self, work: Coroutine[Any, Any, object], at: int, kind: Kind, ground: Ground, trial: Trial) -> None:
        self._work, self._at, self._kind, self._ground, self._trial = work, at, kind, ground, trial
        self._limit: asyncio.Timeout | None = None
        self._task = asyncio.create_task(self._limited(), name=f"sweep {trial.number}")

    async def outcome(self) -> BaseException | None:
        """How the operation ended, None: well."""
        await asyncio.wait([self._task], timeout=ENDS_WITHIN_S)
        if not self._task.done():
            self._trial.wrong.append(f"it has not ended after {ENDS_WITHIN_S:.0f} s: {stack_of(self._work)}")
            self._task.cancel()
            await asyncio.wait([self._task], timeout=ENDS_WITHIN_S)
            return None
        return asyncio.CancelledError() if self._task.cancelled() else self._task.exception()

    async def _limited(self) -> None:
        async with asyncio.timeout(None) as self._limit:
            await awaited(self._work, self._suspended)

    def _suspended(self) -> None:
        trial = self._trial
        trial.suspensions += 1
        last = self._at + 2 if self._kind is Kind.CANCELS else self._at
        if self._at <= trial.suspensions <= last:
            asyncio.get_running_loop().call_soon(self._disturb)

    def _disturb(self) -> None:
        if self._task.done():
            return
        if not self._trial.was_disturbed:
            self._trial.was_disturbed, self._trial.rows = True, rows_of(self._kind, stack_of(self._work))
        if not self._kind.is_callers:
            self._ground.disturb(self._kind)
        elif self._kind is Kind.DEADLINE and self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
        else:
            self._task.cancel()


async def one_trial(operation: Operation, ground: Ground, pool: Any, kind: Kind, at: int, number: int) -> Trial:  # noqa: ANN401
    """Run *operation* as caller *number*, disturbed at its suspension *at*, from 1; 0: never."""
    trial = Trial(number)
    caller = Caller(number, told_by if operation.pool != "asyncpg's" else told_by_asyncpg)
    target = ground.new_pool() if operation.pool == "none" else pool
    run = _Run(_of(operation, target, caller), at, kind, ground, trial)
    error = await run.outcome()
    await ground.heal()
    if operation.pool == "none":
        await target.close(timeout=1)
    trial.wrong += _said_by(operation, error, caller, kind, trial)
    trial.wrong += await ground.wrong_with(pool)
    stored = dict(ground.witness.execute(STORED, (number * KEYS, (number + 1) * KEYS)).fetchall())
    for key, write in caller.writes.items():
        rows = stored.get(key, 0)
        if not write.told.fits(rows, write.rows):
            trial.wrong.append(f"told {write.told.value} {write.by}, and {rows} of {write.rows} rows are stored")
    return trial


async def _of(operation: Operation, target: Any, caller: Caller) -> None:  # noqa: ANN401
    await operation.work(target, caller)


def _said_by(operation: Operation, error: BaseException | None, caller: Caller, kind: Kind, trial: Trial) -> list[str]:
    """What there is to say against how the operation ended."""
    said = [f"somebody else's answer: {each}" for each in caller.strange]
    if kind.is_callers and trial.was_disturbed:
        wanted = TimeoutError if kind is Kind.DEADLINE else asyncio.CancelledError
        as_asyncpg = operation.pool == "asyncpg's" and isinstance(error, asyncpg.InternalClientError)
        # None: it was through. And asyncpg, too, replaces a cancellation in a COPY by what its reset then says.
        if error is None or as_asyncpg or isinstance(error, (wanted, asyncio.CancelledError)):
            return said
    if error is None:
        return said
    # a connection of one's own, of which some operations have one, has the driver's errors
    if not isinstance(error, Exception) or told_by_asyncpg(error, in_transaction=False) is Told.BARE:
        said.append(f"a bare error: {type(error).__name__}: {error}")
    elif not trial.was_disturbed:
        said.append(f"it failed though nothing disturbed it: {type(error).__name__}: {error}")
    return said
