"""A PostgreSQL that lives in the event loop: it answers as scripted, and notices whatever a pool must never do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

import asyncpg

from dbpool.connection import Answer, Want
from dbpool.events import Reason
from tests.support.fakeremains import FakeRemains
from tests.support.script import Reply, Script


class _Answer:
    """What a sender that drives the work by hand gets to see: the future itself."""

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[asyncio.Future[Any], None, Any]:
        yield self._future
        return self._future.result()


class FakeConnection:
    """Stands in for ``dbpool.connection.PooledConnection``.

    A statement's first argument, if there is one, names its caller: state that a caller has left in the session must
    not be met by another.
    """

    def __init__(self, driver: FakeDriver, number: int) -> None:
        self._driver = driver
        self._prepared: set[str] = set()
        self._answer: asyncio.Future[Any] | None = None
        self._idle_again = asyncio.Event()
        self._idle_again.set()
        self._is_open = True
        self._in_transaction = False
        self._state_of: object = None
        self.number = number
        self.peer_is_gone = False
        """The server is gone, which nobody has noticed yet."""
        self.sent: list[str] = []
        self.cleaned_total = self.pinged_total = self.stopped_total = self.loans_ended = 0
        self.is_broken = self.is_interrupted = False
        self.callers_error = self.last_sql = None
        self.keeps_session = True
        self.expires_at = self.idle_since = self.seen_alive_at = 0.0
        self.expires_for = Reason.TOO_OLD
        self.retired_for: Reason | None = None
        self.held_by = ""
        self.remains: FakeRemains | None = None

    # What a pool uses

    @property
    def is_quiet(self) -> bool:
        return self._is_open and not (
            self.is_broken or self.is_interrupted or self._in_transaction or self._is_cancelling
        )

    def is_closed(self) -> bool:
        return not self._is_open

    def note_change(self, sql: str) -> None:
        self.keeps_session = False

    def begin(
        self, sql: str, args: Sequence[object], want: Want
    ) -> tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]] | None:
        if sql not in self._prepared:
            return None
        work = self._wait(self._send(sql, args))
        return work, work.send(None)

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        async with asyncio.timeout(timeout):
            await self._idle_again.wait()
            answer = self._send(sql, args)
            self._prepared.add(sql)
            try:
                return await answer
            except asyncio.CancelledError:
                answer.cancel()
                raise

    async def clean(self, timeout: float) -> None:
        self.cleaned_total += 1
        async with asyncio.timeout(timeout):
            await self._idle_again.wait()
            await self._take(self._driver.script.clean_s)
        if self._driver.script.clean_error is not None:
            raise self._driver.script.clean_error
        self._in_transaction = False
        self._state_of = None
        self.keeps_session = True
        self.is_interrupted = False

    async def ping(self, timeout: float) -> bool:
        self.pinged_total += 1
        try:
            async with asyncio.timeout(timeout):
                await self._take(self._driver.script.ping_s)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def discard(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                if self._is_open:
                    await asyncio.sleep(self._driver.script.discard_s)
            self.lose()  # the server has ended the session
        except TimeoutError:
            pass
        finally:
            self.terminate()

    def retire(self, reason: Reason) -> None:
        self.is_broken = True
        self.retired_for = self.retired_for or reason

    def is_in_transaction(self) -> bool:
        return self._in_transaction

    def handles(self) -> list[object]:
        return []

    def keepers(self) -> list[object]:
        return []

    def lend(self, lease: object, *, in_block: bool) -> FakeConnection:
        self.lease = lease
        return self

    def end_loan(self) -> None:
        self.loans_ended += 1

    async def stop_statement(self) -> None:
        self.stopped_total += 1
        await asyncio.sleep(self._driver.script.stop_s)

    def terminate(self) -> None:
        if self._is_open and not self.peer_is_gone:
            self.remains = self._driver.left()
        self.lose()

    def lose(self) -> None:
        """The server cuts the connection, and this end notices."""
        self._close(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation"))

    # What it does

    @property
    def _is_cancelling(self) -> bool:
        return self._answer is not None and self._answer.cancelled()

    async def _wait(self, answer: asyncio.Future[Any]) -> Answer:
        return await _Answer(answer)

    async def _take(self, seconds: float) -> None:
        """Let a round trip pass that is no caller's statement."""
        if not self._is_open:
            raise asyncpg.InterfaceError("connection is closed")
        if self._answer is not None:
            self._driver.report(f"connection {self.number} was used by two at once")
        answer = self._begin_exchange()
        self._answer_after(seconds, answer, Reply())
        try:
            await answer
        except asyncio.CancelledError:
            answer.cancel()
            raise

    def _send(self, sql: str, args: Sequence[object]) -> asyncio.Future[Any]:
        reply = self._driver.script.replies.get(sql) or Reply(begins=sql == "begin")
        if not self._is_open:
            raise asyncpg.InterfaceError("connection is closed")
        for arg in args:
            if not isinstance(arg, reply.takes):
                raise asyncpg.DataError(f"{arg!r} is no {reply.takes.__name__}")
        if self._answer is not None:
            self._driver.report(f"connection {self.number} was used by two at once")
            raise asyncpg.InterfaceError("cannot perform operation: another operation is in progress")
        caller = args[0] if args else None
        if self._state_of not in (None, caller):
            self._driver.report(f"{caller!r} met the session state of {self._state_of!r}")
        if sql == "sets":
            self._state_of = caller
        self.sent.append(sql)
        self._driver.sent.append((self.number, sql))
        answer = self._begin_exchange()
        self._answer_after(reply.after_s, answer, reply, args)
        return answer

    def _begin_exchange(self) -> asyncio.Future[Any]:
        self._answer = asyncio.get_running_loop().create_future()
        self._idle_again.clear()
        return self._answer

    def _answer_after(
        self, seconds: float, answer: asyncio.Future[Any], reply: Reply, args: Sequence[object] = ()
    ) -> None:
        loop = asyncio.get_running_loop()

        def over(_: asyncio.Future[Any]) -> None:
            timer.cancel()
            if answer is not self._answer:
                return
            if answer.cancelled():
                loop.call_later(self._driver.script.cancel_s, self._end_exchange, answer)
            else:
                self._end_exchange(answer)

        timer = loop.call_later(seconds, self._reply, answer, reply, args)
        answer.add_done_callback(over)

    def _end_exchange(self, answer: asyncio.Future[Any]) -> None:
        if self._answer is answer:
            self._answer = None
            self._idle_again.set()

    def _reply(self, answer: asyncio.Future[Any], reply: Reply, args: Sequence[object]) -> None:
        if answer.done():
            return
        if reply.kills or self.peer_is_gone:
            self.lose()
            return
        self._in_transaction = self._in_transaction or reply.begins
        # before whoever waits for the answer runs: as asyncpg does, which has the server's last word by then
        self._end_exchange(answer)
        if reply.error is not None:
            answer.set_exception(reply.error)
        elif reply.rows is not None:
            answer.set_result(list(reply.rows))
        else:
            answer.set_result([list(args)] if args else [])

    def _close(self, error: Exception) -> None:
        if not self._is_open:
            return
        self._is_open = False
        self._driver.open_now.discard(self)
        answer = self._answer
        if answer is not None:
            self._end_exchange(answer)
            if not answer.done():
                answer.set_exception(error)


class FakeDriver:
    """Stands in for ``dbpool.driver.Driver``, and is the oracle: its ``violations`` must stay empty."""

    def __init__(self, max_size: int, script: Script | None = None, connect_timeout: float = 10.0) -> None:
        self.script = script or Script()
        self.max_size = max_size
        self.connect_timeout = connect_timeout
        self.connecting = 0
        self.most_connecting = 0
        self.open_now: set[FakeConnection] = set()
        self.opened: list[FakeConnection] = []
        self.remains: list[FakeRemains] = []
        self.connects_tried = 0
        self.sent: list[tuple[int, str]] = []
        self.violations: list[str] = []
        self.is_terminated = False

    async def open(self, max_connections: int) -> None:
        assert max_connections == self.max_size

    def renew_credentials(self) -> None:
        """It has none."""

    def grow(self, max_connections: int) -> None:
        self.max_size = max(self.max_size, max_connections)

    @property
    def connections(self) -> list[FakeConnection]:
        return [connection for connection in self.opened if connection in self.open_now]

    @property
    def size(self) -> int:
        return len(self.open_now)

    @property
    def lingering(self) -> int:
        """Server ends that outlive their connections, or connects that were given up."""
        return sum(remains.counts for remains in self.remains)

    def left(self) -> FakeRemains | None:
        """What a cut leaves, if anything."""
        if not self.script.lingers_s:
            return None
        self.remains.append(FakeRemains(self.script.lingers_s))
        return self.remains[-1]

    async def connect(self, leave: Callable[[FakeRemains], None]) -> FakeConnection:
        self.connects_tried += 1
        self.connecting += 1
        self.most_connecting = max(self.most_connecting, self.connecting)
        try:
            self.check()
            fault = self.script.connect_faults.popleft() if self.script.connect_faults else None
            try:
                async with asyncio.timeout(self.connect_timeout):
                    await asyncio.sleep(fault if isinstance(fault, float) else self.script.connect_s)
            except BaseException:  # out of time, or cancelled
                if (remains := self.left()) is not None:
                    leave(remains)
                raise
            if isinstance(fault, Exception):
                raise fault
            if self.script.connect_error is not None:
                raise self.script.connect_error
        finally:
            self.connecting -= 1
        connection = FakeConnection(self, len(self.opened))
        self.opened.append(connection)
        self.open_now.add(connection)
        if self.is_terminated:
            self.report(f"connection {connection.number} was opened after the end")
        return connection

    async def stop_statements(self, timeout: float) -> None:
        await asyncio.sleep(min(timeout, self.script.stop_s))

    def terminate(self) -> None:
        self.is_terminated = True
        for connection in list(self.open_now):
            connection.terminate()

    def report(self, violation: str) -> None:
        """Note what must never happen: code under test may swallow an exception."""
        self.violations.append(violation)

    def check(self) -> None:
        """Assert what is true at any instant."""
        if self.size + self.connecting + self.lingering > self.max_size:
            self.report(
                f"{self.size} connections open, {self.connecting} opening and {self.lingering} lingering, "
                f"{self.max_size} allowed"
            )
        assert not self.violations, self.violations
