"""A log record for each change of a pool's state, with its numbers as fields."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dbpool import events as ev
from dbpool.core.querysummary import shown_text
from dbpool.eventfields import fields_of
from dbpool.events import Event
from dbpool.wording import counted

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool

log = logging.getLogger("dbpool")

_ROUTINE = frozenset({ev.Reason.TOO_OLD, ev.Reason.IDLE, ev.Reason.DRAINED, ev.Reason.SURPLUS, ev.Reason.PAUSED})
_SAID_BY_THE_POOL = (ev.LeaseReclaimed, ev.LeakSuspected, ev.LeakReturned)  # with the same fields, whoever listens


def log_events(db: DatabasePool) -> Callable[[], None]:
    """Log each event of *db* once, to the logger ``dbpool``, until what this returns is called.

    A record has its event's name as ``event``, the pool's as ``pool``, and the event's fields under their own names
    (``took_s``, ``lane``, ``where``, ...), so that a JSON formatter finds them. Connections that come and go are DEBUG;
    what somebody did to the pool INFO; what hinders callers, or is slow, WARNING; failed connects and deadlocks ERROR.
    Nothing is held back, however much there is of it. Parameters and passwords are in no record, and constants of SQL
    texts without parameters are replaced by ``?``. What a pool logs without being asked, as a lease that was taken
    back, it goes on to log by itself, with the same fields.
    """
    name = db.settings.name

    def listen(event: Event) -> None:
        if not isinstance(event, _SAID_BY_THE_POOL):
            level = level_of(event)
            if log.isEnabledFor(level):
                log.log(level, "pool '%s': %s", name, said(event), extra=fields_of(event, name))

    return db.on_event(listen)


def level_of(event: Event) -> int:
    """How much it matters."""
    match event:
        case ev.ConnectionOpened():
            return logging.DEBUG
        case ev.ConnectionClosed():
            is_routine = event.is_gone and event.reason in (*_ROUTINE, ev.Reason.POOL_CLOSED)
            return logging.DEBUG if is_routine else logging.WARNING
        case ev.ConnectFailed() | ev.DeadlockFound():
            return logging.ERROR
        case ev.Quarantined() | ev.LeaseReclaimed() | ev.LeakSuspected() | ev.LeakReturned():
            return logging.WARNING
        case ev.PoolerFound():
            return logging.INFO if event.is_certain else logging.WARNING
        case ev.QuarantineEnded():
            return logging.INFO if event.is_gone else logging.WARNING
        case ev.SlowQuery() | ev.SlowAcquire():
            return logging.WARNING
        case ev.Closed():
            return logging.WARNING if event.cut_off else logging.INFO
    return logging.INFO


def said(event: Event) -> str:
    """One line for people."""
    say = _SAID.get(type(event))
    return type(event).__name__.lower() if say is None else say(event)


def _closed_connection(event: ev.ConnectionClosed) -> str:
    return f"a connection was closed: {event.reason.value}" + ("" if event.is_gone else "; its backend may live on")


def _out_of_quarantine(event: ev.QuarantineEnded) -> str:
    how = "has ended" if event.is_gone else "was given up"
    return f"a backend in quarantine {how}; {event.zombies} such are left"


def _slow_query(event: ev.SlowQuery) -> str:
    what = shown_text(event.sql)
    return f"a statement took {event.took_s:.3f} s, after {event.waited_s:.3f} s in line, at {event.where}: {what}"


_SAID: dict[type[Event], Callable[[Any], str]] = {
    ev.ConnectionOpened: lambda event: f"a connection was opened in {event.took_s:.3f} s",
    ev.PoolerFound: lambda event: f"connections go through {event.route}",
    ev.ConnectionClosed: _closed_connection,
    ev.ConnectFailed: lambda event: f"a connect failed, {event.failures} in a row: {event.error}",
    ev.OutageEnded: lambda event: (
        f"connecting works again, after {event.lasted_s:.1f} s and {counted(event.failures, 'failure')}"
    ),
    ev.Quarantined: lambda event: f"a connection was cut off and its backend may live on; {event.zombies} such",
    ev.QuarantineEnded: _out_of_quarantine,
    ev.DeadlockFound: lambda event: event.message.partition("\n")[0],
    ev.SlowQuery: _slow_query,
    ev.SlowAcquire: lambda event: f"a caller waited {event.waited_s:.3f} s for a connection, at {event.where}",
    ev.Resized: lambda event: f"resized from {event.before} to {event.now} connections",
    ev.Draining: lambda event: f"draining {counted(event.connections, 'connection')} in {event.spread_over_s:g} s",
    ev.Closed: lambda event: f"closed, {counted(len(event.cut_off), 'holder')} cut off" if event.cut_off else "closed",
}
