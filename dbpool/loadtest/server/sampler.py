"""What the server is seen doing while a load runs, by plain SQL and by whoever else can tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from dbpool.faults import one_line
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.server.activity import ACTIVITY, by_event, by_state, by_wait
from dbpool.loadtest.server.command import NoReading, ServerCommand
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, PREFIX, Session, rows
from dbpool.loadtest.server.console import Console, PoolerPool
from dbpool.loadtest.server.counters import Counters, Deltas
from dbpool.loadtest.server.processor import ServerProcessor
from dbpool.loadtest.server.watch import Watch


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server; what could not be seen is None.

    Args:
        at_ns: when, monotonic.
        ours, others: sessions by state, as ``{"active": 4, "idle": 2}``.
        waits: active sessions by what they wait for, as ``{"CPU": 3, "Lock": 1}``.
        deltas: counters since the look before, by view.
        cpu: processors that the server used since then, 1.0 for one.
        took_ms: what looking cost.
        wait_events: those of *waits* that wait, by name, as ``{"Lock:transactionid": 1}``.
        pools: those of PgBouncer.
    """

    at_ns: int
    ours: Mapping[str, int] | None
    others: Mapping[str, int] | None
    waits: Mapping[str, int] | None
    deltas: Deltas
    cpu: float | None
    took_ms: float
    wait_events: Mapping[str, int] | None = None
    pools: Sequence[PoolerPool] | None = None


def next_look(due_ns: int, ended_ns: int, *, took_ns: int, interval_ns: int) -> int:
    """When to look again: on the beat, but never before a pause as long as looking took."""
    late_ns = ended_ns + took_ns - due_ns
    return due_ns + interval_ns * max(1, ceil(late_ns / interval_ns))


class Sampler:
    """Looks at the server over *session*, which nobody else uses meanwhile; one for a whole run.

    Args:
        is_local: the server's processes are on this machine, so that their processor time can be read.
        ours: how the names of sessions begin that are not others'.
        console: PgBouncer's, None where there is none; it is closed by who opened it.
        warn: told, once each, what cannot be looked at any more: a code, a sentence.
    """

    def __init__(
        self,
        session: Session,
        *,
        is_local: bool,
        ours: str = PREFIX,
        watch: Watch | None = None,
        console: Console | None = None,
        warn: Callable[[str, str], None] = lambda _code, _text: None,
    ) -> None:
        self._session, self._console, self._warn = session, console, warn
        self._ours = ours
        self._interval_s = (watch or Watch()).interval_s
        command = None if watch is None else watch.server_cmd
        self._command = None if command is None else ServerCommand(command, limit_s=self._interval_s)
        self._processor = ServerProcessor(is_local=is_local)
        self._counters = Counters(session)
        self._warned: set[str] = set()
        self._samples: list[Sample] = []

    def look_every(self, interval_s: float) -> None:
        """Look so often from now on."""
        self._interval_s = interval_s

    def take(self) -> list[Sample]:
        """The samples since the last time."""
        taken, self._samples = self._samples, []
        return taken

    async def look(self) -> Sample:
        """Take one sample; the first has no deltas. Raises: what the driver raises when the connection is lost."""
        began = now_ns()
        activity = await rows(self._session, ACTIVITY, self._ours)
        deltas = await self._counters.read()
        pools = await self._pools()
        cpu = self._cpu()
        sample = Sample(
            at_ns=began,
            ours=by_state(activity, ours=True),
            others=by_state(activity, ours=False),
            waits=by_wait(activity),
            deltas=deltas,
            cpu=cpu,
            took_ms=(now_ns() - began) / 1e6,
            wait_events=by_event(activity),
            pools=pools,
        )
        self._samples.append(sample)
        return sample

    async def run(self, on_sample: Callable[[Sample], None] = lambda _: None) -> None:
        """Look at each interval until cancelled, or until the connection is lost, of which is warned."""
        self._begin()
        due_ns = now_ns()
        try:
            while True:
                try:
                    sample = await self.look()
                except CONNECT_ERRORS as error:
                    self._warn_once(
                        "lifeline_lost", f"the connection that looks at the server was lost: {one_line(error)}"
                    )
                    return
                on_sample(sample)
                took_ns, interval_ns = round(sample.took_ms * 1e6), round(self._interval_s * 1e9)
                due_ns = next_look(due_ns, now_ns(), took_ns=took_ns, interval_ns=interval_ns)
                await asyncio.sleep((due_ns - now_ns()) / 1e9)
        finally:
            if self._command is not None:
                await self._command.stop()

    def _begin(self) -> None:
        """What rose while nobody looked belongs to no look."""
        self._counters.forget()
        self._processor.forget()

    def _cpu(self) -> float | None:
        if self._command is None:
            return self._processor.used_since(self._session.get_server_pid())
        cpu = None
        try:
            cpu = self._command.take()
        except NoReading as reason:
            self._warn_once("server_cmd", f"the processors of the server are not known: --server-cmd {reason}")
        except OSError as error:
            self._warn_once("server_cmd", f"the processors of the server are not known: {one_line(error)}")
        self._command.begin()
        return cpu

    async def _pools(self) -> list[PoolerPool] | None:
        if self._console is None:
            return None
        try:
            return await self._console.pools()
        except CONNECT_ERRORS as error:
            self._console = None
            self._warn_once("console_lost", f"the pools of PgBouncer cannot be seen any more: {one_line(error)}")
            return None

    def _warn_once(self, code: str, text: str) -> None:
        if code not in self._warned:
            self._warned.add(code)
            self._warn(code, text)
