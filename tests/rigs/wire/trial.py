"""One canonical session with one thing that goes wrong, and what there is to say against it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from dbpool.testing.addresses import address_of
from dbpool.testing.proxying.faults import Fault
from dbpool.testing.proxying.proxy import FaultProxy, proxy_to
from tests.rigs.caller import Caller
from tests.rigs.told import Told
from tests.rigs.wire.spots import HARMLESS, AtByte, AtMessage, End, Recorded, Recorder, Spot

LONGEST_S = 20.0  # of a session, whatever happens in it: many times what its limits come to
SERVES_WITHIN_S = 5.0
OPENS_WITHIN_S = 8.0
STEPS_AFTER = 2  # that a session goes on after its fault


class Contender(Protocol):
    """A pool under test."""

    name: str
    steps: tuple[Callable[[Any, Caller], Awaitable[None]], ...]
    tells: Callable[..., Told]

    async def opened(self, dsn: str, me: Caller) -> Any: ...  # noqa: ANN401 - its pool
    async def serves(self, pool: Any) -> bool: ...  # noqa: ANN401
    async def left(self, pool: Any) -> str: ...  # noqa: ANN401
    async def close(self, pool: Any, me: Caller) -> None: ...  # noqa: ANN401


@dataclass(slots=True)
class Trial:
    """What came of one session."""

    spot: Spot | None
    caller: Caller
    has_happened: bool = False
    wrong: list[str] = field(default_factory=list)
    """In a sentence each; what is said of rows comes later, see ``oracle``."""
    failed: list[str] = field(default_factory=list)
    """Steps that failed though nothing was lost: wrong, unless the machine was so busy that a limit was too short."""
    hangs: bool = False
    errors: int = 0
    """Steps that ended in one."""

    def against(self) -> list[str]:
        """Everything but lateness."""
        mine = self.caller
        bare = [f"a bare error: {each}" for each in mine.bare if not (self.may_lose_news and "listened" in each)]
        strange = [f"somebody else's answer: {each}" for each in mine.strange]
        return [*self.wrong, *bare, *([] if self.is_excused else strange)]

    @property
    def may_lose_news(self) -> bool:
        """Whether a notification may be waited for in vain: a listener asks for a sign of life every 30 s only."""
        return self.is_excused or (isinstance(self.spot, AtByte) and self.spot.end is End.SILENCE)

    @property
    def is_excused(self) -> bool:
        """Whether no client could tell that what it got is not what was sent to it."""
        return isinstance(self.spot, AtMessage) and self.spot.is_unseen


async def one_trial(contender: Contender, dsn: str, spot: Spot | None, number: int) -> Trial:
    """Run the session of caller *number* with the fault at *spot*; None: nothing goes wrong."""
    trial, _ = await _tried(contender, dsn, spot, number)
    return trial


async def recorded(contender: Contender, dsn: str, number: int) -> Recorded:
    """What passes in a session that nothing disturbs."""
    trial, record = await _tried(contender, dsn, None, number)
    assert not trial.against(), trial
    assert not trial.failed, trial
    return record


async def _tried(contender: Contender, dsn: str, spot: Spot | None, number: int) -> tuple[Trial, Recorded]:
    trial, recorder = Trial(spot, Caller(number, contender.tells)), Recorder()
    async with proxy_to(address_of(urlsplit(dsn))) as proxy:
        if spot is None:
            proxy.rule = recorder
        task = asyncio.create_task(_session(contender, trial, proxy, dsn), name=f"wire {number}")
        await asyncio.wait([task], timeout=LONGEST_S)
        if not task.done():
            trial.hangs = True
            trial.wrong.append(f"the session has not ended after {LONGEST_S:.0f} s; it stands in {_where(task)}")
            proxy.end_all()
            task.cancel()
            await asyncio.wait([task], timeout=LONGEST_S)
        elif not task.cancelled() and task.exception() is not None:
            error = task.exception()
            trial.wrong.append(f"the pool is of no more use: {type(error).__name__}: {error}")
        return trial, Recorded(recorder.passed)


def _where(task: asyncio.Task[None]) -> str:
    from dbpool.testing.cancelling import stack_of

    return " < ".join(reversed(stack_of(task.get_coro())))  # type: ignore[arg-type]


async def _session(contender: Contender, trial: Trial, proxy: FaultProxy, dsn: str) -> None:
    me, spot = trial.caller, trial.spot
    fault = Fault(None) if spot is None else spot.arm(proxy)  # type: ignore[arg-type] # one that never happens
    pool = await _opened(contender, proxy.dsn(dsn), me)
    try:
        await _steps(contender, trial, pool, fault)
        trial.has_happened = fault.has_happened or isinstance(spot, HARMLESS)
        await _until_it_serves(contender, trial, pool)
        left = await contender.left(pool)
        if left:
            trial.wrong.append(f"something is left in the pool: {left}")
    finally:
        await contender.close(pool, me)
    trial.has_happened = fault.has_happened or isinstance(spot, HARMLESS)


async def _opened(contender: Contender, dsn: str, me: Caller) -> Any:  # noqa: ANN401
    """Its pool, opened again while that fails: the fault may be in there, and the machine may be busy."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + OPENS_WITHIN_S
    while True:
        try:
            return await contender.opened(dsn, me)
        except Exception as error:
            me.judge("open", error)
            if clock() > ends_at:
                raise
        await asyncio.sleep(0.1)


async def _until_it_serves(contender: Contender, trial: Trial, pool: Any) -> None:  # noqa: ANN401
    clock = asyncio.get_running_loop().time
    ends_at = clock() + SERVES_WITHIN_S
    while True:
        try:
            if await contender.serves(pool):
                return
        except Exception as error:
            trial.caller.judge("afterwards", error)
            if clock() > ends_at:
                trial.wrong.append(f"the pool does not serve afterwards: {type(error).__name__}: {error}")
                return
        await asyncio.sleep(0.02)


async def _steps(contender: Contender, trial: Trial, pool: Any, fault: Fault) -> None:  # noqa: ANN401
    left = STEPS_AFTER
    for step in contender.steps:
        if fault.has_happened:
            left -= 1
        if left < 0:
            return
        try:
            await step(pool, trial.caller)
        except Exception as error:
            trial.errors += 1
            trial.caller.judge(step.__name__, error)
            if not fault.has_happened and (trial.spot is None or isinstance(trial.spot, HARMLESS)):
                trial.failed.append(f"{step.__name__} failed though nothing was lost: {type(error).__name__}: {error}")
