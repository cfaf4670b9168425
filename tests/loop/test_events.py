"""What listeners are told, when, and in which order; and what one of them can do to a pool, which is nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dbpool import ServerUnavailable, UsageError
from dbpool.events import (
    Closed,
    Closing,
    ConnectFailed,
    ConnectionClosed,
    ConnectionOpened,
    Draining,
    Event,
    Events,
    LeakReturned,
    LeakSuspected,
    OutageEnded,
    Paused,
    Reason,
    Resized,
    Resumed,
)
from tests.support.facade import Faked, faked, new_faked
from tests.support.loops import JumpingLoop, outcomes, run, settle
from tests.support.script import NEVER, Reply, Script

# The order


def test_each_listener_hears_each_event_before_anybody_hears_the_next() -> None:
    events, heard = Events(), list[tuple[str, Event]]()
    for name in "ab":
        events.on(lambda event, name=name: heard.append((name, event)))  # type: ignore[misc]
    events.tell(Paused())
    events.tell(Resumed())
    assert heard == [("a", Paused()), ("b", Paused()), ("a", Resumed()), ("b", Resumed())]


def test_what_a_listener_brings_about_is_told_when_all_have_heard_what_it_heard() -> None:
    events, heard = Events(), list[Event]()
    events.on(lambda event: events.tell(Resumed()) if event == Paused() else None)
    events.on(heard.append)
    events.tell(Paused())
    assert heard == [Paused(), Resumed()]


def test_a_listener_that_another_one_stops_hears_no_more_not_even_of_what_is_being_told() -> None:
    events, heard = Events(), list[Event]()
    events.on(lambda _: stop())
    stop = events.on(heard.append)
    events.tell(Paused())
    assert heard == []
    stop()  # again is no error


def test_a_listener_that_stops_itself_keeps_nobody_else_from_hearing() -> None:
    events, heard = Events(), list[Event]()
    stop = events.on(lambda _: stop())
    events.on(heard.append)
    events.tell(Paused())
    events.tell(Resumed())
    assert heard == [Paused(), Resumed()]


def test_a_listener_that_comes_while_something_is_told_hears_what_comes_next() -> None:
    events, heard = Events(), list[Event]()

    def bring(_: Event) -> None:
        stop()
        events.on(heard.append)

    stop = events.on(bring)
    events.tell(Paused())
    events.tell(Resumed())
    assert heard == [Resumed()]


def test_the_same_listener_may_come_twice_and_each_is_stopped_on_its_own() -> None:
    events, heard = Events(), list[Event]()
    stop, _ = events.on(heard.append), events.on(heard.append)
    events.tell(Paused())
    stop()
    events.tell(Resumed())
    assert heard == [Paused(), Paused(), Resumed()]


def test_what_is_told_to_nobody_is_not_kept_for_later() -> None:
    events, heard = Events(), list[Event]()
    events.tell(Paused())
    events.on(heard.append)
    events.tell(Resumed())
    assert heard == [Resumed()]


@pytest.mark.parametrize("listener", [None, 7, "print"])
async def test_what_cannot_be_called_is_no_listener(listener: Any) -> None:  # noqa: ANN401 - that is the point
    async with faked() as pool:
        with pytest.raises(UsageError, match="cannot be called"):
            pool.db.on_event(listener)


# Listeners that fail


async def test_a_listener_that_raises_is_logged_and_costs_nobody_anything(caplog: pytest.LogCaptureFixture) -> None:
    def failing(_: Event) -> None:
        raise ValueError("no pager is on duty")

    pool = new_faked(2)
    pool.db.on_event(failing)
    heard: list[Event] = []
    pool.db.on_event(heard.append)
    with caplog.at_level(logging.ERROR, "dbpool"):
        async with pool.db:
            await life(pool)
            pool.check_at_rest()
    assert heard == pool.told
    assert len(caplog.records) == len(heard)
    assert "no pager is on duty" in caplog.text
    assert "a listener failed at ConnectionOpened(" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_listener_that_ends_the_program_does_so_a_turn_later_and_no_permit_is_lost(error: BaseException) -> None:
    pool = new_faked(2)

    def ending(event: Event) -> None:
        if isinstance(event, ConnectionClosed):
            raise error

    async def program() -> None:
        await pool.db.open()
        pool.db.on_event(ending)
        heard: list[Event] = []
        pool.db.on_event(heard.append)
        pool.driver.open_now.copy().pop().lose()
        pool.db.drain()  # finds it closed, and tells so
        assert Draining(0, 0.0) in heard
        assert isinstance(heard[-1], ConnectionClosed)
        assert (pool.db.stats().held, pool.db.stats().idle) == (0, 0)
        await asyncio.sleep(0.1)
        raise AssertionError("it was not ended")

    with pytest.raises(type(error)):
        run(program())
    assert (pool.db.stats().held, pool.db.stats().waiting) == (0, 0)


async def test_a_cancellation_that_a_listener_raises_cancels_nobody() -> None:
    def cancelling(_: Event) -> None:
        raise asyncio.CancelledError

    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    loop.set_exception_handler(lambda *_: None)
    pool = new_faked(2)
    pool.db.on_event(cancelling)
    async with pool.db:
        await life(pool)
        pool.check_at_rest()


async def life(pool: Faked) -> None:
    """Most of what can happen to a pool."""
    await asyncio.gather(*pool.holds(0.1, 0.1))
    await pool.db.pause()
    pool.db.resume()
    pool.db.resize(1)
    pool.db.drain()
    await asyncio.sleep(1)
    await pool.hold(1)


async def test_listeners_may_operate_the_pool(caplog: pytest.LogCaptureFixture) -> None:
    async with faked(3, Script(discard_s=0.5)) as pool:
        db = pool.db
        answers: dict[type[Event], Callable[[], object]] = {
            Draining: lambda: db.resize(db.stats().capacity + 1),
            Resized: lambda: (db.report(), str(db)),
            Paused: db.resume,
            ConnectionClosed: lambda: db.resize(2) if db.stats().capacity > 3 else None,
        }

        def operating(event: Event) -> None:
            answers.get(type(event), int)()

        db.on_event(operating)
        await asyncio.gather(*pool.holds(0.1, 0.1, 0.1))
        db.drain()
        await asyncio.gather(*pool.holds(1, 1, 1, 1, 1))
        await db.pause()
        await asyncio.gather(*pool.holds(1, 1))
        assert (db.stats().capacity, caplog.records) == (2, [])
        seen = [type(event) for event in pool.told]
        assert seen.index(Draining) + 1 == seen.index(Resized)
        assert seen[seen.index(Paused) + 1] is Resumed


# Every event at its moment


def told_by(pool: Faked) -> list[Event | Reason | type[Event]]:
    """What was told, in short: the reason of a closed connection, and but the type of what has a time in it."""
    in_short: list[Event | Reason | type[Event]] = []
    for event in pool.told:
        if isinstance(event, ConnectionClosed):
            in_short.append(event.reason)
        elif isinstance(event, ConnectionOpened | ConnectFailed | OutageEnded | LeakSuspected | LeakReturned):
            in_short.append(type(event))
        else:
            in_short.append(event)
    return in_short


async def pause_and_resume(pool: Faked) -> None:
    (holder,) = pool.holds(5)
    await settle()
    pausing = asyncio.create_task(pool.db.pause())
    await asyncio.sleep(4)
    assert pool.told == []
    await pausing
    assert pool.told == [Paused()]
    pool.db.resume()
    await holder


async def pause_and_disconnect(pool: Faked) -> None:
    await pool.db.pause(disconnect=True)
    pool.db.resume()


async def resize(pool: Faked) -> None:
    await asyncio.gather(*pool.holds(0.1, 0.1))
    pool.told.clear()
    pool.db.resize(1)
    assert pool.told == [Resized(3, 1)]


async def drain(pool: Faked) -> None:
    pool.db.drain()
    assert pool.told == [Draining(1, 0.0)]


async def die(pool: Faked) -> None:
    pool.driver.opened[0].lose()
    await pool.hold(0)


async def fall_silent(pool: Faked) -> None:
    pool.driver.opened[0].peer_is_gone = True
    await asyncio.sleep(2)  # from then on it is asked before somebody gets it
    await pool.hold(0)


async def leave_a_mess(pool: Faked) -> None:
    pool.driver.script.clean_error = OSError("cut in the reset")
    await pool.db.fetch("set x = 1")


async def give_up(pool: Faked) -> None:
    pool.driver.script.replies["select 'slow'"] = Reply(NEVER)
    pool.driver.script.cancel_s = pool.driver.script.clean_s = NEVER
    with pytest.raises(TimeoutError):
        await pool.db.fetch("select 'slow'", timeout=1)
    await asyncio.sleep(10)


async def break_off(pool: Faked) -> None:
    async with pool.db.acquire():
        pool.driver.opened[0].is_broken = True


async def lose_the_server_for_a_moment(pool: Faked) -> None:
    pool.driver.opened[0].lose()
    pool.driver.script.connect_faults.append(ConnectionRefusedError(111, "nobody listens"))
    await pool.hold(0)
    (failed,) = [event for event in pool.told if isinstance(event, ConnectFailed)]
    assert (failed.failures, "nobody listens" in failed.error) == (1, True)
    assert isinstance(failed.cause, ConnectionRefusedError)


async def forget_for_a_while(pool: Faked) -> None:
    await pool.hold(15)
    await asyncio.sleep(6)


Life = Callable[[Faked], Coroutine[Any, Any, None]]
LIVES: dict[str, tuple[Life, list[Event | Reason | type[Event]]]] = {
    "pause": (pause_and_resume, [Paused(), Resumed()]),
    "disconnect": (pause_and_disconnect, [Reason.PAUSED, Paused(), Resumed()]),
    "resize": (resize, [Resized(3, 1), Reason.SURPLUS]),
    "drain": (drain, [Draining(1, 0.0), Reason.DRAINED]),
    "too old": (lambda _: asyncio.sleep(1001), [Reason.TOO_OLD]),
    "idle": (lambda _: asyncio.sleep(306), [Reason.IDLE]),
    "lost": (die, [Reason.LOST, ConnectionOpened]),
    "unanswered": (fall_silent, [Reason.UNANSWERED, ConnectionOpened]),
    "reset failed": (leave_a_mess, [Reason.RESET_FAILED]),
    "no answer to a cancel": (give_up, [Reason.RESET_FAILED]),
    "broken": (break_off, [Reason.BROKEN]),
    "outage": (lose_the_server_for_a_moment, [Reason.LOST, ConnectFailed, ConnectionOpened, OutageEnded]),
    "leak": (forget_for_a_while, [LeakSuspected, LeakReturned]),
}


@pytest.mark.parametrize("name", LIVES)
async def test_everything_is_told_with_its_reason(name: str) -> None:
    live, expected = LIVES[name]
    idle_s = 5000.0 if name == "too old" else 300.0
    async with faked(3, max_lifetime=1000.0, max_idle=idle_s, leak_after=10.0) as pool:
        await live(pool)
        await asyncio.sleep(1)
        assert told_by(pool) == expected


async def test_opening_and_closing_are_told_from_the_first_connection_to_the_last() -> None:
    pool = new_faked(2)
    async with pool.db:
        await asyncio.gather(*pool.holds(0.1, 0.1))
    assert told_by(pool) == [ConnectionOpened] * 2 + [Closing()] + [Reason.POOL_CLOSED] * 2 + [Closed(())]


async def test_waiters_are_refused_before_the_closing_is_told_and_it_names_who_was_cut_off() -> None:
    pool = new_faked(2)
    await pool.db.open()
    cut_off = asyncio.create_task(pool.hold(100), name="stubborn")
    (other,) = pool.holds(1)
    await asyncio.sleep(0.1)
    (waiter,) = pool.holds(0)
    await settle()
    waiting: list[int] = []
    pool.db.on_event(lambda event: waiting.append(pool.db.stats().waiting) if event == Closing() else None)
    await pool.db.close(timeout=5)
    assert waiting == [0]
    (closed,) = [event for event in pool.told if isinstance(event, Closed)]
    assert [holder.task for holder in closed.cut_off] == ["stubborn"]
    assert "in Faked.hold" in closed.cut_off[0].where
    await outcomes(cut_off, other, waiter)
    # each connection's end is told, that of the one cut off when its holder has left
    assert [told for told in told_by(pool) if isinstance(told, Reason)] == [Reason.POOL_CLOSED] * 2


async def test_a_server_that_is_gone_at_the_start_is_told() -> None:
    pool = new_faked(1, Script(connect_error=ConnectionRefusedError(111, "nobody listens")))
    with pytest.raises(ServerUnavailable):
        await pool.db.open()
    failures = [event.failures for event in pool.told if isinstance(event, ConnectFailed)]
    assert failures == list(range(1, len(failures) + 1))
    assert failures


async def test_a_listener_that_was_there_before_the_pool_opened_hears_all_and_one_that_stops_no_more() -> None:
    pool = new_faked(1)
    heard: list[Event] = []
    stop = pool.db.on_event(heard.append)
    async with pool.db:
        stop()
        stop()
        await life(pool)
    assert [type(event) for event in heard] == [ConnectionOpened]
