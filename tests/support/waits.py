"""Tasks that wait, on asyncio's event loop and on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from tests.support.loops import JumpingLoop

Main: TypeAlias = Callable[[], Coroutine[Any, Any, None]]
Run: TypeAlias = Callable[[Main], None]


def on_asyncio(main: Main) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(main())


def on_uvloop(main: Main) -> None:
    with asyncio.Runner(loop_factory=pytest.importorskip("uvloop").new_event_loop) as runner:
        runner.run(main())


on_each_loop = pytest.mark.parametrize("run", [on_asyncio, on_uvloop])


async def turns() -> None:
    """Let everything that is ready run, and what this makes ready."""
    for _ in range(20):
        await asyncio.sleep(0)


async def never() -> None:
    await asyncio.Event().wait()


async def end_all() -> None:
    """Cancel all other tasks; return once they are done."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
