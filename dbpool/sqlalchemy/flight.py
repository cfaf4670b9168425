"""A prepared statement on its way: sent at once, awaited once, without a coroutine of its own.

To be called in a greenlet of SQLAlchemy's. Each coroutine and timer saved is some percent of a session.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.util import await_

from dbpool.deadlines import forget
from dbpool.faults import is_unsent, query_timeout
from dbpool.sqlalchemy.checkout import Checkout
from dbpool.sqlalchemy.sessiontransaction import SessionTransaction

_MORE = getattr(socket, "MSG_MORE", 0)  # the system waits for more before it sends a packet


def fly(checkout: Checkout, statement: Any, args: Sequence[object], begin: SessionTransaction | None) -> Any:
    """Run what the driver has prepared as *statement*; return rows, status and whether these are all.

    Args:
        begin: a transaction that begins with it: BEGIN goes ahead in the same flight.
    Raises: QueryTimeout after ``query_timeout``; the driver's own errors.
    Cancelling: asks the server to stop it; the connection then owes a cleanup.
    """
    connection: Any = checkout.connection
    bind_execute = connection._protocol.bind_execute
    beginning = None if begin is None else _send_begin(connection, begin)
    work = bind_execute(statement, args, "", 0, True, connection.drivers_limit)
    try:
        answer = work.send(None)
    except Exception as error:
        if beginning is not None and is_unsent(error) and not connection.is_closed():
            # The arguments do not fit, so that nothing ends the flight of BEGIN but another one
            await_(bind_execute(beginning, (), "", 0, True, None))
        raise
    answer._asyncio_future_blocking = False  # the work is resumed here, no task awaits it
    connection.at_work += 1
    try:
        return _landed(checkout, work, answer)
    finally:
        connection.at_work -= 1


def _landed(checkout: Checkout, work: Any, answer: asyncio.Future[Any]) -> Any:
    holder, seconds = checkout.holder, checkout.connection.settings.query_timeout
    task = holder.task or asyncio.current_task()
    cancels = task.cancelling() if task is not None else 0
    stopped: BaseException | None = None
    checkout.limit(answer, seconds)
    try:
        await_(answer)
    except BaseException as error:
        if not answer.done() or not isinstance(error, Exception):
            stopped = error
            answer.cancel()  # no effect once it is done
    forget(holder)
    try:
        work.send(None)
    except StopIteration as stop:
        if stopped is None:
            return stop.value
    except BaseException as error:
        if stopped is None:
            raise
        if error is not stopped:
            stopped.__cause__ = None if isinstance(error, asyncio.CancelledError) else error
    assert stopped is not None
    checkout.connection.is_interrupted = True
    if holder.is_overdue and (task is None or task.cancelling() == cancels):
        raise query_timeout(checkout.connection.held_by, seconds) from None
    raise stopped


def roll_back_behind(checkout: Checkout) -> asyncio.Future[Any] | None:
    """Send ROLLBACK and do not wait: done when it is answered; None if it cannot be sent.

    One that fails leaves the connection doomed, which closes it when its lease ends.
    """
    connection: Any = checkout.connection
    prepared = connection._stmt_cache.get(("ROLLBACK", connection.record_class, False))
    if prepared is None:
        work = connection._protocol.query("ROLLBACK", connection.settings.reset_timeout)
    else:  # which can do without a timer of its own
        work = connection._protocol.bind_execute(prepared, (), "", 0, False, connection.drivers_limit)
    try:
        answer: asyncio.Future[Any] = work.send(None)
    except Exception:
        connection.doom("a ROLLBACK was cut short")
        return None
    answer._asyncio_future_blocking = False

    def answered(_: object) -> None:
        forget(checkout.holder)
        try:
            work.send(None)
        except StopIteration:
            pass
        except BaseException:
            connection.doom("a ROLLBACK was cut short")

    checkout.limit(answer, connection.settings.reset_timeout)
    answer.add_done_callback(answered)
    return answer


def _send_begin(connection: Any, begin: SessionTransaction) -> Any:
    """Send BEGIN without what ends a flight; return its prepared form."""
    text = begin.options.begin()
    beginning = connection._stmt_cache.get((text, connection.record_class, False))
    if beginning is None:
        await_(connection._get_statement("ROLLBACK", None))
        beginning = await_(connection._get_statement(text, None))
    begin.begin_unanswered()
    _send_ahead(connection._transport, _bound_and_executed(beginning.name))
    return beginning


@lru_cache(maxsize=1000)
def _bound_and_executed(name: str) -> bytes:
    """The messages that run what is prepared under *name*, which takes and returns nothing."""
    bind = b"\0" + name.encode() + b"\0\0\0\0\0\0\0"  # the unnamed portal, no formats, parameters, result formats
    return b"B%b%bE\0\0\0\x09\0\0\0\0\0" % ((len(bind) + 4).to_bytes(4, "big"), bind)


def _send_ahead(transport: Any, data: bytes) -> None:
    """Have *data* leave together with what is written next."""
    sock = getattr(transport, "_sock", None)  # of asyncio's own loop, and without TLS; uvloop's gathers what is written
    if _MORE and sock is not None and not transport.get_write_buffer_size():
        try:
            data = data[sock.send(data, _MORE) :]
        except OSError:
            pass  # the transport says it better
    if data:
        transport.write(data)
