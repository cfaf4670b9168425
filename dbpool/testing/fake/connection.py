"""A connection to a PostgreSQL that lives in the event loop: it answers as scripted."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from dbpool.connection import Answer, Want
from dbpool.events import Reason
from dbpool.testing.fake.remains import FakeRemains
from dbpool.testing.fake.script import Reply

if TYPE_CHECKING:
    from dbpool.testing.fake.driver import FakeDriver


class Answered:
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
        self.is_broken = self.is_interrupted = self.is_demoted = False
        self.callers_error = self.last_sql = None
        self.keeps_session = True
        self.expires_at = self.idle_since = self.seen_alive_at = 0.0
        self.expires_for = Reason.TOO_OLD
        self.retired_for: Reason | None = None
        self.held_by = ""
        self.transactions: list[Any] = []
        self.remains: FakeRemains | None = None

    # What a pool uses

    @property
    def is_quiet(self) -> bool:
        return self._is_open and not (
            self.is_broken or self.is_interrupted or self._in_transaction or self._is_cancelling
        )

    def is_closed(self) -> bool:
        return not self._is_open

    def get_settings(self) -> None:
        """The server reports nothing."""

    def note_change(self, sql: str) -> None:
        self.keeps_session = False

    def begin(
        self, sql: str, args: Sequence[object], want: Want
    ) -> tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]] | None:
        if sql not in self._prepared:
            return None
        work = self._wait(self._send(sql, args), want)
        return work, work.send(None)

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        async with asyncio.timeout(timeout):
            await self._idle_again.wait()
            answer = self._send(sql, args)
            self._prepared.add(sql)
            try:
                return await answer
            except (asyncio.CancelledError, GeneratorExit):
                _give_up(answer)
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

    def is_whole(self, sql: str, want: Want, answer: Answer) -> bool:
        return True

    def forget_schema(self) -> None:
        """Nothing that was prepared here goes out of date."""

    def forget_statement(self, sql: str) -> bool:
        return False

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

    def answer_now(self) -> None:
        """Give the statement under way, if there is one, the answer without rows."""
        if self._answer is not None:
            self._reply(self._answer, Reply(), ())

    # What it does

    @property
    def _is_cancelling(self) -> bool:
        return self._answer is not None and self._answer.cancelled()

    async def _wait(self, answer: asyncio.Future[Any], _: Want) -> Answer:
        rows = await Answered(answer)
        return rows, b"SELECT %d" % len(rows), True

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
        except (asyncio.CancelledError, GeneratorExit):
            _give_up(answer)
            raise

    def _send(self, sql: str, args: Sequence[object]) -> asyncio.Future[Any]:
        if not self._is_open:
            raise asyncpg.InterfaceError("connection is closed")
        reply = self._reply_to(sql, args)
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

    def _reply_to(self, sql: str, args: Sequence[object]) -> Reply:
        return self._driver.script.replies.get(sql) or Reply(begins=sql == "begin")

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
                self._failed()
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
            self._failed()
            answer.set_exception(reply.error)
        else:
            answer.set_result(self._result_of(reply, args))

    def _result_of(self, reply: Reply, args: Sequence[object]) -> Any:
        if reply.rows is not None:
            return list(reply.rows)
        return [list(args)] if args else []

    def _failed(self) -> None:
        """A statement has failed, or was stopped."""

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


def _give_up(answer: asyncio.Future[Any]) -> None:
    """Stop it; an error that came already, to a coroutine that nobody drove, is told to nobody."""
    if not answer.cancel() and not answer.cancelled():
        answer.exception()
