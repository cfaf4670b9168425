"""A load that pgbench makes: run, stopped, read into the same figures as any other."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from typing import Final, Self

from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.load import Load, Target, Workload
from dbpool.loadtest.pgbench.command import Command, check, clients_of, command_of
from dbpool.loadtest.pgbench.log import US, anchor_of, lines_of, seconds_of
from dbpool.loadtest.pgbench.program import find_pgbench
from dbpool.loadtest.pgbench.said import Progress, aborted_by, complaint_of, progress_of
from dbpool.loadtest.pgbench.usage import Usage
from dbpool.loadtest.recording.tally import Outcome, Tally
from dbpool.loadtest.recording.window import SECOND_NS, Window
from dbpool.loadtest.workers.fleet import Loaded, OnTick, WorkerFailed

LONGEST_LINE: Final = 1 << 20
DONE, ABORTED = 0, 2  # its exit codes after a run; aborted: some client, or all
KILL_S: Final = 5.0


class PgbenchLoad:
    """One run of pgbench, used like a fleet of workers.

    Raises:
        SettingsError: pgbench cannot do that.
        PgbenchMissing: it is not installed.
    Cancelling: ends it, with its connections.
    """

    workers = 1

    def __init__(self, target: Target, load: Load, workload: Workload, threads: int) -> None:
        check(target, load, workload)
        self._target, self._load, self._workload = target, load, workload
        self._threads = min(threads, clients_of(target, load))
        self._process: asyncio.subprocess.Process | None = None
        self._exits = ExitStack()
        self._complaints: list[str] = []
        self._aborted: Counter[str] = Counter()
        self._begins_ns: list[int] = []  # what its reports say about when it began
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        self._place = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="dbpool-pgbench-")))
        return self

    async def __aexit__(self, *exc: object) -> None:
        try:
            if self._process is not None and self._process.returncode is None:
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
        finally:
            self._exits.close()

    @property
    def pids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    def stop(self) -> None:
        """End it now. What it has not written yet is lost: the last 4 kB of the log of each thread."""
        self._is_stopped = True
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)

    async def run(self, warmup_s: float, time_s: float, on_tick: OnTick = lambda _second, _tally: None) -> Loaded:
        """Have it load; *on_tick* gets what it reports each second, which has no durations.

        Raises: WorkerFailed: it could not do it, in its own words.
        """
        clock_ns = time.time_ns() - now_ns()
        began_ns = now_ns()
        command = self._command()
        if self._is_stopped:
            return Loaded(Window.of(began_ns, warmup_s=warmup_s, time_s=time_s))
        self._process = await asyncio.create_subprocess_exec(
            *command.words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **command.environment},
            start_new_session=True,  # Ctrl-C at a terminal is for us, and we tell it
            limit=LONGEST_LINE,
        )
        usage = Usage(self._process.pid)
        patience_s = warmup_s + time_s + self._load.timeout_s + self._load.drain_s
        try:
            async with asyncio.timeout(patience_s):
                await self._listen(self._process, on_tick, usage, clock_ns=clock_ns)
        except TimeoutError:  # a statement that does not end
            self.stop()
        code = await self._end(self._process)
        # by a thread: a long run's log takes seconds to read
        brought = await asyncio.to_thread(self._read, warmup_s, time_s, began_ns=began_ns, clock_ns=clock_ns)
        self._check_end(code, brought)
        brought.healths = [usage.health(self._threads, done=brought.total.counts[Outcome.OK])]
        brought.is_complete = not self._is_stopped
        return brought

    def _command(self) -> Command:
        files = []
        for number, part in enumerate(self._workload.parts):
            assert part.script is not None, part
            files.append(self._place / f"{number}.sql")
            files[-1].write_text(part.script, encoding="utf-8")
        program, log = find_pgbench(), self._place / "log"
        return command_of(
            program, self._target, self._load, self._workload, threads=self._threads, files=files, log=log
        )

    async def _listen(
        self, process: asyncio.subprocess.Process, on_tick: OnTick, usage: Usage, *, clock_ns: int
    ) -> None:
        assert process.stderr is not None
        second = 0
        while line := (await process.stderr.readline()).decode(errors="replace"):
            if (progress := progress_of(line)) is not None:
                self._begins_ns.append(round((progress.at_s - second - 1) * SECOND_NS) - clock_ns)
                usage.look(is_warmup=second < self._load.warmup_s)
                on_tick(second, _tally_of(progress, second))
                second += 1
            elif (complaint := complaint_of(line)) is not None:
                self._complaints.append(complaint.replace(f"{self._place}/", ""))
                if (label := aborted_by(complaint)) is not None:
                    self._aborted[label] += 1

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        try:
            async with asyncio.timeout(KILL_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            return await process.wait()

    def _check_end(self, code: int, brought: Loaded) -> None:
        if self._is_stopped or code == DONE or (code == ABORTED and brought.total.counts[Outcome.OK]):
            return
        raise WorkerFailed(f"pgbench: {self._complaints[0] if self._complaints else f'it ended with {code}'}")

    def _read(self, warmup_s: float, time_s: float, *, began_ns: int, clock_ns: int) -> Loaded:
        """What its log says, and of the clients that gave up what it complained of."""
        paths = sorted(self._place.glob("log.*"))
        with ExitStack() as stack:
            files = [stack.enter_context(path.open(encoding="ascii")) for path in paths]
            anchor_ns = anchor_of(
                self._first_ns(paths, clock_ns=clock_ns),
                reported_ns=min(self._begins_ns, default=began_ns),
                rate=self._load.mean_rate,
            )
            brought = Loaded(Window.of(anchor_ns, warmup_s=warmup_s, time_s=time_s))
            lines = [lines_of(file, self._load) for file in files]
            for second, tally in seconds_of(lines, self._load, brought.window, clock_ns=clock_ns):
                self._keep(brought, second, tally)
        # who gave up did so at some time: in the window or not, the rest of it had fewer clients
        aborted = Tally(errors=self._aborted)
        if total := sum(self._aborted.values()):
            aborted.counts[Outcome.ERROR] = total
        brought.total.merge(aborted)
        if not self._is_stopped:
            while len(brought.seconds) < warmup_s + time_s:
                brought.seconds.append(Tally().second())
        return brought

    def _first_ns(self, paths: list[Path], *, clock_ns: int) -> int | None:
        """When the first transaction began, or was due, as far as the log says."""
        firsts: list[int] = []
        for path in paths:
            with path.open(encoding="ascii") as file:
                lines = islice(lines_of(file, self._load), clients_of(self._target, self._load))
                firsts += [(line.ended_us - line.response_us) * US - clock_ns for line in lines]
        return min(firsts, default=None)

    def _keep(self, brought: Loaded, second: int, tally: Tally) -> None:
        while len(brought.seconds) < second:  # in which nothing ended
            brought.seconds.append(Tally().second())
        brought.total.merge(tally)
        brought.seconds.append(tally.second())


def _tally_of(progress: Progress, second: int) -> Tally:
    tally = Tally()
    tally.completions[second * 10] = progress.done
    if progress.failed:
        tally.counts[Outcome.ERROR] = progress.failed
    if progress.skipped:
        tally.counts[Outcome.SKIPPED] = progress.skipped
    return tally
