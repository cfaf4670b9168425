"""All workers of a point: started together, merged, ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeAlias

from dbpool.errors import DbPoolError
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.generating.health import Health
from dbpool.loadtest.load import Share
from dbpool.loadtest.recording.tally import Second, Tally, merged
from dbpool.loadtest.recording.window import SECOND_NS, Window
from dbpool.loadtest.workers.messages import Failed, Finished, Go, Message, Ready, Stop, Tick, receive, send

LEAD_S: Final = 0.1  # from the word to go until the anchor: a message takes less, on a busy machine too
READY_S: Final = 60.0
END_S: Final = 10.0

OnTick: TypeAlias = Callable[[int, Tally], None]


class WorkerFailed(DbPoolError):
    """A worker could not do its share; *label* is what results call the reason, "" where it just ended."""

    def __init__(self, message: str, *, label: str = "") -> None:
        super().__init__(message)
        self.label = label


@dataclass(slots=True)
class Loaded:
    """What a load brought, merged over the workers: in all, and by second since the anchor."""

    window: Window
    total: Tally = field(default_factory=Tally)
    seconds: list[Second] = field(default_factory=list)
    healths: list[Health] = field(default_factory=list)
    is_complete: bool = False


class Fleet:
    """The workers for *shares*, used as ``async with``: connected when the block begins, gone when it ends.

    Raises:
        WorkerFailed: one cannot connect, a script is wrong, or the like.
    Cancelling: ends the workers, with their connections.
    """

    def __init__(self, shares: Sequence[Share]) -> None:
        self._shares = shares
        self._processes: list[asyncio.subprocess.Process] = []
        self._is_running = self._is_stopped = False

    async def __aenter__(self) -> Self:
        try:
            for share in self._shares:
                self._processes.append(await _start(share))
            async with asyncio.timeout(READY_S):
                for process in self._processes:
                    _expect(await _receive(process), Ready)
        except TimeoutError:
            await self._end()
            raise WorkerFailed(f"the workers were not ready after {READY_S:g} s") from None
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._end()

    @property
    def workers(self) -> int:
        return len(self._shares)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def run(self, warmup_s: float, time_s: float, on_tick: OnTick = lambda _second, _tally: None) -> Loaded:
        """Have them load; *on_tick* gets each second when all workers have reported it.

        After ``stop`` it returns what there was until then.

        Raises: WorkerFailed.
        """
        window = Window.of(now_ns() + round(LEAD_S * SECOND_NS), warmup_s=warmup_s, time_s=time_s)
        brought = Loaded(window)
        reported: dict[int, list[Tick]] = {}
        for process in self._processes:
            _send(process, Go(window))
        self._is_running = True
        if self._is_stopped:
            self.stop()

        def take(tick: Tick) -> None:
            reports = reported.setdefault(tick.second, [])
            reports.append(tick)
            if len(reports) == len(self._processes):
                keep(tick.second)

        def keep(second: int) -> None:
            ticks = reported.pop(second)
            tally = merged(tick.tally for tick in ticks)
            on_tick(second, tally)
            brought.total.merge(tally)
            memories = [tick.rss_mb for tick in ticks if tick.rss_mb is not None]
            rss_mb = sum(memories) if len(memories) == len(self._processes) else None
            brought.seconds.append(replace(tally.second(), rss_mb=rss_mb))

        listening = [asyncio.create_task(_listen(process, take)) for process in self._processes]
        try:
            brought.healths = await asyncio.gather(*listening)
        finally:
            for task in listening:
                task.cancel()
        for second in sorted(reported):  # of a drain that took one worker longer than another
            keep(second)
        brought.is_complete = not self._is_stopped
        return brought

    def stop(self) -> None:
        """Have the load end now, or as soon as it begins; ``run`` then returns soon."""
        self._is_stopped = True
        if self._is_running:  # a worker that waits for the word to go takes no other
            for process in self._processes:
                _send(process, Stop())

    async def _end(self) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()  # which tells it that nobody is interested any more
        try:
            async with asyncio.timeout(END_S):
                for process in self._processes:
                    await process.communicate()
        except TimeoutError:
            pass
        finally:
            for process in self._processes:
                if process.returncode is None:
                    with suppress(ProcessLookupError):
                        process.kill()
                    await process.wait()


async def _start(share: Share) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "dbpool.loadtest.workers.worker"),  # -P: no file here shadows a module of ours
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C at a terminal is for us, and we tell them
        limit=1 << 24,
    )
    _send(process, share)
    return process


def _send(process: asyncio.subprocess.Process, message: Message) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError):  # it has ended: what it said before tells why
        send(process.stdin, message)


async def _receive(process: asyncio.subprocess.Process) -> Message | None:
    assert process.stdout is not None
    return await receive(process.stdout)


async def _listen(process: asyncio.subprocess.Process, take: Callable[[Tick], None]) -> Health:
    while isinstance(message := await _receive(process), Tick):
        take(message)
    _expect(message, Finished)
    assert isinstance(message, Finished)
    return message.health


def _expect(message: Message | None, kind: type[Ready] | type[Finished]) -> None:
    if isinstance(message, kind):
        return
    if isinstance(message, Failed):
        raise WorkerFailed(message.words, label=message.label)
    raise WorkerFailed("a worker process ended unexpectedly; what it wrote to stderr may tell why")
