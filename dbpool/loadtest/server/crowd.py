"""Many who connect at the same moment, and what becomes of them.

They connect by asyncpg itself from this process, which computes a password's proof for each: some 3 ms, so 1 s for 300.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dbpool.core.loadtest.refusals import Refusal, label_of
from dbpool.core.retry import Backoff
from dbpool.loadtest.drivers.failures import evidence_of, refusal_by
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, Session, close, close_all, connect

BACKOFF: Final = Backoff(first_s=0.05, cap_s=1.0)
HOLD_S: Final = 0.1  # about as long as a request holds a connection that it opened for itself


@dataclass(slots=True)
class Crowd:
    """What became of *size* who connected together at *began_ns*, monotonic.

    Args:
        took_ns: of those who got in, in order: from the begin until connected, waits between tries included.
        failures: tries that failed, by what results call the reason.
        retries: tries after a first one that failed.
        took_s: until the last answer.
        cpu: of this process meanwhile, 1.0 for a whole processor: near that, it was the bottleneck itself.
    """

    size: int
    began_ns: int = field(default_factory=now_ns)
    took_ns: list[int] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    took_s: float = 0.0
    cpu: float = 0.0
    _cpu_before_s: float = field(default_factory=time.process_time)

    @property
    def missing(self) -> int:
        """Those who never got in."""
        return self.size - len(self.took_ns)

    def answered(self, failure: str | None) -> None:
        """One was let in (None), or told why not."""
        took_ns = now_ns() - self.began_ns
        self.took_s = took_ns / 1e9
        self.cpu = (time.process_time() - self._cpu_before_s) / self.took_s
        if failure is None:
            self.took_ns.append(took_ns)
        else:
            self.failures[failure] += 1


class Door:
    """Where a crowd connects.

    Args:
        name: what the server calls its sessions.
        role, database: as whom and where to, for a refusal that tells by nothing else which limit it was.
    """

    def __init__(self, dsn: str, name: str, *, role: str = "", database: str = "", timeout_s: float = 10.0) -> None:
        self._dsn, self._name, self._timeout_s = dsn, name, timeout_s
        self._role, self._database = role, database

    async def rush(self, size: int) -> Crowd:
        """*size* connect at once, each once; all that are in stay until the last one has its answer.

        Cancelling: closes all connections before it propagates.
        """
        crowd, held = Crowd(size), list[Session]()

        async def come() -> None:
            if isinstance(answer := await self._try(crowd), Refusal):
                return
            held.append(answer)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(size):
                    tasks.create_task(come())
        finally:
            await close_all(held)
        return crowd

    async def serve(self, size: int, *, patience_s: float, chance: Callable[[], float] = random.random) -> Crowd:
        """*size* connect at once and come again, after a wait with full jitter, until all had a connection.

        Who is in stays until everybody has had a first answer, so that as many stand at the door as there are, and
        then for as long as a request takes.

        Args:
            patience_s: after so long a refusal is the last.
            chance: random numbers in 0..1, for the jitter.
        Cancelling: closes all connections before it propagates.
        """
        crowd, unanswered, all_answered = Crowd(size), set(range(size)), asyncio.Event()
        gives_up_ns = crowd.began_ns + round(patience_s * 1e9)

        async def come(number: int) -> None:
            answer = await self._try(crowd)
            unanswered.discard(number)
            if not unanswered:
                all_answered.set()
            tries = 1
            while isinstance(answer, Refusal):
                wait_s = BACKOFF.delay_s(tries, chance())
                if answer is Refusal.DENIED or now_ns() + round(wait_s * 1e9) > gives_up_ns:
                    return
                await asyncio.sleep(wait_s)
                crowd.retries += 1
                answer = await self._try(crowd)
                tries += 1
            try:
                await all_answered.wait()
                await asyncio.sleep(HOLD_S)
            finally:
                await close(answer)

        async with asyncio.TaskGroup() as tasks:
            for number in range(size):
                tasks.create_task(come(number))
        return crowd

    async def _try(self, crowd: Crowd) -> Session | Refusal:
        try:
            session = await connect(self._dsn, self._name, timeout_s=self._timeout_s)
        except CONNECT_ERRORS as error:
            refusal = refusal_by(error, role=self._role, database=self._database)
            crowd.answered(label_of(evidence_of(error), refusal))
            return refusal
        crowd.answered(None)
        return session
